// What the page holds: both networks, the samples, and what the classes are called.

import { byId } from "./dom.js";

/** Turn every { shape, base64 } inside a value into { shape, values }. @param {any} value @returns {any} */
export function unpack(value) {
  if (typeof value !== "object" || value === null) return value;
  if ("base64" in value) {
    return { shape: value.shape, values: new Float32Array(bytesOf(value.base64).buffer) };
  }
  if (Array.isArray(value)) return value.map(unpack);
  return Object.fromEntries(Object.entries(value).map(([name, part]) => [name, unpack(part)]));
}

/** @param {string} base64 */
export const bytesOf = (base64) => Uint8Array.from(atob(base64), (letter) => letter.charCodeAt(0));

const content = unpack(JSON.parse(byId("networks").textContent ?? ""));

/**
 * @type { {
 *   samples: Tensor[], source: string, classes: { noun: string, names: string[] },
 *   sure: Record<"mlp" | "cnn" | "record", number>,
 *   record: Layer[] | null, images: Record<"train" | "validation", { gzip: string, labels: string }>,
 * }}
 */
export const { samples, source, classes, images: packedImages, sure, record } = content;

/** @typedef { { mlp?: Mlp, cnn?: Layer[] | null, least?: number }} Networks with the belief in its answer that the CNN mostly reaches */

/** @type { { mlp: Mlp, cnn: Layer[] | null }} */
export let { mlp, cnn } = structuredClone(content);

/** The belief that the CNN reaches for 95 of 100 new images. */
export let leastOfCnn = sure.cnn;

/** Which networks they are, in words; nothing for the first ones. */
export let networksAre = "";

/** @type {((what: string) => void)[]} */
const networkListeners = [];

/** Call `listener` with words for the change when other networks are shown. @param {(what: string) => void} listener */
export const whenNetworksChange = (listener) => networkListeners.push(listener);

/**
 * Let the page show other networks, and say `what` they are; nothing for the first ones.
 * @param {Networks} networks  @param {string} what
 */
export function useNetworks(networks, what) {
  if (networks.mlp) mlp = networks.mlp;
  if (networks.cnn !== undefined) cnn = networks.cnn;
  leastOfCnn = networks.least ?? leastOfCnn;
  networksAre = what;
  for (const listener of networkListeners) listener(what);
}

/** The networks as they were when the page was opened, anew each time. */
export const originalNetworks = () =>
  structuredClone({ mlp: content.mlp, cnn: content.cnn, least: sure.cnn });

/** @param {number} digit */
export const nameOf = (digit) => classes.names[digit];
