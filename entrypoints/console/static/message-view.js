// One message as an element: text, parts, tool calls with their results, and what one can do with it.

import { copy, dayAndTime, formatTime, h, iconButton } from "./dom.js";
import { codeBlock, markdown } from "./markdown.js";
import { text } from "./strings.js";

const SHORT_CHARACTERS = 6000;
const INTERRUPTED = "chatkeep.interrupted"; // of an answer whose draft did not end as it should
const INLINE_IMAGE = /^data:image\/(png|jpeg|gif|webp|avif);/iu;

// `results` are the tool messages of its calls, by call id; `view` is the conversation-view.
export function messageView(message, results, view) {
  const name = text.message.roles[message.role] + (message.name ? ` (${message.name})` : "");
  const heading = h("h3", { id: `by-${message.id}` }, name);
  const article = h("article", { class: `message ${message.role}`, "aria-labelledby": heading.id, id: `m-${message.id}`, tabindex: "-1" },
    h("header", {},
      heading,
      h("a", { class: "when", href: view.linkTo(message.id) }, dayAndTime(message.created_at)),
      message.edited_at && h("span", { class: "note", title: text.message.edited(formatTime(message.edited_at)) }, text.message.edited(formatTime(message.edited_at))),
      INTERRUPTED in message.metadata && h("span", { class: "chip" }, text.message.interrupted[message.metadata[INTERRUPTED]] ?? text.message.interrupted.expired),
      message.starts_context && h("span", { class: "note" }, text.message.startsContext),
      versions(message, view),
      menu(message, view),
    ),
    h("div", { class: "body" }, content(message)),
    (message.tool_calls ?? []).map((call) => toolCall(call, results.get(call.id))),
  );
  return article;
}

// A tool message whose call is not shown beside it.
export function resultView(message, view) {
  const article = messageView({ ...message, tool_calls: null }, new Map(), view);
  const body = article.querySelector(".body");
  body.replaceWith(h("details", {}, h("summary", {}, message.name ? text.message.resultOf(message.name) : text.message.result), body));
  return article;
}

function content(message) {
  if (Array.isArray(message.content)) return message.content.map(part);
  if (message.content) return written(message.content, message.role !== "tool");
  return (message.tool_calls ?? []).length ? null : h("p", { class: "note" }, text.message.empty);
}

// A long text is shown in full on request: a browser takes seconds to lay out a megabyte.
function written(source, isMarkdown) {
  const show = (shown) => (isMarkdown ? markdown(shown) : codeBlock(pretty(shown)));
  if (source.length <= SHORT_CHARACTERS) return show(source);
  const box = h("div", {}, show(cut(source, SHORT_CHARACTERS)));
  const more = h("button", { type: "button", class: "plain", onclick: () => box.replaceChildren(...[show(source)].flat()) }, text.message.showAll(source.length));
  box.append(more);
  return box;
}

function cut(source, length) {
  const isSplit = source.charCodeAt(length - 1) >= 0xd800 && source.charCodeAt(length - 1) <= 0xdbff;
  return source.slice(0, isSplit ? length - 1 : length) + "…";
}

function part(part) {
  switch (part.type) {
    case "text":
      return written(String(part.text ?? ""), true);
    case "refusal":
      return written(String(part.refusal ?? ""), true);
    case "image_url":
      return image(String(part.image_url?.url ?? ""));
    case "input_audio":
      return h("p", { class: "attachment" }, `${text.message.audio}: ${part.input_audio?.format ?? ""}`);
    case "file":
      return h("p", { class: "attachment" }, `${text.message.file}: ${part.file?.filename ?? part.file?.file_id ?? ""}`);
    default:
      return h("details", {}, h("summary", {}, text.message.otherPart(String(part.type))), codeBlock(JSON.stringify(part, null, 2)));
  }
}

// Nothing is loaded from elsewhere: an image at another address is a link.
function image(url) {
  if (INLINE_IMAGE.test(url)) return h("img", { src: url, alt: text.message.image, loading: "lazy" });
  if (!/^https?:/iu.test(url)) return h("p", { class: "attachment" }, text.message.image);
  return h("p", { class: "attachment" }, `${text.message.remoteImage}: `, h("a", { href: url, rel: "noopener noreferrer nofollow", target: "_blank" }, url));
}

function toolCall(call, result) {
  const name = call.function?.name ?? call.custom?.name ?? call.type ?? "";
  const input = call.function?.arguments ?? call.custom?.input ?? "";
  return h("details", { class: "call" },
    h("summary", {}, text.message.call(name)),
    h("h4", {}, text.message.arguments),
    codeBlock(pretty(String(input))),
    h("h4", {}, text.message.result),
    result ? h("div", { id: `m-${result.id}` }, content(result)) : h("p", { class: "note" }, text.message.noResult),
  );
}

// JSON on several lines; numbers too long for JavaScript would change, so such texts stay.
function pretty(source) {
  if (source.length > 20_000 || /\d{16}/u.test(source)) return source;
  try {
    return JSON.stringify(JSON.parse(source), null, 2);
  } catch {
    return source;
  }
}

function versions(message, view) {
  if (!view.hasVersions(message)) return null;
  const box = h("span", { class: "versions", role: "group", "aria-label": text.message.versions });
  view.siblings(message.id).then(({ items }) => {
    const at = items.findIndex((each) => each.id === message.id);
    if (items.length < 2 || at < 0) return box.remove();
    const step = (offset) => view.showBranch(items[at + offset].branch, items[at + offset].id);
    box.replaceChildren(
      iconButton("back", text.message.previousVersion, () => step(-1), { disabled: at === 0 }),
      h("span", {}, `${at + 1}/${items.length}`),
      iconButton("next", text.message.nextVersion, () => step(1), { disabled: at === items.length - 1 }),
    );
  }, () => box.remove());
  return box;
}

function menu(message, view) {
  const raw = h("div", { class: "raw" });
  const showRaw = async () => {
    if (raw.firstChild) return raw.replaceChildren();
    raw.replaceChildren(await view.rawMessage(message.id).then((json) => codeBlock(json, "JSON"), (error) => error.message));
  };
  const box = h("details", { class: "menu" },
    h("summary", { "aria-label": text.message.details, title: text.message.details }, "⋯"),
    h("div", { class: "choices" },
      h("button", { type: "button", onclick: () => copy(new URL(view.linkTo(message.id), location.href).href, text.copied) }, text.message.copyLink),
      h("button", { type: "button", onclick: () => copy(plainText(message), text.copied) }, text.message.copyText),
      h("button", { type: "button", onclick: showRaw }, text.message.raw),
    ),
    raw,
  );
  return box;
}

export function plainText(message) {
  if (!Array.isArray(message.content)) return message.content ?? "";
  return message.content.map((each) => each.text ?? each.refusal ?? "").filter(Boolean).join("\n");
}
