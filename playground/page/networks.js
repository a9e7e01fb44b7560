// The forward passes of both networks, as in helpers/mlp.py and helpers/cnn.py.
// Weights and activations are { values, shape }: flat, the last index running fastest.
"use strict";

function softmax(logits) {
  const largest = Math.max(...logits); // the shift cancels out and prevents overflow
  const exponentials = Array.from(logits, (a) => Math.exp(a - largest));
  const sum = exponentials.reduce((a, b) => a + b);
  return exponentials.map((e) => e / sum);
}

// A fully connected layer: W x + b.
function linear({ weight, bias }, { values }) {
  const [outputs, inputs] = weight.shape;
  const sums = Float64Array.from(bias.values);
  for (let k = 0; k < outputs; k++) {
    for (let j = 0; j < inputs; j++) sums[k] += weight.values[k * inputs + j] * values[j];
  }
  return { values: sums, shape: [outputs] };
}

// Lay each filter over every place of the maps below, and sum up: no padding, steps of one pixel.
function convolve({ weight, bias }, { values, shape: [, height, width] }) {
  const [filters, channels, rows, columns] = weight.shape;
  const shape = [filters, height - rows + 1, width - columns + 1];
  const sums = new Float64Array(shape[0] * shape[1] * shape[2]);
  for (let f = 0, at = 0; f < filters; f++) {
    for (let y = 0; y < shape[1]; y++) {
      for (let x = 0; x < shape[2]; x++, at++) {
        let sum = bias.values[f];
        let w = f * channels * rows * columns;
        for (let c = 0; c < channels; c++) {
          for (let i = 0; i < rows; i++) {
            const start = (c * height + y + i) * width + x;
            for (let j = 0; j < columns; j++) sum += weight.values[w++] * values[start + j];
          }
        }
        sums[at] = sum;
      }
    }
  }
  return { values: sums, shape };
}

// Keep the largest of every size * size values.
function maxPool({ size }, { values, shape: [channels, height, width] }) {
  const shape = [channels, Math.floor(height / size), Math.floor(width / size)];
  const largest = new Float64Array(shape[0] * shape[1] * shape[2]).fill(-Infinity);
  for (let c = 0; c < channels; c++) {
    for (let y = 0; y < shape[1] * size; y++) {
      for (let x = 0; x < shape[2] * size; x++) {
        const to = (c * shape[1] + Math.floor(y / size)) * shape[2] + Math.floor(x / size);
        largest[to] = Math.max(largest[to], values[(c * height + y) * width + x]);
      }
    }
  }
  return { values: largest, shape };
}

function relu(_, { values, shape }) {
  return { values: values.map((a) => Math.max(0, a)), shape };
}

function flatten(_, { values }) {
  return { values, shape: [values.length] };
}

// By the names that PyTorch gives the layers.
const LAYERS = {
  Conv2d: convolve,
  MaxPool2d: maxPool,
  ReLU: relu,
  Flatten: flatten,
  Linear: linear,
};

// Return the hidden activations and the probabilities for one image of 784 values.
function runMlp({ W1, b1, W2, b2 }, image) {
  const a1 = linear({ weight: W1, bias: b1 }, { values: image });
  const z1 = a1.values.map((a) => 0.5 * (1 + Math.tanh(0.5 * a)));
  const a2 = linear({ weight: W2, bias: b2 }, { values: z1 });
  return { activations: z1, probabilities: softmax(a2.values) };
}

// Say what each hidden unit adds to the logit of a digit: W2[digit, unit] * z1[unit].
function contributions({ W2 }, activations, digit) {
  const [, units] = W2.shape;
  return activations.map((z, unit) => W2.values[digit * units + unit] * z);
}

// Return the feature maps of each convolution, after ReLU, and the probabilities.
function runCnn(layers, image) {
  const maps = [];
  let x = { values: image, shape: [1, SIDE, SIDE] };
  for (const layer of layers) {
    x = LAYERS[layer.kind](layer, x);
    if (layer.kind === "Conv2d") maps.push({ name: layer.name, ...relu(layer, x) });
  }
  return { maps, probabilities: softmax(x.values) };
}
