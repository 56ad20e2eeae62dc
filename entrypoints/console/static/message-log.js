// The messages of a conversation as blocks, of which only those near the view have elements. However
// long the conversation is, the page holds about 300 messages.

import { announce, h } from "./dom.js";
import { messageView, resultView } from "./message-view.js";
import { text } from "./strings.js";

const PAGE = 50;
const NEAR = 1500; // pixels beyond the view in which blocks are filled and pages are loaded

export class MessageLog {
  // `load(parameters)` returns a page of messages; `view` is handed to each message.
  constructor(scroller, load, view) {
    this.scroller = scroller;
    this.load = load;
    this.view = view;
    this.blocks = [];
    this.hasEarlier = true;
    this.hasLater = false;
    this.busy = false;
    this.onmove = () => {};
    this.top = h("p", { class: "note edge" });
    this.bottom = h("p", { class: "note edge" });
    this.list = h("div", { class: "blocks" });
    this.drafts = h("div", { class: "block" });
    scroller.replaceChildren(this.top, this.list, this.drafts, this.bottom);
    this.onscroll = () => {
      this.onmove();
      this.settle();
    };
    scroller.addEventListener("scroll", this.onscroll, { passive: true });
  }

  close() {
    this.scroller.removeEventListener("scroll", this.onscroll);
    this.isClosed = true;
  }

  // Shows the end of the conversation, or the surroundings of a message.
  async open(messageId) {
    this.busy = true;
    try {
      if (!messageId) {
        const { items, next_cursor: next } = await this.load({ order: "desc", limit: PAGE });
        this.hasEarlier = next !== null;
        this.insert(items.reverse(), 0);
        this.scrollToEnd();
      } else {
        const half = PAGE / 2;
        const before = await this.load({ order: "desc", limit: half, before: messageId });
        const rest = await this.load({ order: "asc", limit: half, after: before.items[0]?.id });
        this.hasEarlier = before.next_cursor !== null;
        this.hasLater = rest.next_cursor !== null;
        this.insert([...before.items.reverse(), ...rest.items], 0);
        this.show(messageId);
      }
    } finally {
      this.busy = false;
      this.explain();
    }
    await this.settle();
  }

  show(messageId) {
    const element = document.getElementById(`m-${messageId}`);
    if (!element) return false;
    for (let parent = element.closest("details"); parent; parent = parent.parentElement.closest("details")) parent.open = true;
    element.scrollIntoView({ block: "center" });
    element.classList.add("found");
    element.focus?.({ preventScroll: true });
    return true;
  }

  scrollToEnd() {
    this.scroller.scrollTop = this.scroller.scrollHeight;
  }

  isAtEnd() {
    return !this.hasLater && this.scroller.scrollHeight - this.scroller.scrollTop - this.scroller.clientHeight < 120;
  }

  // Loads what comes next on either side, and fills or empties blocks by their distance.
  async settle() {
    if (this.busy || this.isClosed) return;
    this.busy = true;
    try {
      for (let again = true; again && !this.isClosed; ) {
        again = false;
        const { scrollTop, clientHeight, scrollHeight } = this.scroller;
        if (!clientHeight) return; // it is hidden
        if (this.hasEarlier && scrollTop < NEAR) again = await this.extend(-1);
        else if (this.hasLater && scrollHeight - scrollTop - clientHeight < NEAR) again = await this.extend(1);
        else again = await this.fill();
      }
    } catch (error) {
      if (!this.isClosed) announce(error.message);
    } finally {
      this.busy = false;
      this.explain();
    }
  }

  async extend(direction) {
    const edge = direction < 0 ? this.blocks[0].first : this.blocks.at(-1).last;
    const page = await this.load(direction < 0 ? { order: "desc", limit: PAGE, before: edge } : { order: "asc", limit: PAGE, after: edge });
    if (this.isClosed) return false;
    if (direction < 0) {
      this.hasEarlier = page.next_cursor !== null;
      this.insert(page.items.reverse(), 0);
    } else {
      this.hasLater = page.next_cursor !== null;
      this.insert(page.items, this.blocks.length);
    }
    return true;
  }

  get lastId() {
    return this.blocks.at(-1)?.last ?? null;
  }

