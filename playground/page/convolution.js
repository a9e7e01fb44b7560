// The view "Convolution": a pixel of a map, and the windows, filters and products it is made of.

import { byId, element, one, precise } from "./dom.js";
import { cnn } from "./model.js";
import { runCnn } from "./networks.js";
import { NumberGrid } from "./numbers.js";
import { blue, paint, purpleToGreen, symmetric, tile } from "./pictures.js";
import { explainPlace } from "./place.js";
import { PIXELS } from "./preprocess.js";

const through = byId("through", HTMLSelectElement);

/** The maps on the page: of which layer each is, and which of its maps. @type { { k: number, map: number, grid: NumberGrid }[]} */
let shownMaps = [];
/** @type { { k: number, at: number } | null} */
let chosenPlace = null;
/** @type {CnnResult | null} */
let shownResult = null;

// ---------------------------------------------------------------- the maps

/** @param {Layer[]} layers */
function buildPlaces(layers) {
  const { steps } = runCnn(layers, new Float32Array(PIXELS));
  shownMaps = [];
  const blocks = layers.flatMap((layer, k) =>
    layer.kind === "Conv2d" ? [buildLayer(layer, k, steps[k + 1].shape)] : [],
  );
  byId("places").replaceChildren(...blocks);
}

/** @param {Layer} layer  @param {number} k  @param {number[]} shape */
function buildLayer(layer, k, [count, height, width]) {
  const tiles = Array.from({ length: count }, (_, map) => {
    const host = element("div");
    const label = `${layer.name}, map ${map}`;
    const grid = new NumberGrid(host, label, (at) => choosePlace(k, map * height * width + at));
    shownMaps.push({ k, map, grid });
    return element("div", {}, host, filterPicture(layer, map));
  });
  const title = element("h3", {
    textContent: `${layer.name}: ${count} maps, ${height} × ${width}; below each its filter`,
  });
  return element(
    "div",
    {},
    title,
    element("div", { className: count > 8 ? "layer" : "layer few" }, ...tiles),
  );
}

/** The filter of a map, one square for each map below. @param {Layer} layer  @param {number} map */
function filterPicture({ weight }, map) {
  const [, channels, rows, columns] = weight.shape;
  const size = rows * columns;
  const squares = Array.from({ length: channels }, (_, c) => {
    const picture = tile(columns, rows);
    const start = (map * channels + c) * size;
    paint(
      picture,
      weight.values.slice(start, start + size),
      symmetric(weight.values),
      purpleToGreen,
    );
    return picture;
  });
  const filter = element(
    "div",
    { className: channels > 1 ? "filter many" : "filter", role: "img" },
    ...squares,
  );
  filter.ariaLabel = `Filter of map ${map}`;
  return filter;
}

/** @param {CnnResult} result */
function showPlaces({ steps }) {
  for (const { k, map, grid } of shownMaps) {
    const { values, shape } = steps[k + 1];
    const size = shape[1] * shape[2];
    const most = Math.max(1e-9, ...values);
    const part = values.slice(map * size, (map + 1) * size).map((a) => Math.max(0, a));
    grid.show(part, shape[2], [0, most], blue);
  }
}

// ---------------------------------------------------------------- the chosen pixel

/** @param {number} k  @param {number} at */
function choosePlace(k, at) {
  const [count] = cnn?.[k].weight.shape.slice(1) ?? [0];
  if (through.options.length !== count) {
    const options = Array.from({ length: count }, (_, c) => new Option(String(c)));
    through.replaceChildren(...options);
  }
  chosenPlace = { k, at };
  showPlace();
}

function showPlace() {
  const box = byId("place");
  box.hidden = !chosenPlace || !shownResult;
  if (!chosenPlace || !shownResult || !cnn) return;
  const { k, at } = chosenPlace;
  const place = explainPlace(cnn, shownResult.steps, k, at);
  for (const { k: layer, map, grid } of shownMaps)
    if (layer !== k || map !== place.map) grid.forget();
  one(".name", box).textContent =
    `${cnn[k].name}, map ${place.map}, row ${place.y}, column ${place.x}: ${precise(place.value)}`;
  const { window, filter, products, sum } = place.channels[through.selectedIndex];
  byId("window").replaceChildren(
    squareOf("window", window, place.columns),
    element("span", { textContent: "×" }),
    squareOf("filter", filter, place.columns),
    element("span", { textContent: "=" }),
    squareOf(`products, in all ${precise(sum)}`, products, place.columns),
  );
  byId("sum").replaceChildren(...sumOf(place));
}

/** @typedef {ReturnType<typeof explainPlace>} Place */

/** @param {Place} place */
function sumOf({ channels, bias, value, fate }) {
  const parts = channels.map(({ sum }, c) => [`products through map ${c} below`, precise(sum)]);
  const rows = [
    ...parts,
    ["bias", precise(bias)],
    ["sum", precise(value)],
    ...fate.map(fateInWords),
  ];
  return rows.map(([name, number]) =>
    element(
      "tr",
      {},
      element("th", { scope: "row", textContent: name }),
      element("td", { textContent: number }),
    ),
  );
}

/** @param {Place["fate"][number]} fate */
function fateInWords({ kind, inputs, value, wins }) {
  if (kind === "ReLU") return ["after ReLU: max(0, value)", precise(value ?? 0)];
  if (value === null) return ["no pool covers it", "–"];
  const window = inputs.map(precise).join(", ");
  return [
    `the pool over ${window}: this pixel ${wins ? "wins" : "loses, another goes on"}`,
    precise(value),
  ];
}

/** A table of numbers with the colours of their values. @param {string} caption  @param {Values} values  @param {number} columns */
function squareOf(caption, values, columns) {
  const [low, high] = symmetric(values);
  const rows = Array.from({ length: values.length / columns }, (_, row) => {
    const cells = Array.from(values.slice(row * columns, (row + 1) * columns), (value) => {
      const colour = purpleToGreen((value - low) / (high - low));
      const cell = element("td", { textContent: value.toFixed(2).replace("-", "−") });
      cell.style.background = `rgb(${colour.map(Math.round).join(" ")})`;
      cell.style.color = isBright(colour) ? "#000" : "#fff";
      return cell;
    });
    return element("tr", {}, ...cells);
  });
  return element(
    "table",
    { className: "square" },
    element("caption", { textContent: caption }),
    ...rows,
  );
}

/** Whether black stands out more than white, by the luminance of the WCAG. @param {number[]} colour */
function isBright(colour) {
  const linear = colour.map((c) => (c / 255) ** 2.2);
  return 0.2126 * linear[0] + 0.7152 * linear[1] + 0.0722 * linear[2] > 0.18;
}

// ---------------------------------------------------------------- the view

through.addEventListener("change", showPlace);

/** @type {View} */
export const convolutionView = {
  build() {
    chosenPlace = null;
    byId("no-cnn").hidden = cnn !== null;
    if (cnn) buildPlaces(cnn);
    else byId("places").replaceChildren();
  },

  show({ byCnn }) {
    shownResult = byCnn;
    if (cnn) showPlaces(byCnn ?? runCnn(cnn, new Float32Array(PIXELS)));
    showPlace();
  },
};
