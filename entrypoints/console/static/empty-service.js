// What somebody sees who has no conversations yet: the next step.

import { Problem } from "./api.js";
import { announce, copy, h } from "./dom.js";
import { samples } from "./samples.js";
import { text } from "./strings.js";

export function emptyService(api, loaded) {
  const command = firstCall(api);
  const button = h("button", { type: "button", class: "primary", onclick: load }, text.empty.samples);

  async function load() {
    button.disabled = true;
    button.textContent = text.empty.loading;
    try {
      for (const { title, messages } of samples) {
        await api.send("POST", "conversations", { title, messages });
      }
      loaded();
    } catch (error) {
      announce(error instanceof Problem ? error.message : String(error));
      button.disabled = false;
      button.textContent = text.empty.samples;
    }
  }

  return h("section", { "aria-labelledby": "nothing-yet" },
    h("h3", { id: "nothing-yet" }, text.empty.title),
    h("p", {}, text.empty.lead),
    h("pre", { tabindex: "0" }, h("code", {}, command)),
    h("button", { type: "button", class: "plain", onclick: () => copy(command, text.copied) }, text.copy),
    h("p", {}, text.empty.after),
    button,
  );
}

function firstCall(api) {
  const url = new URL("../v1/conversations", location.href).href;
  const body = { title: "First steps", messages: [{ role: "user", content: "Hello" }] };
  const { Authorization, ...others } = { ...api.headers(), "Content-Type": "application/json" };
  // A service key acts for every user, so it is not shown: the shell knows it.
  const who = others["X-User-Id"] ? `"Authorization: Bearer $CHATKEEP_SERVICE_KEY"` : quoted(`Authorization: ${Authorization}`);
  const headers = [who, ...Object.entries(others).map(([name, value]) => quoted(`${name}: ${value}`))];
  const options = headers.map((header) => `-H ${header}`).join(" \\\n  ");
  return `curl ${quoted(url)} \\\n  ${options} \\\n  -d ${quoted(JSON.stringify(body))}`;
}

// For a shell: nothing within single quotes has a meaning but the quote itself.
function quoted(value) {
  return `'${value.replaceAll("'", "'\\''")}'`;
}
