"use strict";
// One name at a time, one key a decision. Words by the browser's language.
const WORDS = {
  en: { title: "Terms to review", counts: (s) => `${s.who}: ${s.open} open, ${s.settled} of ${s.names} settled, ${s.disputed} disputed`,
        nothing: "0  nothing fits", later: "s  later", undo: "u  undo", label: "another concept id (t)", take: "take it",
        keys: "Keys: 1–9 a candidate · 0 nothing fits · t type a concept id · s later · u undo", done: "Everything is decided." },
  zh: { title: "待审核的术语", counts: (s) => `${s.who}：待定 ${s.open}，已定 ${s.settled}／${s.names}，有分歧 ${s.disputed}`,
        nothing: "0  都不合适", later: "s  稍后", undo: "u  撤销", label: "其他概念编号 (t)", take: "采用",
        keys: "按键：1–9 选候选 · 0 都不合适 · t 输入概念编号 · s 稍后 · u 撤销", done: "全部已决定。" },
};
const language = navigator.language.startsWith("zh") ? "zh" : "en";
const words = WORDS[language];
const by = (id) => document.getElementById(id);
let state = { items: [] };
let later = new Set();
let busy = false;

function current() { return state.items.find((item) => !later.has(item.key)); }

function show() {
  document.documentElement.lang = language;
  document.title = words.title;
  for (const id of ["title", "nothing", "later", "undo", "label", "take", "keys"]) by(id).textContent = words[id];
  by("counts").textContent = words.counts(state);
  const item = current();
  const list = by("candidates");
  list.replaceChildren();
  by("name").textContent = item ? item.name : words.done;
  by("context").textContent = item ? Object.entries(item.context).map(([k, v]) => `${k}: ${v}`).join(" · ") : "";
  for (const id of ["nothing", "later", "take"]) by(id).disabled = !item;
  if (!item) return;
  item.candidates.forEach((candidate, at) => {
    const button = document.createElement("button");
    button.type = "button";
    const parts = [String(at + 1), `${(100 * candidate.probability).toFixed(1)} %`, candidate.name || String(candidate.id)];
    for (const part of parts) { const span = document.createElement("span"); span.textContent = part; button.append(span); }
    const why = document.createElement("small");
    why.textContent = `${candidate.id} · ${candidate.reason}`;
    button.lastChild.append(why);
    button.addEventListener("click", () => decide(candidate.id));
    const row = document.createElement("li");
    row.append(button);
    list.append(row);
  });
}

async function ask(body) {
  if (busy) return;
  busy = true;
  try {
    const options = body ? { method: "POST", headers: { "content-type": "application/json" }, body: JSON.stringify(body) } : {};
    const answer = await fetch("state", options);
    const found = await answer.json();
    by("message").textContent = found.error || "";
    if (!found.error) state = found;
  } catch (error) {
    by("message").textContent = String(error);
  } finally {
    busy = false;
  }
  show();
}

function decide(concept) { const item = current(); if (item) ask({ do: "decide", item: item.key, concept_id: concept }); }
function skip() { const item = current(); if (item) { later.add(item.key); if (!current()) later = new Set([item.key]); show(); } }
function undo() { later = new Set(); ask({ do: "undo" }); }

document.addEventListener("keydown", (event) => {
  if (event.ctrlKey || event.metaKey || event.altKey || event.target.id === "concept") return;
  const item = current();
  if (event.key >= "1" && event.key <= "9" && item && item.candidates[event.key - 1]) decide(item.candidates[event.key - 1].id);
  else if (event.key === "0") decide(0);
  else if (event.key === "s") skip();
  else if (event.key === "u") undo();
  else if (event.key === "t") by("concept").focus();
  else return;
  event.preventDefault();
});
by("nothing").addEventListener("click", () => decide(0));
by("later").addEventListener("click", skip);
by("undo").addEventListener("click", undo);
by("typed").addEventListener("submit", (event) => {
  event.preventDefault();
  const concept = Number(by("concept").value);
  if (Number.isInteger(concept) && concept > 0) { by("concept").value = ""; by("concept").blur(); decide(concept); }
});
ask();
