// Ink lifted off a photo, step by step as in playground/handwriting.py.

const WINDOW = 61; // no stroke may be as wide as this window
const FAINTEST = 0.15; // ink must differ from paper by this share of the way from black to white

/**
 * Replace each value by the extreme of its neighbours along its row, and transpose the picture.
 * @param {Picture} picture  @param {(a: number, b: number) => number} extreme  @returns {Picture}
 */
function slide({ pixels, width, height }, extreme) {
  const reach = (WINDOW - 1) / 2;
  const result = new Float64Array(pixels.length);
  for (let y = 0; y < height; y++) {
    for (let x = 0; x < width; x++) {
      let value = pixels[y * width + x];
      for (let other = Math.max(0, x - reach); other <= Math.min(width - 1, x + reach); other++) {
        value = extreme(value, pixels[y * width + other]);
      }
      result[x * height + y] = value;
    }
  }
  return { pixels: result, width: height, height: width };
}

/** Close every stroke narrower than the window: the brightest nearby, then the darkest of that. @param {Picture} picture */
function closeStrokes(picture) {
  return [Math.max, Math.max, Math.min, Math.min].reduce(
    (shown, extreme) => slide(shown, extreme),
    picture,
  );
}

/** @param {Values} values */
function isMostlyBright(values) {
  const sorted = Float64Array.from(values).sort();
  const [middle, rest] = [Math.floor(sorted.length / 2), sorted.length % 2];
  const median = rest ? sorted[middle] : (sorted[middle - 1] + sorted[middle]) / 2;
  return sorted.reduce((a, b) => a + b, 0) / sorted.length <= median;
}

/**
 * Return how much ink, from 0 to 1, lies on paper of any brightness; null for none.
 * @param {Picture} grey from 0 for black to 1 for white  @returns {Values | null}
 */
export function liftInk(grey) {
  // Most of a picture is paper, so its few other values pull the mean away from the median.
  const dark = isMostlyBright(grey.pixels)
    ? Float64Array.from(grey.pixels)
    : Float64Array.from(grey.pixels, (v) => 1 - v);
  const onPaper = closeStrokes({ ...grey, pixels: dark }).pixels;
  const depth = dark.map((value, k) => onPaper[k] - value);
  const most = depth.reduce((a, b) => Math.max(a, b));
  // Grain of the paper and shadows are fainter than a third of the strongest ink.
  return most < FAINTEST
    ? null
    : depth.map((value) => Math.min(1, Math.max(0, (3 * value) / most - 1)));
}
