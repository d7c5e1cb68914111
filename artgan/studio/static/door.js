// The front door: pictures in, a collection to look through, minutes of training, and a run to watch.
import { get, post, work } from "./api.js";
import { dropped, fromInput, send } from "./drop.js";
import { $, guarded, make, on, options, say, state, tell } from "./controls.js";

const EVERY_MS = 2000, SIZES = ["64", "80x64", "64x80", "96x64", "64x96", "112x64", "64x112", "96", "128", "256", "320x256", "256x320", "384x256", "256x384", "512"], MINUTES = [10, 30, 60, 180];
let facts = null, source = null, shown = null, found = null, timer = null;

const many = (count, one) => `${count.toLocaleString("en")} ${one}${count === 1 ? "" : "s"}`;
const ended = { "out of time": "the minutes are over", finished: "finished", stopped: "stopped and saved", "no better": "gets no better", interrupted: "was cut off; what was saved stays", failed: "failed" };

function choose(next) {
  source = next;
  $("door-source").textContent = next.text;
  $("door-prepare").hidden = false;
  $("door-run-prepare").focus();
}

const take = guarded(async (files) => {
  if (!files.length) return;
  const done = await send(files, $("door-dropping"));
  await look();
  if (!done.sent) throw new Error(done.refused[0] || "nothing was sent");
  choose({ drop: done.drop, text: `${done.drop}: ${many(done.sent, "file")} here` });
  $("door-refused").replaceChildren(...done.refused.slice(0, 5).map((text) => make("p", { className: "quiet", textContent: `left out: ${text}` })));
  if (done.refused.length > 5) $("door-refused").append(make("p", { className: "quiet", textContent: `and ${many(done.refused.length - 5, "other")}` }));
});

const prepare = guarded(async () => {
  if (!source) throw new Error("choose pictures first");
  const content = { kind: "prepare", resolution: $("door-size").value, fit: $("door-fit").value, focus: $("door-focus").value, trim: $("door-trim").checked };
  $("door-run-prepare").disabled = true;
  try {
    const done = await work({ ...content, ...(source.path ? { path: source.path } : { drop: source.drop }) }, $("door-preparing"));
    if (!done) { say("stopped; what is done is kept, and Prepare goes on from there"); return; }
    await look();
    await open(done.result.collection);
    $("door-look").scrollIntoView({ behavior: "smooth" });
  } finally {
    $("door-run-prepare").disabled = false;
  }
});

// Show a collection: what there is to say about it, and its works.
async function open(number) {
  shown = await get(`/api/door/collections/${number}`);
  shown.number = number;
  found = null;
  $("door-look").hidden = $("door-train").hidden = false;
  $("door-collection").value = number;
  $("door-facts").textContent = `${many(shown.count, "work")} at ${shown.width} \u00d7 ${shown.height} px, ${shown.holdout} of them held out to judge by`
    + (shown.classes.length ? `; classes: ${shown.classes.join(", ")}` : "");
  $("door-left").replaceChildren(...shown.left.map(({ status, reason, count }) => make("li", { textContent: `${count} ${status}: ${reason}` })));
  $("door-advice").replaceChildren(...shown.advice.map((text) => make("li", { textContent: text })));
  $("door-works").replaceChildren();
  drawForecast();
  await more();
  forecast();
}

async function more() {
  const start = $("door-works").children.length;
  const { works } = await get(`/api/door/collections/${shown.number}/works/${start}`);
  $("door-works").append(...works.map((item) => {
    const button = make("button", { type: "button", className: "tile", title: item.name },
      make("img", { alt: "", src: pictureOf(item) }), make("span", { textContent: item.name.split("/").pop() }));
    button.row = item.row;
    button.setAttribute("aria-pressed", "true");
    button.setAttribute("aria-label", `${item.name}: stays`);
    button.onclick = () => toggle(button, item.name);
    return button;
  }));
  $("door-more").hidden = $("door-works").children.length >= shown.count;
  count();
}

const pictureOf = ({ picture }) => {
  const bytes = Uint8Array.from(atob(picture), (letter) => letter.charCodeAt(0));
  return URL.createObjectURL(new Blob([bytes], { type: "image/jpeg" }));
};

function toggle(button, name) {
  const stays = button.getAttribute("aria-pressed") !== "true";
  button.setAttribute("aria-pressed", String(stays));
  button.setAttribute("aria-label", `${name}: ${stays ? "stays" : "left out"}`);
  count();
}

