// Trains in a worker, so that the page stays fluid. The same script is part of the page.

import { batchGradients, evaluate, newMlp, randomNumbers, shuffled, update } from "./training.js";

const REPORT = 80; // milliseconds of training between two reports
const EVALUATE = 20; // steps between two looks at the validation images

/** The training of one network, of which `post` gets reports. */
export class Training {
  running = false;
  steps = 0;
  images = 0;
  /** Rows that are still to come in this epoch. @type {number[]} */
  order = [];
  /** When and at which step its speed began to count. */
  began = { at: performance.now(), steps: 0 };
  /** Images since the last evaluation, and how many of them were read right. */
  seen = 0;
  right = 0;

  /** @param {TrainingData} data  @param {Settings} settings  @param {(progress: Progress) => void} post */
  constructor(data, settings, post) {
    this.data = data;
    this.settings = settings;
    this.post = post;
    this.random = randomNumbers(settings.seed);
    this.mlp = newMlp(settings.units, settings.zero, this.random);
    this.news = this.emptyNews();
    this.report();
  }

  /** @param {Settings} settings of which rate, batch size and sum or mean take effect at once */
  change(settings) {
    this.settings = settings;
    this.countAnew();
  }

  countAnew() {
    this.began = { at: performance.now(), steps: this.steps };
  }

  run() {
    if (this.running) return;
    this.running = true;
    this.countAnew();
    this.work();
  }

  pause() {
    this.running = false;
    if (this.seen) this.evaluate();
    this.report();
  }

  step() {
    this.advance();
    this.pause();
  }

  work() {
    if (!this.running) return;
    const end = performance.now() + REPORT;
    while (performance.now() < end && this.running) this.advance();
    this.report();
    setTimeout(() => this.work()); // after the messages that came meanwhile
  }

  advance() {
    const { rate, batchSize, mean } = this.settings;
    if (!this.order.length) this.order = shuffled(this.data.train.labels.length, this.random);
    const batch = this.order.splice(0, batchSize);
    const gradients = batchGradients(this.mlp, this.data.train, batch);
    update(this.mlp, gradients, mean ? rate / batch.length : rate);
    this.steps += 1;
    this.news.losses.push(gradients.loss / batch.length);
    this.images += batch.length;
    this.seen += batch.length;
    this.right += gradients.right;
    if (!Number.isFinite(gradients.loss)) this.running = false;
    if (this.steps % EVALUATE === 0) this.evaluate();
  }

  evaluate() {
    const { accuracy, saturated } = evaluate(this.mlp, this.data.validation);
    const train = this.right / this.seen;
    this.news.evaluations.push({ step: this.steps, train, validation: accuracy, saturated });
    this.seen = this.right = 0;
  }

  /** @returns { { losses: number[], evaluations: Evaluation[] }} */
  emptyNews() {
    return { losses: [], evaluations: [] };
  }

  report() {
    const { steps, mlp, running } = this;
    const { course } = this.settings;
    const { losses, evaluations } = this.news;
    const speed = (1000 * (steps - this.began.steps)) / (performance.now() - this.began.at);
    const epochs = this.images / this.data.train.labels.length;
    this.post({ course, steps, epochs, losses, evaluations, mlp, running, speed });
    this.news = this.emptyNews();
  }
}

/** Obey messages that bring the data, settings to begin with or to change to, or a command. */
function startWorker() {
  /** @type {TrainingData} */
  let trainingData;
  /** @type {Training | null} */
  let training = null;
  self.onmessage = ({ data: { data, begin, change, command } }) => {
    if (data) trainingData = data;
    if (begin) {
      if (training) training.running = false;
      training = new Training(trainingData, begin, (progress) => postMessage(progress));
    }
    if (change) training?.change(change);
    if (command) training?.[/** @type {"run" | "pause" | "step"} */ (command)]();
  };
}

if (typeof WorkerGlobalScope !== "undefined") startWorker();
