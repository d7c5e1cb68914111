// The matrix of mixed styles of kept pictures.
import { render } from "./api.js";
import { $, choose, guarded, make, on, state, titleOf, whole } from "./controls.js";
import { drawBands, startBlend } from "./blend.js";
import { keptPoints } from "./kept.js";
import { begin, release, same, show } from "./tiles.js";

const SIDE = 6;

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
  const all = keptPoints(), points = all.slice(0, SIDE), layers = state.facts.layers, signal = begin("matrix");
  $("mix-some").hidden = all.length <= SIDE;
  $("mix-some").textContent = `The first ${SIDE} of ${all.length} kept pictures; another order or a tag under Kept brings others here.`;
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
    button.onclick = () => choose(whole(cells[place]));
    show(button, urls[place], titleOf(cells[place]));
  });
});

export function startMix() {
  document.querySelectorAll("input[name=band]").forEach((radio) => { radio.onchange = drawMatrix; });
  startBlend();
  on("kept", drawMatrix);
  on("view", (view) => { drawMatrix(); if (view === "mix") drawBands(); });
  on("model", () => { if (!$("view-mix").hidden) drawBands(); });
}
