// What all views share: the state of the studio, small ways to build the page, and the panel of the chosen picture.
import { render, post } from "./api.js";

export const $ = (id) => document.getElementById(id);

export function make(tag, properties = {}, ...children) {
  const element = Object.assign(document.createElement(tag), properties);
  element.append(...children);
  return element;
}

export function say(text, bad = false) {
  const line = make("p", { textContent: text, className: bad ? "bad" : "" });
  $("messages").append(line);
  setTimeout(() => line.remove(), bad ? 9000 : 3500);
}

// Say something, with a button for what can be done about it.
export function offer(text, title, act) {
  const button = make("button", { type: "button", className: "small", textContent: title });
  const line = make("p", {}, `${text} `, button);
  button.onclick = () => { line.remove(); act(); };
  $("messages").append(line);
  setTimeout(() => line.remove(), 12000);
}

// Run a handler; what goes wrong becomes a line on the page.
export const guarded = (handler) => async (event) => {
  try {
    await handler(event);
  } catch (error) {
    if (error.name !== "AbortError") say(error.message, true);
  }
};

export const options = (select, entries) =>
  select.replaceChildren(...entries.map(([value, text]) => make("option", { value, textContent: text })));

export const state = { studio: null, model: 0, facts: null, base: { seed: 0 }, moves: {}, kept: [], url: "" };
const listeners = new Map();
export const on = (name, listener) => listeners.set(name, [...(listeners.get(name) || []), listener]);
export const tell = (name, value) => (listeners.get(name) || []).forEach((listener) => listener(value));
on("model", () => said.clear());

// Controls show less than a point may say (0.83, three classes); until they are moved, they stand for what it said.
const CLASSES = ["class-a", "class-b", "class-share"], said = new Map();
const shownBy = (ids) => ids.map((id) => $(id).value).join(" ");
const saying = (ids, value) => said.set(ids[0], [shownBy(ids), value]);
function saidBy(ids, read) {
  const [shown, value] = said.get(ids[0]) || [];
  return shown === shownBy(ids) ? value : read();
}

const truncation = () => saidBy(["truncation"], () => Number($("truncation").value));

function classesOfControls() {
  const share = Number($("class-share").value);
  return [[Number($("class-a").value), 1 - share], [Number($("class-b").value), share]].filter(([, part]) => part > 0);
}

// The settings that every picture of the grid shares.
export function shared() {
  const point = { truncation: truncation(), centers: Number($("centers").value) };
  return state.facts.classes.length ? { ...point, classes: saidBy(CLASSES, classesOfControls) } : point;
}

// The chosen picture: its origin with the settings of the page.
export function chosen() {
  const moves = Object.entries(state.moves).filter(([, amount]) => amount !== 0);
  return { ...state.base, ...shared(), ...(moves.length ? { moves } : {}) };
}

export const titleOf = (point) => {
  const start = point.styles ? "projection" : `seed ${point.seed}`;
  if (point.mixed) return `${start} with styles of ${point.mixed.styles ? "projection" : point.mixed.seed}`;
  if (point.toward && point.amount) return `${start} towards ${point.toward.styles ? "projection" : point.toward.seed}`;
  return start;
};

let busy = false, again = false;

// Draw the chosen picture; while one is on its way, only the newest wish is remembered.
export async function refresh() {
  tell("point");
  if (busy) { again = true; return; }
  busy = true;
  try {
    do {
      again = false;
      const point = chosen(), started = performance.now();
      const [url] = await render(state.model, [point]);
      const old = state.url;
      state.url = $("picture").src = url;
      if (state.studio.live) post("/api/live", { model: state.model, point }).catch(() => {});
      await $("picture").decode();
      if (old) URL.revokeObjectURL(old);
      $("name").textContent = titleOf(point);
      $("latency").textContent = `${Math.round(performance.now() - started)} ms`;
      $("picture").alt = `The picture of ${titleOf(point)}`;
      tell("picture", url);
    } while (again);
  } finally {
    busy = false;
  }
}

