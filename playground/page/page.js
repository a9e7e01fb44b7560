// The page as a whole: what is drawn goes to both networks, and what they make of it to the view.

import { backwardView } from "./backward_view.js";
import { convolutionView } from "./convolution.js";
import { breakView } from "./break_view.js";
import { changed, clear, lay, readPaper, undo, whenDrawn } from "./drawing.js";
import { all, announce, announceSoon, byId, element, one, percent, withArticle } from "./dom.js";
import { learnView } from "./learn.js";
import {
  classes,
  cnn,
  leastOfCnn,
  mlp,
  nameOf,
  originalNetworks,
  samples,
  source,
  sure,
  useNetworks,
  whenNetworksChange,
} from "./model.js";
import { runCnn, runMlp } from "./networks.js";
import { connectOwn } from "./own.js";
import { arrowButtons } from "./numbers.js";
import { grey, paint, tile } from "./pictures.js";
import { asItLies, asMnist, PIXELS, SIDE } from "./preprocess.js";
import { readView } from "./read.js";
import { connectRecord } from "./record.js";
import { startTabs } from "./tabs.js";
import { indexOfLargest } from "./training.js";

/** @type {Record<string, View>} */
const VIEWS = {
  read: readView,
  learn: learnView,
  backward: backwardView,
  convolution: convolutionView,
  "break-it": breakView,
};
const EXPLAINING = new Set(["backward", "convolution", "break-it"]); // views that show nothing without ink
const EXAMPLE = 3; // the class whose sample is laid on the paper if one of them is opened with none
let openView = "read";

/** @param {string} name  @param {number[]} probabilities */
function belief(name, probabilities) {
  const digit = indexOfLargest(probabilities);
  const sure = percent(probabilities[digit]).replace("<", "under ").replace(">", "over ");
  return { name, digit, what: withArticle(nameOf(digit)), sure };
}

/** The networks that believe less in their answers than they do for 95 of 100 new images. @param {Thought} thought */
function unsureNetworks({ byMlp, byCnn }) {
  /** @param {MlpResult | CnnResult | null} result  @param {number} least */
  const isWeak = (result, least) => result && Math.max(...result.probabilities) < least;
  return [isWeak(byMlp, sure.mlp) && "MLP", isWeak(byCnn, leastOfCnn) && "CNN"].filter(Boolean);
}

/** @param {Thought} thought */
function verdict(thought) {
  const names = unsureNetworks(thought).join(", ");
  const doubt = `Unsure (${names}): 95 of 100 ${classes.noun}s of the data are read with more belief.`;
  return names ? `${describe(thought)} ${doubt}` : describe(thought);
}

/** @param {Thought} thought */
function describe({ byMlp, byCnn }) {
  if (!byMlp) return `Draw ${withArticle(classes.noun)}.`;
  const first = belief("MLP", byMlp.probabilities);
  if (!byCnn) return `The MLP reads ${first.what} (${first.sure}).`;
  const second = belief("CNN", byCnn.probabilities);
  if (first.digit === second.digit)
    return `Both read ${first.what} (MLP ${first.sure}, CNN ${second.sure}).`;
  return `They disagree: the MLP reads ${first.what} (${first.sure}), the CNN ${second.what} (${second.sure}).`;
}

/** @returns {Thought} */
function think() {
  const isCentred = byId("centring", HTMLInputElement).checked;
  const seen = (isCentred ? asMnist : asItLies)(readPaper());
  return { seen, byMlp: seen && runMlp(mlp, seen), byCnn: seen && cnn && runCnn(cnn, seen) };
}

function look() {
  const start = performance.now();
  const thought = think();
  const milliseconds = performance.now() - start;
  byId("hint").hidden = thought.seen !== null;
  paint(byId("seen", HTMLCanvasElement), thought.seen ?? new Float32Array(PIXELS), [0, 1], grey);
  VIEWS[openView].show(thought);
  if (thought.seen)
    byId("speed").textContent = `The last look took ${milliseconds.toFixed(1)} milliseconds.`;
  announceSoon(verdict(thought));
}

/** @param {Tensor} sample  @param {number} digit */
function sampleButton(sample, digit) {
  const picture = tile(SIDE);
  paint(picture, sample.values, [0, 1], grey);
  const button = element(
    "button",
    { type: "button", ariaLabel: `Load ${withArticle(nameOf(digit))}` },
    picture,
  );
  button.addEventListener("click", () => lay(sample));
  return button;
}

function speakOfClasses() {
  const words = { noun: classes.noun, "a-noun": withArticle(classes.noun) };
  for (const [name, word] of Object.entries(words)) {
    for (const place of all(`.${name}`)) place.textContent = word;
  }
  document.title = `Draw ${withArticle(classes.noun)}`;
}

/** Build all views for the networks, and say which they are, if not the first ones. @param {string} what */
function showNetworks(what) {
  byId("other").hidden = what === "";
  one("span", byId("other")).textContent = what;
  for (const view of Object.values(VIEWS)) view.build();
  for (const part of all(".cnn")) part.hidden = !cnn && !part.matches("section");
  changed();
}

function withoutCnn() {
  byId("cnn-text").textContent =
    "Notebook 2 trains the convolutional network. Run it, and both read along here.";
}

function start() {
  byId("source").textContent = `Trained on: ${source}.`;
  speakOfClasses();
  byId("clear").addEventListener("click", clear);
  byId("undo").addEventListener("click", undo);
  byId("centring").addEventListener("change", changed);
  for (const view of all("[role=tabpanel]"))
    for (const place of all(".moves", view)) place.append(...arrowButtons(view));
  connectOwn();
  connectRecord();
  byId("rival").addEventListener("change", changed);
  byId("samples").append(...samples.map(sampleButton));
  if (!cnn) withoutCnn();
  showNetworks("");
  whenNetworksChange(showNetworks);
  byId("restore").addEventListener("click", () => useNetworks(originalNetworks(), ""));
  whenDrawn(look);
  startTabs((name) => {
    openView = name;
    const isEmpty = EXPLAINING.has(name) && think().seen === null;
    if (isEmpty) lay(samples[EXAMPLE]);
    else changed();
  });
  announce(describe(think()));
}

start();
