// From one kept picture to another, and from one model to another.
import { get, work } from "./api.js";
import { $, choose, guarded, make, on, options, say, state, tell, titleOf, whole } from "./controls.js";
import { keptPoints } from "./kept.js";
import { same } from "./tiles.js";

function drawEnds() {
  const points = keptPoints(), stood = !$("blend").hidden;
  $("blend").hidden = points.length < 2;
  for (const [id, first] of [["blend-a", 0], ["blend-b", 1]]) {
    const before = $(id).value;
    options($(id), points.map((point, place) => [place, `${place + 1}: ${titleOf(point)}`]));
    $(id).value = stood && before < points.length ? before : Math.min(first, points.length - 1);
  }
}

function blended() {
  const points = keptPoints(), toward = points[$("blend-b").value], amount = Number($("blend-amount").value);
  $("blend-value").textContent = `${Math.round(100 * amount)} %`;
  guarded(() => choose(whole({ ...points[$("blend-a").value], toward, amount })))();
}

function drawModels() {
  const { models } = state.studio;
  $("mix-models").hidden = models.length < 2;
  for (const [id, first] of [["mix-first", state.model], ["mix-second", state.model ? 0 : 1]]) {
    const before = $(id).value;
    options($(id), models.map((title, place) => [place, title]));
    $(id).value = before || first;
  }
  const sides = [8, 16, 32, 64, 128, 256, 512].filter((side) => side <= Math.min(state.facts.width, state.facts.height));
  const from = $("mix-from").value;
  options($("mix-from"), [["", "all layers, by weight"], ...sides.map((side) => [side, `layers from ${side} px on`])]);
  if (sides.includes(Number(from))) $("mix-from").value = from;
}

const mixModels = guarded(async () => {
  $("mix-run").disabled = true;
  try {
    const from = $("mix-from").value;
    const done = await work({
      kind: "mix-models", first: Number($("mix-first").value), second: Number($("mix-second").value),
      from_px: from ? Number(from) : null, share: Number($("mix-share").value),
    }, $("mix-job"));
    if (!done) return;
    const { model, folder, warning } = done.result;
    state.studio = await get("/api/studio");
    $("mix-said").textContent = `${state.studio.models[model]} is open, and stays in ${folder}. ${warning || ""}`;
    tell("grown");
    tell("mixed", model);
  } finally {
    $("mix-run").disabled = false;
  }
});

// The sliders of a blend that came back by another way, such as the way back.
function showBlend() {
  const { toward, amount = 0, ...origin } = state.base;
  $("blend-amount").value = toward ? amount : 0;
  $("blend-value").textContent = `${Math.round(100 * $("blend-amount").value)} %`;
  if (!toward) return;
  const points = keptPoints(), settings = ["truncation", "centers", "classes", "moves"];
  const bare = (point) => Object.fromEntries(Object.entries(point).filter(([name]) => !settings.includes(name)));
  for (const [id, end] of [["blend-a", origin], ["blend-b", toward]]) {
    const isEnd = (point) => same(bare(point), bare(end)), place = points.findIndex(isEnd);
    if (place >= 0 && !isEnd(points[$(id).value])) $(id).value = place;
  }
}

export function startBlend() {
  on("point", showBlend);
  for (const id of ["blend-a", "blend-b", "blend-amount"]) $(id).oninput = blended;
  $("mix-share").oninput = () => { $("mix-share-value").textContent = `${Math.round(100 * $("mix-share").value)} %`; };
  $("mix-run").onclick = mixModels;
  on("kept", drawEnds);
  on("model", drawModels);
  on("grown", drawModels);
}

// What the bands of this model's styles do: those that nobody sees are not offered, and the reason is said.
export const drawBands = guarded(async () => {
  const model = state.model, { bands } = await get(`/api/models/${model}/bands`);
  if (model !== state.model) return;
  const radios = [...document.querySelectorAll("input[name=band]")];
  bands.forEach(({ seen }, place) => { radios[place].parentElement.hidden = !seen; });
  const usable = radios.filter((radio, place) => bands[place]?.seen);
  if (usable.length && !usable.some((radio) => radio.checked)) { usable[0].checked = true; usable[0].dispatchEvent(new Event("change")); }
  $("mix-matrix").hidden = !usable.length;
  const missing = bands.filter(({ seen }) => !seen);
  $("mix-why").replaceChildren(...missing.map(({ says }) => make("li", { textContent: says })));
  if (missing.length && !usable.length) $("mix-why").append(make("li", { textContent: "so this model does not mix: blend two kept pictures below" }));
  if (!bands.length) say("this model has one style for the whole picture: blend two kept pictures instead");
});
