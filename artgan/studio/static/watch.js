// A run while it trains: curves, samples over time, evaluations, notes.
import { get } from "./api.js";
import { $, guarded, make, on, options, state, tell } from "./controls.js";

const NS = "http://www.w3.org/2000/svg", WIDTH = 420, HEIGHT = 150, LEFT = 46, BOTTOM = 22, EVERY_MS = 4000;
let sheets = [], newest = true, timer = null;

function svg(tag, attributes, text) {
  const element = document.createElementNS(NS, tag);
  for (const [name, value] of Object.entries(attributes)) element.setAttribute(name, value);
  if (text !== undefined) element.textContent = text;
  return element;
}

const short = (value) => (Math.abs(value) >= 100 || value === 0 ? value.toFixed(0) : value.toPrecision(2));

function chart(title, series) {
  const points = series.flatMap(([, values]) => values);
  if (new Set(points.map(([x]) => x)).size < 2) return null;  // nothing has moved yet
  const [xs, ys] = [points.map(([x]) => x), points.map(([, y]) => y)];
  const [x0, x1, y0, y1] = [Math.min(...xs), Math.max(...xs), Math.min(...ys), Math.max(...ys)];
  const across = (x) => LEFT + ((x - x0) / (x1 - x0 || 1)) * (WIDTH - LEFT - 6);
  const up = (y) => HEIGHT - BOTTOM - ((y - y0) / (y1 - y0 || 1)) * (HEIGHT - BOTTOM - 8);
  const picture = svg("svg", { viewBox: `0 0 ${WIDTH} ${HEIGHT}`, role: "img", "aria-label": `${title} over thousands of images` });
  picture.append(svg("line", { class: "axis", x1: LEFT, x2: WIDTH, y1: HEIGHT - BOTTOM, y2: HEIGHT - BOTTOM }));
  picture.append(svg("text", { x: 0, y: 12 }, short(y1)), svg("text", { x: 0, y: HEIGHT - BOTTOM }, short(y0)));
  picture.append(svg("text", { x: LEFT, y: HEIGHT - 5 }, `${short(x0)} kimg`), svg("text", { x: WIDTH - 6, y: HEIGHT - 5, "text-anchor": "end" }, short(x1)));
  series.forEach(([, values], place) => {
    const d = values.map(([x, y], i) => `${i ? "L" : "M"}${across(x).toFixed(1)} ${up(y).toFixed(1)}`).join("");
    picture.append(svg("path", { class: `c${place % 4}`, d }));
  });
  const keys = series.map(([name], place) => {
    const line = svg("svg", { viewBox: "0 0 20 8", "aria-hidden": "true" });
    line.append(svg("path", { class: `c${place % 4}`, d: "M0 4H20" }));
    return make("span", { className: "key" }, line, name);
  });
  return make("div", {}, make("div", {}, ...keys), picture);
}

function charts(facts) {
  const groups = new Map();
  for (const [name, values] of Object.entries(facts.curves)) {
    const group = name.includes("/") ? name.split("/")[0] : name;
    if (["training_minutes"].includes(group) || !values.length) continue;
    groups.set(group, [...(groups.get(group) || []), [name.replaceAll("_", " "), values]]);
  }
  const metrics = new Map();
  for (const line of facts.evaluations) {
    for (const [name, entry] of Object.entries(line.metrics)) {
      if (typeof entry.value === "number") metrics.set(name, [...(metrics.get(name) || []), [line.kimg, entry.value]]);
    }
  }
  const drawn = [...metrics].slice(0, 3).map(([name, values]) => chart(name, [[name, values]]));
  drawn.push(...[...groups].map(([name, series]) => chart(name, series)));
  $("curves").replaceChildren(...drawn.filter(Boolean));
  $("run-curves").hidden = !drawn.some(Boolean);
}

