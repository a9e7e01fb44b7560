// What MNIST's makers did to every digit, step by step as in playground/handwriting.py.
// A picture is { pixels, width, height }: its values row by row, 0 for paper and up to 1 for ink.

export const SIDE = 28; // of the picture that the networks see
export const PIXELS = SIDE * SIDE;
const BOX = 20; // of the square that the digit has to fit

/**
 * Return the part of a picture that holds all its ink, or null if there is none.
 * @param {Picture} picture  @returns {Picture | null}
 */
export function cropToInk({ pixels, width, height }) {
  let [left, right, top, bottom] = [width, -1, height, -1];
  for (let y = 0; y < height; y++) {
    for (let x = 0; x < width; x++) {
      if (pixels[y * width + x] > 0) {
        left = Math.min(left, x);
        right = Math.max(right, x);
        top = Math.min(top, y);
        bottom = y;
      }
    }
  }
  if (right < 0) return null;
  /** @type {number[]} */
  const cropped = [];
  for (let y = top; y <= bottom; y++) {
    for (let x = left; x <= right; x++) cropped.push(pixels[y * width + x]);
  }
  return { pixels: cropped, width: right - left + 1, height: bottom - top + 1 };
}

/**
 * Make newHeight rows of a picture's rows, each the mean of those that it covers, wholly or in
 * part; and transpose the result, so that doing it twice resizes both sides.
 * @param {Picture} picture  @param {number} newHeight  @returns {Picture}
 */
function averageRows({ pixels, width, height }, newHeight) {
  const averages = new Float64Array(width * newHeight);
  const covered = height / newHeight;
  for (let i = 0; i < newHeight; i++) {
    const [top, bottom] = [i * covered, (i + 1) * covered];
    for (let y = Math.floor(top); y < Math.min(bottom, height); y++) {
      const share = (Math.min(bottom, y + 1) - Math.max(top, y)) / covered;
      for (let x = 0; x < width; x++) averages[x * newHeight + i] += share * pixels[y * width + x];
    }
  }
  return { pixels: averages, width: newHeight, height: width };
}

/** Resize a picture so that its longer side is BOX; its shape stays, as far as whole pixels can. @param {Picture} picture */
function fitIntoBox(picture) {
  const scale = BOX / Math.max(picture.width, picture.height);
  const [width, height] = [picture.width, picture.height].map((length) =>
    Math.max(1, Math.round(length * scale)),
  );
  return averageRows(averageRows(picture, height), width);
}

/** Say at which row (and, of the transposed picture, column) to put it to centre its mass. @param {Picture} picture */
function centredStart({ pixels, width, height }) {
  let [mass, moment] = [0, 0];
  for (let y = 0; y < height; y++) {
    for (let x = 0; x < width; x++) {
      mass += pixels[y * width + x];
      moment += y * pixels[y * width + x];
    }
  }
  // A symmetric digit is a tie, which must not be left to errors of rounding: hence the millionth.
  const start = Math.floor(SIDE / 2 - moment / mass + 0.5 + 1e-6);
  return Math.min(Math.max(start, 0), SIDE - height); // no ink is ever cut off
}

/**
 * Return the PIXELS values of a picture that is only made smaller, wherever its ink lies; null for
 * an empty one.
 * @param {Picture} picture
 */
export function asItLies(picture) {
  if (cropToInk(picture) === null) return null;
  return Float32Array.from(averageRows(averageRows(picture, SIDE), SIDE).pixels);
}

/** Return the PIXELS values that the networks see; null for an empty picture. @param {Picture} picture */
export function asMnist(picture) {
  const ink = cropToInk(picture);
  if (ink === null) return null;
  const digit = fitIntoBox(ink);
  const top = centredStart(digit);
  const left = centredStart(averageRows(digit, digit.height)); // which only transposes it
  const seen = new Float32Array(PIXELS);
  digit.pixels.forEach((value, k) => {
    const [y, x] = [Math.floor(k / digit.width), k % digit.width];
    seen[(top + y) * SIDE + left + x] = value;
  });
  return seen;
}
