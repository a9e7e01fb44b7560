// Pictures made of values.

import { element } from "./dom.js";

/** @typedef {(value: number) => number[]} Colour [red, green, blue] from 0 to 255, of 0 to 1 */

/** @type {Colour} */
export const grey = (value) => [255 * value, 255 * value, 255 * value];

/** Black, then the CNN's blue, then white: as brightness grows all the way, grey shows the same. @type {Colour} */
export function blue(value) {
  const white = Math.max(0, 2 * value - 1);
  return [0, 114, 178].map((c) => Math.min(1, 2 * value) * c * (1 - white) + 255 * white);
}

/** Purple below the middle, white in it, green above: told apart with any colour vision. @type {Colour} */
export function purpleToGreen(value) {
  const [end, share] =
    value < 0.5 ? [[118, 42, 131], 1 - 2 * value] : [[27, 120, 55], 2 * value - 1];
  return end.map((c) => 255 + Math.min(1, share) * (c - 255));
}

/**
 * Paint values, row by row, scaled from [low, high] to [0, 1].
 * @param {HTMLCanvasElement} canvas  @param {Values} values  @param {number[]} scale  @param {Colour} colour
 */
export function paint(canvas, values, [low, high], colour) {
  const image = new ImageData(canvas.width, canvas.height);
  values.forEach((value, k) => {
    image.data.set(colour((value - low) / (high - low)), 4 * k);
    image.data[4 * k + 3] = 255;
  });
  context(canvas).putImageData(image, 0, 0);
}

/** @param {HTMLCanvasElement} canvas */
export const context = (canvas) =>
  /** @type {CanvasRenderingContext2D} */ (canvas.getContext("2d"));

/** @param {number} width  @param {number} height */
export function tile(width, height = width) {
  return element("canvas", { className: "tile", width, height });
}

/** A scale with 0 in the middle that holds all values. @param {Values} values */
export function symmetric(values) {
  const largest = Array.from(values).reduce((most, v) => Math.max(most, Math.abs(v)), 1e-12);
  return [-largest, largest];
}

/** A scale for weights: the few beyond four times the typical one are as black or white as can be. @param {Values} values */
export function weightScale(values) {
  let sum = 0;
  for (let k = 0; k < values.length; k++) sum += values[k] * values[k];
  const limit = 4 * Math.sqrt(sum / values.length) || 1;
  return [-limit, limit];
}
