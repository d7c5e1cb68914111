// What is kept: in a file of the run, shown under each of its checkpoints, with notes, tags, an order and a way back.
import { file, get, post, render, work } from "./api.js";
import { compareButton } from "./compare.js";
import { $, choose, chosen, guarded, make, offer, on, options, say, state, tell, titleOf, whole } from "./controls.js";
import { fillInSight, release, tile } from "./tiles.js";

const steps = [], undone = [];
let tag = "", watcher = null, dragged = null, turns = Promise.resolve();

const place = () => `/api/models/${state.model}/kept`;
const shown = () => state.kept.filter(({ tags }) => !tag || tags.includes(tag));
export const keptPoints = () => shown().map(({ point }) => point);

function take(answer) {
  state.kept = answer.kept;
  drawKept();
  tell("kept");
  return answer.step;
}

// One request after another: an answer holds the whole shelf, so an older one that came later would take a newer change off
// the page. An answer for a model that is no longer open changes nothing.
function inTurn(ask) {
  const at = place();
  const turn = turns.then(() => ask(at)).then((answer) => (at === place() ? take(answer) : answer.step));
  turns = turn.catch(() => {});
  return turn;
}

// Change what is kept; resolves with the step, by which the change is undone.
async function change(content) {
  const step = await inTurn((at) => post(at, content));
  steps.push(step);
  undone.length = 0;
  return step;
}

// Undo the last change of the shelf, or, forward, do the one again that was undone last.
export const shelfBack = guarded(async (by) => {
  const [from, to, what] = by < 0 ? [steps, undone, "undo"] : [undone, steps, "redo"], step = from.pop();
  if (step === undefined) return;
  await inTurn((at) => post(at, { do: what, step }));
  to.push(step);
});

const undo = guarded(async (step) => {
  await inTurn((at) => post(at, { do: "undo", step }));
  const place = steps.indexOf(step);
  if (place >= 0) undone.push(...steps.splice(place, 1));
});

// Another model is opened: what was kept of the one before leaves the page at once.
export function emptyShelf() {
  steps.length = undone.length = 0;
  take({ kept: [] });
}

export async function loadKept() {
  await inTurn(get);
  await adopt();
}

// What older versions kept in the browser goes into the file, once.
async function adopt() {
  const key = `kept ${state.facts.sha256}`;
  try {
    const points = JSON.parse(localStorage.getItem(key) || "[]");
    if (points.length) await change({ do: "keep", points });
    localStorage.removeItem(key);
  } catch (error) {
    say(`what this browser had kept was not taken over: ${error.message}`, true);
  }
}

export const keep = guarded(async () => {
  const before = state.kept.length;
  await change({ do: "keep", points: [chosen()] });
  if (state.kept.length === before) say("already kept");
});

const drop = (id) => guarded(async () => {
  const step = await change({ do: "drop", ids: [id] });
  offer("dropped", "Undo", () => undo(step));
})();

const clear = guarded(async () => {
  const ids = shown().map(({ id }) => id), step = await change({ do: "drop", ids });
  offer(`${ids.length} dropped`, "Undo", () => undo(step));
});

const move = (id, to) => guarded(() => change({ do: "move", id, to }))();

// Drag a picture onto another: it goes to its place.
function movable(box, id) {
  box.draggable = true;
  box.ondragstart = (event) => { dragged = id; event.dataTransfer.effectAllowed = "move"; };
  box.ondragend = () => { dragged = null; };
  box.ondragover = (event) => { if (dragged) event.preventDefault(); };
  box.ondrop = (event) => {
    if (!dragged || dragged === id) return;
    event.preventDefault();
    event.stopPropagation();
    move(dragged, state.kept.findIndex((item) => item.id === id));
  };
}

function cross(item) {
  const away = make("button", { className: "drop-it", type: "button", textContent: "\u00d7" });
  away.setAttribute("aria-label", `Drop ${titleOf(item.point)}`);
  away.onclick = () => drop(item.id);
  return away;
}

function pictureOf(item) {
  const button = tile(item.point, titleOf(item.point));
  button.onclick = () => choose(whole(item.point));
  if (item.model) button.title = `kept at ${item.model}`;
  watcher.observe(button);
  return button;
}

function trayBox(item) {
  const box = make("div", {}, pictureOf(item), cross(item));
  movable(box, item.id);
  return box;
}

