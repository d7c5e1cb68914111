// Tiles: buttons that show the picture of a point. What leaves the page gives its picture back; what stays is not touched.
import { render } from "./api.js";
import { make, state, titleOf } from "./controls.js";

const BATCH = 8;

export function tile(point, text) {
  const button = make("button", { className: "tile", type: "button" }, make("span", { textContent: text }));
  button.setAttribute("aria-label", titleOf(point));
  button.setAttribute("aria-pressed", "false");
  button.point = point;
  return button;
}

export const same = (a, b) => JSON.stringify(a) === JSON.stringify(b);

// Show a picture in a tile: its img stays the same node, and the picture that it showed is given back.
export function show(button, url, alt = "") {
  let picture = button.querySelector("img");
  if (picture) URL.revokeObjectURL(picture.src);
  else picture = button.insertBefore(make("img"), button.firstChild);
  picture.alt = alt;
  picture.src = url;
}

// Take nodes off the page, and give back what they showed.
export function release(...nodes) {
  for (const node of nodes) {
    node.querySelectorAll("img").forEach((picture) => URL.revokeObjectURL(picture.src));
    node.remove();
  }
}

// Fill tiles batch by batch; a newer wish ends an older one.
export async function fill(tiles, signal, settings = {}) {
  for (let start = 0; start < tiles.length; start += BATCH) {
    const here = tiles.slice(start, start + BATCH);
    const urls = await render(state.model, here.map(({ point }) => ({ ...settings, ...point })), signal);
    here.forEach((button, place) => show(button, urls[place]));
  }
}

// Fill tiles that come into sight; a point that this model cannot make is marked.
export function fillInSight() {
  const waiting = new Set();
  let busy = false;
  const watcher = new IntersectionObserver((entries) => {
    for (const { target, isIntersecting } of entries) isIntersecting && !target.querySelector("img") ? waiting.add(target) : waiting.delete(target);
    work();
  }, { rootMargin: "200px" });
  async function draw(tiles) {
    try {
      await fill(tiles);
      tiles.forEach((button) => watcher.unobserve(button));
    } catch (error) {
      if (tiles.length > 1) for (const button of tiles) await draw([button]);
      else { tiles[0].classList.add("strange"); tiles[0].title = error.message; watcher.unobserve(tiles[0]); }
    }
  }
  async function work() {
    if (busy) return;
    busy = true;
    while (waiting.size) {
      const here = [...waiting].slice(0, BATCH);
      here.forEach((button) => waiting.delete(button));
      await draw(here.filter((button) => button.isConnected));
    }
    busy = false;
  }
  return watcher;
}

// Begin a drawing of one place of the page; an older one that is not done ends.
const drawing = {};
export function begin(place = "grid") {
  drawing[place]?.abort();
  drawing[place] = new AbortController();
  return drawing[place].signal;
}
