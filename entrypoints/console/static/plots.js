// Plots: bars as SVG, and the same numbers for screen readers, as a label.

const NAMESPACE = "http://www.w3.org/2000/svg";
const WIDTH = 320;
const HEIGHT = 110;
const BASE = 92;

function s(tag, attributes, ...children) {
  const element = document.createElementNS(NAMESPACE, tag);
  for (const [name, value] of Object.entries(attributes)) element.setAttribute(name, value);
  element.append(...children);
  return element;
}

// Each of `values` is { label, value, title }. The first, the middle and the last label are shown.
export function bars(values, description) {
  const most = Math.max(1, ...values.map(({ value }) => value));
  const step = WIDTH / values.length;
  const middle = Math.floor(values.length / 2);
  const shown = { 0: ["start", 0], [middle]: ["middle", (middle + 0.5) * step], [values.length - 1]: ["end", WIDTH] };
  const plot = s("svg", { class: "plot", viewBox: `0 0 ${WIDTH} ${HEIGHT}`, role: "img", "aria-label": description });
  plot.append(s("path", { class: "axis", d: `M0 ${BASE}H${WIDTH}` }));
  values.forEach(({ label, value, title }, at) => {
    const height = value ? Math.max(2, (value / most) * (BASE - 6)) : 0;
    plot.append(s("rect", { x: at * step + 2, y: BASE - height, width: Math.max(1, step - 4), height, rx: 2 }, s("title", {}, title)));
    if (shown[at]) plot.append(s("text", { x: shown[at][1], y: HEIGHT - 5, "text-anchor": shown[at][0] }, label));
  });
  return plot;
}

// How much of a whole is used.
export function meter(share, description) {
  const used = Math.min(1, Math.max(0, share)) * WIDTH;
  return s("svg", { class: "plot", viewBox: `0 0 ${WIDTH} 14`, role: "img", "aria-label": description },
    s("rect", { class: "room", width: WIDTH, height: 14, rx: 7 }), s("rect", { width: used, height: 14, rx: 7 }));
}
