// One conversation: its messages, and what one can do with it.

import { path, Problem } from "./api.js";
import { askForDate, askForTitle, askToDelete } from "./dialogs.js";
import { announce, copy, formatTime, h, icon, iconButton, skeletons, time } from "./dom.js";
import { DraftView } from "./draft-view.js";
import { saveExport } from "./export.js";
import { follow } from "./live.js";
import { MessageLog } from "./message-log.js";
import { link } from "./session.js";
import { text } from "./strings.js";

export class ConversationView extends HTMLElement {
  constructor(api) {
    super();
    this.api = api;
    this.place = {};
  }

  close() {
    this.aborter?.abort();
    this.log?.close();
    this.log = null;
    this.endDraft();
  }

  async show(place) {
    const isSame = this.log && place.conversation === this.place.conversation && place.branch === this.place.branch;
    this.place = place;
    if (isSame && !place.item && (!place.message || this.log.show(place.message))) return;
    this.close();
    if (!place.conversation) return this.replaceChildren(h("p", { class: "note centre" }, text.conversation.choose));
    this.aborter = new AbortController();
    const { signal } = this.aborter;
    this.replaceChildren(skeletons(text.loading));
    try {
      const conversation = await this.api.get(this.resource(), {}, { signal });
      this.leftAt = conversation.branch === undefined ? new Set() : await this.loadBranches(signal);
      if (signal.aborted) return;
      await this.render(conversation, signal);
    } catch (error) {
      if (signal.aborted) return;
      const message = error.status === 404 ? text.conversation.gone : error.message;
      this.replaceChildren(h("p", { class: "note centre", role: "alert" }, message));
    }
  }

  resource(...parts) {
    return path("conversations", this.place.conversation, ...parts);
  }

  async render(conversation, signal) {
    this.scroller = h("div", { class: "log", tabindex: "0", role: "region", "aria-label": text.conversation.log });
    this.heading = h("div", { class: "heading-bar" });
    this.toEnd = iconButton("down", text.conversation.jumpToEnd, () => this.showEnd(), { class: "icon to-end unneeded" });
    this.replaceChildren(this.heading, this.scroller, this.toEnd);
    this.describe(conversation);
    const load = (parameters) => this.api.get(this.resource("messages"), { ...parameters, branch: this.place.branch ?? conversation.branch }, { signal });
    this.log = new MessageLog(this.scroller, load, this);
    this.log.onmove = () => this.toEnd.classList.toggle("unneeded", this.log.isAtEnd());
    await this.log.open(this.place.message ?? (await this.messageAt(load)));
    follow(this.api, this.resource("events"), { happened: (event) => this.happened(event), began: () => this.catchUp().catch(() => {}), lost: () => this.reload() }, signal);
  }

  // The message that follows an item of OpenAI's API, which is not shown itself.
  async messageAt(load) {
    if (!this.place.item) return null;
    const { items } = await load({ around: this.place.item, limit: 1 });
    return items[0]?.id ?? null;
  }

  describe(conversation) {
    this.conversation = conversation;
    document.title = `${conversation.title || text.list.untitled} · ${text.product}`;
    const choices = h("details", { class: "menu" },
      h("summary", { "aria-label": text.conversation.actions, title: text.conversation.actions }, icon("more")),
      h("div", { class: "choices" }, this.actions(conversation).map(([label, onclick, properties]) => h("button", { type: "button", onclick, ...properties }, label))),
    );
    choices.open = this.heading.querySelector("details")?.open;
    choices.addEventListener("click", (event) => event.target.closest(".choices button") && (choices.open = false));
    choices.addEventListener("keydown", (event) => event.key === "Escape" && ((choices.open = false), choices.firstChild.focus()));
    this.heading.replaceChildren(
      h("a", { class: "icon back", href: "#/", "aria-label": text.back, title: text.back }, icon("back")),
      h("div", { class: "what" },
        h("h2", { dir: "auto" }, conversation.title || text.list.untitled),
        h("p", { class: "facts" },
          h("span", {}, text.list.messages(conversation.message_count)),
          h("span", { title: formatTime(conversation.created_at) }, time(conversation.created_at)),
          conversation.status === "archived" && h("span", { class: "chip" }, text.list.archivedMark),
          conversation.retain && h("span", { class: "chip" }, icon("hold"), text.list.onHold),
        ),
      ),
      choices,
    );
  }

