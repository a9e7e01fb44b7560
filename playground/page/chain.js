// The chain rule through the MLP, number by number: what each is made of.

import { goBack } from "./backward.js";
import { SIDE } from "./preprocess.js";

/** @param {number} pixel */
const placeOf = (pixel) => `row ${Math.floor(pixel / SIDE)}, column ${pixel % SIDE}`;

/**
 * Rows of two factors and their product.
 * @param {number} count  @param {(k: number) => [number, number]} factors
 */
function products(count, factors) {
  return Array.from({ length: count }, (_, k) => {
    const [first, second] = factors(k);
    return [k, first, second, first * second];
  });
}

/** @param {number[][]} rows */
const sumOfProducts = (rows) => rows.reduce((sum, row) => sum + row[3], 0);

/**
 * Every kind of number on the way back: where all of them are, in how many columns, and how one is
 * explained. `unit` is the hidden unit whose weights W1 are shown.
 * @type {Record<string, Quantity>}
 */
export const QUANTITIES = {
  delta2: {
    columns: () => 10,
    values: ({ back }) => back.delta2,
    explain({ back, digit }, k) {
      const target = Number(k === digit);
      return {
        name: `δ2[${k}], at output ${k}`,
        formula: "δ2[k] = ŷ[k] − y[k]",
        heads: ["", "value"],
        rows: [
          [`ŷ[${k}], what the network believes`, back.probabilities[k]],
          [`y[${k}], the truth`, target],
        ],
        value: back.delta2[k],
      };
    },
  },

  slopesW2: {
    columns: ({ back }) => back.activations.length,
    values: ({ back }) => back.delta2.flatMap((d) => Array.from(back.activations, (z) => d * z)),
    explain({ back }, at) {
      const units = back.activations.length;
      const [k, j] = [Math.floor(at / units), at % units];
      return {
        name: `W2_grad[${k}, ${j}], from unit ${j} to output ${k}`,
        formula: "W2_grad[k, j] = δ2[k] · z1[j]",
        heads: ["", "value"],
        rows: [
          [`δ2[${k}]`, back.delta2[k]],
          [`z1[${j}]`, back.activations[j]],
        ],
        value: back.delta2[k] * back.activations[j],
      };
    },
  },

  delta1: {
    columns: ({ back }) => Math.min(16, back.activations.length),
    values: ({ back }) => back.delta1,
    explain({ back, mlp }, j) {
      const units = back.activations.length;
      const rows = products(10, (k) => [mlp.W2.values[k * units + j], back.delta2[k]]);
      return {
        name: `δ1[${j}], at hidden unit ${j}`,
        formula: "δ1[j] = (Σ W2[k, j] · δ2[k]) · z1[j] (1 − z1[j])",
        heads: ["k", `W2[k, ${j}]`, "δ2[k]", "product"],
        rows,
        after: [
          ["sum: what comes back through W2", sumOfProducts(rows)],
          [`z1[${j}]`, back.activations[j]],
          [`slope of the sigmoid: z1[${j}] (1 − z1[${j}])`, back.slopes[j]],
        ],
        value: back.delta1[j],
      };
    },
  },

  slopesW1: {
    columns: () => SIDE,
    values: ({ back, image, unit }) => Array.from(image, (x) => back.delta1[unit] * x),
    explain({ back, image, unit }, i) {
      return {
        name: `W1_grad[${unit}, ${i}], from the pixel in ${placeOf(i)} to unit ${unit}`,
        formula: "W1_grad[j, i] = δ1[j] · x[i]",
        heads: ["", "value"],
        rows: [
          [`δ1[${unit}]`, back.delta1[unit]],
          [`x[${i}], the ink`, image[i]],
        ],
        value: back.delta1[unit] * image[i],
      };
    },
  },

  pixels: {
    columns: () => SIDE,
    values: ({ back, mlp }) => goBack(mlp.W1, back.delta1),
    explain({ back, mlp }, i) {
      const inputs = mlp.W1.shape[1];
      const rows = products(back.delta1.length, (j) => [
        mlp.W1.values[j * inputs + i],
        back.delta1[j],
      ]);
      return {
        name: `slope along x[${i}], the pixel in ${placeOf(i)}`,
        formula: "∂L/∂x[i] = Σ W1[j, i] · δ1[j]",
        heads: ["j", `W1[j, ${i}]`, "δ1[j]", "product"],
        rows,
        value: sumOfProducts(rows),
      };
    },
  },
};

/**
 * Take one step of the given size towards another digit: every pixel gets a little more or less
 * ink, whichever lowers the loss against that digit, and stays between 0 and 1.
 * @param {Values} image  @param {Values} slopes  @param {number} size
 */
export function adversarialStep(image, slopes, size) {
  return Float32Array.from(image, (x, i) =>
    Math.min(1, Math.max(0, x - size * Math.sign(slopes[i]))),
  );
}

/**
 * Return the smallest of the sizes 0.01, 0.02, … 1 with which the step makes `read` say `target`, or null.
 * @param {Values} image  @param {Values} slopes  @param {number} target
 * @param {(image: Values) => number} read
 */
export function smallestStep(image, slopes, target, read) {
  const sizes = Array.from({ length: 100 }, (_, k) => (k + 1) / 100);
  return sizes.find((size) => read(adversarialStep(image, slopes, size)) === target) ?? null;
}
