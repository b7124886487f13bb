"use strict";
const rows = [...document.querySelectorAll(".requirements > li")];
const text = document.getElementById("text");
const boxes = [...document.querySelectorAll("input[name=verdict]")];
const holding = document.querySelector(".holding");
const words = new Map(rows.map((row) => [row, row.textContent.toLowerCase()]));

function filter() {
  const wanted = text.value.trim().toLowerCase().split(/\s+/);
  const verdicts = new Set(boxes.filter((box) => box.checked).map((box) => box.value));
  let left = 0;
  for (const row of rows) {
    const fits = wanted.every((word) => words.get(row).includes(word));
    row.hidden = !(fits && verdicts.has(row.dataset.verdict));
    left += !row.hidden;
  }
  if (holding) {
    holding.hidden = !verdicts.has("conformant");
    if (text.value.trim()) holding.open = true;
  }
  document.getElementById("left").textContent = `${left} of ${rows.length} requirements`;
}

// A link leads to what it names, even when that is folded or filtered away.
function open() {
  const target = document.getElementById(decodeURIComponent(location.hash.slice(1)));
  if (!target) return;
  if (target.hidden) target.hidden = false;
  const folded = target.matches("details") ? target : target.querySelector(":scope > details");
  if (folded) folded.open = true;
  for (let up = target.closest("details"); up; up = up.parentElement.closest("details")) up.open = true;
  target.scrollIntoView();
  const focus = folded ? folded.querySelector("summary") : target;
  if (focus.matches("summary, [tabindex]")) focus.focus({ preventScroll: true });
}

// On paper nothing is folded.
let unfolded = [];
window.addEventListener("beforeprint", () => {
  unfolded = [...document.querySelectorAll("details:not([open])")];
  unfolded.forEach((one) => { one.open = true; });
});
window.addEventListener("afterprint", () => unfolded.forEach((one) => { one.open = false; }));

text.addEventListener("input", filter);
boxes.forEach((box) => box.addEventListener("change", filter));
window.addEventListener("hashchange", open);
document.addEventListener("click", (event) => {
  const link = event.target.closest('a[href^="#"]');
  if (link && link.getAttribute("href") === location.hash) open();
});
open();
