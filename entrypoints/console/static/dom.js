// Builds elements. Text is always a text node: there is no way to pass HTML.

export function h(tag, properties = {}, ...children) {
  const element = document.createElement(tag);
  for (const [name, value] of Object.entries(properties)) {
    if (value === undefined || value === null || value === false) continue;
    if (name.startsWith("on")) element.addEventListener(name.slice(2), value);
    else if (name === "class") element.className = value;
    else element.setAttribute(name, value === true ? "" : String(value));
  }
  element.append(...children.flat(2).filter((child) => child !== null && child !== undefined && child !== false));
  return element;
}

const NAMESPACE = "http://www.w3.org/2000/svg";
const SHAPES = {
  back: "M15 5l-7 7 7 7",
  next: "M9 5l7 7-7 7",
  more: "M5 12h.01M12 12h.01M19 12h.01",
  refresh: "M20 5v5h-5M4 19v-5h5M5.5 9a7 7 0 0 1 12-2.5L20 10M18.5 15a7 7 0 0 1-12 2.5L4 14",
  down: "M12 5v14M6 13l6 6 6-6",
  person: "M12 4a4 4 0 1 1 0 8 4 4 0 0 1 0-8zM4.5 21a7.5 7.5 0 0 1 15 0",
  chart: "M4 20h16M7 16v-5M12 16V5M17 16v-8",
  hold: "M7 11V8a5 5 0 0 1 10 0v3M5 11h14v9H5z",
};

export function icon(name) {
  const svg = document.createElementNS(NAMESPACE, "svg");
  svg.setAttribute("viewBox", "0 0 24 24");
  svg.setAttribute("aria-hidden", "true");
  const path = document.createElementNS(NAMESPACE, "path");
  path.setAttribute("d", SHAPES[name]);
  svg.append(path);
  return svg;
}

export function iconButton(name, label, onclick, properties = {}) {
  return h("button", { type: "button", class: "icon", "aria-label": label, title: label, onclick, ...properties }, icon(name));
}

// A format is made when it is needed first: each takes milliseconds, and the list waits for them.
function format(options) {
  let made;
  return (when) => (made ??= new Intl.DateTimeFormat(undefined, options)).format(when);
}

const wholeTime = format({ dateStyle: "medium", timeStyle: "short" });
const timeOfThisYear = format({ month: "short", day: "numeric", hour: "numeric", minute: "2-digit" });
const timeOfToday = format({ timeStyle: "short" });
const wholeDay = format({ dateStyle: "medium" });

export function formatTime(iso) {
  return wholeTime(new Date(iso));
}

// A day and a time, with the year if it is another one; the whole time is its title.
export function dayAndTime(iso) {
  const when = new Date(iso);
  const isThisYear = when.getFullYear() === new Date().getFullYear();
  return h("time", { datetime: iso, title: formatTime(iso) }, (isThisYear ? timeOfThisYear : wholeTime)(when));
}

// A time as short as its age allows; the whole time is its title.
export function time(iso) {
  const when = new Date(iso);
  const isToday = when.toDateString() === new Date().toDateString();
  return h("time", { datetime: iso, title: formatTime(iso) }, (isToday ? timeOfToday : wholeDay)(when));
}

// What stands where a conversation will be.
export function skeletons(label) {
  return h("div", { class: "skeletons", role: "status", "aria-label": label }, [1, 2, 3].map(() => h("div", { class: "skeleton" })));
}

let announcer = null;

// Says something to screen readers, and shows it for some seconds unless it can be seen elsewhere.
export function announce(message, isShown = true) {
  if (!announcer) {
    announcer = h("div", { class: "toast", role: "status" });
    document.body.append(announcer);
  }
  announcer.textContent = message;
  announcer.classList.toggle("shown", isShown);
  clearTimeout(announcer.timer);
  announcer.timer = setTimeout(() => announcer.classList.remove("shown"), 4000);
}

export async function copy(value, done) {
  await navigator.clipboard.writeText(value);
  announce(done);
}
