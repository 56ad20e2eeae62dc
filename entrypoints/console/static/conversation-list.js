// The list of conversations, latest activity first, without an end: pages are loaded as one scrolls.

import { h, icon, iconButton, time } from "./dom.js";
import { link } from "./session.js";
import { SearchResults } from "./search-results.js";
import { text } from "./strings.js";

const PAGE = 50;
const SKELETONS = 8;

export class ConversationList extends HTMLElement {
  constructor(api) {
    super();
    this.api = api;
    this.selected = null;
    this.loaded = new Promise((resolve) => (this.isLoaded = resolve));
    this.status = "active";
  }

  connectedCallback() {
    if (this.items) return;
    this.items = h("ul", { class: "items" });
    this.edge = h("p", { class: "note edge", role: "status" });
    const choice = h("select", { id: "status", onchange: () => this.filter(choice.value) },
      ["active", "archived", ""].map((status) => h("option", { value: status }, text.list[status || "all"])));
    this.results = new SearchResults(this.api);
    this.results.hidden = true;
    this.field = h("input", { type: "search", "aria-label": text.search.label, placeholder: text.search.hint, autocomplete: "off", oninput: () => this.search() });
    this.append(
      h("div", { class: "tools" },
        h("h2", {}, text.list.title),
        h("label", { for: "status", class: "hidden" }, text.list.status),
        choice,
        iconButton("refresh", text.list.refresh, () => this.refresh()),
        this.field,
      ),
      this.items,
      this.edge,
      this.results,
    );
    this.watcher = new IntersectionObserver((entries) => entries.some((each) => each.isIntersecting) && this.loadMore(), { root: this, rootMargin: "600px" });
    this.refresh().then(this.isLoaded);
  }

  disconnectedCallback() {
    this.aborter?.abort();
    this.watcher?.disconnect();
  }

  search() {
    const query = this.field.value.trim();
    for (const each of [this.items, this.edge]) each.hidden = Boolean(query);
    this.results.hidden = !query;
    this.results.search(query);
  }

  filter(status) {
    this.status = status;
    this.items.replaceChildren();
    this.refresh();
  }

  // Loads the first page again, and keeps what is shown until it is there.
  async refresh() {
    this.aborter?.abort();
    this.aborter = new AbortController();
    this.cursor = undefined;
    this.watcher.unobserve(this.edge);
    if (!this.items.children.length) {
      this.items.replaceChildren(...Array.from({ length: SKELETONS }, () => h("li", { class: "skeleton", "aria-hidden": "true" })));
      this.edge.textContent = text.loading;
    }
    await this.loadMore(true);
  }

  async loadMore(isFirst = false) {
    if (this.cursor === null || (this.isLoading && !isFirst)) return;
    const { signal } = this.aborter;
    this.isLoading = true;
    try {
      const page = await this.api.get("conversations", { status: this.status, limit: PAGE, cursor: this.cursor }, { signal });
      if (signal.aborted) return;
      const views = page.items.map((each) => this.itemView(each));
      if (isFirst) this.items.replaceChildren(...views);
      else this.items.append(...views);
      this.cursor = page.next_cursor;
      this.edge.replaceChildren(this.cursor === null ? (this.items.children.length ? text.list.end : text.list.nothing) : text.loading);
      if (isFirst && !page.items.length) await this.explainIfEmpty(signal);
      if (this.cursor !== null) this.watcher.observe(this.edge);
    } catch (error) {
      if (signal.aborted) return;
      this.edge.replaceChildren(text.list.failed, " ", error.message, " ", h("button", { type: "button", class: "plain", onclick: () => this.refresh() }, text.list.retry));
    } finally {
      if (!signal.aborted) this.isLoading = false;
    }
  }

  async explainIfEmpty(signal) {
    const usage = await this.api.get("me", {}, { signal });
    if (usage.conversations) return;
    const { emptyService } = await import("./empty-service.js");
    if (signal.aborted) return;
    this.edge.textContent = "";
    this.items.replaceChildren(h("li", { class: "empty" }, emptyService(this.api, () => this.refresh())));
  }

  itemView(conversation) {
    const isSelected = conversation.id === this.selected;
    return h("li", {},
      h("a", { href: link({ conversation: conversation.id }), "aria-current": isSelected ? "page" : undefined, "data-id": conversation.id },
        h("span", { class: "title", dir: "auto" }, conversation.title || text.list.untitled),
        h("span", { class: "facts" },
          time(conversation.updated_at),
          h("span", {}, text.list.messages(conversation.message_count)),
          conversation.retain && h("span", { class: "chip" }, icon("hold"), text.list.onHold),
          conversation.status === "archived" && !this.status && h("span", { class: "chip" }, text.list.archivedMark),
        ),
      ),
    );
  }

  select(conversationId) {
    this.selected = conversationId;
    for (const each of this.querySelectorAll("a[data-id]")) {
      if (each.dataset.id === conversationId) each.setAttribute("aria-current", "page");
      else each.removeAttribute("aria-current");
    }
  }
}
