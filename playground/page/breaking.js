// Breaking a network on purpose: parts are cut, disturbed or zeroed in a copy of its weights.

import { gaussian } from "./training.js";

/**
 * A part of a network that can be broken: what it is called, how many pieces it has, its weights
 * and biases. Those of a unit or filter lie together, row by row.
 * @param {Mlp} mlp  @param {Layer[] | null} cnn  @returns {Part[]}
 */
export function partsOf(mlp, cnn) {
  const hidden = {
    network: "mlp",
    name: "MLP, hidden units",
    piece: "unit",
    weight: mlp.W1,
    bias: mlp.b1,
    next: mlp.W2,
  };
  const outputs = {
    network: "mlp",
    name: "MLP, outputs",
    piece: "output",
    weight: mlp.W2,
    bias: mlp.b2,
  };
  const layers = (cnn ?? []).flatMap(({ name, kind, weight, bias }) => {
    const piece = kind === "Conv2d" ? "filter" : "unit";
    return weight
      ? [{ network: "cnn", name: `CNN, ${name}`, piece: `${piece}`, weight, bias }]
      : [];
  });
  return [hidden, outputs, ...layers];
}

/**
 * Silence a unit or filter. A sigmoid unit gives 0.5 without weights, so what leaves it is cut; the
 * others give 0 then, as ReLU follows them.
 * @param {Part} part  @param {number} k
 */
export function cut({ weight, bias, next }, k) {
  if (next) {
    const [outputs, units] = next.shape;
    for (let output = 0; output < outputs; output++) next.values[output * units + k] = 0;
    return;
  }
  const size = weight.values.length / bias.values.length;
  for (let at = k * size; at < (k + 1) * size; at++) weight.values[at] = 0;
  bias.values[k] = 0;
}

/** Set one bias to 0. @param {Part} part  @param {number} k */
export function zeroBias({ bias }, k) {
  bias.values[k] = 0;
}

/**
 * Add Gaussian noise to all weights of a part, `share` times as large as they typically are.
 * @param {Part} part  @param {number} share  @param {() => number} random
 */
export function addNoise({ weight: { values } }, share, random) {
  const size = Math.sqrt(Array.from(values).reduce((sum, w) => sum + w * w, 0) / values.length);
  for (let at = 0; at < values.length; at++) values[at] += share * size * gaussian(random);
}
