// Erasing a user: what would go is shown first, and their id is typed.

import { path } from "./api.js";
import { askToErase } from "./dialogs.js";
import { announce, h } from "./dom.js";
import { text } from "./strings.js";

// `erased()` is called when nothing of the user is left.
export function userSection(api, signal, erased) {
  const { user } = api.credentials;
  const facts = h("p", { role: "status" }, text.loading);
  const held = h("p", { class: "problem" });
  const button = h("button", { type: "button", class: "danger", disabled: true, onclick: () => erase() }, text.operator.erase);
  let usage;

  async function load() {
    try {
      usage = await api.get("me", {}, { signal });
      facts.textContent = text.operator.has(usage);
      held.textContent = usage.retained ? text.operator.held(usage.retained) : "";
      button.disabled = usage.retained > 0;
    } catch (error) {
      if (!signal.aborted) facts.textContent = error.message;
    }
  }

  async function erase() {
    await load(); // the preview is of now
    if (button.disabled || !(await askToErase(user, usage))) return;
    try {
      await api.send("DELETE", path("users", user));
      announce(text.operator.erased(user));
      erased();
    } catch (error) {
      announce(error.message);
      load();
    }
  }

  load();
  return h("section", { "aria-labelledby": "user-title" },
    h("h2", { id: "user-title", dir: "auto" }, text.operator.about(user)),
    facts,
    held,
    h("div", {}, button),
  );
}