// A stored point leaves out what is at its default; here it is said, so that it moves the controls.
export const whole = (point) => ({ truncation: 1, centers: 0, ...(state.facts.classes.length ? { classes: [[0, 1]] } : {}), ...point });

const kindsOf = (count) => make("option", { value: count, textContent: `the nearest of ${count} kinds` });

// How the classes are chosen; several ways mean one point.
export const classesShown = () => CLASSES.map((id) => [id, $(id).value]);

// Choose a point: its own settings move the controls; `shown` says how its classes are to be shown.
export function choose(point, shown = null) {
  const { truncation: nearness, centers, moves, classes, ...origin } = point;
  state.base = origin;
  if (nearness !== undefined) {
    $("truncation").value = nearness;
    saying(["truncation"], nearness);
  }
  if (centers !== undefined) {
    if (![...$("centers").options].some(({ value }) => Number(value) === centers)) $("centers").append(kindsOf(centers));
    $("centers").value = centers;
  }
  if (classes?.length && state.facts.classes.length) {
    $("class-a").value = classes[0][0];
    $("class-b").value = (classes[1] || classes[0])[0];
    const total = classes.reduce((sum, [, part]) => sum + part, 0);
    $("class-share").value = classes[1] ? classes[1][1] / total : 0;
    saying(CLASSES, classes);
  }
  for (const [id, value] of shown || []) $(id).value = value;
  state.moves = Object.fromEntries(moves || []);
  showValues();
  return guarded(refresh)();
}

export function showValues() {
  $("truncation-value").textContent = truncation().toFixed(2);
  $("class-share-value").textContent = Number($("class-share").value).toFixed(2);
  for (const slider of $("sliders").querySelectorAll("input[type=range]")) {
    slider.value = state.moves[slider.name] || 0;
    slider.previousElementSibling.lastElementChild.textContent = Number(slider.value).toFixed(1);
  }
}

const NAMES = { sefa: "Factor", pca: "Component" };

export function drawDirections() {
  const first = (kind) => state.facts.directions.filter(({ name }) => name.startsWith(kind)).slice(0, 5);
  const shown = [...first("sefa"), ...first("pca").slice(0, 3)];
  $("directions").hidden = !shown.length;
  $("sliders").replaceChildren(...shown.map(({ name, title: given, named_at: at }) => {
    const [kind, number] = name.split("-");
    const input = make("input", { type: "range", name, min: -6, max: 6, step: 0.25, value: 0 });
    input.oninput = () => { state.moves[name] = Number(input.value); showValues(); guarded(refresh)(); };
    const title = given || `${NAMES[kind]} ${number}`, rename = make("button", { type: "button", className: "rename", textContent: title });
    input.setAttribute("aria-label", title);
    rename.setAttribute("aria-label", `Rename ${title}`);
    rename.title = at ? `named at ${at}; press to rename` : "press to rename";
    rename.onclick = () => tell("rename", { name, button: rename, given: given || "" });
    return make("div", { className: "slider" }, make("span", {}, rename, make("span", { className: "value" })), input);
  }));
}

export async function choosePicture(input, drop, picture, taken) {
  const lost = make("p", { className: "quiet", hidden: true });
  drop.after(lost);
  const take = guarded(async (files) => {
    if (!files.length) return;
    const { upload } = await import("./api.js");
    const known = await upload(files[0]);
    picture.src = `/api/uploads/${known.upload}`;
    picture.hidden = false;
    lost.textContent = known.lost.map((what) => `${files[0].name} ${what}.`).join(" ");
    lost.hidden = !known.lost.length;
    taken(known.upload);
  });
  input.onchange = () => take(input.files);
  drop.ondragover = (event) => { event.preventDefault(); drop.classList.add("over"); };
  drop.ondragleave = () => drop.classList.remove("over");
  drop.ondrop = (event) => { event.preventDefault(); drop.classList.remove("over"); take(event.dataTransfer.files); };
}
