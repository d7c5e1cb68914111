// The grid of seeds, the kept pictures, and the matrix of mixed styles.
import { render } from "./api.js";
import { $, choose, chosen, guarded, make, on, say, shared, state, tell, titleOf } from "./controls.js";

const BATCH = 8, FIRST = 32, MORE = 32, LIMIT = 4294967295;
let shown = 0, first = 0;

function tile(point, text) {
  const button = make("button", { className: "tile", type: "button" }, make("span", { textContent: text }));
  button.setAttribute("aria-label", titleOf(point));
  button.setAttribute("aria-pressed", "false");
  button.point = point;
  return button;
}

const same = (a, b) => JSON.stringify(a) === JSON.stringify(b);

// Show a picture in a tile: its img stays the same node, and the picture that it showed is given back.
function show(button, url, alt = "") {
  let picture = button.querySelector("img");
  if (picture) URL.revokeObjectURL(picture.src);
  else picture = button.insertBefore(make("img"), button.firstChild);
  picture.alt = alt;
  picture.src = url;
}

// Take nodes off the page, and give back what they showed.
function release(...nodes) {
  for (const node of nodes) {
    node.querySelectorAll("img").forEach((picture) => URL.revokeObjectURL(picture.src));
    node.remove();
  }
}

// Fill tiles batch by batch; a newer wish ends an older one.
async function fill(tiles, signal) {
  for (let start = 0; start < tiles.length; start += BATCH) {
    const here = tiles.slice(start, start + BATCH);
    const urls = await render(state.model, here.map(({ point }) => ({ ...shared(), ...point })), signal);
    here.forEach((button, place) => show(button, urls[place]));
  }
}

// Begin a drawing of one place of the page; an older one that is not done ends.
const drawing = {};
function begin(place = "grid") {
  drawing[place]?.abort();
  drawing[place] = new AbortController();
  return drawing[place].signal;
}

function addTiles(count) {
  const added = [];
  for (let place = 0; place < count && first + shown <= LIMIT; place += 1, shown += 1) {
    const button = tile({ seed: first + shown }, first + shown);
    button.onclick = () => { mark(button); choose({ ...button.point }); };
    added.push(button);
  }
  $("grid").append(...added);
  return added;
}

function mark(button) {
  for (const other of $("grid").children) other.setAttribute("aria-pressed", String(other === button));
}

export const restart = guarded(async () => {
  first = Math.max(0, Math.min(LIMIT, Math.floor(Number($("seed").value) || 0)));
  shown = 0;
  release(...$("grid").children);
  const tiles = addTiles(FIRST);
  markKept();
  await fill(tiles, begin());
});

// Draw the same seeds again, under new settings.
export const redraw = guarded(async () => fill([...$("grid").children], begin()));

function step(event) {
  const tiles = [...$("grid").children], place = tiles.indexOf(document.activeElement);
  if (place < 0) return;
  const columns = getComputedStyle($("grid")).gridTemplateColumns.split(" ").length;
  const moves = { ArrowLeft: -1, ArrowRight: 1, ArrowUp: -columns, ArrowDown: columns };
  if (!(event.key in moves)) return;
  event.preventDefault();
  tiles[Math.max(0, Math.min(tiles.length - 1, place + moves[event.key]))].focus();
}

// Kept pictures stay in this browser, for each model.
const shelf = () => `kept ${state.facts.sha256}`;

function save() {
  try {
    localStorage.setItem(shelf(), JSON.stringify(state.kept));
  } catch {
    say("this browser does not store kept pictures");
  }
  drawKept();
  tell("kept");
}

export function loadKept() {
  try {
    const stored = JSON.parse(localStorage.getItem(shelf()) || "[]");
    state.kept = Array.isArray(stored) ? stored.slice(0, 24) : [];
  } catch {
    state.kept = [];
  }
  drawKept();
  tell("kept");
}

function markKept() {
  const seeds = new Set(state.kept.map(({ seed }) => seed));
  for (const button of $("grid").children) button.classList.toggle("kept", seeds.has(button.point.seed));
}

