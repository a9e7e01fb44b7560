// One value of a feature map: what it is made of, and what becomes of it.

import { winners } from "./networks.js";

/** @param {number} at  @param {number[]} shape of maps: how many, their height and width */
function coordinates(at, [, height, width]) {
  return {
    map: Math.floor(at / (height * width)),
    y: Math.floor(at / width) % height,
    x: at % width,
  };
}

/**
 * Explain the value at flat place `at` of what the convolution `layers[k]` gives: for each map
 * below the window, the filter and the products; then each layer up to the next with weights.
 * @param {Layer[]} layers  @param {Tensor[]} steps  @param {number} k  @param {number} at
 */
export function explainPlace(layers, steps, k, at) {
  const { weight, bias } = layers[k];
  const { map, y, x } = coordinates(at, steps[k + 1].shape);
  const [, count, rows, columns] = weight.shape;
  const channels = Array.from({ length: count }, (_, c) => {
    const size = rows * columns;
    const filter = weight.values.slice((map * count + c) * size, (map * count + c + 1) * size);
    const window = windowOf(steps[k], c, y, x, [rows, columns]);
    const products = window.map((value, i) => value * filter[i]);
    return { window, filter, products, sum: products.reduce((a, b) => a + b, 0) };
  });
  const value = channels.reduce((sum, channel) => sum + channel.sum, bias.values[map]);
  return {
    map,
    y,
    x,
    columns,
    channels,
    bias: bias.values[map],
    value,
    fate: fateOf(layers, steps, k + 1, at),
  };
}

/** @param {Tensor} below  @param {number} map  @param {number} y  @param {number} x  @param {number[]} size */
function windowOf({ values, shape: [, height, width] }, map, y, x, [rows, columns]) {
  return Array.from({ length: rows * columns }, (_, i) => {
    const [row, column] = [y + Math.floor(i / columns), x + (i % columns)];
    return values[(map * height + row) * width + column];
  });
}

/** @typedef { { kind: string, inputs: number[], value: number | null, wins: boolean }} Fate */

/**
 * Say what ReLUs and pools after a convolution make of a value; null from where it has lost.
 * @param {Layer[]} layers  @param {Tensor[]} steps  @param {number} k  @param {number} at
 */
function fateOf(layers, steps, k, at) {
  /** @type {Fate[]} */
  const fates = [];
  for (let place = at; layers[k]?.kind === "ReLU" || layers[k]?.kind === "MaxPool2d"; k++) {
    const layer = layers[k];
    if (layer.kind === "ReLU") {
      fates.push({
        kind: "ReLU",
        inputs: [steps[k].values[place]],
        value: steps[k + 1].values[place],
        wins: true,
      });
      continue;
    }
    const pool = poolOf(layer, steps[k], place);
    fates.push({ kind: "MaxPool2d", ...pool });
    if (!pool.wins) break;
    place = pool.place;
  }
  return fates;
}

/** @param {Layer} layer  @param {Tensor} below  @param {number} at */
function poolOf(layer, below, at) {
  const { size } = layer;
  const { map, y, x } = coordinates(at, below.shape);
  const [top, left] = [Math.floor(y / size), Math.floor(x / size)];
  const { places, shape } = winners(layer, below);
  if (top >= shape[1] || left >= shape[2])
    return { inputs: [], value: null, wins: false, place: -1 };
  const place = (map * shape[1] + top) * shape[2] + left;
  const inputs = windowOf(below, map, top * size, left * size, [size, size]);
  return { inputs, value: below.values[places[place]], wins: places[place] === at, place };
}
