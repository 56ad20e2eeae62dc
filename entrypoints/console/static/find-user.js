// For a service key: finds a user by the beginning of their id, and shows their conversations.

import { h, time } from "./dom.js";
import { text } from "./strings.js";

const PAGE = 50;
const TYPING = 250;

// Opens a dialog; returns the id of the chosen user, or null.
export function findUser(api) {
  const items = h("ul", { class: "items users" });
  const edge = h("p", { class: "note edge", role: "status" });
  const more = h("button", { type: "button", class: "plain", hidden: true, onclick: () => load() }, text.users.more);
  const field = h("input", { id: "prefix", type: "search", autocomplete: "off", spellcheck: "false", maxlength: "255", oninput: () => begin(TYPING) });
  const dialog = h("dialog", { class: "wide", "aria-labelledby": "users-title" },
    h("form", { onsubmit: (event) => (event.preventDefault(), begin(0)) },
      h("h2", { id: "users-title" }, text.users.title),
      h("label", { for: "prefix" }, text.users.prefix),
      field,
    ),
    items,
    edge,
    more,
    h("div", { class: "buttons" }, h("button", { type: "button", class: "plain", onclick: () => dialog.close("") }, text.cancel)),
  );
  let timer;
  let cursor;
  let aborter = new AbortController();

  function begin(wait) {
    clearTimeout(timer);
    aborter.abort();
    aborter = new AbortController();
    cursor = undefined;
    more.hidden = true;
    edge.textContent = text.loading;
    timer = setTimeout(() => load(true), wait);
  }

  async function load(isFirst = false) {
    const { signal } = aborter;
    more.hidden = true;
    try {
      const parameters = cursor ? { cursor } : { prefix: field.value };
      const page = await api.get("users", { ...parameters, limit: PAGE }, { signal });
      if (signal.aborted) return;
      if (isFirst) items.replaceChildren();
      items.append(...page.items.map(view));
      cursor = page.next_cursor;
      more.hidden = !cursor;
      edge.textContent = cursor ? "" : items.children.length ? text.list.end : text.users.nothing;
    } catch (error) {
      if (!signal.aborted) edge.textContent = error.message;
    }
  }

  function view(user) {
    const { value, exact } = user.conversations;
    return h("li", {},
      h("button", { type: "button", onclick: () => choose(user.id) },
        h("span", { class: "title", dir: "auto" }, user.id),
        h("span", { class: "facts" }, h("span", {}, text.users.conversations(value, exact)), user.latest_activity && time(user.latest_activity)),
      ),
    );
  }

  let chosen = null;
  const choose = (id) => {
    chosen = id;
    dialog.close();
  };
  document.body.append(dialog);
  dialog.showModal();
  begin(0);
  return new Promise((resolve) => {
    dialog.addEventListener("close", () => {
      clearTimeout(timer);
      aborter.abort();
      dialog.remove();
      resolve(chosen);
    });
  });
}
