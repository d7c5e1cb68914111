// Two pictures against each other: side by side, or one over the other with a line that is drawn across.
import { $, guarded, make } from "./controls.js";

let first = null;

// Choose a picture to compare: {title, picture: a promise of its address}. The second one opens both.
const pick = (one, button) => guarded(async () => {
  if (first?.button === button) { forget(); return; }
  if (!first) {
    first = { one, button };
    button.setAttribute("aria-pressed", "true");
    return;
  }
  const pair = [first.one, one];
  forget();
  await Promise.all(pair.map(async ({ title, picture }, place) => {
    const image = $(place ? "compare-b" : "compare-a");
    image.src = await picture();
    image.alt = title;
    $(place ? "compare-title-b" : "compare-title-a").textContent = title;
    await image.decode();
  }));
  $("two").showModal();
  draw();
})();

function forget() {
  first?.button.setAttribute("aria-pressed", "false");
  first = null;
}

export function compareButton(one) {
  const button = make("button", { type: "button", className: "small", textContent: "Compare" });
  button.setAttribute("aria-label", `Compare ${one.title}`);
  button.setAttribute("aria-pressed", "false");
  button.onclick = () => pick(one, button);
  return button;
}

const isWipe = () => $("compare-wipe").getAttribute("aria-pressed") === "true";

function draw() {
  const share = Number($("compare-line").value);
  $("compare-well").classList.toggle("wipe", isWipe());
  $("compare-line").parentElement.hidden = !isWipe();
  $("compare-b").style.clipPath = isWipe() ? `inset(0 0 0 ${share}%)` : "";
}

export function startCompare() {
  for (const [id, wipes] of [["compare-side", false], ["compare-wipe", true]]) {
    $(id).onclick = () => {
      $("compare-side").setAttribute("aria-pressed", String(!wipes));
      $("compare-wipe").setAttribute("aria-pressed", String(wipes));
      draw();
    };
  }
  $("compare-line").oninput = draw;
  $("two").querySelector(".close").onclick = () => $("two").close();
}
