// A picture of numbers, of which one is chosen by a click or with the arrow keys.

import { element, one } from "./dom.js";
import { paint, purpleToGreen, symmetric } from "./pictures.js";

const CELL = 28; // pixels of the screen at most for a number

/** @type {Record<string, Point>} */
const MOVES = { ArrowLeft: [-1, 0], ArrowRight: [1, 0], ArrowUp: [0, -1], ArrowDown: [0, 1] };

const SIGNS = { ArrowLeft: "←", ArrowRight: "→", ArrowUp: "↑", ArrowDown: "↓" };

/** Buttons for fingers, which hit no small number: each presses an arrow key on what is chosen in a view. @param {ParentNode} view */
export function arrowButtons(view) {
  return Object.entries(SIGNS).map(([key, textContent]) => {
    const button = element("button", { type: "button", textContent });
    button.ariaLabel = `The number ${key.replace("Arrow", "").toLowerCase()} of it`;
    button.addEventListener("click", () => {
      const chosen = one(".numbers:has(.mark:not([hidden])) canvas", view);
      chosen?.dispatchEvent(new KeyboardEvent("keydown", { key }));
    });
    return button;
  });
}

export class NumberGrid {
  /** @param {HTMLElement} host  @param {string} label  @param {(at: number) => void} chosen */
  constructor(host, label, chosen) {
    this.canvas = element("canvas", { className: "tile", tabIndex: 0, role: "application" });
    this.canvas.ariaLabel = `${label}: arrow keys choose a number`;
    this.mark = element("div", { className: "mark", hidden: true });
    this.chosen = chosen;
    this.count = 0;
    this.at = 0;
    this.root = host;
    host.classList.add("numbers");
    host.replaceChildren(this.canvas, this.mark);
    this.canvas.addEventListener("click", (event) => this.choose(this.placeUnder(event)));
    this.canvas.addEventListener("keydown", (event) => this.move(event));
  }

  /** @param {Values} values  @param {number} columns */
  show(values, columns, scale = symmetric(values), colour = purpleToGreen) {
    this.count = values.length;
    const rows = Math.ceil(values.length / columns);
    if (this.canvas.width !== columns || this.canvas.height !== rows) {
      Object.assign(this.canvas, { width: columns, height: rows });
      this.canvas.style.aspectRatio = `${columns} / ${rows}`;
      this.root.style.maxWidth = `${CELL * columns}px`;
    }
    paint(this.canvas, values, scale, colour);
  }

  /** @param {MouseEvent} event */
  placeUnder({ clientX, clientY }) {
    const { left, top, width, height } = this.canvas.getBoundingClientRect();
    const column = Math.floor(((clientX - left) / width) * this.canvas.width);
    return Math.floor(((clientY - top) / height) * this.canvas.height) * this.canvas.width + column;
  }

  /** @param {KeyboardEvent} event */
  move(event) {
    if (!(event.key in MOVES)) return;
    event.preventDefault();
    const { width } = this.canvas;
    const [right, down] = this.mark.hidden ? [0, 0] : MOVES[event.key];
    const column = (this.at % width) + right;
    if (column >= 0 && column < width) this.choose(this.at + right + down * width);
  }

  /** @param {number} at */
  choose(at) {
    if (!(at >= 0 && at < this.count)) return;
    this.at = at;
    this.showMark();
    this.chosen(at);
    this.mark.scrollIntoView({ block: "nearest" }); // out from under the explanation
  }

  showMark() {
    const { width, height } = this.canvas;
    const { style } = this.mark;
    style.left = `${(100 * (this.at % width)) / width}%`;
    style.top = `${(100 * Math.floor(this.at / width)) / height}%`;
    style.width = `${100 / width}%`;
    style.height = `${100 / height}%`;
    this.mark.hidden = false;
  }

  forget() {
    this.mark.hidden = true;
  }
}
