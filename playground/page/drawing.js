// The paper: mouse, finger, pen and keyboard.

import { announce, byId, oncePerFrame } from "./dom.js";
import { SIDE } from "./preprocess.js";

const UNDOABLE = 40; // changes that are kept
const STEP = 10; // by which an arrow key moves the pen: one pixel of 28

export const paper = byId("paper", HTMLCanvasElement);
export const ink = /** @type {CanvasRenderingContext2D} */ (
  paper.getContext("2d", { willReadFrequently: true })
);

/** @type {(() => void)[]} */
const listeners = [];

/** Call `listener`, once a frame at most however fast the pen, after something was drawn. @param {() => void} listener */
export const whenDrawn = (listener) => listeners.push(listener);

export const changed = oncePerFrame(() => {
  for (const listener of listeners) listener();
});

/** What was on the paper before each of the last changes, the newest last. @type {ImageData[]} */
const past = [];

/** Keep what is on the paper, for `undo`. */
function remember() {
  past.push(ink.getImageData(0, 0, paper.width, paper.height));
  if (past.length > UNDOABLE) past.shift();
}

export function undo() {
  const before = past.pop();
  if (before) ink.putImageData(before, 0, 0);
  changed();
}

const penWidth = () => byId("pen-width", HTMLInputElement).valueAsNumber;

/** @param {Point} at */
function drawDot([x, y]) {
  ink.beginPath();
  ink.arc(x, y, penWidth() / 2, 0, 2 * Math.PI);
  ink.fill();
  changed();
}

/** @param {Point} from  @param {Point} to */
function drawLine(from, to) {
  ink.lineWidth = penWidth();
  ink.lineCap = "round";
  ink.beginPath();
  ink.moveTo(...from);
  ink.lineTo(...to);
  ink.stroke();
  changed();
}

export function clear() {
  remember();
  ink.clearRect(0, 0, paper.width, paper.height);
  changed();
}

/** Put ink on the paper, whose every pixel is black more or less opaque. @param {(y: number, x: number) => number} opacity from 0 to 1 */
export function putInk(opacity) {
  remember();
  const image = new ImageData(paper.width, paper.height);
  for (let k = 0; k < paper.width * paper.height; k++) {
    image.data[4 * k + 3] = 255 * opacity(Math.floor(k / paper.width), k % paper.width);
  }
  ink.putImageData(image, 0, 0);
  changed();
}

/** Lay a sample of 784 values on the paper, each value a square. @param {Tensor} sample */
export function lay({ values }) {
  const [tall, wide] = [paper.height / SIDE, paper.width / SIDE];
  putInk((y, x) => values[Math.floor(y / tall) * SIDE + Math.floor(x / wide)]);
}

export function readPaper() {
  const { width, height } = paper;
  const { data } = ink.getImageData(0, 0, width, height);
  const pixels = new Float32Array(width * height);
  for (let k = 0; k < pixels.length; k++) pixels[k] = data[4 * k + 3] / 255;
  return { pixels, width, height };
}

// Mouse, finger and pen.

/** The point where the stroke has come to. @type {Point | null} */
let last = null;

/** @param {PointerEvent} event @returns {Point} */
function place({ clientX, clientY }) {
  const { left, top, width, height } = paper.getBoundingClientRect();
  return [((clientX - left) / width) * paper.width, ((clientY - top) / height) * paper.height];
}

paper.addEventListener("pointerdown", (event) => {
  if (!event.isPrimary || event.button !== 0) return;
  paper.setPointerCapture(event.pointerId);
  last = place(event);
  remember();
  drawDot(last);
  byId("cursor").hidden = true;
});

paper.addEventListener("pointermove", (event) => {
  if (last === null || !event.isPrimary) return;
  const moves = event.getCoalescedEvents?.() ?? [];
  for (const move of moves.length ? moves : [event]) {
    const next = place(move);
    drawLine(last, next);
    last = next;
  }
});

for (const end of ["pointerup", "pointercancel"]) {
  paper.addEventListener(end, () => {
    last = null;
  });
}

// Keyboard. Two arrows held together move diagonally.

/** @type {Record<string, Point>} */
const ARROWS = { ArrowLeft: [-1, 0], ArrowRight: [1, 0], ArrowUp: [0, -1], ArrowDown: [0, 1] };
const held = new Set();
/** @type { { at: Point, down: boolean }} */
const pen = { at: [140, 140], down: false };

function showPen() {
  const cursor = byId("cursor");
  cursor.hidden = false;
  cursor.classList.toggle("down", pen.down);
  cursor.style.left = `${(100 * pen.at[0]) / paper.width}%`;
  cursor.style.top = `${(100 * pen.at[1]) / paper.height}%`;
}

function movePen() {
  const from = pen.at;
  const moved = from.map((coordinate, axis) => {
    const to = [...held].reduce((sum, key) => sum + STEP * ARROWS[key][axis], coordinate);
    return Math.min(Math.max(to, 0), paper.width);
  });
  pen.at = [moved[0], moved[1]];
  if (pen.down) drawLine(from, pen.at);
}

function togglePen() {
  pen.down = !pen.down;
  if (pen.down) {
    remember();
    drawDot(pen.at);
  }
  changed(); // so that what is read is announced after the pen
  announce(pen.down ? "The pen is down." : "The pen is lifted.");
}

paper.addEventListener("keydown", (event) => {
  if ((event.ctrlKey || event.metaKey) && event.key === "z") undo();
  if (event.ctrlKey || event.metaKey || event.altKey) return;
  if (event.key in ARROWS) {
    held.add(event.key);
    movePen();
  } else if (event.key === " ") {
    if (!event.repeat) togglePen();
  } else if (event.key === "Escape") {
    pen.down = false;
    clear();
  } else {
    return; // Tab and the like keep their meaning
  }
  event.preventDefault();
  showPen();
});

paper.addEventListener("focus", () => paper.matches(":focus-visible") && showPen());
paper.addEventListener("keyup", (event) => held.delete(event.key));
paper.addEventListener("blur", () => {
  held.clear();
  pen.down = false;
  byId("cursor").hidden = true;
});
