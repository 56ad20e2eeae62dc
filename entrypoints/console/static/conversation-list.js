// The list of conversations, latest activity first, without an end: pages are loaded as one scrolls.

import { h, icon, iconButton, time } from "./dom.js";
import { FIRST_PAGE } from "./first-page.js";
import { link } from "./session.js";
import { SearchResults } from "./search-results.js";
import { text } from "./strings.js";

const SKELETONS = 8;
const MAX_ROWS = 1000; // what was added by itself goes beyond it only while one reads further down

export class ConversationList extends HTMLElement {
  constructor(api) {
    super();
    this.api = api;
    this.selected = null;
    this.loaded = new Promise((resolve) => (this.isLoaded = resolve));
    this.status = FIRST_PAGE.status;
    this.rows = new Map(); // the elements that are shown, by the id of their conversation
    this.news = new Map(); // the last event of each conversation that is not shown yet
    this.items = h("ul", { class: "items" });
    this.edge = h("p", { class: "note edge", role: "status" });
    this.watcher = new IntersectionObserver((entries) => entries.some((each) => each.isIntersecting) && this.loadMore(), { root: this, rootMargin: "600px" });
    this.refresh().then(this.isLoaded); // the request is under way while the rest is made
    const choice = h("select", { id: "status", onchange: () => this.filter(choice.value) },
      ["active", "archived", ""].map((status) => h("option", { value: status }, text.list[status || "all"])));
    this.results = new SearchResults(this.api);
    this.results.hidden = true;
    this.field = h("input", { type: "search", "aria-label": text.search.label, placeholder: text.search.hint, autocomplete: "off", oninput: () => this.search() });
    this.tools = h("div", { class: "tools" },
      h("h2", {}, text.list.title),
      h("label", { for: "status", class: "hidden" }, text.list.status),
      choice,
      iconButton("refresh", text.list.refresh, () => this.refresh()),
      this.field,
    );
  }

  connectedCallback() {
    if (!this.firstChild) this.append(this.tools, this.items, this.edge, this.results);
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
    this.begin();
    if (!this.items.children.length) {
      this.items.replaceChildren(...Array.from({ length: SKELETONS }, () => h("li", { class: "skeleton", "aria-hidden": "true" })));
      this.edge.textContent = text.loading;
    }
    await this.loadMore(true);
  }

  begin() {
    this.aborter?.abort();
    this.aborter = new AbortController();
    this.isLoading = false;
    this.cursor = undefined;
    this.watcher.unobserve(this.edge);
  }

  page(cursor, signal) {
    return this.api.get("conversations", { status: this.status, limit: FIRST_PAGE.limit, cursor }, { signal });
  }

  async loadMore(isFirst = false) {
    if (this.cursor === null || this.isLoading) return;
    const { signal } = this.aborter;
    this.isLoading = true;
    try {
      const page = await this.page(this.cursor, signal);
      if (signal.aborted) return;
      if (isFirst) this.replace(page.items);
      else this.items.append(...page.items.filter((each) => !this.rows.has(each.id)).map((each) => this.row(each)));
      await this.conclude(page, isFirst, signal);
    } catch (error) {
      if (signal.aborted) return;
      this.edge.replaceChildren(text.list.failed, " ", error.message, " ", h("button", { type: "button", class: "plain", onclick: () => this.refresh() }, text.list.retry));
    } finally {
      if (!signal.aborted) this.isLoading = false;
    }
  }

  async conclude(page, isFirst, signal) {
    this.cursor = page.next_cursor;
    this.edge.replaceChildren(this.cursor === null ? (this.items.children.length ? text.list.end : text.list.nothing) : text.loading);
    if (isFirst && !page.items.length) await this.explainIfEmpty(signal);
    if (this.cursor !== null && !signal.aborted) this.watcher.observe(this.edge);
  }

  async explainIfEmpty(signal) {
    const usage = await this.api.get("me", {}, { signal });
    if (usage.conversations) return;
    const { emptyService } = await import("./empty-service.js");
    if (signal.aborted) return;
    this.edge.textContent = "";
    this.items.replaceChildren(h("li", { class: "empty" }, emptyService(this.api, () => this.refresh())));
  }

  // What happened, here or elsewhere: the next update shows it.
  happened(event) {
    const { conversation_id: id, conversation } = event;
    if (event.type === "conversation.deleted" ? this.rows.has(id) : conversation) this.news.set(id, conversation ?? null);
  }

