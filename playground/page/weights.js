// A student's weights, as `export_weights` writes them: nothing of what comes is trusted.

import { runCnn } from "./networks.js";
import { PIXELS } from "./preprocess.js";

/** @param {string} name  @param {Tensor | undefined} tensor  @param {(number | null)[]} wanted null where any length will do */
function checkTensor(name, tensor, wanted) {
  const shape = Array.isArray(tensor?.shape) ? tensor.shape : [];
  const values = Array.from(tensor?.values ?? []);
  const fits =
    shape.length === wanted.length && wanted.every((n, k) => n === null || n === shape[k]);
  const wish = wanted.map((n) => n ?? "any").join(" × ");
  if (!fits) throw new Error(`${name} has shape ${shape.join(" × ") || "none"}; wanted ${wish}.`);
  const count = shape.reduce((a, b) => a * b, 1);
  if (values.length !== count)
    throw new Error(`${name} holds ${values.length} numbers; its shape wants ${count}.`);
  if (!values.every(Number.isFinite)) throw new Error(`${name} holds numbers that are not finite.`);
}

/** @param {Mlp} mlp */
function checkMlp({ W1, b1, W2, b2 }) {
  checkTensor("W1", W1, [null, PIXELS]);
  const [units] = W1.shape;
  checkTensor("b1", b1, [units]);
  checkTensor("W2", W2, [10, units]);
  checkTensor("b2", b2, [10]);
}

/** The lengths of the shape of a layer's weights, by its kind. */
const DIMENSIONS = /** @type {Record<string, number>} */ ({
  Conv2d: 4,
  Linear: 2,
  MaxPool2d: 0,
  ReLU: 0,
  Flatten: 0,
});

/** @param {Layer} layer */
function checkLayer({ name, kind, weight, bias, size }) {
  if (!(kind in DIMENSIONS)) throw new Error(`${name} is a ${kind}, which the page does not know.`);
  if (kind === "MaxPool2d" && !(Number.isInteger(size) && size > 0))
    throw new Error(`${name} has the size ${size}.`);
  if (!DIMENSIONS[kind]) return;
  checkTensor(`${name}.weight`, weight, Array(DIMENSIONS[kind]).fill(null));
  checkTensor(`${name}.bias`, bias, [weight.shape[0]]);
}

/** Each layer has to fit what the one below gives. @param {Layer[]} layers */
function checkCnn(layers) {
  if (!Array.isArray(layers)) throw new Error("cnn is no list of layers.");
  layers.forEach(checkLayer);
  const { steps } = runCnn(layers, new Float32Array(PIXELS));
  layers.forEach(({ name, kind, weight }, k) => {
    const [inputs] = [steps[k].shape[0]];
    if (DIMENSIONS[kind] && weight.shape[1] !== inputs) {
      throw new Error(`${name} wants ${weight.shape[1]} inputs, and gets ${inputs}.`);
    }
  });
  if (steps[layers.length].values.length !== 10)
    throw new Error("The last layer has to have 10 outputs.");
}

/**
 * Return the networks of an unpacked file, if they are ones that the page can compute.
 * @param { { mlp?: Mlp | null, cnn?: Layer[] | null } | null} content
 * @returns { { mlp?: Mlp, cnn?: Layer[] }}
 */
export function checkedNetworks(content) {
  const { mlp, cnn } = content ?? {};
  if (!mlp && !cnn)
    throw new Error("It holds no network; wanted a file written by export_weights.");
  if (mlp) checkMlp(mlp);
  if (cnn) checkCnn(cnn);
  return { ...(mlp && { mlp }), ...(cnn && { cnn }) };
}
