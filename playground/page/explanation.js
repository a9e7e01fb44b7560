// A number explained: its formula, its factors and what becomes of them.

import { element, one, precise } from "./dom.js";

/** @param {string | number} cell */
const written = (cell) =>
  typeof cell === "string" ? cell : Number.isInteger(cell) ? String(cell) : precise(cell);

/** @param {(string | number)[]} cells  @param {number} colSpan of the first */
function tableRow([first, ...rest], colSpan = 1) {
  const cells = rest.map((cell) => element("td", { textContent: written(cell) }));
  return element(
    "tr",
    {},
    element("th", { scope: "row", colSpan, textContent: written(first) }),
    ...cells,
  );
}

/** @param {Explanation} explanation */
function tableOf({ name, heads, rows, after = [], value }) {
  const head = heads.map((text) => element(text ? "th" : "td", { textContent: text }));
  const last = [...after, /** @type {[string, number]} */ (["result", value])];
  return element(
    "table",
    {},
    element("caption", { className: "unseen", textContent: `What ${name} is made of` }),
    element("thead", {}, element("tr", {}, ...head)),
    element("tbody", {}, ...rows.map((row) => tableRow(row))),
    element("tfoot", {}, ...last.map((row) => tableRow(row, heads.length - 1))),
  );
}

/** Show it in a box that has places for the name, the formula and the factors. @param {HTMLElement} box  @param {Explanation | null} explanation */
export function showExplanation(box, explanation) {
  one(".name", box).textContent = explanation
    ? `${explanation.name}: ${precise(explanation.value)}`
    : "Choose a number: by a click, or with the arrow keys.";
  one(".formula", box).textContent = explanation?.formula ?? "";
  one(".factors", box).replaceChildren(...(explanation ? [tableOf(explanation)] : []));
}