function keptTile(point) {
  const button = tile(point, titleOf(point));
  button.onclick = () => choose(point);
  const away = make("button", { className: "drop-it", type: "button", textContent: "\u00d7" });
  away.setAttribute("aria-label", `Drop ${titleOf(point)}`);
  away.onclick = () => { state.kept = state.kept.filter((other) => !same(other, point)); save(); };
  return Object.assign(make("div", {}, button, away), { point, of: shelf() });
}

// Tiles of pictures that stay are not touched; another model's pictures of the same points are others.
const drawKept = guarded(async () => {
  $("kept-count").textContent = state.kept.length;
  $("forget").hidden = !state.kept.length;
  markKept();
  const stays = (box) => box.of === shelf() && state.kept.some((point) => same(point, box.point));
  release(...[...$("kept").children].filter((box) => !stays(box)));
  const before = [...$("kept").children];
  const boxes = state.kept.map((point) => before.find((box) => same(box.point, point)) || keptTile(point));
  boxes.forEach((box, place) => { if ($("kept").children[place] !== box) $("kept").insertBefore(box, $("kept").children[place] || null); });
  const empty = boxes.filter((box) => !box.querySelector("img")), signal = begin("kept");
  if (!empty.length) return;
  const urls = await render(state.model, empty.map(({ point }) => point), signal);
  empty.forEach((box, place) => show(box.firstChild, urls[place]));
});

export function keep() {
  const point = chosen();
  if (state.kept.some((other) => same(other, point))) { say("already kept"); return; }
  if (state.kept.length >= 24) { say("24 pictures can be kept at a time", true); return; }
  state.kept = [...state.kept, point];
  save();
}

// The table for these points, with empty cells; where it stands already it stays.
function matrixOf(points) {
  const standing = $("matrix").firstElementChild;
  if (standing?.points && same(standing.points, points)) return standing;
  const head = (point, scope) => Object.assign(make("th", { scope }), { title: titleOf(point) });
  const rows = points.map((row) => make("tr", {}, head(row, "row"), ...points.map(() => make("td", {}, make("button", { type: "button" })))));
  const table = make("table", {}, make("tr", {}, make("td"), ...points.map((point) => head(point, "col"))), ...rows);
  table.points = points;
  release(...$("matrix").children);
  $("matrix").append(table);
  return table;
}

const drawMatrix = guarded(async () => {
  if ($("view-mix").hidden) return;
  const points = state.kept.slice(0, 6), layers = state.facts.layers, signal = begin("matrix");
  if (points.length < 2 || layers < 2) {
    const why = layers < 2 ? "This model has one style for the whole picture." : "Keep two pictures or more, then mix them here.";
    release(...$("matrix").children);
    $("matrix").append(make("p", { className: "quiet", textContent: why }));
    return;
  }
  const band = Number(document.querySelector("input[name=band]:checked").value);
  const edge = (third) => Math.round((layers * third) / 3);
  const cells = points.flatMap((row) => points.map((mixed) => ({ ...row, mixed, layers: [edge(band), edge(band + 1)] })));
  const table = matrixOf(points);
  const heads = await render(state.model, points, signal), urls = await render(state.model, cells, signal);
  table.querySelectorAll("th").forEach((place, index) => {
    const point = index % points.length;  // columns first, then one for each row
    show(place, heads[point], titleOf(points[point]));
  });
  table.querySelectorAll("td button").forEach((button, place) => {
    button.onclick = () => choose(cells[place]);
    show(button, urls[place], titleOf(cells[place]));
  });
});

export function startExplore() {
  $("seed").onchange = restart;
  $("shuffle").onclick = () => { $("seed").value = Math.floor(Math.random() * 1e6); restart(); };
  $("more").onclick = guarded(async () => fill(addTiles(MORE), begin()));
  $("grid").onkeydown = step;
  $("keep").onclick = keep;
  $("forget").onclick = () => { state.kept = []; save(); };
  document.addEventListener("keydown", (event) => {
    const typing = event.target.matches("input:not([type=range]), textarea, select");
    if (event.key !== "k" || typing || event.ctrlKey || event.metaKey || event.altKey) return;
    const focused = document.activeElement;
    if (focused?.parentElement === $("grid")) focused.click();
    keep();
  });
  document.querySelectorAll("input[name=band]").forEach((radio) => { radio.onchange = drawMatrix; });
  on("kept", drawMatrix);
  on("view", drawMatrix);
}
