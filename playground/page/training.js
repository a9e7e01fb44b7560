// Training the MLP as helpers/training.py does: one step for each mini-batch.

import { backMlp } from "./backward.js";
import { runMlp } from "./networks.js";
import { PIXELS } from "./preprocess.js";

const DEVIATION = 0.1; // of the initial weights, as in helpers/mlp.py

/** Return a generator of numbers in [0, 1): mulberry32. @param {number} seed */
export function randomNumbers(seed) {
  let state = seed;
  return () => {
    state = (state + 0x6d2b79f5) | 0;
    let mixed = Math.imul(state ^ (state >>> 15), 1 | state);
    mixed = (mixed + Math.imul(mixed ^ (mixed >>> 7), 61 | mixed)) ^ mixed;
    return ((mixed ^ (mixed >>> 14)) >>> 0) / 2 ** 32;
  };
}

/** Draw from a Gaussian with mean 0 and deviation 1 (Box and Muller). @param {() => number} random */
export function gaussian(random) {
  return Math.sqrt(-2 * Math.log(1 - random())) * Math.cos(2 * Math.PI * random());
}

/**
 * Return a network with random weights, or with zeros, and biases of zero.
 * @param {number} units  @param {boolean} zero  @param {() => number} random  @returns {Mlp}
 */
export function newMlp(units, zero, random) {
  const draw = () => (zero ? 0 : DEVIATION * gaussian(random));
  /** @param {number[]} shape  @param {() => number} value */
  const filled = (shape, value) => {
    const length = shape.reduce((a, b) => a * b);
    return { shape, values: Float32Array.from({ length }, value) };
  };
  const [W1, b1] = [filled([units, PIXELS], draw), filled([units], () => 0)];
  return { W1, b1, W2: filled([10, units], draw), b2: filled([10], () => 0) };
}

/** Add delta inputs^T. Most pixels are 0, and skipped. @param {Values} sum  @param {Values} delta  @param {Values} inputs */
function addOuterProduct(sum, delta, inputs) {
  for (let j = 0; j < inputs.length; j++) {
    if (inputs[j] === 0) continue;
    for (let k = 0, at = j; k < delta.length; k++, at += inputs.length)
      sum[at] += delta[k] * inputs[j];
  }
}

/** @param {LabelledImages} data  @param {number} row */
export const imageOf = ({ images }, row) => images.subarray(row * PIXELS, (row + 1) * PIXELS);

/**
 * Return the slopes of the loss along all parameters, summed over the rows of a mini-batch.
 * @param {Mlp} mlp  @param {LabelledImages} data  @param {ArrayLike<number>} batch
 */
export function batchGradients(mlp, data, batch) {
  const [W1, b1, W2, b2] = [mlp.W1, mlp.b1, mlp.W2, mlp.b2].map(
    (p) => new Float64Array(p.values.length),
  );
  let [loss, right] = [0, 0];
  for (const row of Array.from(batch)) {
    const image = imageOf(data, row);
    const back = backMlp(mlp, image, data.labels[row]);
    addOuterProduct(W1, back.delta1, image);
    addOuterProduct(W2, back.delta2, back.activations);
    addOuterProduct(b1, back.delta1, [1]);
    addOuterProduct(b2, back.delta2, [1]);
    loss += back.loss;
    right += Number(indexOfLargest(back.probabilities) === data.labels[row]);
  }
  return { W1, b1, W2, b2, loss, right };
}

/** @param {Mlp} mlp  @param {Record<keyof Mlp, Values>} gradients  @param {number} rate */
export function update(mlp, gradients, rate) {
  for (const name of /** @type {(keyof Mlp)[]} */ (Object.keys(mlp))) {
    const { values } = mlp[name];
    for (let k = 0; k < values.length; k++) values[k] -= rate * gradients[name][k];
  }
}

/** @param {Values} values */
export const indexOfLargest = (values) => values.indexOf(Math.max(...values));

/**
 * Return the share of images that are read right, and of the values of hidden units that are
 * within 0.01 of 0 or 1, where the sigmoid is flat.
 * @param {Mlp} mlp  @param {LabelledImages} data
 */
export function evaluate(mlp, data) {
  let [right, saturated] = [0, 0];
  data.labels.forEach((label, row) => {
    const { activations, logits } = runMlp(mlp, imageOf(data, row));
    right += Number(indexOfLargest(logits) === label);
    for (const z of activations) saturated += Number(Math.abs(z - 0.5) > 0.49);
  });
  const count = data.labels.length;
  return { accuracy: right / count, saturated: saturated / (count * mlp.b1.values.length) };
}

/** Return the numbers below `count` in random order. @param {number} count  @param {() => number} random */
export function shuffled(count, random) {
  const order = Array.from({ length: count }, (_, k) => k);
  for (let k = count - 1; k > 0; k--) {
    const other = Math.floor(random() * (k + 1));
    [order[k], order[other]] = [order[other], order[k]];
  }
  return order;
}
