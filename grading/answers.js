"use strict";
const LETTERS = "abcdefghijklmnop";
const field = (name) => document.getElementById(name);
const given = JSON.parse(field("given").textContent);
const sections = [...document.querySelectorAll("section[data-question]")];
const store = `written answers ${given.key}`;
const questions = {}, marks = {};
let section, answers, at = 0, before = null, unsaved = false;

const place = (student, question) => JSON.stringify([student, question]);
const placeOf = (answer) => place(answer.dataset.student, section.dataset.question);
const isMarked = (answer, question = section.dataset.question) => {
  const mark = marks[place(answer.dataset.student, question)];
  return mark?.points != null && mark.answer === answer.dataset.answer;
};

// Of two marks of one answer the later one counts, wherever they come from.
function take(told) {
  for (const [key, each] of Object.entries(told.questions ?? {})) {
    if (!(questions[key]?.when > each.when)) questions[key] = each;
  }
  for (const each of told.marks ?? []) {
    const key = place(each.student, each.question);
    if (!(marks[key]?.when > each.when)) marks[key] = each;
  }
}

function content() {
  const done = Object.values(marks).filter((each) => each.points != null);
  const used = new Set(done.map((each) => each.question));
  const kept = Object.entries(questions).filter(([key]) => used.has(key));
  return { questions: Object.fromEntries(kept), marks: done };
}

function keep() {
  unsaved = true;
  try {
    localStorage.setItem(store, JSON.stringify({ questions, marks: Object.values(marks) }));
  } catch {
    field("status").textContent = "This browser keeps nothing: save before you close the page.";
  }
}

const question = () => questions[section.dataset.question];
const mark = () => {
  const own = marks[placeOf(answers[at])];
  return own?.answer === answers[at].dataset.answer ? own : { points: null, comments: [] };
};

function change(changes) {
  const { student, answer } = answers[at].dataset;
  const when = Date.now();
  question().when ??= when;
  marks[placeOf(answers[at])] = {
    ...mark(), student, question: section.dataset.question, answer, when, ...changes };
  keep();
  show();
}

function changeQuestion(changes) {
  Object.assign(question(), changes, { when: Date.now() });
  keep();
  show();
}

const bounded = (points) => Math.max(0, Math.min(points, question().maximum));

function choose(item) {
  const { comments, points } = mark();
  const chosen = comments.includes(item.text)
    ? comments.filter((each) => each !== item.text) : [...comments, item.text];
  const worth = question().rubric.filter((each) => each.points != null);
  const total = worth.reduce((sum, each) => sum + each.points * chosen.includes(each.text), 0);
  change({ comments: chosen, points: item.points == null ? points : bounded(total) });
}

const isOffered = (comment) => question().rubric.some((each) => each.text === comment);

function rubricRow(item, n) {
  const row = document.createElement("li"), label = document.createElement("label");
  const box = document.createElement("input"), key = document.createElement("kbd");
  const remove = document.createElement("button");
  box.type = "checkbox";
  box.checked = mark().comments.includes(item.text);
  box.addEventListener("change", () => {
    choose(item);
    field("rubric").children[n].querySelector("input").focus();
  });
  key.textContent = LETTERS[n] ?? "";
  const points = item.points == null ? "" : ` (${item.points})`;
  label.append(box, " ", key, ` ${item.text}${points}`);
  remove.type = "button";
  remove.textContent = "✕";
  remove.setAttribute("aria-label", `No longer offer: ${item.text}`);
  remove.addEventListener("click", () => {
    changeQuestion({ rubric: question().rubric.filter((each) => each !== item) });
    field("sentence").focus();
  });
  row.append(label, " ", remove);
  return row;
}

function show() {
  const own = mark(), n = answers.filter((each) => isMarked(each)).length;
  sections.forEach((each) => { each.hidden = each !== section; });
  answers.forEach((each, number) => { each.hidden = number !== at; });
  document.querySelectorAll(".name").forEach((each) => { each.hidden = !field("names").checked; });
  field("points").value = own.points ?? "";
  field("points").max = question().maximum;
  field("most").textContent = question().maximum;
  field("maximum").value = question().maximum;
  field("rubric").replaceChildren(...question().rubric.map(rubricRow));
  field("comment").value = own.comments.filter((each) => !isOffered(each)).join("\n");
  const alike = at ? `, ${answers[at].dataset.alike} % like the one before` : "";
  field("status").textContent = `Answer ${at + 1} of ${answers.length}${alike}. ${n} have points.`
    + (unsaved ? " Not saved yet." : "");
  for (const option of field("question").options) {
    const all = [...document.querySelectorAll(`section[data-question="${option.value}"] article`)];
    const done = all.filter((each) => isMarked(each, option.value)).length;
    option.textContent = `${option.value}: ${done} of ${all.length}`;
  }
}