  actions(conversation) {
    const isActive = conversation.status === "active";
    const isService = Boolean(this.api.credentials.user); // only services may set and lift holds
    return [
      [text.conversation.rename, () => this.rename()],
      [isActive ? text.conversation.archive : text.conversation.restore, () => this.change({ status: isActive ? "archived" : "active" })],
      isService && [conversation.retain ? text.conversation.release : text.conversation.hold, () => this.change({ retain: !conversation.retain })],
      [text.conversation.jumpToDate, () => this.jumpToDate()],
      [text.conversation.fork, () => this.fork()],
      [text.conversation.exportJson, () => this.exportAs("jsonl")],
      [text.conversation.exportMarkdown, () => this.exportAs("markdown")],
      [text.conversation.copyId, () => copy(conversation.id, text.copied)],
      [text.conversation.remove, () => this.removeConversation(), { class: "dangerous" }],
    ].filter(Boolean);
  }

  // What somebody else did, or this page in another tab.
  happened(event) {
    switch (event.type) {
      case "message.created":
        if (event.message.id === this.draft?.messageId) this.endDraft();
        return this.added(event.message);
      case "message.updated":
        return this.log.change(event.message);
      case "message.deleted":
        return this.log.remove(event.message_id);
      case "conversation.updated":
        return this.describe(event.conversation);
      case "draft.started":
        return this.startDraft(event.draft);
      case "draft.delta":
        return event.draft_id === this.draft?.id && this.draft.add(event);
      case "draft.finished":
      case "draft.interrupted":
        return this.ended(event.draft);
      case "conversation.deleted":
        this.close();
        return this.replaceChildren(h("p", { class: "note centre", role: "alert" }, text.conversation.gone));
    }
  }

  // Drafts are shown after the messages: the latest one, since only one is written at a time.
  startDraft(draft) {
    this.endDraft();
    if (this.log.has(draft.message_id)) return;
    this.draft = new DraftView(draft, (change) => this.keepAtEnd(change));
    this.keepAtEnd(() => this.log.showDraft(this.draft.element));
  }

  // Its message comes before or after this, unless none was kept or it is on another branch.
  ended(draft) {
    if (draft.status !== "finished") announce(text.draft.interrupted[draft.status]);
    if (draft.id !== this.draft?.id) return;
    if (draft.status === "finished" && this.place.branch === null) this.draft.end();
    else this.endDraft();
  }

  endDraft() {
    this.draft?.close();
    this.draft = null;
  }

  added(message) {
    if (this.log.has(message.id)) return;
    const isNext = !this.log.hasLater && message.parent_id === this.log.lastId;
    if (isNext) this.keepAtEnd(() => this.log.add([message]));
    else if (!this.log.hasLater && this.place.branch === null) return this.reload(); // another branch is the current one now
    this.describe({ ...this.conversation, message_count: this.conversation.message_count + 1 });
  }

  // Who reads the end goes on to see it.
  keepAtEnd(change) {
    const wasAtEnd = this.log.isAtEnd();
    change();
    if (wasAtEnd) this.log.scrollToEnd();
  }

  // Adds what was stored between the reading of the messages and the beginning of the stream.
  async catchUp() {
    if (this.log.hasLater) return;
    const { items } = await this.log.load({ order: "asc", limit: 100, after: this.log.lastId });
    const missing = items.filter((each) => !this.log.has(each.id));
    if (!missing.length) return;
    this.log.add(missing);
    this.describe({ ...this.conversation, message_count: this.conversation.message_count + missing.length });
  }

