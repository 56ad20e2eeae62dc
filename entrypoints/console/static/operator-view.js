// For operators: the service as a whole, the user and how to erase them, and what operators asked for.

import { auditSection } from "./audit-list.js";
import { h, icon } from "./dom.js";
import { userSection } from "./erase-user.js";
import { overviewSection } from "./overview.js";
import { text } from "./strings.js";

export class OperatorView extends HTMLElement {
  constructor(api) {
    super();
    this.api = api;
  }

  disconnectedCallback() {
    this.aborter?.abort();
  }

  // What is shown is loaded each time: it is about what has just happened.
  show(isShown) {
    this.aborter?.abort();
    this.hidden = !isShown;
    this.replaceChildren();
    if (!isShown) return;
    document.title = `${text.operator.title} · ${text.product}`;
    this.aborter = new AbortController();
    const { signal } = this.aborter;
    this.append(
      h("div", { class: "bar" },
        h("a", { class: "icon back", href: "#/", "aria-label": text.back, title: text.back }, icon("back")),
        h("h2", {}, text.operator.title),
      ),
      overviewSection(this.api, signal),
      userSection(this.api, signal, () => {
        this.dispatchEvent(new Event("changed"));
        this.show(true);
      }),
      auditSection(this.api, signal),
    );
  }
}
