// The forward passes of both networks, as in helpers/mlp.py and helpers/cnn.py.
// Weights and activations are { values, shape }: flat, the last index running fastest.

import { SIDE } from "./preprocess.js";

/** @param {Values} logits */
export function softmax(logits) {
  const largest = Math.max(...logits); // the shift cancels out and prevents overflow
  const exponentials = Array.from(logits, (a) => Math.exp(a - largest));
  const sum = exponentials.reduce((a, b) => a + b);
  return exponentials.map((e) => e / sum);
}

/**
 * A fully connected layer: W x + b.
 * @param {Pick<Layer, "weight" | "bias">} layer
 * @param {Pick<Tensor, "values">} below
 */
export function linear({ weight, bias }, { values }) {
  const [outputs, inputs] = weight.shape;
  const sums = Float64Array.from(bias.values);
  for (let k = 0; k < outputs; k++) {
    let sum = sums[k];
    for (let j = 0, w = k * inputs; j < inputs; j++, w++) sum += weight.values[w] * values[j];
    sums[k] = sum;
  }
  return { values: sums, shape: [outputs] };
}

/**
 * Call `visit` with the places, in flat arrays, of every weight and what it is multiplied with:
 * each filter is laid over every place of the maps below. No padding, steps of one pixel.
 * @param {number[]} filterShape  @param {number[]} mapShape
 * @param {(at: number, weight: number, below: number) => void} visit
 */
export function everyProduct([filters, channels, rows, columns], [, height, width], visit) {
  const [tall, wide] = [height - rows + 1, width - columns + 1];
  for (let at = 0; at < filters * tall * wide; at++) {
    const [f, y, x] = [Math.floor(at / (tall * wide)), Math.floor(at / wide) % tall, at % wide];
    let weight = f * channels * rows * columns;
    for (let c = 0; c < channels; c++) {
      for (let i = 0; i < rows; i++) {
        const start = (c * height + y + i) * width + x;
        for (let j = 0; j < columns; j++) visit(at, weight++, start + j);
      }
    }
  }
}

/** @param {Layer} layer  @param {Tensor} below */
function convolve({ weight, bias }, { values, shape }) {
  const [filters, , rows, columns] = weight.shape;
  const above = [filters, shape[1] - rows + 1, shape[2] - columns + 1];
  const size = above[1] * above[2];
  const sums = Float64Array.from(
    { length: filters * size },
    (_, at) => bias.values[Math.floor(at / size)],
  );
  everyProduct(
    weight.shape,
    shape,
    (at, w, below) => (sums[at] += weight.values[w] * values[below]),
  );
  return { values: sums, shape: above };
}

/**
 * For each place of a pool, say where below the largest of its size * size values is.
 * @param {Pick<Layer, "size">} layer  @param {Tensor} below
 */
export function winners({ size }, { values, shape: [channels, height, width] }) {
  const shape = [channels, Math.floor(height / size), Math.floor(width / size)];
  const places = new Int32Array(channels * shape[1] * shape[2]).fill(-1);
  for (let c = 0; c < channels; c++) {
    for (let y = 0; y < shape[1] * size; y++) {
      for (let x = 0; x < shape[2] * size; x++) {
        const to = (c * shape[1] + Math.floor(y / size)) * shape[2] + Math.floor(x / size);
        const from = (c * height + y) * width + x;
        if (places[to] < 0 || values[from] > values[places[to]]) places[to] = from;
      }
    }
  }
  return { places, shape };
}

/** @param {Layer} layer  @param {Tensor} below */
function maxPool(layer, below) {
  const { places, shape } = winners(layer, below);
  return { values: Float64Array.from(places, (place) => below.values[place]), shape };
}

/** @param {Layer} _  @param {Tensor} below */
function relu(_, { values, shape }) {
  return { values: Float64Array.from(values, (a) => Math.max(0, a)), shape };
}

/** @param {Layer} _  @param {Tensor} below */
function flatten(_, { values }) {
  return { values, shape: [values.length] };
}

/** By the names that PyTorch gives the layers. @type {Record<string, (layer: Layer, below: Tensor) => Tensor>} */
const LAYERS = {
  Conv2d: convolve,
  MaxPool2d: maxPool,
  ReLU: relu,
  Flatten: flatten,
  Linear: linear,
};

/** @param {number} a */
export const sigmoid = (a) => 0.5 * (1 + Math.tanh(0.5 * a));

/**
 * Return the hidden activations, the logits and the probabilities for one image of 784 values.
 * @param {Mlp} mlp  @param {Values} image  @returns {MlpResult}
 */
export function runMlp({ W1, b1, W2, b2 }, image) {
  const activations = linear({ weight: W1, bias: b1 }, { values: image }).values.map(sigmoid);
  const logits = linear({ weight: W2, bias: b2 }, { values: activations }).values;
  return { activations, logits, probabilities: softmax(logits) };
}

/**
 * Return the feature maps of each convolution, after ReLU, and the probabilities.
 * @param {Layer[]} layers  @param {Values} image  @returns {CnnResult}
 */
export function runCnn(layers, image) {
  const steps = [{ values: image, shape: [1, SIDE, SIDE] }];
  for (const layer of layers) steps.push(LAYERS[layer.kind](layer, steps[steps.length - 1]));
  const maps = layers.flatMap((layer, k) =>
    layer.kind === "Conv2d" ? [{ name: layer.name, ...relu(layer, steps[k + 1]) }] : [],
  );
  const logits = steps[steps.length - 1].values;
  return { steps, maps, logits, probabilities: softmax(logits) };
}
