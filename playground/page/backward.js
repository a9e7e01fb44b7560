// Back-propagation, as in helpers/mlp.py: what a small change of each number does to the loss.

import { everyProduct, runMlp, winners } from "./networks.js";

/** Return log(sum(exp(a))) minus the logit of `digit`: the cross-entropy, in nats. @param {Values} logits  @param {number} digit */
export function crossEntropy(logits, digit) {
  const largest = Math.max(...logits);
  const sum = Array.from(logits).reduce((total, a) => total + Math.exp(a - largest), 0);
  return Math.log(sum) + largest - logits[digit];
}

/** Return W^T delta: what comes back through a layer. @param {Tensor} weight  @param {Values} delta */
export function goBack({ values, shape: [outputs, inputs] }, delta) {
  const back = new Float64Array(inputs);
  for (let k = 0; k < outputs; k++) {
    const d = delta[k];
    for (let j = 0, w = k * inputs; j < inputs; j++, w++) back[j] += values[w] * d;
  }
  return back;
}

/**
 * Return what one image brings back to the hidden units of the MLP, with every factor on the way.
 * @param {Mlp} mlp  @param {Values} image  @param {number} digit
 */
export function backMlp(mlp, image, digit) {
  const { activations, logits, probabilities } = runMlp(mlp, image);
  const delta2 = probabilities.map((p, k) => (k === digit ? p - 1 : p));
  const arriving = goBack(mlp.W2, delta2);
  const slopes = activations.map((z) => z * (1 - z));
  const delta1 = arriving.map((d, j) => d * slopes[j]);
  const loss = crossEntropy(logits, digit);
  return { activations, logits, probabilities, loss, delta2, arriving, slopes, delta1 };
}

/** @type {Record<string, (layer: Layer, below: Tensor, above: Values) => Float64Array>} */
const BACKWARD = {
  Linear: ({ weight }, _, above) => goBack(weight, above),
  Flatten: (_, __, above) => Float64Array.from(above),
  ReLU: (_, { values }, above) => Float64Array.from(above, (d, k) => (values[k] > 0 ? d : 0)),
  MaxPool2d(layer, below, above) {
    const back = new Float64Array(below.values.length);
    winners(layer, below).places.forEach((place, k) => {
      back[place] += above[k];
    });
    return back;
  },
  Conv2d({ weight }, { values, shape }, above) {
    const back = new Float64Array(values.length);
    everyProduct(
      weight.shape,
      shape,
      (at, w, below) => (back[below] += weight.values[w] * above[at]),
    );
    return back;
  },
};

/**
 * Return the slopes of sum(along * logits) along all that `runCnn` kept in `steps`.
 * @param {Layer[]} layers  @param {Tensor[]} steps  @param {Values} along
 */
export function backCnn(layers, steps, along) {
  /** @type {Values[]} */
  const slopes = [along];
  for (let k = layers.length - 1; k >= 0; k--) {
    slopes.unshift(BACKWARD[layers[k].kind](layers[k], steps[k], slopes[0]));
  }
  return slopes;
}
