// The lines of the audit, latest first, about one user or about all.

import { formatTime, h } from "./dom.js";
import { text } from "./strings.js";

const PAGE = 20;

export function auditSection(api, signal) {
  const { user } = api.credentials;
  const rows = h("tbody");
  const note = h("p", { class: "note", role: "status" });
  const more = h("button", { type: "button", class: "plain", hidden: true, onclick: () => load() }, text.operator.more);
  const only = h("input", { type: "checkbox", id: "only-user", checked: true, onchange: () => load(true) });
  let cursor;

  async function load(isFirst = false) {
    const wanted = isFirst ? { user: only.checked ? user : undefined } : { cursor };
    more.hidden = true;
    note.textContent = text.loading;
    try {
      const page = await api.get("audit", { ...wanted, limit: PAGE }, { signal });
      if (isFirst) rows.replaceChildren();
      rows.append(...page.items.map(row));
      cursor = page.next_cursor;
      more.hidden = !cursor;
      note.textContent = rows.children.length ? "" : text.operator.noAudit;
    } catch (error) {
      if (!signal.aborted) note.textContent = error.message;
    }
  }

  load(true);
  const { who, whom, what, when } = text.operator;
  return h("section", { "aria-labelledby": "audit-title" },
    h("div", { class: "bar" },
      h("h2", { id: "audit-title" }, text.operator.audit),
      h("label", {}, only, " ", text.operator.auditOf(user)),
    ),
    h("div", { class: "table", tabindex: "0", role: "region", "aria-label": text.operator.lines },
      h("table", {}, h("thead", {}, h("tr", {}, [when, who, whom, what].map((name) => h("th", { scope: "col" }, name)))), rows),
    ),
    note,
    more,
  );
}

function row(line) {
  const about = [line.conversation_id, line.message_id].filter(Boolean).join(" / ");
  return h("tr", {},
    h("td", {}, h("time", { datetime: line.at }, formatTime(line.at))),
    h("td", { dir: "auto" }, line.operator),
    h("td", { dir: "auto" }, line.user_id),
    h("td", {}, line.action, about && h("span", { class: "note", dir: "auto" }, ` ${about}`)),
  );
}