const unticked = () => [...$("door-works").children].filter((button) => button.getAttribute("aria-pressed") === "false").map(({ row }) => row);

function count() {
  const rows = unticked().length;
  $("door-leave-out").disabled = !rows;
  $("door-leave-out").textContent = rows ? `Leave out ${many(rows, "work")}` : "Leave out";
}

const leaveOut = guarded(async () => {
  const done = await work({ kind: "leave-out", collection: shown.number, hash: shown.hash, rows: unticked() }, $("door-leaving"));
  if (!done) return;
  say(`${many(done.result.left_out, "work")} left out, ${done.result.count} stay`);
  await look();
  await open(shown.number);
});

// A few steps are tried on this machine, so that minutes can be said in images; the page asks until they are done.
const forecast = guarded(async () => {
  const { hash, number } = shown;
  while (shown.hash === hash && !facts.runs.some((run) => run?.busy)) {  // beside a training the numbers would be wrong
    const now = await get(`/api/door/collections/${number}/forecast`);
    if (shown.hash !== hash) return;
    set($("door-trying"), { trying: "A few steps are tried on this machine, to say what minutes give.", failed: now.error }[now.state] || "");
    if (now.state === "done") { found = now; drawForecast(); }
    if (now.state !== "trying") return;
    await new Promise((done) => setTimeout(done, 1000));
  }
  set($("door-trying"), "");
});

function wordsFor(minutes) {
  const kimg = (60 * minutes) / found.seconds_per_kimg;
  const [, words] = facts.sheets.filter(([from]) => kimg >= from).at(-1);
  const times = Math.round((1000 * kimg) / shown.count);
  const images = kimg >= 1 ? `${kimg.toPrecision(2)} thousand images` : `${Math.round(1000 * kimg)} images`;
  return `about ${images}, each work some ${times.toLocaleString("en")} times: ${words}`;
}

function drawForecast() {
  const minutes = Number($("door-minutes").value);
  $("door-forecast").textContent = !found || !(minutes > 0) ? ""
    : `${many(minutes, "minute")} here: ${wordsFor(minutes)}. Measured here: ${found.seconds_per_kimg.toPrecision(3)} s for a thousand images; what they give was measured at 64 px, and larger pictures need more.`;
}

const train = guarded(async (content) => {
  await post("/api/door/train", content);
  await look();
  $("door-runs").scrollIntoView({ behavior: "smooth" });
});

// One line for each run; a line whose text has not changed is not touched.
function drawRuns() {
  const trains = facts.runs.some((run) => run?.busy);
  $("door-runs").hidden = !facts.runs.some(Boolean);
  facts.runs.forEach((run, number) => {
    let line = $("door-run-list").querySelector(`[data-run="${number}"]`);
    if (!run) { line?.remove(); return; }
    if (!line) { line = runLine(number); $("door-run-list").prepend(line); }
    const [title, text, log, stop, again, watch, explore] = line.parts;
    const seen = run.images_seen ? `, ${(run.images_seen / 1000).toFixed(1)} thousand images` : "";
    const last = run.log.at(-1) || "";
    set(title, run.name);
    set(text, `${run.busy ? run.state : ended[run.state] || run.state}${seen}`);
    set(log, run.busy || run.state === "failed" ? last.replace(/^artgan: /, "") : "");
    stop.hidden = !run.busy;
    stop.disabled = run.state === "saving";
    again.hidden = run.busy || !run.order;
    again.disabled = trains;
    explore.hidden = modelOf(run.name) < 0;
    watch.hidden = run.state === "starting" && !run.images_seen;
  });
  $("door-run-train").disabled = trains;
}

// The model of a run, the best before the latest; -1 where it has none yet.
export const modelOf = (name) => {
  const places = ["best", "latest"].map((which) => state.studio.models.indexOf(`${name}, ${which}`));
  return places.find((place) => place >= 0) ?? -1;
};

const set = (node, text) => { if (node.textContent !== text) node.textContent = text; };

