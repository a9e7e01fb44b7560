// The page: paper to draw on, and everything that is shown of the two networks.
"use strict";

const PEN = 22; // width of a stroke in pixels of the paper: about two where the networks look
const STEP = 10; // by which an arrow key moves the pen: one pixel of 28
const PAUSE = 500; // milliseconds without a change before the result is announced
const DECIDERS = 6;

const byId = (id) => document.getElementById(id);
const { mlp, cnn, samples, source } = unpack(JSON.parse(byId("networks").textContent));
const paper = byId("paper");
const ink = paper.getContext("2d", { willReadFrequently: true });

// Turn every { shape, base64 } inside a value into { shape, values }.
function unpack(value) {
  if (typeof value !== "object" || value === null) return value;
  if ("base64" in value) {
    const bytes = Uint8Array.from(atob(value.base64), (letter) => letter.charCodeAt(0));
    return { shape: value.shape, values: new Float32Array(bytes.buffer) };
  }
  if (Array.isArray(value)) return value.map(unpack);
  return Object.fromEntries(Object.entries(value).map(([name, part]) => [name, unpack(part)]));
}

function element(tag, properties = {}, ...children) {
  const made = Object.assign(document.createElement(tag), properties);
  made.append(...children);
  return made;
}

const signed = (value) => (value < 0 ? "−" : "+") + Math.abs(value).toFixed(2);

// Round to whole percents, but not to 0 or 100: a softmax is never quite sure.
function percent(probability) {
  if (probability < 0.01) return "<1 %";
  if (probability > 0.99) return ">99 %";
  return `${Math.round(100 * probability)} %`;
}

const indexOfLargest = (values) => values.indexOf(Math.max(...values));

// ---------------------------------------------------------------- pictures made of values

// Colours are [red, green, blue], each from 0 to 255.
const grey = (value) => [255 * value, 255 * value, 255 * value];

// Black, then the CNN's blue, then white: as brightness grows all the way, grey shows the same.
function blue(value) {
  const white = Math.max(0, 2 * value - 1);
  return [0, 114, 178].map((c) => Math.min(1, 2 * value) * c * (1 - white) + 255 * white);
}

// Paint values, row by row, scaled from [low, high] to [0, 1].
function paint(canvas, values, [low, high], colour) {
  const image = new ImageData(canvas.width, canvas.height);
  values.forEach((value, k) => {
    image.data.set(colour((value - low) / (high - low)), 4 * k);
    image.data[4 * k + 3] = 255;
  });
  canvas.getContext("2d").putImageData(image, 0, 0);
}

function tile(width, height = width) {
  return element("canvas", { className: "tile", width, height });
}

// ---------------------------------------------------------------- drawing

function drawLine(from, to) {
  ink.lineWidth = PEN;
  ink.lineCap = "round";
  ink.beginPath();
  ink.moveTo(...from);
  ink.lineTo(...to);
  ink.stroke();
  changed();
}

function clear() {
  ink.clearRect(0, 0, paper.width, paper.height);
  changed();
}

// Lay a sample of 784 values on the paper, each value a square of black more or less opaque.
function lay(sample) {
  const image = new ImageData(paper.width, paper.height);
  for (let k = 0; k < paper.width * paper.height; k++) {
    const [y, x] = [Math.floor(k / paper.width), k % paper.width];
    const pixel = Math.floor((y * SIDE) / paper.height) * SIDE + Math.floor((x * SIDE) / paper.width);
    image.data[4 * k + 3] = 255 * sample.values[pixel];
  }
  ink.putImageData(image, 0, 0);
  changed();
}

function readPaper() {
  const { width, height } = paper;
  const { data } = ink.getImageData(0, 0, width, height);
  const pixels = new Float32Array(width * height);
  for (let k = 0; k < pixels.length; k++) pixels[k] = data[4 * k + 3] / 255;
  return { pixels, width, height };
}

// Mouse, finger and pen.
let last = null; // the point where the stroke has come to

function place({ clientX, clientY }) {
  const { left, top, width, height } = paper.getBoundingClientRect();
  return [((clientX - left) / width) * paper.width, ((clientY - top) / height) * paper.height];
}