function open(key) {
  section = sections.find((each) => each.dataset.question === key);
  answers = [...section.querySelectorAll("article")];
  questions[key] ??= { maximum: given.maximum, rubric: [], when: 0 };
  at = 0;
  before = null;
  show();
}

function go(number) {
  if (number < 0 || number >= answers.length) return;
  before = mark();
  at = number;
  show();
}

function nextOpen() {
  const turned = answers.map((_, n) => (at + 1 + n) % answers.length);
  const found = turned.find((n) => !isMarked(answers[n]));
  if (found === undefined) field("status").textContent = "All answers to this question have points.";
  else go(found);
}

function save() {
  const file = new Blob([JSON.stringify(content(), null, 1)], { type: "application/json" });
  const link = document.createElement("a");
  link.href = URL.createObjectURL(file);
  link.download = "written.json";
  link.click();
  URL.revokeObjectURL(link.href);
  unsaved = false;
  show();
}

const acts = {
  ArrowLeft: () => go(at - 1), ArrowRight: () => go(at + 1), Enter: () => go(at + 1),
  u: nextOpen, s: save,
  r: () => before?.points != null && change({ points: before.points, comments: before.comments }),
  ".": () => change({ points: bounded((mark().points ?? 0) + 0.5) }),
};

function press(event) {
  const { target, key } = event;
  const types = target.matches("input:not([type=checkbox]), textarea, select");
  const isButton = key === "Enter" && target.matches("button, summary");
  if (!field("keys").checked || types || isButton || event.ctrlKey || event.altKey || event.metaKey) return;
  const item = LETTERS.includes(key) && question().rubric[LETTERS.indexOf(key)];
  if (/^\d$/.test(key)) change({ points: bounded(Number(key)) });
  else if (item) choose(item);
  else if (Object.hasOwn(acts, key)) acts[key]();
  else return;
  event.preventDefault();
}

function addComment() {
  const text = field("sentence").value.trim(), worth = field("worth").value;
  if (!text || isOffered(text)) return;
  const points = worth === "" ? null : Number(worth);
  changeQuestion({ rubric: [...question().rubric, { text, points }] });
  field("sentence").value = field("worth").value = "";
  field("sentence").focus();
}

document.addEventListener("keydown", press);
field("mark").addEventListener("submit", (event) => event.preventDefault());
field("question").addEventListener("change", (event) => open(event.target.value));
field("names").addEventListener("change", show);
field("maximum").addEventListener("change", (event) => {
  const maximum = Number(event.target.value);
  if (maximum >= highest()) changeQuestion({ maximum });
  else show();
});
field("points").addEventListener("change", (event) => {
  const { value } = event.target;
  change({ points: value === "" ? null : bounded(Number(value)) });
});
field("comment").addEventListener("change", (event) => {
  const chosen = mark().comments.filter(isOffered), own = event.target.value.trim();
  change({ comments: own ? [...chosen, own] : chosen });
});
for (const [name, act] of Object.entries({
  add: addComment, save, back: acts.ArrowLeft, next: acts.ArrowRight, open: nextOpen, repeat: acts.r })) {
  field(name).addEventListener("click", act);
}
field("sentence").addEventListener("keydown", (event) => event.key === "Enter" && addComment());
window.addEventListener("beforeunload", (event) => unsaved && event.preventDefault());

// A question is worth no less than somebody got for it.
function highest() {
  const own = Object.values(marks).filter((each) => each.question === section.dataset.question);
  return Math.max(0.01, ...own.map((each) => each.points ?? 0));
}

take(given);
try {
  take(JSON.parse(localStorage.getItem(store) ?? "{}"));
} catch { /* what lies there is not ours */ }
open(sections[0].dataset.question);