  // Reads the first page again and shows what is new, changed or gone. All else stays in its place.
  async update() {
    const { signal } = this.aborter;
    const page = await this.page(undefined, signal);
    if (signal.aborted || this.cursor === undefined) return; // all of it is being loaded
    const isJoined = page.items.some((each) => this.rows.get(each.id)?.facts === facts(each));
    const isLong = this.rows.size > MAX_ROWS && this.scrollTop === 0;
    const news = [...this.news];
    this.news.clear();
    const putBack = this.holdPlace();
    if (page.next_cursor === null || !isJoined || isLong) {
      this.begin();
      this.replace(page.items);
      putBack();
      return this.conclude(page, true, this.aborter.signal);
    }
    for (const [id, conversation] of news) this.place(id, conversation);
    this.arrange(page.items);
    const oldest = Date.parse(page.items.at(-1).updated_at);
    for (const row of [...this.items.children].slice(page.items.length)) {
      if (row.updatedAt <= oldest) break;
      this.remove(row); // it would be in the page if it were still in the list
    }
    putBack();
  }

  replace(conversations) {
    this.news.clear();
    const ids = new Set(conversations.map((each) => each.id));
    for (const row of [...this.items.children]) if (!ids.has(row.id_)) this.remove(row);
    this.arrange(conversations);
  }

  arrange(conversations) {
    conversations.forEach((conversation, at) => {
      const row = this.row(conversation);
      if (this.items.children[at] !== row) this.items.insertBefore(row, this.items.children[at] ?? null);
    });
  }

  // Shows a conversation where its last activity is, if that is in the part that is loaded.
  place(id, conversation) {
    const known = this.rows.get(id);
    if (!conversation || (this.status && conversation.status !== this.status)) return known && this.remove(known);
    const updatedAt = Date.parse(conversation.updated_at);
    const next = [...this.items.children].find((each) => each !== known && each.updatedAt < updatedAt);
    if (!next && this.cursor !== null) return known && this.remove(known);
    const row = this.row(conversation);
    if (row.nextSibling !== (next ?? null) || !row.parentNode) this.items.insertBefore(row, next ?? null);
  }

  remove(row) {
    this.rows.delete(row.id_);
    row.remove();
  }

  // What one reads does not move, and what has the focus keeps it. Returns what sees to it.
  holdPlace() {
    const focused = this.items.contains(document.activeElement) && document.activeElement.dataset.id;
    const seen = [];
    if (this.scrollTop > 0 && !this.items.hidden) {
      const { bottom } = this.tools.getBoundingClientRect();
      for (const row of this.items.children) {
        const place = row.getBoundingClientRect();
        if (place.bottom > bottom && place.top < innerHeight) seen.push({ row, top: place.top, facts: row.facts });
      }
    }
    return () => {
      const kept = seen.find(({ row, facts }) => row.parentNode && row.facts === facts);
      if (kept) this.scrollTop += kept.row.getBoundingClientRect().top - kept.top;
      if (focused) this.rows.get(focused)?.firstChild.focus({ preventScroll: true });
    };
  }

  // The element of a conversation, as it is now.
  row(conversation) {
    const known = this.rows.get(conversation.id);
    if (known?.facts === facts(conversation)) return known;
    const row = known ?? h("li");
    Object.assign(row, { id_: conversation.id, facts: facts(conversation), updatedAt: Date.parse(conversation.updated_at) });
    row.replaceChildren(this.rowContent(conversation));
    this.rows.set(conversation.id, row);
    return row;
  }

  rowContent(conversation) {
    const isSelected = conversation.id === this.selected;
    return h("a", { href: link({ conversation: conversation.id }), "aria-current": isSelected ? "page" : undefined, "data-id": conversation.id },
      h("span", { class: "title", dir: "auto" }, conversation.title || text.list.untitled),
      h("span", { class: "facts" },
        time(conversation.updated_at),
        h("span", {}, text.list.messages(conversation.message_count)),
        conversation.retain && h("span", { class: "chip" }, icon("hold"), text.list.onHold),
        conversation.status === "archived" && !this.status && h("span", { class: "chip" }, text.list.archivedMark),
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

// What is shown of a conversation; one that is the same need not be made again.
function facts({ title, updated_at: at, message_count: count, retain, status }) {
  return JSON.stringify([title, at, count, retain, status]);
}
