// What made the networks decide: who added how much to a logit.

import { backCnn } from "./backward.js";

/** Say what each hidden unit adds to the logit of a digit: W2[digit, unit] * z1[unit]. @param {Mlp} mlp @param {Values} activations @param {number} digit */
export function contributions({ W2 }, activations, digit) {
  const [, units] = W2.shape;
  return Array.from(activations, (z, unit) => W2.values[digit * units + unit] * z);
}

/**
 * Say what each hidden unit adds to the logit of `digit`, less what it adds to that of `rival`, if there is one.
 * @param {Mlp} mlp  @param {Values} activations  @param {number} digit  @param {number | null} rival
 */
export function lead(mlp, activations, digit, rival) {
  const added = contributions(mlp, activations, digit);
  if (rival === null) return added;
  const others = contributions(mlp, activations, rival);
  return added.map((value, unit) => value - others[unit]);
}

/** The weights of a sum of logits: 1 for `digit`, -1 for `rival`. @param {number} digit  @param {number | null} rival */
export const duel = (digit, rival) =>
  Array.from({ length: 10 }, (_, k) => Number(k === digit) - Number(k === rival));

/**
 * Say what each map of the last convolution, and each pixel, adds to the logit of `digit`, less
 * that of `rival`: value times slope. The network is made of straight pieces, so within its piece
 * this is exact; what the biases above add belongs to no map.
 * @param {Layer[]} layers  @param {CnnResult} result  @param {number} digit  @param {number | null} rival
 */
export function cnnLead(layers, { steps }, digit, rival) {
  const slopes = backCnn(layers, steps, duel(digit, rival));
  /** @param {number} k */
  const products = (k) => Array.from(steps[k].values, (value, i) => value * slopes[k][i]);
  const last = layers.map(({ kind }) => kind).lastIndexOf("Conv2d");
  return {
    pixels: products(0),
    maps: last < 0 ? [] : sumByMap(products(last + 1), steps[last + 1].shape[0]),
  };
}

/** @param {number[]} values  @param {number} count */
function sumByMap(values, count) {
  const size = values.length / count;
  return Array.from({ length: count }, (_, map) =>
    values.slice(map * size, (map + 1) * size).reduce((a, b) => a + b, 0),
  );
}

/** Return the places of the `count` largest values, the largest first. @param {number[]} values  @param {number} count */
export function largest(values, count) {
  return values
    .map((_, k) => k)
    .sort((a, b) => values[b] - values[a])
    .slice(0, count);
}