const compared = ({ point }) => ({ title: titleOf(point), picture: async () => (await render(state.model, [point]))[0] });

function row(item) {
  const note = make("input", { type: "text", maxLength: 2000, placeholder: "a note", className: "note" });
  const tags = make("input", { type: "text", maxLength: 800, placeholder: "tags, with commas", className: "tags" });
  note.setAttribute("aria-label", `Note on ${titleOf(item.point)}`);
  tags.setAttribute("aria-label", `Tags of ${titleOf(item.point)}`);
  note.onchange = guarded(() => change({ do: "describe", id: item.id, note: note.value }));
  tags.onchange = guarded(() => change({ do: "describe", id: item.id, tags: tags.value.split(",").map((text) => text.trim()).filter(Boolean) }));
  const step = (text, label, by) => {
    const button = make("button", { type: "button", className: "small", textContent: text });
    button.setAttribute("aria-label", `${label}: ${titleOf(item.point)}`);
    button.onclick = guarded(async () => {
      const list = shown(), to = list[list.findIndex(({ id }) => id === item.id) + by];
      if (!to) return;
      await change({ do: "move", id: item.id, to: state.kept.findIndex(({ id }) => id === to.id) });
      button.focus();
    });
    return button;
  };
  const box = make("div", { className: "kept-row" }, pictureOf(item),
    make("div", {}, make("p", {}, titleOf(item.point), make("span", { className: "quiet", textContent: item.model ? ` kept at ${item.model}` : "" })), note, tags,
      make("span", { className: "buttons" }, step("\u2191", "Earlier", -1), step("\u2193", "Later", 1), compareButton(compared(item)), cross(item))));
  movable(box, item.id);
  box.show = ({ note: text, tags: words }) => {
    for (const [field, value] of [[note, text], [tags, words.join(", ")]]) if (field.value !== value && field !== document.activeElement) field.value = value;
  };
  return box;
}

// Boxes of pictures that stay are not touched; another model's pictures of the same points are others.
function draw(parent, items, build) {
  const stays = (box) => box.of === state.facts.sha256 && items.some(({ id }) => id === box.kept);
  release(...[...parent.children].filter((box) => !stays(box)));
  const before = new Map([...parent.children].map((box) => [box.kept, box]));
  items.forEach((item, number) => {
    const box = before.get(item.id) || Object.assign(build(item), { kept: item.id, of: state.facts.sha256 });
    if (parent.children[number] !== box) parent.insertBefore(box, parent.children[number] || null);
    box.show?.(item);
  });
}

function drawTags() {
  const words = [...new Set(state.kept.flatMap(({ tags }) => tags))].sort();
  if (tag && !words.includes(tag)) tag = "";
  if (JSON.stringify(words) !== $("kept-tag").dataset.drawn) {
    options($("kept-tag"), [["", "all"], ...words.map((word) => [word, word])]);
    $("kept-tag").dataset.drawn = JSON.stringify(words);
  }
  $("kept-tag").value = tag;
  $("kept-tag").parentElement.hidden = !words.length;
}

function drawKept() {
  drawTags();
  const items = shown();
  $("kept-count").textContent = items.length === state.kept.length ? items.length : `${items.length} of ${state.kept.length}`;
  $("forget").hidden = !items.length;
  $("kept-export").disabled = !items.length;
  $("kept-none").hidden = items.length > 0;
  draw($("kept"), items, trayBox);
  draw($("kept-list"), $("view-kept").hidden ? [] : items, row);
}

const save = guarded(async () => {
  $("kept-export").disabled = true;
  try {
    const done = await work({ kind: "export-kept", model: state.model, ids: shown().map(({ id }) => id) }, $("kept-job"));
    if (!done) return;
    const made = await file(done.job);
    make("a", { href: made.url, download: made.name }).click();
    setTimeout(() => URL.revokeObjectURL(made.url), 60000);
    say(`saved ${made.name}: pictures with their recipes, a sheet, and the list`);
  } finally {
    $("kept-export").disabled = false;
  }
});

export function startKept() {
  watcher = fillInSight();
  $("keep").onclick = keep;
  $("forget").onclick = clear;
  $("kept-export").onclick = save;
  $("kept-tag").onchange = () => { tag = $("kept-tag").value; drawKept(); tell("kept"); };
  on("view", drawKept);
}
