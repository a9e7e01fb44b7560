// The labelled images in the page, 8 bits a pixel.

import { bytesOf, packedImages } from "./model.js";

/** @param { { gzip: string, labels: string }} packed @returns {Promise<LabelledImages>} */
async function unpackImages({ gzip, labels }) {
  const stream = new Blob([bytesOf(gzip)]).stream().pipeThrough(new DecompressionStream("gzip"));
  const bytes = new Uint8Array(await new Response(stream).arrayBuffer());
  return {
    images: Float32Array.from(bytes, (byte) => byte / 255),
    labels: Array.from(labels, Number),
  };
}

/** @type {Promise<TrainingData> | null} */
let unpackedImages = null;

/** Unpack the training and validation images, once. */
export function imagesOf() {
  const { train, validation } = packedImages;
  unpackedImages ??= Promise.all([unpackImages(train), unpackImages(validation)]).then((both) => ({
    train: both[0],
    validation: both[1],
  }));
  return unpackedImages;
}
