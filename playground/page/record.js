// The CNN that the record's recipe trained: what it reads, beside notebook 2's, and as one that takes its place.

import { byId, percent, withArticle } from "./dom.js";
import { nameOf, networksAre, originalNetworks, record, sure, useNetworks } from "./model.js";
import { runCnn } from "./networks.js";
import { indexOfLargest } from "./training.js";

const IN_USE = "The CNN is the one that the record’s recipe trained.";
const isInUse = () => networksAre === IN_USE;

/** @param {number[]} beliefs */
function answerOf(beliefs) {
  const digit = indexOfLargest(beliefs);
  return `${withArticle(nameOf(digit))} (${percent(beliefs[digit])})`;
}

/** Show what the one that is not in use reads; nothing beside networks that are a student's own, or broken. @param {Values | null} seen */
export function showOtherCnn(seen) {
  const other = isInUse() ? originalNetworks().cnn : record;
  byId("record").hidden = !record || !other || (networksAre !== "" && !isInUse());
  if (byId("record").hidden || !other) return;
  const beliefs = seen && runCnn(other, seen).probabilities;
  byId("record-name").textContent = isInUse()
    ? "Notebook 2’s CNN"
    : "The same CNN, trained by the record’s recipe,";
  byId("record-says").textContent = beliefs ? answerOf(beliefs) : "–";
}

export function connectRecord() {
  byId("record-use").addEventListener("click", () => {
    if (isInUse()) useNetworks(originalNetworks(), "");
    else useNetworks({ cnn: structuredClone(record), least: sure.record }, IN_USE);
  });
}
