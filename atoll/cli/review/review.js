"use strict";
// One name at a time, one key a decision. What is said stands in words.js, in the language that the program was given,
// else in the browser's.
let language = navigator.language.startsWith("zh") ? "zh" : "en";
let words = WORDS[language];
const by = (id) => document.getElementById(id);
let state = { items: [] };
let later = new Set();
let undone = "";
let busy = false;

function current() {
  return state.items.find((item) => item.key === undone) || state.items.find((item) => !later.has(item.key));
}

function show() {
  document.documentElement.lang = words.lang;
  document.title = words.title;
  for (const id of ["title", "nothing", "later", "undo", "label", "take", "keys"]) by(id).textContent = words[id];
  by("who").textContent = state.who;
  by("numbers").textContent = words.counts(state);
  const item = current();
  const list = by("candidates");
  list.replaceChildren();
  by("name").textContent = item ? item.name : "";
  by("done").textContent = !item ? words.done : item.candidates.length ? "" : words.none;
  by("context").replaceChildren();
  for (const [key, value] of Object.entries(item ? item.context : {})) write(by("context"), [words.context(key), [value], "  "]);
  for (const id of ["nothing", "later", "take"]) by(id).disabled = !item;
  if (!item) return;
  item.candidates.forEach((candidate, at) => {
    const button = document.createElement("button");
    button.type = "button";
    const parts = [String(at + 1), `${(100 * candidate.probability).toFixed(1)} %`, [candidate.name || String(candidate.id)]];
    for (const part of parts) write(button.appendChild(document.createElement("span")), [part]);
    write(button.lastChild.appendChild(document.createElement("small")),
      [`${candidate.id} · `, ...reasonParts(candidate.reason, language)]);
    button.addEventListener("click", () => decide(candidate.id));
    const row = document.createElement("li");
    row.append(button);
    list.append(row);
  });
}

// Parts of a sentence; one in brackets is somebody's own word, which is not translated.
function write(place, parts) {
  for (const part of parts) {
    const span = document.createElement("span");
    span.textContent = part;
    if (Array.isArray(part)) span.translate = false;
    place.append(span);
  }
}

async function ask(body) {
  if (busy) return;
  busy = true;
  try {
    const options = body ? { method: "POST", headers: { "content-type": "application/json" }, body: JSON.stringify(body) } : {};
    const answer = await fetch(`state?later=${later.size}`, options);
    const found = await answer.json();
    by("message").textContent = found.error ? words.refused(found.error) : "";
    if (found.language) { language = found.language; words = WORDS[language]; }
    if (!found.error) { state = found; undone = found.undone; later.delete(undone); }
  } catch {
    by("message").textContent = words.gone;
  } finally {
    busy = false;
  }
  show();
}

function decide(concept) { const item = current(); if (item) ask({ do: "decide", item: item.key, concept_id: concept }); }
function skip() {
  const item = current();
  if (!item) return;
  later.add(item.key);
  undone = "";
  if (later.size >= state.open) later = new Set([item.key]);
  if (current()) show(); else ask();
}
function undo() { ask({ do: "undo" }); }

document.addEventListener("keydown", (event) => {
  if (event.key === "Escape") { by("concept").value = ""; by("concept").blur(); }
  if (event.ctrlKey || event.metaKey || event.altKey || event.repeat || event.target.id === "concept") return;
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
