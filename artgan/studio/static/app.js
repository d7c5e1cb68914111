// The page: opens the studio, switches views, and wires the panel.
import { download, get, recipeOf } from "./api.js";
import { $, choose, chosen, drawDirections, guarded, make, on, options, refresh, say, showValues, state, tell, whole } from "./controls.js";
import { modelOf, startDoor } from "./door.js";
import { catchStrays } from "./drop.js";
import { redraw, restart, startExplore } from "./explore.js";
import { startJourney } from "./journey.js";
import { startHistory } from "./history.js";
import { emptyShelf, loadKept, startKept } from "./kept.js";
import { startCompare } from "./compare.js";
import { startMix } from "./mix.js";
import { startNaming } from "./naming.js";
import { startRefine } from "./refine.js";
import { startView } from "./view.js";
import { made, startWall } from "./wall.js";
import { startWatch } from "./watch.js";

const VIEWS = { door: "Start", explore: "Explore", kept: "Kept", wall: "Wall", mix: "Mix", journey: "Film", refine: "Refine", project: "Find", watch: "Training" };

function show(view) {
  for (const name of Object.keys(VIEWS)) {
    $(`view-${name}`).hidden = name !== view;
    const tab = $(`tab-${name}`);
    tab?.setAttribute("aria-selected", String(name === view));
    if (tab) tab.tabIndex = name === view ? 0 : -1;
  }
  document.querySelector("main").className = ["watch", "door"].includes(view) ? "alone" : view === "explore" ? "" : "beside";
  tell("view", view);
}

// Draw the tabs that the studio has something for; those that stand are not touched.
function drawTabs(names) {
  const before = $("tabs").children.length, missing = names.filter((name) => !$(`tab-${name}`));
  missing.forEach((name) => {
    const tab = make("button", { id: `tab-${name}`, type: "button", textContent: VIEWS[name], onclick: () => show(name) });
    tab.setAttribute("role", "tab");
    tab.setAttribute("aria-controls", `view-${name}`);
    tab.setAttribute("aria-selected", "false");
    tab.tabIndex = -1;
    const next = names.slice(names.indexOf(name) + 1).map((other) => $(`tab-${other}`)).find(Boolean);
    $("tabs").insertBefore(tab, next || null);
  });
  if (before) return;
  $("tabs").onkeydown = (event) => {
    const tabs = [...$("tabs").children], place = tabs.indexOf(document.activeElement);
    const next = { ArrowRight: place + 1, ArrowLeft: place - 1, Home: 0, End: tabs.length - 1 }[event.key];
    if (next === undefined) return;
    event.preventDefault();
    const tab = tabs[(next + tabs.length) % tabs.length];
    tab.focus();
    tab.click();
  };
}

async function openModel(index, point = null) {
  state.model = index;
  state.facts = await get(`/api/models/${index}`);
  const { name, width, height, classes, architecture, images_seen: seen, collection, metrics } = state.facts;
  emptyShelf();
  document.documentElement.style.setProperty("--aspect", `${width} / ${height}`);
  const measured = Object.entries(metrics).slice(0, 2).map(([key, value]) => `, ${key} ${value.toPrecision(3)}`).join("");
  $("facts").textContent = `${architecture}, ${width} \u00d7 ${height} px, ${(seen / 1000).toFixed(0)} thousand images of ${collection.name || name}${measured}`;
  $("classes").hidden = !classes.length;
  for (const id of ["class-a", "class-b"]) options($(id), classes.map((title, label) => [label, title]));
  options($("size"), [["", "own size"], ...state.facts.sizes.map(([side]) => [side, `${side} px`])]);
  drawDirections();
  state.moves = {};
  showValues();
  tell("model");
  await guarded(loadKept)();
  await choose(point || fromAddress() || { seed: state.base.seed || 0 });
  restart();
}

