// The refine panel: controls made from the recipe's fields, a style picture, before and after.
import { file, work } from "./api.js";
import { $, choosePicture, chosen, guarded, make, on, options, state } from "./controls.js";
import { made } from "./wall.js";

const TITLES = {
  "style.strength": "Strength", "color.mode": "Colors", "color.strength": "Strength of colors", "output.size_px": "Longer side, px",
  "style.iterations": "Iterations", "style.backbone": "Features", "style.loss": "Style measured by", "style.start": "Start from",
  "style.content_weight": "Keep the content", "style.engine": "Style engine", "color.contrast": "Contrast",
  "color.saturation": "Saturation", "detail.unsharp": "Sharper edges", "detail.boost": "Stronger texture", seed: "Seed of noise",
};
let style = null;

function control({ name, default: value, choices, range }) {
  const title = TITLES[name] || name.replaceAll("_", " ");
  if (choices) {
    const select = make("select", { name });
    options(select, choices.map((choice) => [choice, choice]));
    select.value = value;
    return make("label", { className: "line" }, make("span", { textContent: title }), select);
  }
  if (range) {
    const output = make("span", { className: "value", textContent: Number(value).toFixed(2) });
    const input = make("input", { type: "range", name, min: range[0], max: range[1], step: 0.05, value });
    input.oninput = () => { output.textContent = Number(input.value).toFixed(2); };
    return make("label", { className: "slider" }, make("span", {}, `${title} `, output), input);
  }
  const input = make("input", { type: "number", name, value: value ?? "", step: "any", min: 0, placeholder: "default" });
  return make("label", { className: "line" }, make("span", { textContent: title }), input);
}

// A look fills the controls; what it says beyond them goes along by its name.
function looks() {
  const select = make("select", { name: "look" });
  options(select, [["", "my own"], ...state.studio.looks.map(({ name }) => [name, name.replaceAll("_", " ")])]);
  const about = make("p", { className: "quiet" });
  select.onchange = () => {
    const look = state.studio.looks.find(({ name }) => name === select.value);
    about.textContent = look ? look.description : "";
    for (const [name, value] of Object.entries(look ? look.values : {})) {
      const field = $("refine-controls").querySelector(`[name='${name}']`);
      if (name === "output.size_px" && value === null) continue;
      field.value = value ?? "";
      field.dispatchEvent(new Event("input"));
    }
  };
  return [make("label", { className: "line" }, make("span", { textContent: "Look" }), select), about];
}

function recipe() {
  const fields = [...$("refine-controls").querySelectorAll("input, select")];
  return Object.fromEntries(fields.filter(({ value }) => value !== "").map(({ name, value, tagName }) => [name, tagName === "SELECT" ? value : Number(value)]));
}

function divide() {
  const share = Number($("divider").value);
  $("after").style.clipPath = `inset(0 0 0 ${share}%)`;
  $("divide").style.left = `${share}%`;
}

function showAfter(url) {
  for (const id of ["after", "divide", "divide-label", "refine-save"]) $(id).hidden = !url;
  if (url) { $("after").src = url; divide(); }
}

const run = guarded(async () => {
  $("refine-run").disabled = true;
  try {
    const point = chosen();
    const done = await work({ kind: "refine", model: state.model, point, style, recipe: recipe() }, $("refine-job"));
    if (!done) return;
    const result = await file(done.job);
    made(done.result.note);
    showAfter(result.url);
    $("compare").scrollIntoView({ block: "nearest" });
    Object.assign($("refine-save"), { href: result.url, download: result.name });
  } finally {
    $("refine-run").disabled = false;
  }
});

export function startRefine() {
  const [shown, more] = [state.studio.refine.slice(0, 4), state.studio.refine.slice(4)];
  $("refine-controls").append(...looks(), ...shown.map(control), make("details", {}, make("summary", { textContent: "More" }), ...more.map(control)),
    make("p", { className: "quiet", textContent: `Where you choose nothing else, ${state.studio.sees_through}.` }));
  const size = $("refine-controls").querySelector("[name='output.size_px']");
  on("model", () => { size.value = Math.max(256, state.facts.width, state.facts.height); });
  choosePicture($("style-file"), $("style-drop"), $("style-picture"), (upload) => { style = upload; });
  $("refine-run").onclick = run;
  $("divider").oninput = divide;
  const drag = (event) => {
    if (event.buttons !== 1 || $("after").hidden) return;
    const box = $("compare").getBoundingClientRect();
    $("divider").value = Math.round((100 * (event.clientX - box.left)) / box.width);
    divide();
  };
  $("compare").onpointerdown = (event) => { $("compare").setPointerCapture(event.pointerId); drag(event); };
  $("compare").onpointermove = drag;
  on("picture", (url) => { $("before").src = url; showAfter(""); });
}
