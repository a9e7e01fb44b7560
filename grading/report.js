"use strict";
const rows = [...document.querySelectorAll("#students tbody tr")];
const body = document.querySelector("#students tbody");
const field = (name) => document.getElementById(name);
const texts = rows.map((row) => row.textContent.toLowerCase());
const value = (row, column) => row.cells[column].dataset.v ?? row.cells[column].textContent.trim();

function show() {
  const search = field("search").value.toLowerCase().split(/\s+/);
  const low = field("low").value, high = field("high").value;
  const mistake = field("mistake").value, exercise = field("exercise").value;
  let count = 0;
  rows.forEach((row, n) => {
    const points = Number(value(row, 1));
    const cell = exercise && row.cells[Number(exercise)];
    row.hidden = !search.every((word) => texts[n].includes(word))
      || (low !== "" && !(points >= Number(low))) || (high !== "" && !(points <= Number(high)))
      || (mistake !== "" && !row.dataset.m.split(" ").includes(mistake))
      || Boolean(cell && cell.className === "good");
    count += !row.hidden;
  });
  field("count").textContent = `${count} of ${rows.length} shown`;
}

function sort(button) {
  const head = button.closest("th"), column = head.cellIndex;
  const down = head.getAttribute("aria-sort") === "ascending";
  document.querySelectorAll("#students th[aria-sort]").forEach((th) => th.removeAttribute("aria-sort"));
  head.setAttribute("aria-sort", down ? "descending" : "ascending");
  const keyed = rows.map((row) => [value(row, column), row]);
  const isNumber = column > 0;
  keyed.sort(([a], [b]) => isNumber ? Number(a) - Number(b) : a.localeCompare(b));
  if (down) keyed.reverse();
  body.append(...keyed.map(([, row]) => row));
}

document.querySelector(".tools").addEventListener("input", show);
document.querySelectorAll("#students thead button").forEach((button) =>
  button.addEventListener("click", () => sort(button)));
document.querySelectorAll("button[data-mistake]").forEach((button) =>
  button.addEventListener("click", () => {
    field("mistake").value = button.dataset.mistake;
    show();
    field("students").scrollIntoView();
  }));
show();
