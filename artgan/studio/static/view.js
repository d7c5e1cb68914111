// The picture large, and the keys: one list that the page shows and the keyboard follows.
import { $, choose, guarded, make, on, say, shared, state, whole } from "./controls.js";

let zoom = 0;  // 0 fits the window

function scale(to) {
  zoom = to;
  const picture = $("large"), { naturalWidth: width } = picture;
  picture.style.width = zoom ? `${Math.round((width * zoom) / devicePixelRatio)}px` : "";
  picture.classList.toggle("fits", !zoom);
  $("large-fit").setAttribute("aria-pressed", String(!zoom));
  $("large-whole").setAttribute("aria-pressed", String(zoom === 1));
  $("large-value").textContent = zoom ? `${Math.round(100 * zoom)} %` : "fits";
}

const near = () => zoom || ($("large").getBoundingClientRect().width * devicePixelRatio) / ($("large").naturalWidth || 1);

function open() {
  if ($("zoom").open) return;
  $("large").src = state.url;
  $("large").alt = $("picture").alt;
  $("zoom").showModal();
  scale(0);
}

const full = guarded(async () => {
  if (document.fullscreenElement) { await document.exitFullscreen(); return; }
  open();
  await $("large-well").requestFullscreen();
});

// The next picture by seed, under the settings of the page.
function next(by) {
  if (state.base.styles) { say("a found picture has no next seed"); return; }
  const seed = Math.max(0, Math.min(4294967295, (state.base.seed || 0) + by));
  choose({ seed, ...shared() });
}

const KEYS = [
  ["k", "keep the picture", null],
  ["n", "next seed", () => next(1)],
  ["p", "seed before", () => next(-1)],
  ["s", "save the picture", () => $("export").click()],
  ["z", "large", () => ($("zoom").open ? $("zoom").close() : open())],
  ["1", "100 %: a pixel is a pixel", () => { open(); scale(1); }],
  ["0", "fit the window", () => { open(); scale(0); }],
  ["+", "larger", () => { open(); scale(Math.min(16, near() * 1.5)); }],
  ["-", "smaller", () => { open(); scale(Math.max(0.1, near() / 1.5)); }],
  ["f", "full screen", full],
  ["Ctrl Z", "back: what was before, of every control; under Kept: before the last change there", null],
  ["Ctrl Shift Z", "forward again", null],
  ["?", "this list", () => ($("keys").open ? $("keys").close() : $("keys").showModal())],
];

function pressed(event) {
  const typing = event.target.matches("input:not([type=range], [type=radio], [type=checkbox]), textarea, select");
  if (typing || event.ctrlKey || event.metaKey || event.altKey) return;
  const act = KEYS.find(([key]) => key === event.key.toLowerCase())?.[2];
  if (!act || $("focus").offsetParent === null && event.key !== "?") return;
  event.preventDefault();
  act();
}

export function startView() {
  $("keys-list").replaceChildren(...KEYS.flatMap(([key, does]) => [make("dt", {}, make("kbd", { textContent: key.toUpperCase() })), make("dd", { textContent: does })]));
  document.addEventListener("keydown", pressed);
  $("enlarge").onclick = open;
  $("keys-open").onclick = () => $("keys").showModal();
  $("large-fit").onclick = () => scale(0);
  $("large-whole").onclick = () => scale(1);
  $("large-more").onclick = () => scale(Math.min(16, near() * 1.5));
  $("large-less").onclick = () => scale(Math.max(0.1, near() / 1.5));
  $("large-full").onclick = full;
  for (const id of ["zoom", "keys"]) $(id).querySelector(".close").onclick = () => $(id).close();
  on("picture", (url) => { if ($("zoom").open) { $("large").src = url; $("large").alt = $("picture").alt; } });
}
