// Shows a subset of Markdown as elements. Whatever it does not know stays text. Linear in its input:
// each pattern stops at the next character that could start it again.

import { h } from "./dom.js";

const INLINE = new RegExp(
  [
    "`([^`\\n]+)`",
    "\\*\\*([^*\\n]+)\\*\\*",
    "(?<![\\w*])\\*([^*\\s][^*\\n]*)\\*(?![\\w*])",
    "(?<![\\w_])_([^_\\s][^_\\n]*)_(?![\\w_])",
    "\\[([^\\[\\]\\n]*)\\]\\(([^()\\s]*)\\)",
    "(https?://[^\\s<>\"'()\\[\\]]*[^\\s<>\"'()\\[\\].,;:!?])",
  ].join("|"),
  "gu",
);
const SAFE_LINK = /^(https?:|mailto:)/iu;
const FENCE = /^ {0,3}(`{3,}|~{3,})\s*([^`\s]*)/u;
const HEADING = /^ {0,3}(#{1,6})\s+(.*)$/u;
const ITEM = /^(\s*)([-*+]|\d{1,9}[.)])\s+(.*)$/u;
const RULE = /^ {0,3}([-*_])(?:\s*\1){2,}\s*$/u;
const QUOTE = /^ {0,3}> ?(.*)$/u;
const TABLE_RULE = /^\s*\|?\s*:?-+:?\s*(\|\s*:?-+:?\s*)+\|?\s*$/u;
const MAX_QUOTES = 4;

export function inline(source, isInLink = false) {
  const nodes = [];
  let end = 0;
  for (const match of source.matchAll(INLINE)) {
    const [whole, code, strong, starred, underscored, label, target, url] = match;
    if (match.index > end) nodes.push(source.slice(end, match.index));
    end = match.index + whole.length;
    if (code !== undefined) nodes.push(h("code", {}, code));
    else if (strong !== undefined) nodes.push(h("strong", {}, inline(strong, isInLink)));
    else if (starred !== undefined) nodes.push(h("em", {}, inline(starred, isInLink)));
    else if (underscored !== undefined) nodes.push(h("em", {}, inline(underscored, isInLink)));
    else if (isInLink) nodes.push(whole);
    else if (url !== undefined) nodes.push(anchor(url, [url]));
    else nodes.push(SAFE_LINK.test(target) ? anchor(target, label ? inline(label, true) : [target]) : whole);
  }
  if (end < source.length) nodes.push(source.slice(end));
  return nodes;
}

function anchor(href, content) {
  return h("a", { href, rel: "noopener noreferrer nofollow", target: "_blank" }, content);
}

export function markdown(source, quotes = 0) {
  const lines = source.split(/\r\n?|\n/u);
  const blocks = [];
  let at = 0;
  while (at < lines.length) {
    const line = lines[at];
    let match;
    if (!line.trim()) {
      at++;
    } else if ((match = FENCE.exec(line))) {
      at = fence(lines, at, match, blocks);
    } else if ((match = HEADING.exec(line))) {
      // Headings of a message are below those of the page.
      blocks.push(h("p", { class: "heading", dir: "auto", role: "heading", "aria-level": Math.min(match[1].length + 3, 6) }, inline(match[2].replace(/\s#+\s*$/u, ""))));
      at++;
    } else if (RULE.test(line)) {
      blocks.push(h("hr"));
      at++;
    } else if (QUOTE.test(line) && quotes < MAX_QUOTES) {
      const quoted = [];
      while (at < lines.length && (match = QUOTE.exec(lines[at]))) {
        quoted.push(match[1]);
        at++;
      }
      blocks.push(h("blockquote", {}, markdown(quoted.join("\n"), quotes + 1)));
    } else if (ITEM.test(line)) {
      at = list(lines, at, blocks);
    } else if (line.includes("|") && TABLE_RULE.test(lines[at + 1] ?? "")) {
      at = table(lines, at, blocks);
    } else {
      const paragraph = [line];
      at++;
      while (at < lines.length && lines[at].trim() && !startsBlock(lines[at])) paragraph.push(lines[at++]);
      blocks.push(h("p", { dir: "auto" }, inline(paragraph.join("\n"))));
    }
  }
  return blocks;
}

function startsBlock(line) {
  return FENCE.test(line) || HEADING.test(line) || ITEM.test(line) || QUOTE.test(line);
}

function fence(lines, start, [, mark, language], blocks) {
  const content = [];
  let at = start + 1;
  while (at < lines.length && !lines[at].trim().startsWith(mark)) content.push(lines[at++]);
  blocks.push(codeBlock(content.join("\n"), language));
  return at + 1;
}

export function codeBlock(content, language = "") {
  return h("pre", { tabindex: "0", "aria-label": language || undefined, role: language ? "group" : undefined }, h("code", {}, content));
}

// Items in lists, nested by how far they are indented.
function list(lines, start, blocks) {
  const open = [];
  let at = start;
  for (; at < lines.length; at++) {
    const match = ITEM.exec(lines[at]);
    if (!match) {
      if (!lines[at].trim() || !/^\s/u.test(lines[at]) || !open.length) break;
      open.at(-1).last.append("\n", ...inline(lines[at].trim()));
      continue;
    }
    const [, { length: indent }, mark, content] = match;
    while (open.length > 1 && indent < open.at(-1).indent) open.pop();
    if (!open.length || (indent > open.at(-1).indent + 1 && open.length < 6)) {
      const isNumbered = /\d/u.test(mark);
      const made = h(isNumbered ? "ol" : "ul", { dir: "auto", start: isNumbered && parseInt(mark, 10) !== 1 ? parseInt(mark, 10) : undefined });
      if (open.length) open.at(-1).last.append(made);
      else blocks.push(made);
      open.push({ indent, list: made, last: null });
    }
    const item = h("li", {}, inline(content));
    open.at(-1).list.append(item);
    open.at(-1).last = item;
  }
  return at;
}

function table(lines, start, blocks) {
  const rows = [cells(lines[start])];
  let at = start + 2;
  while (at < lines.length && lines[at].includes("|")) rows.push(cells(lines[at++]));
  const [head, ...body] = rows;
  blocks.push(
    h("div", { class: "table", tabindex: "0", role: "group" },
      h("table", {},
        h("thead", {}, h("tr", {}, head.map((cell) => h("th", { scope: "col", dir: "auto" }, inline(cell))))),
        h("tbody", {}, body.map((row) => h("tr", {}, head.map((_, column) => h("td", { dir: "auto" }, inline(row[column] ?? "")))))),
      ),
    ),
  );
  return at;
}

function cells(line) {
  return line.trim().replace(/^\||\|$/gu, "").split("|").map((cell) => cell.trim());
}