  reload() {
    const { place } = this;
    this.place = {};
    return this.show({ ...place, message: null, item: null });
  }

  async attempt(work) {
    try {
      return await work();
    } catch (error) {
      announce(error instanceof Problem ? error.message : String(error));
      return undefined;
    }
  }

  async change(changes) {
    const changed = await this.attempt(() => this.api.send("PATCH", this.resource(), changes));
    if (!changed) return;
    this.describe(changed);
    this.tell({ type: "conversation.updated", conversation_id: changed.id, conversation: changed });
  }

  // Tells the list what was done here: it need not wait for the event.
  tell(event) {
    this.dispatchEvent(new CustomEvent("changed", { detail: event }));
  }

  async rename() {
    const title = await askForTitle(this.conversation.title);
    if (title !== null) await this.change({ title: title || null });
  }

  async fork() {
    const body = this.place.branch ? { branch: Number(this.place.branch) } : {};
    const copied = await this.attempt(() => this.api.send("POST", this.resource("fork"), body));
    if (!copied) return;
    this.tell({ type: "conversation.created", conversation_id: copied.id });
    location.hash = link({ conversation: copied.id });
    announce(text.conversation.forked);
  }

  async exportAs(format) {
    announce(text.export.began);
    const name = await this.attempt(() => saveExport(this.api, this.resource("export"), this.conversation.title, format));
    if (name) announce(text.export.saved(name));
  }

  async jumpToDate() {
    const day = await askForDate(this.conversation.created_at);
    if (!day) return;
    const found = await this.attempt(() => this.log.load({ around_time: day.toISOString(), limit: 1 }));
    const message = found?.items[0];
    if (!message) return found && announce(text.conversation.none);
    const isThere = new Date(message.created_at) >= day;
    const { created_at: at, id } = message;
    const target = this.linkTo(id);
    if (location.hash === target) this.log.show(id);
    else location.hash = target; // the page follows its address
    announce((isThere ? text.date.reached : text.date.allBefore)(formatTime(at)));
  }

  async removeConversation() {
    if (!(await askToDelete(this.conversation))) return;
    const isGone = await this.attempt(async () => {
      await this.api.send("DELETE", this.resource());
      return true;
    });
    if (!isGone) return;
    this.close();
    location.hash = "";
    this.tell({ type: "conversation.deleted", conversation_id: this.conversation.id });
    announce(text.conversation.deleted);
  }

  showEnd() {
    if (!this.log.hasLater) return this.log.scrollToEnd();
    const end = link({ conversation: this.place.conversation, branch: this.place.branch });
    if (location.hash === end) return this.reload();
    this.place = {};
    location.hash = end; // the page follows its address
  }

  // What the messages need.

  linkTo(messageId) {
    return link({ conversation: this.place.conversation, message: messageId, branch: this.place.branch });
  }

  async rawMessage(messageId) {
    return (await this.api.read(this.resource("messages", messageId), { originals: true })).text();
  }

  async loadBranches(signal) {
    const leftAt = new Set();
    let cursor;
    do {
      const page = await this.api.get(this.resource("branches"), { limit: 100, cursor }, { signal });
      for (const each of page.items) if (each.parent !== null) leftAt.add(each.left_at);
      cursor = page.next_cursor;
    } while (cursor);
    return leftAt;
  }

  // Whether a branch was left before this message: then it may have other versions.
  hasVersions(message) {
    return this.leftAt.size > 0 && this.leftAt.has(message.parent_id ?? null);
  }

  siblings(messageId) {
    return this.api.get(this.resource("messages", messageId, "siblings"), {}, { signal: this.aborter.signal });
  }

  showBranch(branch, messageId) {
    location.hash = link({ conversation: this.place.conversation, message: messageId, branch });
  }
}
