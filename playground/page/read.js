// The view "Read": what the networks believe, their templates and maps, and what decided.

import { all, byId, element, one, percent, signed, withArticle } from "./dom.js";
import { cnnLead, largest, lead } from "./explain.js";
import { cnn, mlp, nameOf } from "./model.js";
import { runCnn } from "./networks.js";
import { blue, grey, paint, purpleToGreen, symmetric, tile, weightScale } from "./pictures.js";
import { PIXELS, SIDE } from "./preprocess.js";
import { showOtherCnn } from "./record.js";
import { buildTemplates, templateOf } from "./templates.js";
import { indexOfLargest } from "./training.js";

const DECIDERS = 6;

// ---------------------------------------------------------------- beliefs

function bar() {
  return element("div", { className: "bar" }, element("i", {}, element("b")), element("span"));
}

/** @param {HTMLElement} cell  @param {number | null} probability */
export function setBar(cell, probability) {
  one("b", cell).style.transform = `scaleX(${probability ?? 0})`;
  one("span", cell).textContent = probability === null ? "–" : percent(probability);
}

/** Fill a table with a row for each class and a bar in each column. @param {HTMLElement} body  @param {string[]} columns */
export function buildBars(body, columns) {
  const rows = Array.from({ length: 10 }, (_, digit) => {
    const head = element("th", { scope: "row", textContent: nameOf(digit) });
    return element(
      "tr",
      {},
      head,
      ...columns.map((className) => element("td", { className }, bar())),
    );
  });
  body.replaceChildren(...rows);
}

/** @param {HTMLElement} body  @param {string} column  @param {number[] | null} probabilities */
export function showBars(body, column, probabilities) {
  const winner = probabilities && indexOfLargest(probabilities);
  all(`td.${column}`, body).forEach((cell, digit) => {
    setBar(cell, probabilities?.[digit] ?? null);
    cell.classList.toggle("wins", digit === winner);
  });
  return winner === null ? "–" : nameOf(winner);
}

/** @param {string} network  @param {number[] | null} probabilities */
function showBeliefs(network, probabilities) {
  byId(`${network}-says`).textContent = showBars(byId("beliefs"), network, probabilities);
}

// ---------------------------------------------------------------- why not?

const rivals = byId("rival", HTMLSelectElement);

function buildRivals() {
  const names = Array.from(
    { length: 10 },
    (_, digit) => new Option(withArticle(nameOf(digit)), String(digit)),
  );
  rivals.replaceChildren(new Option("any other", ""), ...names);
}

/** The digit that the winner is compared with, if it is another. @param {number} winner */
function chosenRival(winner) {
  return rivals.value === "" || Number(rivals.value) === winner ? null : Number(rivals.value);
}

/** @param {number} digit  @param {number | null} rival */
const whatFor = (digit, rival) =>
  `for the ${nameOf(digit)}${rival === null ? "" : ` over the ${nameOf(rival)}`}`;

// ---------------------------------------------------------------- the MLP

function buildDeciders() {
  const items = Array.from({ length: Math.min(DECIDERS, mlp.W1.shape[0]) }, () => {
    const pair = element("div", { className: "pair" }, tile(SIDE), tile(SIDE));
    return element("li", {}, pair, element("p"));
  });
  byId("deciders").replaceChildren(...items);
}

/** @param {Values | null} seen  @param {MlpResult | null} result */
function showTemplates(seen, result) {
  const deciders = seen && result ? showDeciders(seen, result) : [];
  [...byId("templates").children].forEach((shown, unit) => {
    const activation = result ? result.activations[unit] : 0;
    one("canvas", shown).style.opacity = String(0.2 + 0.8 * activation);
    one("b", shown).style.transform = `scaleX(${activation})`;
    shown.classList.toggle("decides", deciders.includes(unit));
  });
  const framed = result ? ` Framed are units ${deciders.join(", ")}, which decided.` : "";
  byId("templates").ariaLabel = `${mlp.W1.shape[0]} templates.${framed}`;
  byId("deciders").hidden = !result;
}

