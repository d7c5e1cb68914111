// The way back: every point that was chosen, with its model and the seed that the grid began at; under Kept, every change of it.
import { $, choose, chosen, classesShown, guarded, on, state } from "./controls.js";
import { redraw, restart } from "./explore.js";
import { shelfBack } from "./kept.js";

const MOST = 500, PAUSE_MS = 1000, SLIDERS = /^(truncation|class-share|amount|move .*)$/;
const steps = [];
let place = -1, moving = null, moved = 0, openModel = null;

const here = () => ({ model: state.model, point: chosen(), shown: classesShown(), from: Number($("seed").value) });

// What a step consists of, control by control, as texts.
function parts({ model, point: { moves, classes, ...rest }, shown, from }) {
  const all = { model, from, ...rest, ...Object.fromEntries(shown), ...Object.fromEntries((moves || []).map(([name, amount]) => [`move ${name}`, amount])) };
  return new Map(Object.entries(all).map(([name, value]) => [name, JSON.stringify(value)]));
}

function differences(a, b) {
  const [before, after] = [parts(a), parts(b)];
  return [...new Set([...before.keys(), ...after.keys()])].filter((name) => before.get(name) !== after.get(name));
}

// Take down where the page is; a slider that is still moving makes one step.
function note() {
  const now = here(), changed = place < 0 ? ["model"] : differences(steps[place], now);
  if (!changed.length) { steps[place] = now; return; }
  const control = changed.length === 1 && SLIDERS.test(changed[0]) ? changed[0] : null;
  const goesOn = control && control === moving && performance.now() - moved < PAUSE_MS;
  [moving, moved] = [control, performance.now()];
  if (!goesOn) place += 1;
  steps.splice(place, Infinity, now);
  while (steps.length > MOST) { steps.shift(); place -= 1; }
  draw();
}

function draw() {
  $("back").disabled = place <= 0;
  $("forward").disabled = place >= steps.length - 1;
}

const go = guarded(async (by) => {
  const before = steps[place], step = steps[place + by];
  if (!step) return;
  place += by;
  moving = null;
  draw();
  $("seed").value = step.from;
  if (step.model !== state.model) { await openModel(step.model, step.point); return; }
  const drawn = choose(step.point, step.shown), changed = differences(before, step);
  if (changed.includes("from")) restart();
  else if (changed.some((name) => /^(truncation|centers|class-.*)$/.test(name))) redraw();
  await drawn;
});

// In a field that is being typed in, the keys are the browser's.
function isTyping(field) {
  if (!field.matches("input:not([type=range], [type=radio], [type=checkbox]), textarea")) return false;
  return field !== $("seed") || Number(field.value) !== steps[place]?.from;
}

function pressed(event) {
  const key = event.key.toLowerCase(), back = key === "z" && !event.shiftKey, forward = key === "y" || (key === "z" && event.shiftKey);
  if (!(event.ctrlKey || event.metaKey) || event.altKey || !(back || forward) || isTyping(event.target)) return;
  if ($("focus").offsetParent === null || document.querySelector("dialog[open]")) return;
  event.preventDefault();
  const by = back ? -1 : 1;
  if ($("view-kept").hidden) go(by);
  else shelfBack(by);
}

export function startHistory(opensModel) {
  openModel = opensModel;
  on("point", note);
  $("back").onclick = () => go(-1);
  $("forward").onclick = () => go(1);
  document.addEventListener("keydown", pressed);
}
