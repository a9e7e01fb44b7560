// A chart of lines that grow to the right, as SVG.

const [WIDTH, HEIGHT, LEFT, TOP, BOTTOM] = [360, 190, 44, 10, 34];
const POINTS = 240; // of a line at most: more would not be seen

/** @param {SVGElement} chart  @param {string} tag  @param {Record<string, string | number>} attributes  @param {string} text */
function add(chart, tag, attributes, text = "") {
  const made = document.createElementNS(chart.namespaceURI ?? "", tag);
  for (const [name, value] of Object.entries(attributes)) made.setAttribute(name, String(value));
  made.textContent = text;
  chart.append(made);
}

/** Replace neighbours by their mean until few enough are left. @param {Point[]} points @returns {Point[]} */
export function thinned(points) {
  const together = Math.ceil(points.length / POINTS);
  if (together <= 1) return points;
  const groups = Math.ceil(points.length / together);
  return Array.from({ length: groups }, (_, k) => {
    const group = points.slice(k * together, (k + 1) * together);
    const [x, y] = [0, 1].map((axis) => group.reduce((sum, p) => sum + p[axis], 0) / group.length);
    return [x, y];
  });
}

/**
 * Draw lines over the number of steps, from 0 to `top` on the vertical axis.
 * @param {string} id  @param { { name: string, points: Point[] }[]} lines
 * @param {number} top  @param {(value: number) => string} write
 */
export function drawChart(id, lines, top, write) {
  const chart = /** @type {SVGElement} */ (document.querySelector(`#${id}`));
  const steps = Math.max(1, ...lines.flatMap(({ points }) => points.slice(-1).map(([x]) => x)));
  const x = (/** @type {number} */ step) => LEFT + ((WIDTH - LEFT - 8) * step) / steps;
  const y = (/** @type {number} */ value) =>
    HEIGHT - BOTTOM - ((HEIGHT - TOP - BOTTOM) * Math.min(value, top)) / top;
  chart.replaceChildren();
  for (const level of [0, top / 2, top]) {
    add(chart, "line", { class: "rule", x1: LEFT, x2: WIDTH - 8, y1: y(level), y2: y(level) });
    add(chart, "text", { x: LEFT - 6, y: y(level) + 4, "text-anchor": "end" }, write(level));
  }
  add(chart, "text", { x: LEFT, y: HEIGHT - 16 }, "0");
  add(chart, "text", { x: WIDTH - 8, y: HEIGHT - 16, "text-anchor": "end" }, `${steps} steps`);
  for (const { name, points } of lines) {
    const places = thinned(points).map((p) => `${x(p[0]).toFixed(1)},${y(p[1]).toFixed(1)}`);
    add(chart, "polyline", { class: `line ${name}`, points: places.join(" ") });
  }
}

/** A round number that is no less than all values. @param {number[]} values */
export function roundTop(values) {
  const most = values.reduce((a, b) => (Number.isFinite(b) ? Math.max(a, b) : a), 1e-3);
  const unit = 10 ** Math.floor(Math.log10(most));
  return Math.ceil(most / unit) * unit;
}