function fromAddress() {
  try {
    return JSON.parse(atob(location.hash.match(/^#p=([\w+/=]+)$/)[1]));
  } catch {
    return null;
  }
}

// Open what a picture says of itself, where its model is one of those here.
async function openRecipe({ point, model, model_hash: hash }) {
  if (hash === state.facts.sha256) { await choose(whole(point)); return; }
  const { place } = await get(`/api/models/of/${hash}`);
  if (place === null) throw new Error(`that picture is of ${model} (${String(hash).slice(0, 12)}), a model that is not open here`);
  $("model").value = place;
  await openModel(place, point);
}

// A picture that was dropped beside all fields opens what made it.
const openDropped = guarded(async (file) => {
  const recipe = state.studio.models.length ? await recipeOf(file) : null;
  if (recipe?.point) await openRecipe(recipe);
  else say(`${file.name} does not say what made it. As a style or to be found, drop it onto the field under Refine or Find.`);
});

const share = guarded(async () => {
  const text = JSON.stringify(chosen());
  history.replaceState(null, "", `#p=${btoa(text)}`);
  $("recipe-text").value = text;
  try {
    await navigator.clipboard.writeText(text);
    say("recipe copied; the address of this page opens it too");
  } catch {
    $("recipe-box").open = true;
    say("the recipe stands under Open a recipe");
  }
});

function wirePanel() {
  let waiting = null;
  const changed = () => {
    showValues();
    guarded(refresh)();
    clearTimeout(waiting);
    waiting = setTimeout(redraw, 250);
  };
  for (const id of ["truncation", "centers", "class-a", "class-b", "class-share"]) $(id).oninput = changed;
  $("reset").onclick = () => { state.moves = {}; showValues(); guarded(refresh)(); };
  $("export").onclick = guarded(async () => {
    const size = Number($("size").value) || null;
    const { name, note } = await download("/api/export", { model: state.model, point: chosen(), format: $("format").value, size });
    made(note);
    say(`saved ${name}, with what makes it again inside${size ? `; ${new Map(state.facts.sizes).get(size)}` : ""}`);
  });
  $("share").onclick = share;
  $("recipe-open").onclick = guarded(async () => {
    let point;
    try {
      point = JSON.parse($("recipe-text").value);
    } catch {
      throw new Error("that is no recipe: expected JSON such as {\"seed\": 3}");
    }
    await choose(point);
  });
  options($("format"), state.studio.formats.map((name) => [name, name.toUpperCase()]));
}

// The views that there is something to show in.
const viewsOf = ({ models, runs, door }) =>
  Object.keys(VIEWS).filter((name) => ({ door, watch: runs.length > 0 })[name] ?? models.length > 0);

let started = false;

// Open what a model needs, once there is one.
async function startModels() {
  if (started || !state.studio.models.length) return;
  started = true;
  document.querySelector("footer").hidden = document.querySelector(".model").hidden = false;
  $("model").onchange = guarded(() => openModel(Number($("model").value)));
  wirePanel();
  startKept();
  startExplore();
  startMix();
  startView();
  startHistory(openModel);
  on("mixed", guarded(async (place) => { drawModels(); $("model").value = place; await openModel(place); }));
  startJourney();
  startRefine();
  startCompare();
  startNaming();
  startWall();
  on("open-recipe", guarded(openRecipe));
  if (matchMedia("(max-width: 820px)").matches) for (const id of ["look", "directions"]) $(id).open = false;
  await openModel(0);
}

function drawModels() {
  const { models } = state.studio, before = $("model").value;
  options($("model"), models.map((title, index) => [index, title]));
  if (before) $("model").value = before;
}

// Runs and models that have come since: their tabs and entries grow, and the view stays.
const grow = guarded(async () => {
  const { models, runs } = state.studio, now = await get("/api/studio");
  if (now.models.length === models.length && now.runs.length === runs.length) return;
  state.studio = now;
  drawTabs(viewsOf(now));
  drawModels();
  tell("grown");
  await startModels();
});

const open = guarded(async () => {
  state.studio = await get("/api/studio");
  const { models, door } = state.studio;
  document.querySelector("footer").hidden = document.querySelector(".model").hidden = !models.length;
  drawTabs(viewsOf(state.studio));
  startWatch();
  drawModels();
  on("door", grow);
  on("watched", grow);
  on("watch", () => show("watch"));
  on("explore", guarded(async (name) => {
    show("explore");
    const place = modelOf(name);
    if (place === state.model) return;
    $("model").value = place;
    await openModel(place);
  }));
  catchStrays(openDropped);
  show(models.length ? "explore" : door ? "door" : "watch");
  if (door) startDoor();
  await startModels();
});

open();