function runLine(number) {
  const title = make("b"), text = make("span"), log = make("p", { className: "quiet" });
  const stop = make("button", { className: "small", type: "button", textContent: "Stop and save" });
  const again = make("button", { className: "small", type: "button", textContent: "Train on" });
  const watch = make("button", { className: "small", type: "button", textContent: "Watch" });
  const explore = make("button", { className: "small", type: "button", textContent: "Explore" });
  stop.onclick = guarded(async () => { await post(`/api/door/runs/${number}/stop`, {}); await look(); });
  again.onclick = () => train({ run: number, minutes: Number($("door-minutes").value) });
  watch.onclick = () => tell("watch", facts.runs[number].name);
  explore.onclick = () => tell("explore", facts.runs[number].name);
  const line = make("div", { className: "run" }, title, " ", text, make("span", { className: "buttons" }, stop, again, watch, explore), log);
  line.dataset.run = number;
  line.parts = [title, text, log, stop, again, watch, explore];
  return line;
}

function drawLists() {
  const list = facts.collections.map((entry, number) => [number, entry]).filter(([, entry]) => entry);
  const texts = list.map(([number, { name, count, width, height }]) => [number, `${name}: ${count} at ${width} \u00d7 ${height} px`]);
  if (JSON.stringify(texts) !== $("door-collection").dataset.drawn) {
    const before = $("door-collection").value;
    options($("door-collection"), texts);
    $("door-collection").dataset.drawn = JSON.stringify(texts);
    if (before) $("door-collection").value = before;
  }
  $("door-have").hidden = !facts.drops.length;
  if (JSON.stringify(facts.drops) !== $("door-drops").dataset.drawn) {
    options($("door-drops"), [["", "\u2026"], ...facts.drops.map((name, number) => [number, name])]);
    $("door-drops").dataset.drawn = JSON.stringify(facts.drops);
  }
}

async function look() {
  clearTimeout(timer);
  facts = await get("/api/door");
  set($("door-place"), `All of it stays on this machine, in ${facts.place}.`);
  $("door-paths").hidden = !facts.paths;
  set($("door-backbone"), facts.better
    ? `The training looks through ${facts.backbone}, a small network that comes with artgan. ${facts.better} was measured better; artgan weights fetch ${facts.better} gets its 5 MB.`
    : `The training looks through ${facts.backbone}.`);
  drawLists();
  drawRuns();
  tell("door");
  timer = setTimeout(guarded(look), $("view-door").hidden && !facts.runs.some((run) => run?.busy) ? 4 * EVERY_MS : EVERY_MS);
}

export async function startDoor() {
  options($("door-fit"), [["crop", "Cut to the frame"], ["smart", "Cut where little is lost"], ["pad", "Keep the whole work"], ["stretch", "Stretch"]]);
  options($("door-focus"), [["center", "the middle"], ["top", "the upper part"], ["detail", "where most detail is"]]);
  options($("door-size"), SIZES.map((size) => [size, size.includes("x") ? size.replace("x", " \u00d7 ") : `${size} \u00d7 ${size}`]));
  $("door-choices").replaceChildren(...MINUTES.map((minutes) => {
    const button = make("button", { type: "button", className: "small", textContent: minutes < 60 ? `${minutes} min` : `${minutes / 60} h` });
    button.onclick = () => { $("door-minutes").value = minutes; drawForecast(); };
    return button;
  }));
  for (const id of ["door-files", "door-folder"]) $(id).onchange = () => { take(fromInput($(id).files)); $(id).value = ""; };
  const view = $("view-door"), zone = $("door-drop").classList;  // what falls beside the zone is meant for it
  view.ondragover = (event) => { event.preventDefault(); zone.add("over"); };
  view.ondragleave = () => zone.remove("over");
  view.ondrop = guarded(async (event) => { event.preventDefault(); zone.remove("over"); await take(await dropped(event.dataTransfer)); });
  $("door-use-path").onclick = () => { if ($("door-path").value.trim()) choose({ path: $("door-path").value, text: $("door-path").value }); };
  $("door-path").onkeydown = (event) => { if (event.key === "Enter") $("door-use-path").click(); };
  $("door-drops").onchange = () => { if ($("door-drops").value) choose({ drop: Number($("door-drops").value), text: facts.drops[$("door-drops").value] }); };
  $("door-run-prepare").onclick = prepare;
  $("door-collection").onchange = guarded(() => open(Number($("door-collection").value)));
  $("door-more").onclick = guarded(more);
  $("door-leave-out").onclick = leaveOut;
  $("door-minutes").oninput = drawForecast;
  $("door-run-train").onclick = () => train({ collection: shown.number, minutes: Number($("door-minutes").value), mirror: $("door-mirror").checked });
  await look();
  $("door-size").value = String(facts.side);
  const last = facts.collections.findLastIndex(Boolean);
  if (last >= 0) await open(last);
}
