// What a search found: in the place of the list, as one types.

import { h, time } from "./dom.js";
import { link } from "./session.js";
import { text } from "./strings.js";

const PAGE = 20;
const TYPING = 250;
const INDEXING = 1000;

export class SearchResults extends HTMLElement {
  constructor(api) {
    super();
    this.api = api;
    this.query = "";
    this.items = h("ul", { class: "items" });
    this.notes = h("p", { class: "note edge" });
    this.edge = h("p", { class: "note edge", role: "status" });
  }

  connectedCallback() {
    if (this.firstChild) return;
    this.append(this.notes, this.items, this.edge);
    this.watcher = new IntersectionObserver((entries) => entries.some((each) => each.isIntersecting) && this.loadMore(), { root: this.parentElement, rootMargin: "400px" });
  }

  disconnectedCallback() {
    this.stop();
    this.watcher?.disconnect();
  }

  stop() {
    clearTimeout(this.timer);
    this.aborter?.abort();
  }

  // Searches once the query has stayed the same for a moment.
  search(query) {
    if (query === this.query) return;
    this.query = query;
    this.stop();
    if (!query) return;
    this.edge.textContent = text.search.searching;
    this.timer = setTimeout(() => this.begin(), TYPING);
  }

  begin() {
    this.stop();
    this.aborter = new AbortController();
    this.cursor = undefined;
    this.watcher.unobserve(this.edge);
    return this.loadMore(true);
  }

  async loadMore(isFirst = false) {
    if (this.cursor === null || (this.isLoading && !isFirst)) return;
    const { signal } = this.aborter;
    this.isLoading = true;
    try {
      const page = await this.api.get("search", { q: this.query, limit: PAGE, cursor: this.cursor }, { signal });
      if (signal.aborted) return;
      const views = page.items.map(hitView);
      if (isFirst) this.items.replaceChildren(...views);
      else this.items.append(...views);
      this.cursor = page.next_cursor;
      this.explain(page);
    } catch (error) {
      if (!signal.aborted) this.edge.textContent = error.message;
    } finally {
      if (!signal.aborted) this.isLoading = false;
    }
  }

  explain({ complete, left, query }) {
    this.notes.textContent = query.notes.join(" ");
    if (this.cursor !== null) {
      this.edge.textContent = text.search.searching;
      this.watcher.unobserve(this.edge); // an observer reports again only what it begins to observe
      this.watcher.observe(this.edge);
    } else if (!complete) {
      // Each search adds to the index: it goes on until all is searched.
      this.edge.textContent = text.search.indexing(left.messages);
      this.timer = setTimeout(() => this.begin(), INDEXING);
    } else this.edge.textContent = this.items.children.length ? text.list.end : text.search.nothing;
  }
}

function hitView(hit) {
  return h("li", {},
    h("a", { href: link({ conversation: hit.conversation_id, message: hit.message_id, item: hit.item_id, branch: hit.branch }) },
      h("span", { class: "title", dir: "auto" }, hit.kind === "conversation" ? highlighted(hit) : hit.title || text.list.untitled),
      hit.kind !== "conversation" && h("span", { class: "snippet", dir: "auto" }, highlighted(hit)),
      h("span", { class: "facts" },
        hit.role && h("span", {}, text.message.roles[hit.role]),
        hit.item_type && h("span", {}, hit.item_type.replaceAll("_", " ")),
        hit.created_at ? time(hit.created_at) : h("span", {}, text.search.inTitle),
      ),
    ),
  );
}

// Offsets are in code points; JavaScript's strings are in UTF-16.
function highlighted({ snippet, highlights }) {
  const characters = [...snippet];
  const nodes = [];
  let at = 0;
  for (const [start, end] of highlights) {
    nodes.push(characters.slice(at, start).join(""), h("mark", {}, characters.slice(start, end).join("")));
    at = end;
  }
  nodes.push(characters.slice(at).join(""));
  return nodes;
}