  // Shows an answer that is being written, where the messages end.
  showDraft(element) {
    this.drafts.replaceChildren(element);
  }

  has(messageId) {
    return this.blocks.some((block) => block.messages?.some((each) => each.id === messageId));
  }

  // Messages that were just written, after all that is there.
  add(messages) {
    if (this.hasLater) return;
    const known = this.blocks.at(-1);
    if (known?.messages && known.messages.length + messages.length <= PAGE) {
      known.messages.push(...messages);
      known.last = messages.at(-1).id;
      this.render(known);
    } else this.insert(messages, this.blocks.length);
    this.explain();
  }

  insert(messages, at) {
    if (!messages.length) return;
    const block = { messages, count: messages.length, first: messages[0].id, last: messages.at(-1).id, element: h("div", { class: "block" }) };
    const { scrollHeight, scrollTop } = this.scroller;
    this.blocks.splice(at, 0, block);
    this.list.insertBefore(block.element, this.list.children[at] ?? null);
    this.render(block);
    if (at === 0 && this.blocks.length > 1) this.scroller.scrollTop = scrollTop + this.scroller.scrollHeight - scrollHeight;
  }

  render(block) {
    const calls = new Map();
    for (const message of block.messages) {
      for (const call of message.tool_calls ?? []) calls.set(call.id, message);
    }
    const results = new Map();
    const views = [];
    for (const message of block.messages) {
      const isFolded = message.role === "tool" && calls.has(message.tool_call_id) && !results.has(message.tool_call_id);
      if (isFolded) results.set(message.tool_call_id, message);
    }
    for (const message of block.messages) {
      if (message.role !== "tool") views.push(messageView(message, results, this.view));
      else if (results.get(message.tool_call_id) !== message) views.push(resultView(message, this.view));
    }
    block.element.style.height = "";
    block.element.replaceChildren(...views);
  }

  async fill() {
    const view = this.scroller.getBoundingClientRect();
    for (const [at, block] of this.blocks.entries()) {
      const place = block.element.getBoundingClientRect();
      const isNear = place.bottom > view.top - 2 * NEAR && place.top < view.bottom + 2 * NEAR;
      if (!isNear && block.messages && this.blocks.length > 1) {
        block.element.style.height = `${place.height}px`;
        block.element.replaceChildren();
        block.messages = null;
      } else if (isNear && !block.messages) {
        await this.reload(block, at);
        return true;
      }
    }
    return false;
  }

  async reload(block, at) {
    const next = this.blocks[at + 1];
    const page = next
      ? await this.load({ order: "desc", limit: block.count, before: next.first })
      : await this.load({ order: "asc", limit: block.count, after: this.blocks[at - 1].last });
    if (this.isClosed) return;
    block.messages = next ? page.items.reverse() : page.items;
    const isAbove = block.element.getBoundingClientRect().bottom < this.scroller.getBoundingClientRect().top;
    const { scrollHeight, scrollTop } = this.scroller;
    this.render(block);
    if (isAbove) this.scroller.scrollTop = scrollTop + this.scroller.scrollHeight - scrollHeight;
  }

  // Replaces or removes a message that is shown.
  change(message) {
    this.edit(message.id, (messages, at) => messages.splice(at, 1, message));
  }

  remove(messageId) {
    this.edit(messageId, (messages, at) => messages.splice(at, 1));
  }

  edit(messageId, change) {
    for (const block of this.blocks) {
      const at = block.messages?.findIndex((each) => each.id === messageId) ?? -1;
      if (at < 0) continue;
      change(block.messages, at);
      block.count = block.messages.length;
      if (!block.count) {
        block.element.remove();
        this.blocks.splice(this.blocks.indexOf(block), 1);
        return;
      }
      block.first = block.messages[0].id;
      block.last = block.messages.at(-1).id;
      this.render(block);
    }
  }

  explain() {
    this.top.textContent = this.hasEarlier ? text.loading : this.blocks.length ? text.conversation.start : text.conversation.none;
    this.bottom.textContent = this.hasLater ? text.loading : "";
    this.drafts.hidden = this.hasLater;
    this.onmove();
  }
}
