// The page: opens the studio, switches views, and wires the panel.
import { download, get } from "./api.js";
import { $, choose, chosen, drawDirections, guarded, make, options, refresh, say, showValues, state, tell } from "./controls.js";
import { loadKept, redraw, restart, startExplore } from "./explore.js";
import { startJourney } from "./journey.js";
import { startRefine } from "./refine.js";
import { startWatch } from "./watch.js";

const VIEWS = { explore: "Explore", mix: "Mix", journey: "Film", refine: "Refine", project: "Find", watch: "Training" };

function show(view) {
  for (const name of Object.keys(VIEWS)) {
    $(`view-${name}`).hidden = name !== view;
    const tab = $(`tab-${name}`);
    tab?.setAttribute("aria-selected", String(name === view));
    if (tab) tab.tabIndex = name === view ? 0 : -1;
  }
  document.querySelector("main").className = view === "watch" ? "alone" : view === "explore" ? "" : "beside";
  tell("view", view);
}

function drawTabs(names) {
  $("tabs").replaceChildren(...names.map((name) => {
    const tab = make("button", { id: `tab-${name}`, type: "button", textContent: VIEWS[name], onclick: () => show(name) });
    tab.setAttribute("role", "tab");
    tab.setAttribute("aria-controls", `view-${name}`);
    return tab;
  }));
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

async function openModel(index) {
  state.model = index;
  state.facts = await get(`/api/models/${index}`);
  const { name, width, height, classes, architecture, images_seen: seen, collection, metrics } = state.facts;
  document.documentElement.style.setProperty("--aspect", `${width} / ${height}`);
  const measured = Object.entries(metrics).slice(0, 2).map(([key, value]) => `, ${key} ${value.toPrecision(3)}`).join("");
  $("facts").textContent = `${architecture}, ${width} \u00d7 ${height} px, ${(seen / 1000).toFixed(0)} thousand images of ${collection.name || name}${measured}`;
  $("classes").hidden = !classes.length;
  for (const id of ["class-a", "class-b"]) options($(id), classes.map((title, label) => [label, title]));
  drawDirections();
  state.moves = {};
  showValues();
  tell("model");
  loadKept();
  await choose(fromAddress() || { seed: state.base.seed || 0 });
  restart();
}

function fromAddress() {
  try {
    return JSON.parse(atob(location.hash.match(/^#p=([\w+/=]+)$/)[1]));
  } catch {
    return null;
  }
}

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
    const name = await download("/api/export", { model: state.model, point: chosen(), format: $("format").value });
    say(`saved ${name}, with what makes it again inside`);
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

const open = guarded(async () => {
  state.studio = await get("/api/studio");
  const { models, runs } = state.studio;
  const views = Object.keys(VIEWS).filter((name) => (name === "watch" ? runs.length : models.length));
  drawTabs(views);
  startWatch();
  if (!models.length) {
    document.querySelector("footer").hidden = document.querySelector(".model").hidden = true;
    show("watch");
    return;
  }
  options($("model"), models.map((title, index) => [index, title]));
  $("model").onchange = guarded(() => openModel(Number($("model").value)));
  wirePanel();
  startExplore();
  startJourney();
  startRefine();
  show("explore");
  if (matchMedia("(max-width: 820px)").matches) for (const id of ["look", "directions"]) $(id).open = false;
  await openModel(0);
});

open();
