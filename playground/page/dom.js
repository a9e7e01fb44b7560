// Elements of the page, and how numbers and words are written.

const PAUSE = 500; // milliseconds without a change before the result is announced

/**
 * @template {HTMLElement} T
 * @param {string} id  @param {new () => T} [_kind] which tells the checker what it is
 * @returns {T}
 */
export const byId = (id, _kind) => /** @type {T} */ (document.getElementById(id));

/** @param {string} selector  @param {ParentNode} within @returns {HTMLElement[]} */
export const all = (selector, within = document) =>
  [...within.querySelectorAll(selector)].map((e) => /** @type {HTMLElement} */ (e));

/** @param {string} selector  @param {ParentNode} within @returns {HTMLElement} */
export const one = (selector, within = document) => all(selector, within)[0];

/**
 * @template {keyof HTMLElementTagNameMap} T
 * @param {T} tag  @param {Partial<HTMLElementTagNameMap[T]>} properties  @param {(Node | string)[]} children
 * @returns {HTMLElementTagNameMap[T]}
 */
export function element(tag, properties = {}, ...children) {
  const made = Object.assign(document.createElement(tag), properties);
  made.append(...children);
  return made;
}

let waiting = 0;

/** Tell screen readers, and show below the drawing. What was to be announced soon no longer is. @param {string} text */
export function announce(text) {
  clearTimeout(waiting);
  byId("status").textContent = text;
}

/** Announce what may be out of date in a moment, unless something else is announced by then. @param {string} text */
export function announceSoon(text) {
  clearTimeout(waiting);
  waiting = setTimeout(announce, PAUSE, text);
}

/** @param {number} value  @param {number} places */
export const signed = (value, places = 2) =>
  (value < 0 ? "−" : "+") + Math.abs(value).toFixed(places);

/** Four digits, however small the number. @param {number} value */
export function precise(value) {
  const size = Math.abs(value);
  const text =
    size === 0 || (size >= 0.001 && size < 10000)
      ? String(Number(size.toPrecision(4)))
      : size.toExponential(2);
  return (value < 0 ? "−" : "") + text.replace("e-", "e−").replace("e+", "e");
}

/** Round to whole percents, but not to 0 or 100: a softmax is never quite sure. @param {number} probability */
export function percent(probability) {
  if (probability < 0.01) return "<1 %";
  if (probability > 0.99) return ">99 %";
  return `${Math.round(100 * probability)} %`;
}

/** Return a function that lets `action` run in the next frame, once however often it is called until then. @param {() => void} action */
export function oncePerFrame(action) {
  let isWaiting = false;
  return () => {
    if (isWaiting) return;
    isWaiting = true;
    requestAnimationFrame(() => {
      isWaiting = false;
      action();
    });
  };
}

/** @param {string} word */
export const withArticle = (word) => `${/^(8|[aeiou])/i.test(word) ? "an" : "a"} ${word}`;
