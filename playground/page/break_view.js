// The view "Break it": parts are broken, and the answers of the whole and the broken networks shown.

import { addNoise, cut, partsOf, zeroBias } from "./breaking.js";
import { byId, element } from "./dom.js";
import { imagesOf } from "./images.js";
import { cnn, mlp, networksAre, useNetworks } from "./model.js";
import { runCnn, runMlp } from "./networks.js";
import { buildBars, showBars } from "./read.js";
import { imageOf, indexOfLargest } from "./training.js";

const JUDGED = 200; // images that broken networks are judged by
const AT_ONCE = 20; // of them, before the page may breathe

const part = byId("part", HTMLSelectElement);
const piece = byId("piece", HTMLInputElement);
const noise = byId("noise", HTMLInputElement);

/** What was done, newest last. @type {string[]} */
let damage = [];
/** The networks before any of it. @type { { mlp: Mlp, cnn: Layer[] | null, words: string } | null} */
let whole = null;
let isBreaking = false;

const chosenPart = () => partsOf(mlp, cnn)[part.selectedIndex];

/** Break a copy of the networks, and show what it does. @param {(part: Part) => string} breakIt which says what it did */
function damageNetworks(breakIt) {
  if (!byId("break-settings", HTMLFormElement).reportValidity()) return;
  whole ??= { mlp, cnn, words: networksAre };
  const copy = structuredClone({ mlp, cnn });
  const done = breakIt(partsOf(copy.mlp, copy.cnn)[part.selectedIndex]);
  damage.push(`${chosenPart().name}: ${done}.`);
  isBreaking = true;
  useNetworks(
    copy,
    `${damage.length === 1 ? "One part is" : `${damage.length} parts are`} broken.`,
  );
  isBreaking = false;
}

// ---------------------------------------------------------------- what is shown

function showChosenPart() {
  const { piece: name, bias } = chosenPart();
  const count = bias.values.length;
  piece.max = String(count - 1);
  if (piece.valueAsNumber >= count) piece.value = "0";
  byId("piece-name").textContent = `${name[0].toUpperCase()}${name.slice(1)}, 0 to ${count - 1}`;
  byId("cut").textContent = `Cut the ${name}`;
}

function showNoise() {
  byId("noise-shown").textContent = `${Math.round(100 * noise.valueAsNumber)} %`;
}

function showDamage() {
  byId("damage").replaceChildren(...damage.map((text) => element("li", { textContent: text })));
  byId("judgement").textContent = "";
}

/** @param {Mlp} network  @param {Layer[] | null} layers  @param {Values | null} seen */
function answers(network, layers, seen) {
  if (!seen) return { mlp: null, cnn: null };
  return {
    mlp: runMlp(network, seen).probabilities,
    cnn: layers && runCnn(layers, seen).probabilities,
  };
}

/** @param {Values | null} seen */
function showAnswers(seen) {
  const before = answers(whole?.mlp ?? mlp, whole ? whole.cnn : cnn, seen);
  const now = answers(mlp, cnn, seen);
  const body = byId("broken");
  for (const network of /** @type {const} */ (["mlp", "cnn"])) {
    byId(`${network}-whole`).textContent = showBars(body, `${network}.whole`, before[network]);
    byId(`${network}-broken`).textContent = showBars(body, `${network}.now`, now[network]);
  }
}

// ---------------------------------------------------------------- how many images are read right

/** Count, a few at a time. @param {(image: Values) => Values} read  @param {LabelledImages} data */
async function countRight(read, data) {
  let right = 0;
  for (let row = 0; row < Math.min(JUDGED, data.labels.length); row++) {
    right += Number(indexOfLargest(read(imageOf(data, row))) === data.labels[row]);
    if (row % AT_ONCE === 0) await new Promise((resume) => setTimeout(resume));
  }
  return right;
}

/** Count what a network reads right now and, if it is another, before. @param {((image: Values) => Values)[]} reads  @param {LabelledImages} data */
async function countNowAndBefore([now, before], data) {
  const right = `${await countRight(now, data)} right`;
  return before ? `${right} (${await countRight(before, data)} before)` : right;
}

async function judge() {
  byId("judgement").textContent = "Reading …";
  const { validation } = await imagesOf();
  const judged = whole ? [{ mlp, cnn }, whole] : [{ mlp, cnn }];
  const mlps = judged.map(
    (nets) => (/** @type {Values} */ image) => runMlp(nets.mlp, image).logits,
  );
  const cnns = judged.flatMap(({ cnn: layers }) =>
    layers ? [(/** @type {Values} */ image) => runCnn(layers, image).logits] : [],
  );
  const count = Math.min(JUDGED, validation.labels.length);
  let text = `Of ${count} images that neither has learned from, the MLP reads ${await countNowAndBefore(mlps, validation)}`;
  if (cnns.length) text += `, the CNN ${await countNowAndBefore(cnns, validation)}`;
  if (judged[0].mlp === mlp) byId("judgement").textContent = `${text}.`; // unless more was broken meanwhile
}

// ---------------------------------------------------------------- the view

part.addEventListener("change", showChosenPart);
noise.addEventListener("input", showNoise);
byId("cut").addEventListener("click", () =>
  damageNetworks((chosen) => {
    cut(chosen, piece.valueAsNumber);
    return `${chosen.piece} ${piece.value} cut`;
  }),
);
byId("zero-bias").addEventListener("click", () =>
  damageNetworks((chosen) => {
    zeroBias(chosen, piece.valueAsNumber);
    return `bias ${piece.value} set to 0`;
  }),
);
byId("add-noise").addEventListener("click", () =>
  damageNetworks((chosen) => {
    addNoise(chosen, noise.valueAsNumber, Math.random);
    return `noise of ${byId("noise-shown").textContent} added`;
  }),
);
byId("repair").addEventListener("click", () => whole && useNetworks(whole, whole.words));
byId("judge").addEventListener("click", judge);

/** @type {View} */
export const breakView = {
  build() {
    if (!isBreaking) [damage, whole] = [[], null];
    const chosen = Math.max(0, part.selectedIndex);
    part.replaceChildren(...partsOf(mlp, cnn).map(({ name }) => new Option(name)));
    part.selectedIndex = Math.min(chosen, part.options.length - 1);
    buildBars(byId("broken"), ["mlp whole", "mlp now", "cnn whole", "cnn now"]);
    showChosenPart();
    showNoise();
    showDamage();
  },
  show({ seen }) {
    showAnswers(seen);
  },
};
