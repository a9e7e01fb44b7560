// The view "Backward": how the error of one drawing comes back, and a step that fools a network.

import { backCnn, backMlp, goBack } from "./backward.js";
import { adversarialStep, QUANTITIES, smallestStep } from "./chain.js";
import { all, byId, element, percent, precise, withArticle } from "./dom.js";
import { showExplanation } from "./explanation.js";
import { cnn, mlp, nameOf } from "./model.js";
import { runCnn, runMlp } from "./networks.js";
import { NumberGrid } from "./numbers.js";
import { grey, paint, purpleToGreen } from "./pictures.js";
import { PIXELS } from "./preprocess.js";
import { indexOfLargest } from "./training.js";

const truth = byId("truth", HTMLSelectElement);
const target = byId("target", HTMLSelectElement);
const fooled = byId("fooled", HTMLSelectElement);
const stepSize = byId("step-size", HTMLInputElement);

/** @type {Record<string, NumberGrid>} */
const grids = {};
/** The quantity of which a number is chosen, and which. */
let choice = { quantity: "", at: 0 };
let unitShown = 0;
/** @type {Float32Array | null} */
let imageShown = null;
/** Whether the truth was chosen by hand; otherwise it follows what is read. */
let isTruthChosen = false;

/** A list of all classes to choose from. @param {HTMLSelectElement} list  @param {number} chosen */
function fillWithClasses(list, chosen) {
  const options = Array.from(
    { length: 10 },
    (_, k) => new Option(withArticle(nameOf(k)), String(k)),
  );
  list.replaceChildren(...options);
  list.selectedIndex = chosen;
}

// ---------------------------------------------------------------- every number on the way back

/** @returns {Chain | null} */
function chain() {
  if (!imageShown) return null;
  const digit = truth.selectedIndex;
  return { mlp, image: imageShown, digit, unit: unitShown, back: backMlp(mlp, imageShown, digit) };
}

/** @param {string} quantity  @param {number} at */
function chooseNumber(quantity, at) {
  choice = { quantity, at };
  if (quantity === "delta1") unitShown = at;
  for (const [name, grid] of Object.entries(grids)) if (name !== quantity) grid.forget();
  showChain();
}

function showChain() {
  const way = chain();
  byId("back-loss").textContent = way ? precise(way.back.loss) : "–";
  byId("unit-shown").textContent = String(unitShown);
  if (way)
    for (const [name, { values, columns }] of Object.entries(QUANTITIES))
      grids[name].show(values(way), columns(way));
  const quantity = QUANTITIES[choice.quantity];
  showExplanation(
    byId("back-explanation"),
    way && quantity ? quantity.explain(way, choice.at) : null,
  );
}

// ---------------------------------------------------------------- one adversarial step

/** The network to be fooled, as what it believes and as the slopes of its loss along the pixels. */
function victim() {
  const layers = cnn;
  if (fooled.value === "cnn" && layers) {
    const read = (/** @type {Values} */ image) => runCnn(layers, image).probabilities;
    return {
      read,
      slopes: (/** @type {Values} */ image, /** @type {number} */ digit) =>
        cnnSlopes(layers, image, digit),
    };
  }
  const read = (/** @type {Values} */ image) => runMlp(mlp, image).probabilities;
  return {
    read,
    slopes: (/** @type {Values} */ image, /** @type {number} */ digit) =>
      goBack(mlp.W1, backMlp(mlp, image, digit).delta1),
  };
}

/** @param {Layer[]} layers  @param {Values} image  @param {number} digit */
function cnnSlopes(layers, image, digit) {
  const { steps, probabilities } = runCnn(layers, image);
  return backCnn(
    layers,
    steps,
    probabilities.map((p, k) => p - Number(k === digit)),
  )[0];
}

function showStep() {
  const size = stepSize.valueAsNumber;
  byId("size-shown").textContent = size.toFixed(2);
  const image = imageShown ?? new Float32Array(PIXELS);
  const slopes = imageShown ? victim().slopes(image, target.selectedIndex) : image;
  const stepped = adversarialStep(image, slopes, size);
  paint(byId("before", HTMLCanvasElement), image, [0, 1], grey);
  paint(
    byId("change", HTMLCanvasElement),
    stepped.map((x, i) => x - image[i]),
    [-0.5, 0.5],
    purpleToGreen,
  );
  paint(byId("after", HTMLCanvasElement), stepped, [0, 1], grey);
  byId("fooling").textContent = imageShown ? describeStep(image, stepped) : "Draw first.";
}

/** @param {Values} image  @param {Values} stepped */
function describeStep(image, stepped) {
  const { read } = victim();
  const [before, after] = [image, stepped].map((picture) => {
    const probabilities = read(picture);
    const digit = indexOfLargest(probabilities);
    return `${withArticle(nameOf(digit))} (${percent(probabilities[digit])})`;
  });
  return `Before the step it reads ${before}, after it ${after}.`;
}

function findSmallestStep() {
  if (!imageShown) return;
  const { read, slopes } = victim();
  const digit = target.selectedIndex;
  const size = smallestStep(imageShown, slopes(imageShown, digit), digit, (x) =>
    indexOfLargest(read(x)),
  );
  if (size !== null) stepSize.value = String(size);
  showStep();
  if (size === null)
    byId("fooling").textContent = `No single step makes it read ${withArticle(nameOf(digit))}.`;
}

// ---------------------------------------------------------------- the view

function connectBackward() {
  for (const host of all("[data-quantity]")) {
    const name = host.dataset.quantity ?? "";
    grids[name] = new NumberGrid(host, host.dataset.label ?? "", (at) => chooseNumber(name, at));
  }
  truth.addEventListener("change", () => {
    isTruthChosen = true;
    showChain();
  });
  for (const input of [target, fooled, stepSize]) input.addEventListener("input", showStep);
  byId("smallest-step").addEventListener("click", findSmallestStep);
  fillWithClasses(truth, 0);
  fillWithClasses(target, 8);
}

/** @type {View} */
export const backwardView = {
  build() {
    if (!grids.delta2) connectBackward();
    const networks = cnn ? ["MLP", "CNN"] : ["MLP"];
    fooled.replaceChildren(
      ...networks.map((name) =>
        element("option", { value: name.toLowerCase(), textContent: name }),
      ),
    );
    unitShown = 0;
    choice = { quantity: "", at: 0 };
    for (const grid of Object.values(grids)) grid.forget();
  },

  show({ seen, byMlp }) {
    imageShown = seen;
    if (!seen) isTruthChosen = false;
    if (byMlp && !isTruthChosen) truth.selectedIndex = indexOfLargest(byMlp.probabilities);
    showChain();
    showStep();
  },
};