function evaluations(facts) {
  const lines = facts.evaluations.slice(-12).reverse();
  $("evaluations-title").hidden = !lines.length;
  if (!lines.length) { $("evaluations").replaceChildren(); return; }
  const names = Object.keys(lines[0].metrics);
  const head = make("tr", {}, make("th", { textContent: "kimg" }), ...names.map((name) => make("th", { textContent: name })));
  const rows = lines.map((line) => make("tr", {}, make("td", { textContent: line.kimg.toFixed(0) }), ...names.map((name) => {
    const { value, low, high } = line.metrics[name] || {};
    const range = typeof low === "number" && typeof high === "number" ? ` \u00b1 ${((high - low) / 2).toPrecision(1)}` : "";
    return make("td", { textContent: typeof value === "number" ? `${value.toPrecision(4)}${range}` : "" });
  })));
  const real = make("tr", { className: "quiet" }, make("td", { textContent: "real art" }),
    ...names.map((name) => make("td", { textContent: typeof lines[0].real[name] === "number" ? lines[0].real[name].toPrecision(3) : "" })));
  $("evaluations").replaceChildren(make("thead", {}, head), make("tbody", {}, ...rows, real));
}

function showSheet() {
  const place = Number($("sheet-slider").value);
  if (!sheets.length) return;
  $("sheet").src = `/api/runs/${$("run").value}/sheets/${place}`;
  $("sheet").alt = $("sheet-value").textContent = `${Math.round(sheets[place] / 1000)} thousand images`;
}

const timeLeft = (minutes) => (minutes < 1 ? "less than a minute left" : minutes < 90 ? `about ${Math.round(minutes)} minutes left` : `about ${(minutes / 60).toFixed(1)} hours left`);

const look = guarded(async () => {
  clearTimeout(timer);
  if ($("view-watch").hidden) return;
  const facts = await get(`/api/runs/${$("run").value}`);
  const { state: phase, images_seen: seen = 0, total_images: total = 0 } = facts.status;
  $("run-status").textContent = `${phase}: ${(seen / 1000).toFixed(1)} of ${(total / 1000).toFixed(0)} thousand images`;
  const { minutes_left: left, ends_at: end = total } = facts.status, trains = phase === "training" && left !== undefined;
  if (trains) $("run-status").textContent += `; ${timeLeft(left)}`;
  $("run-meter").style.width = `${end ? Math.min(100, (100 * seen) / (trains ? end : total)) : 0}%`;
  for (const [id, text] of [["run-standing", facts.standing?.sentence], ["run-advice", facts.standing?.[state.studio.door ? "pressed" : "typed"]]]) {
    $(id).hidden = !text;
    if (text && $(id).textContent !== text) $(id).textContent = text;
  }
  charts(facts);
  evaluations(facts);
  $("run-notes").replaceChildren(...facts.notes.map((note) => make("p", { textContent: `${note.kimg.toFixed(1)} kimg, ${note.kind}: ${note.text}` })));
  const more = facts.sheets.length !== sheets.length;
  sheets = facts.sheets;
  $("sheet").closest("figure").hidden = !sheets.length;
  $("sheet-slider").max = Math.max(0, sheets.length - 1);
  if (more && newest) $("sheet-slider").value = sheets.length - 1;
  if (more) showSheet();
  tell("watched");
  timer = setTimeout(look, EVERY_MS);
});

function drawRuns() {
  const before = $("run").value || 0;
  options($("run"), state.studio.runs.map((name, place) => [place, name]));
  $("run").value = before;
  $("run-label").hidden = state.studio.runs.length < 2;
}

export function startWatch() {
  drawRuns();
  on("grown", drawRuns);
  on("watch", (name) => {
    const place = state.studio.runs.indexOf(name);
    if (place >= 0 && String(place) !== $("run").value) { $("run").value = place; sheets = []; newest = true; }
    look();
  });
  $("run").onchange = () => { sheets = []; newest = true; look(); };
  $("sheet-slider").oninput = () => { newest = Number($("sheet-slider").value) === sheets.length - 1; showSheet(); };
  on("view", look);
}
