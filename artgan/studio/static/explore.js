// The grid of seeds.
import { $, choose, guarded, on, shared, state, tell } from "./controls.js";
import { keep } from "./kept.js";
import { begin, fill, release, tile } from "./tiles.js";

const FIRST = 32, MORE = 32, LIMIT = 4294967295;
let shown = 0, first = 0;

function addTiles(count) {
  const added = [];
  for (let place = 0; place < count && first + shown <= LIMIT; place += 1, shown += 1) {
    const button = tile({ seed: first + shown }, first + shown);
    button.onclick = () => choose({ ...button.point });
    added.push(button);
  }
  $("grid").append(...added);
  return added;
}

// The tile of the chosen picture, where it is one of a seed alone.
function markChosen() {
  const { seed, styles, mixed, toward } = state.base, plain = !styles && !mixed && !toward;
  for (const button of $("grid").children) button.setAttribute("aria-pressed", String(plain && button.point.seed === seed));
}

export const restart = guarded(async () => {
  first = Math.max(0, Math.min(LIMIT, Math.floor(Number($("seed").value) || 0)));
  shown = 0;
  release(...$("grid").children);
  const tiles = addTiles(FIRST);
  markKept();
  markChosen();
  tell("point");
  await fill(tiles, begin(), shared());
});

// Draw the same seeds again, under new settings.
export const redraw = guarded(async () => fill([...$("grid").children], begin(), shared()));

function step(event) {
  const tiles = [...$("grid").children], place = tiles.indexOf(document.activeElement);
  if (place < 0) return;
  const columns = getComputedStyle($("grid")).gridTemplateColumns.split(" ").length;
  const moves = { ArrowLeft: -1, ArrowRight: 1, ArrowUp: -columns, ArrowDown: columns };
  if (!(event.key in moves)) return;
  event.preventDefault();
  tiles[Math.max(0, Math.min(tiles.length - 1, place + moves[event.key]))].focus();
}

function markKept() {
  const seeds = new Set(state.kept.map(({ point }) => point.seed));
  for (const button of $("grid").children) button.classList.toggle("kept", seeds.has(button.point.seed));
}

export function startExplore() {
  $("seed").onchange = restart;
  $("shuffle").onclick = () => { $("seed").value = Math.floor(Math.random() * 1e6); restart(); };
  $("more").onclick = guarded(async () => {
    const tiles = addTiles(MORE);
    markKept();
    await fill(tiles, begin(), shared());
  });
  $("grid").onkeydown = step;
  document.addEventListener("keydown", (event) => {
    const typing = event.target.matches("input:not([type=range]), textarea, select");
    if (event.key !== "k" || typing || event.ctrlKey || event.metaKey || event.altKey) return;
    const focused = document.activeElement;
    if (focused?.parentElement === $("grid")) focused.click();
    keep();
  });
  on("kept", markKept);
  on("point", markChosen);
}