/** Show who added most to the logit of the winner; return their numbers. @param {Values} seen  @param {MlpResult} result */
function showDeciders(seen, { activations, probabilities }) {
  const digit = indexOfLargest(probabilities);
  const rival = chosenRival(digit);
  const added = lead(mlp, activations, digit, rival);
  const units = largest(added, DECIDERS);
  const scale = weightScale(mlp.W1.values);
  [...byId("deciders").children].forEach((shown, k) => {
    const unit = units[k];
    const [plain, product] = shown.querySelectorAll("canvas");
    paint(plain, templateOf(mlp, unit), scale, grey);
    paint(
      product,
      templateOf(mlp, unit).map((weight, pixel) => weight * seen[pixel]),
      scale,
      grey,
    );
    one("p", shown).textContent =
      `Unit ${unit}, ${percent(activations[unit])} active: ${signed(added[unit])} ${whatFor(digit, rival)}`;
  });
  return units;
}

// ---------------------------------------------------------------- the CNN

/** @param {Layer[]} layers */
function buildMaps(layers) {
  const { maps } = runCnn(layers, new Float32Array(PIXELS));
  const layersShown = maps.map(({ name, shape: [count, height, width] }) => {
    const tiles = Array.from({ length: count }, () => tile(width, height));
    const grid = element(
      "div",
      { className: count > 8 ? "layer" : "layer few", role: "img" },
      ...tiles,
    );
    const title = element("h3", { textContent: `${name}: ${count} maps, ${height} × ${width}` });
    return element("div", {}, title, grid);
  });
  byId("maps").replaceChildren(...layersShown);
}

/** @param {CnnResult | null} result */
function showMaps(result) {
  all(".layer", byId("maps")).forEach((grid, layer) => {
    const values = result ? result.maps[layer].values : new Float32Array(1);
    const most = Math.max(1e-9, ...values);
    const tiles = /** @type {HTMLCanvasElement[]} */ (all("canvas", grid));
    tiles.forEach((canvas, k) => {
      const size = canvas.width * canvas.height;
      const part = result ? values.slice(k * size, (k + 1) * size) : new Float32Array(size);
      paint(canvas, part, [0, most], blue);
    });
    const brightest = Math.floor(indexOfLargest(values) / (values.length / tiles.length));
    grid.ariaLabel = `${tiles.length} feature maps.${result ? ` Map ${brightest} has the largest value.` : ""}`;
  });
}

/** @param {CnnResult | null} result */
function showCnnLead(result) {
  byId("cnn-deciders").hidden = !result;
  if (!result || !cnn) return;
  const digit = indexOfLargest(result.probabilities);
  const rival = chosenRival(digit);
  const { pixels, maps } = cnnLead(cnn, result, digit, rival);
  paint(byId("cnn-pixels", HTMLCanvasElement), pixels, symmetric(pixels), purpleToGreen);
  const most = largest(maps, DECIDERS).map((map) =>
    element("li", { textContent: `Map ${map}: ${signed(maps[map])} ${whatFor(digit, rival)}` }),
  );
  byId("cnn-maps").replaceChildren(...most);
}

// ---------------------------------------------------------------- the view

/** @type {View} */
export const readView = {
  build() {
    buildBars(byId("beliefs"), ["mlp", "cnn"]);
    buildRivals();
    buildTemplates(byId("templates"), mlp);
    buildDeciders();
    if (cnn) buildMaps(cnn);
  },

  show({ seen, byMlp, byCnn }) {
    showBeliefs("mlp", byMlp?.probabilities ?? null);
    showTemplates(seen, byMlp);
    if (!cnn) return;
    showBeliefs("cnn", byCnn?.probabilities ?? null);
    showMaps(byCnn);
    showCnnLead(byCnn);
    showOtherCnn(seen);
  },
};
