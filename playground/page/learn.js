// The view "Learn": an MLP trains in a worker, and the page shows how it does.

import { drawChart, roundTop } from "./chart.js";
import { byId, element, oncePerFrame, precise } from "./dom.js";
import { imagesOf } from "./images.js";
import { useNetworks } from "./model.js";
import { buildTemplates, paintTemplates } from "./templates.js";

const LOSS_OF_GUESSING = Math.log(10);
const field = (/** @type {string} */ name) => byId(`learn-${name}`, HTMLInputElement);

/** @type {Worker | null} */
let worker = null;
/** @returns { { number: number, losses: Point[], evaluations: Evaluation[], first: Mlp | null, progress: Progress | null }} */
const emptyCourse = (number = 0) => ({
  number,
  losses: [],
  evaluations: [],
  first: null,
  progress: null,
});
let course = emptyCourse();

/** @returns {Settings} */
function chosenSettings() {
  return {
    units: field("units").valueAsNumber,
    rate: field("rate").valueAsNumber,
    batchSize: field("batch").valueAsNumber,
    mean: field("mean").value === "mean",
    zero: field("start").value === "zero",
    seed: field("seed").valueAsNumber,
    course: course.number,
  };
}

/** Send a message with the settings, unless one of them is impossible. @param {(settings: Settings) => object} message */
function send(message) {
  const form = byId("learn-settings", HTMLFormElement);
  if (worker && form.reportValidity()) worker.postMessage(message(chosenSettings()));
}

function beginAnew() {
  course = emptyCourse(course.number + 1);
  tell("");
  send((begin) => ({ begin }));
}

// ---------------------------------------------------------------- what is shown

/** @param {Progress} progress */
function take(progress) {
  if (progress.course !== course.number) return;
  const first = progress.steps - progress.losses.length + 1;
  if (!course.first) buildTemplates(byId("learn-templates"), progress.mlp);
  course.first ??= progress.mlp;
  const stopped = course.progress?.running && !progress.running;
  course.losses.push(...progress.losses.map((loss, k) => /** @type {Point} */ ([first + k, loss])));
  course.evaluations.push(...progress.evaluations);
  course.progress = progress;
  showCourseSoon();
  if (stopped || (!progress.running && progress.losses.length)) tell(describeCourse(progress));
}

/** The mean loss of the last steps. */
function recentLoss() {
  const recent = course.losses.slice(-20);
  return recent.reduce((sum, [, loss]) => sum + loss, 0) / recent.length;
}

/** @param {Progress} progress */
function describeCourse({ steps }) {
  const last = course.losses.at(-1)?.[1] ?? 0;
  if (!Number.isFinite(last))
    return `After ${steps} steps the loss is no number any more: the steps were too large.`;
  const judged = course.evaluations.at(-1);
  const right = judged ? ` It reads ${share(judged.validation)} of new images right.` : "";
  return `After ${steps} ${steps === 1 ? "step" : "steps"} the loss is ${precise(recentLoss())}.${right}`;
}

/** @param {string} text */
function tell(text) {
  byId("learn-status").textContent = text;
}

/** @param {number} part */
const share = (part) => `${(100 * part).toFixed(1)} %`;

const showCourseSoon = oncePerFrame(showCourse);

function showCourse() {
  const { progress, losses, evaluations } = course;
  if (!progress) return;
  byId("learn-run").textContent = progress.running ? "Pause" : "Start";
  showLearnedTemplates(progress.mlp);
  showCurves();
  const judged = evaluations.at(-1);
  /** @type {[string, string][]} */
  const facts = [
    ["Steps", String(progress.steps)],
    ["Epochs", progress.epochs.toFixed(1)],
    ["Loss", losses.length ? precise(recentLoss()) : "–"],
    ["Training images right", judged ? share(judged.train) : "–"],
    ["New images right", judged ? share(judged.validation) : "–"],
    ["Saturated", judged ? share(judged.saturated) : "–"],
    ["Steps a second", progress.running ? progress.speed.toFixed(0) : "–"],
  ];
  const terms = facts.map(([name, value]) =>
    element("div", {}, element("dt", { textContent: name }), element("dd", { textContent: value })),
  );
  byId("learn-facts").replaceChildren(...terms);
}

/** @param {Mlp} learned */
function showLearnedTemplates({ W1 }) {
  const since = course.first?.W1.values ?? [];
  const values =
    field("show").value === "change" ? W1.values.map((w, k) => w - since[k]) : W1.values;
  paintTemplates(byId("learn-templates"), { W1: { ...W1, values } });
}

function showCurves() {
  const { losses, evaluations } = course;
  const finite = losses.filter(([, loss]) => Number.isFinite(loss));
  const top = roundTop([LOSS_OF_GUESSING, ...finite.map(([, loss]) => loss)]);
  drawChart("learn-loss", [{ name: "mlp", points: finite }], top, precise);
  const lines = /** @type {const} */ (["train", "validation"]).map((name) => ({
    name,
    points: evaluations.map((e) => /** @type {Point} */ ([e.step, e[name]])),
  }));
  drawChart("learn-accuracy", lines, 1, (part) => `${100 * part} %`);
}

// ---------------------------------------------------------------- the view

async function startLearning() {
  const script = byId("trainer").textContent ?? "";
  worker = new Worker(URL.createObjectURL(new Blob([script], { type: "text/javascript" })));
  worker.onmessage = ({ data }) => take(data);
  worker.postMessage({ data: await imagesOf() });
  beginAnew();
}

function connectControls() {
  byId("learn-run").addEventListener("click", () => {
    tell("");
    send(() => ({ command: course.progress?.running ? "pause" : "run" }));
  });
  byId("learn-step").addEventListener("click", () => send(() => ({ command: "step" })));
  byId("learn-again").addEventListener("click", beginAnew);
  field("show").addEventListener("change", showCourse);
  byId("learn-use").addEventListener("click", useLearned);
  for (const name of ["units", "start", "seed"]) field(name).addEventListener("change", beginAnew);
  for (const name of ["rate", "batch", "mean"]) {
    field(name).addEventListener("change", () => send((change) => ({ change })));
  }
}

function useLearned() {
  if (!course.progress) return;
  const { mlp, steps } = course.progress;
  const isSound = Object.values(mlp).every(({ values }) =>
    Array.from(values).every(Number.isFinite),
  );
  if (isSound)
    useNetworks({ mlp }, `The MLP is the one of the view “Learn”, after ${steps} steps.`);
  else tell("Its weights are no numbers any more, so it can’t read. Begin anew.");
}

let isConnected = false;

/** @type {View} */
export const learnView = {
  build() {
    if (!isConnected) connectControls();
    isConnected = true;
  },
  show() {
    if (!worker) startLearning();
  },
};
