// The service as a whole: totals, recent days, growth and plan, drafts, the last sweep, the doctor, latencies.

import { formatTime, h } from "./dom.js";
import { bars, meter } from "./plots.js";
import { text } from "./strings.js";

const DAY = new Intl.DateTimeFormat(undefined, { month: "short", day: "numeric", timeZone: "UTC" });

export function overviewSection(api, signal) {
  const cards = h("div", { class: "cards" });
  const note = h("p", { class: "note", role: "status" }, text.loading);
  api.get("overview", {}, { signal }).then(
    (found) => {
      note.textContent = text.overview.at(formatTime(found.at));
      cards.append(...[totals(found), days(found), storage(found), drafts(found), sweep(found), doctor(found), latencies(found)].filter(Boolean));
    },
    (error) => signal.aborted || (note.textContent = error.message),
  );
  return h("section", { "aria-label": text.overview.label }, cards, note);
}

function card(title, ...content) {
  return h("div", { class: "card" }, h("h3", {}, title), content);
}

function facts(pairs) {
  return h("dl", {}, pairs.filter(Boolean).map(([name, value]) => [h("dt", {}, name), h("dd", {}, value)]).flat());
}

function number(value) {
  return value === null ? text.overview.unknown : value.toLocaleString();
}

function totals({ totals: { users, conversations, messages, estimated } }) {
  const { title, estimate, totals: names } = text.overview;
  return card(estimated ? estimate : title, facts([[names.users, number(users)], [names.conversations, number(conversations)], [names.messages, number(messages)]]));
}

function days({ days: found }) {
  const values = found.map(({ day, messages: { value, exact } }) => {
    const label = DAY.format(new Date(day));
    return { label, value, title: `${label}: ${text.overview.counted(value, exact)}` };
  });
  return card(text.overview.days, bars(values, values.map(({ title }) => title).join("; ")));
}

function storage({ storage: found }) {
  if (!found) return null;
  const { plan_bytes: plan, database_bytes: used } = found;
  const names = text.overview.storage;
  const usage = plan ? names.used(size(used), size(plan)) : size(used);
  return card(names.title,
    plan && meter(used / plan, usage),
    facts([
      [names.stored, size(found.stored_bytes)],
      [names.database, usage],
      found.bytes_per_day !== null && [names.growth, names.perDay(size(found.bytes_per_day))],
      found.days_left !== null && [names.full, names.days(found.days_left)],
    ]),
  );
}

function size(bytes) {
  const units = ["B", "KB", "MB", "GB", "TB"];
  const at = Math.min(units.length - 1, Math.floor(Math.log2(Math.max(1, bytes)) / 10));
  return `${(bytes / 1024 ** at).toLocaleString(undefined, { maximumFractionDigits: 1 })} ${units[at]}`;
}

function drafts({ drafts: { active, interrupted, exact } }) {
  const names = text.overview.drafts;
  const shown = (count) => (exact ? number(count) : text.overview.atLeast(number(count)));
  return card(names.title, facts([[names.active, shown(active)], [names.interrupted, shown(interrupted)]]));
}

function sweep({ last_sweep: found }) {
  const names = text.overview.sweep;
  if (!found) return card(names.title, h("p", { class: "note" }, names.none));
  return card(names.title, facts([
    [names.due, formatTime(found.due)],
    [names.finished, found.finished_at ? formatTime(found.finished_at) : names.unfinished],
    [names.result, names.did(found)],
  ]));
}

function doctor({ last_examination: found, storage: database }) {
  const names = text.overview.doctor;
  if (!found && !database) return null;
  if (!found) return card(names.title, h("p", { class: "note" }, names.none), h("pre", { tabindex: "0" }, h("code", {}, names.command)));
  return card(names.title, facts([
    [names.at, formatTime(found.at)],
    [names.result, found.healthy ? names.healthy : h("span", { class: "dangerous" }, names.failed(found.failed))],
    [names.warnings, number(found.warnings)],
    [names.promises, names.kept(found.promises_kept, found.promises_broken)],
  ]));
}

function latencies({ latencies: found }) {
  if (!found) return null;
  const names = text.overview.latencies;
  const { bounds_ms: bounds, counts } = found;
  const over = names.over(bounds.at(-1));
  const shown = (bound) => (bound === null || bound === undefined ? over : names.upTo(bound));
  const values = counts.map((value, at) => ({ label: shown(bounds[at]), value, title: `${shown(bounds[at])}: ${number(value)}` }));
  return card(names.title,
    bars(values, values.map(({ title }) => title).join("; ")),
    counts.some(Boolean) && facts([[names.half, shown(found.p50_ms)], [names.most, shown(found.p95_ms)], [names.nearlyAll, shown(found.p99_ms)]]),
  );
}