paper.addEventListener("pointerdown", (event) => {
  if (!event.isPrimary || event.button !== 0) return;
  paper.setPointerCapture(event.pointerId);
  last = place(event);
  drawLine(last, last);
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

for (const end of ["pointerup", "pointercancel"]) paper.addEventListener(end, () => (last = null));

// Keyboard. Two arrows held together move diagonally.
const ARROWS = { ArrowLeft: [-1, 0], ArrowRight: [1, 0], ArrowUp: [0, -1], ArrowDown: [0, 1] };
const held = new Set();
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
  pen.at = from.map((coordinate, axis) => {
    const moved = [...held].reduce((sum, key) => sum + STEP * ARROWS[key][axis], coordinate);
    return Math.min(Math.max(moved, 0), paper.width);
  });
  if (pen.down) drawLine(from, pen.at);
}

paper.addEventListener("keydown", (event) => {
  if (event.ctrlKey || event.metaKey || event.altKey) return;
  if (event.key in ARROWS) {
    held.add(event.key);
    movePen();
  } else if (event.key === " " && !event.repeat) {
    pen.down = !pen.down;
    if (pen.down) drawLine(pen.at, pen.at);
    announce(pen.down ? "The pen is down." : "The pen is lifted.");
  } else if (event.key === "Escape") {
    pen.down = false;
    clear();
  } else if (event.key !== " ") {
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

// ---------------------------------------------------------------- what is shown

function bar() {
  return element("div", { className: "bar" }, element("i", {}, element("b")), element("span"));
}

function setBar(cell, probability) {
  cell.querySelector("b").style.transform = `scaleX(${probability ?? 0})`;
  cell.querySelector("span").textContent = probability === null ? "–" : percent(probability);
}

function buildBeliefs() {
  for (let digit = 0; digit < 10; digit++) {
    const row = element("tr", {}, element("th", { scope: "row", textContent: digit }));
    for (const network of ["mlp", "cnn"]) row.append(element("td", { className: network }, bar()));
    byId("beliefs").append(row);
  }
}

function showBeliefs(network, probabilities) {
  const winner = probabilities ? indexOfLargest(probabilities) : null;
  byId(`${network}-says`).textContent = winner ?? "–";
  document.querySelectorAll(`td.${network}`).forEach((cell, digit) => {
    setBar(cell, probabilities ? probabilities[digit] : null);
    cell.classList.toggle("wins", digit === winner);
  });
}

// The templates share one scale, on which mid-grey is a weight of 0; the few weights beyond four
// times the typical one are as black or white as can be.
const template = (unit) => mlp.W1.values.subarray(unit * 784, (unit + 1) * 784);
const meanSquare = mlp.W1.values.reduce((sum, w) => sum + w * w, 0) / mlp.W1.values.length;
const limit = 4 * Math.sqrt(meanSquare) || 1;

function buildTemplates() {
  for (let unit = 0; unit < mlp.W1.shape[0]; unit++) {
    const picture = tile(SIDE);
    paint(picture, template(unit), [-limit, limit], grey);
    const level = element("i", {}, element("b"));
    const number = element("span", { textContent: unit });
    byId("templates").append(element("div", { className: "unit" }, picture, level, number));
  }
  for (let k = 0; k < DECIDERS; k++) {
    const pair = element("div", { className: "pair" }, tile(SIDE), tile(SIDE));
    byId("deciders").append(element("li", {}, pair, element("p")));
  }
}

// Say which units added most to the logit of the digit, the most important first.
function findDeciders(activations, digit) {
  const added = Array.from(contributions(mlp, activations, digit));
  const order = added.map((_, unit) => unit).sort((a, b) => added[b] - added[a]);
  return order.slice(0, DECIDERS).map((unit) => ({ unit, added: added[unit] }));
}

function showTemplates(seen, result) {
  const digit = result && indexOfLargest(result.probabilities);
  const deciders = result ? findDeciders(result.activations, digit) : [];
  const units = deciders.map(({ unit }) => unit);
  [...byId("templates").children].forEach((shown, unit) => {
    const activation = result ? result.activations[unit] : 0;
    shown.querySelector("canvas").style.opacity = 0.2 + 0.8 * activation;
    shown.querySelector("b").style.transform = `scaleX(${activation})`;
    shown.classList.toggle("decides", units.includes(unit));
  });
  byId("templates").ariaLabel = result
    ? `${mlp.W1.shape[0]} templates. Framed are units ${units.join(", ")}, which decided.`
    : `${mlp.W1.shape[0]} templates.`;
  byId("deciders").hidden = !result;
  [...byId("deciders").children].forEach((shown, k) => {
    shown.hidden = k >= deciders.length;
    if (!shown.hidden) showDecider(shown, deciders[k], seen, digit, result.activations);
  });
}

function showDecider(shown, { unit, added }, seen, digit, activations) {
  const [plain, product] = shown.querySelectorAll("canvas");
  paint(plain, template(unit), [-limit, limit], grey);
  paint(product, template(unit).map((weight, k) => weight * seen[k]), [-limit, limit], grey);
  shown.querySelector("p").textContent =
    `Unit ${unit}, ${percent(activations[unit])} active: ${signed(added)} for the ${digit}`;
}

function buildMaps() {
  const { maps } = runCnn(cnn, new Float32Array(SIDE * SIDE));
  for (const { name, shape: [count, height, width] } of maps) {
    const tiles = Array.from({ length: count }, () => tile(width, height));
    const grid = element("div", { className: count > 8 ? "layer" : "layer few", role: "img" }, ...tiles);
    const title = element("h3", { textContent: `${name}: ${count} maps, ${height} × ${width}` });
    byId("maps").append(element("div", {}, title, grid));
  }
}

function showMaps(result) {
  const maps = result ? result.maps : [];
  [...document.querySelectorAll(".layer")].forEach((grid, layer) => {
    const values = result ? maps[layer].values : null;
    const most = values ? Math.max(1e-9, ...values) : 1;
    [...grid.children].forEach((canvas, k) => {
      const size = canvas.width * canvas.height;
      const part = values ? values.subarray(k * size, (k + 1) * size) : new Float32Array(size);
      paint(canvas, part, [0, most], blue);
    });
    const largest = values && Math.floor(indexOfLargest(values) / (values.length / grid.children.length));
    grid.ariaLabel = `${grid.children.length} feature maps.` +
      (result ? ` Map ${largest} has the largest value.` : "");
  });
}

// ---------------------------------------------------------------- thinking

function describe(results) {
  const [first, second] = results.map(({ name, probabilities }) => {
    const digit = indexOfLargest(probabilities);
    return { name, digit, sure: percent(probabilities[digit]).replace("<", "under ").replace(">", "over ") };
  });
  if (!second) return `The ${first.name} reads a ${first.digit} (${first.sure}).`;
  if (first.digit === second.digit) {
    return `Both read a ${first.digit} (${first.name} ${first.sure}, ${second.name} ${second.sure}).`;
  }
  return `They disagree: the ${first.name} reads a ${first.digit} (${first.sure}), ` +
    `the ${second.name} a ${second.digit} (${second.sure}).`;
}

function think() {
  const start = performance.now();
  const seen = asMnist(readPaper());
  const byMlp = seen && runMlp(mlp, seen);
  const byCnn = seen && cnn && runCnn(cnn, seen);
  const milliseconds = performance.now() - start;

  byId("hint").hidden = seen !== null;
  paint(byId("seen"), seen ?? new Float32Array(SIDE * SIDE), [0, 1], grey);
  showBeliefs("mlp", byMlp && byMlp.probabilities);
  showTemplates(seen, byMlp);
  if (cnn) {
    showBeliefs("cnn", byCnn && byCnn.probabilities);
    showMaps(byCnn);
  }
  if (!seen) return "Draw a digit.";
  byId("speed").textContent = `The last look took ${milliseconds.toFixed(1)} milliseconds.`;
  const named = [{ name: "MLP", ...byMlp }, { name: "CNN", ...byCnn }];
  return describe(named.slice(0, cnn ? 2 : 1));
}

const announce = (text) => (byId("status").textContent = text);

// Look once a frame at most, however fast the pen; announce when it pauses.
let frame = 0;
let timer = 0;

function changed() {
  frame ||= requestAnimationFrame(() => {
    frame = 0;
    const text = think();
    clearTimeout(timer);
    timer = setTimeout(announce, PAUSE, text);
  });
}

function start() {
  byId("source").textContent = `Trained on: ${source}.`;
  byId("seen").ariaLabel = "Your drawing on 28 by 28 pixels, white ink on black";
  byId("clear").addEventListener("click", clear);
  samples.forEach((sample, digit) => {
    const picture = tile(SIDE);
    paint(picture, sample.values, [0, 1], grey);
    const button = element("button", { type: "button", ariaLabel: `Load a ${digit}` }, picture);
    button.addEventListener("click", () => lay(sample));
    byId("samples").append(button);
  });
  buildBeliefs();
  buildTemplates();
  if (cnn) {
    buildMaps();
  } else {
    document.querySelectorAll(".cnn").forEach((part) => part.matches("section") || (part.hidden = true));
    byId("cnn-text").textContent = "Notebook 2 trains the convolutional network. Run it, and both read along here.";
  }
  announce(think());
}

start();
