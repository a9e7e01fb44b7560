// What a student brings and takes away: a photo, their own weights, the drawing as 28 x 28 pixels.

import { announce, byId, element } from "./dom.js";
import { paper, putInk } from "./drawing.js";
import { sure, unpack, useNetworks } from "./model.js";
import { liftInk } from "./photo.js";
import { context } from "./pictures.js";
import { checkedNetworks } from "./weights.js";

/** Let a file input hand its file to `use`, and say what went wrong. @param {string} id  @param {(file: File) => Promise<void>} use */
function connectFile(id, use) {
  const input = byId(id, HTMLInputElement);
  input.addEventListener("change", async () => {
    const file = input.files?.[0];
    input.value = ""; // so that the same file may be chosen again
    if (!file) return;
    try {
      await use(file);
    } catch (error) {
      announce(`${file.name} can’t be used. ${error instanceof Error ? error.message : error}`);
    }
  });
}

/** A photo on white, made so small that it fits the paper. @param {File} file @returns {Promise<Picture>} */
async function readGrey(file) {
  const photo = await createImageBitmap(file);
  const scale = Math.min(1, paper.width / Math.max(photo.width, photo.height));
  const [width, height] = [photo.width, photo.height].map((n) =>
    Math.max(1, Math.round(n * scale)),
  );
  const drawn = context(element("canvas", { width, height }));
  drawn.imageSmoothingQuality = "high";
  drawn.fillStyle = "white";
  drawn.fillRect(0, 0, width, height);
  drawn.drawImage(photo, 0, 0, width, height);
  const { data } = drawn.getImageData(0, 0, width, height);
  const pixels = Float64Array.from({ length: width * height }, (_, k) => {
    const [red, green, blue_] = data.subarray(4 * k, 4 * k + 3);
    return (0.299 * red + 0.587 * green + 0.114 * blue_) / 255;
  });
  return { pixels, width, height };
}

/** @param {File} file */
async function usePhoto(file) {
  const grey_ = await readGrey(file);
  const lifted = liftInk(grey_);
  if (lifted === null) throw new Error("It shows no ink: all of it is about equally bright.");
  const { width, height } = grey_;
  const [top, left] = [paper.height - height, paper.width - width].map((space) =>
    Math.floor(space / 2),
  );
  putInk((y, x) => {
    const isOn = y >= top && y < top + height && x >= left && x < left + width;
    return isOn ? lifted[(y - top) * width + x - left] : 0;
  });
}

/** @param {string} text */
function parseJson(text) {
  try {
    return JSON.parse(text);
  } catch {
    throw new Error("It is no JSON; wanted a file written by export_weights.");
  }
}

/** @param {File} file */
async function useWeights(file) {
  const networks = checkedNetworks(unpack(parseJson(await file.text())));
  const names = Object.keys(networks)
    .map((name) => name.toUpperCase())
    .join(" and the ");
  useNetworks(
    { ...networks, least: sure.cnn },
    `The ${names} ${Object.keys(networks).length > 1 ? "are" : "is"} from ${file.name}.`,
  );
}

function saveDrawing() {
  byId("seen", HTMLCanvasElement).toBlob((png) => {
    if (!png) return;
    const link = element("a", { href: URL.createObjectURL(png), download: "digit-28x28.png" });
    link.click();
    URL.revokeObjectURL(link.href);
  });
}

export function connectOwn() {
  connectFile("photo", usePhoto);
  connectFile("weights", useWeights);
  byId("save").addEventListener("click", saveDrawing);
}
