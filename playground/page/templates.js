// The templates of the MLP: each row of W1 as a picture.

import { element } from "./dom.js";
import { grey, paint, tile, weightScale } from "./pictures.js";
import { PIXELS, SIDE } from "./preprocess.js";

/** @param {Pick<Mlp, "W1">} mlp  @param {number} unit */
export const templateOf = ({ W1 }, unit) => W1.values.slice(unit * PIXELS, (unit + 1) * PIXELS);

/** Show all templates, each as a small picture with a bar. @param {HTMLElement} grid  @param {Pick<Mlp, "W1">} mlp */
export function buildTemplates(grid, mlp) {
  const units = Array.from({ length: mlp.W1.shape[0] }, (_, unit) => {
    const number = element("span", { textContent: String(unit) });
    const level = element("i", {}, element("b"));
    return element("div", { className: "unit" }, tile(SIDE), level, number);
  });
  grid.replaceChildren(...units);
  paintTemplates(grid, mlp);
}

/** On one scale, with 0 as the grey in the middle. @param {HTMLElement} grid  @param {Pick<Mlp, "W1">} mlp */
export function paintTemplates(grid, mlp) {
  const scale = weightScale(mlp.W1.values);
  grid.querySelectorAll("canvas").forEach((picture, unit) => {
    paint(picture, templateOf(mlp, unit), scale, grey);
  });
}
