"use strict";
// The page: controls to a point, one picture at a time, favourites, and walks between them.

const page = (() => {
  const MAX_SEED = 2 ** 32 - 1;
  const SWIPE_PX = 40;
  const find = (id) => document.getElementById(id);
  const facts = window.artganFacts;
  const store = `artgan/${facts.modelHash}`;
  const amounts = new Map();
  let model = null;
  let seed = facts.start.seed;
  let shown = null;       // the point on the page
  let image = null;       // and its picture
  let wanted = null;      // the newest point asked for
  let working = false;
  let walkStart = null;
  let kept = [];
  let told = { text: "", until: 0 };

  function say(text, warning = false, seconds = warning ? 3600 : 4) {
    told = { text, until: performance.now() + 1000 * seconds };
    find("status").textContent = text;
    find("status").classList.toggle("warning", warning);
  }

  /** Show a passing line, unless a warning stands. */
  function note(text) {
    if (performance.now() >= told.until) find("status").textContent = text;
  }

  // --- controls to a point

  function classes() {
    if (!facts.classes.length) return [];
    const [a, b] = [find("class-a").value, find("class-b").value];
    const share = Number(find("share").value);
    const first = a === "" ? seed % facts.classes.length : Number(a);
    if (b === "" || share === 0 || Number(b) === first) return [[first, 1]];
    return share === 1 ? [[Number(b), 1]] : [[first, 1 - share], [Number(b), share]];
  }

  function point() {
    const made = { seed };
    const truncation = Number(find("truncation").value);
    const moves = [...amounts].filter(([, amount]) => amount !== 0);
    const mix = classes();
    if (mix.length) made.classes = mix;
    if (truncation !== 1) made.truncation = truncation;
    if (moves.length) made.moves = moves;
    return made;
  }

  function draw(next = point()) {
    wanted = next;
    find("seed-value").textContent = next.styles ? "" : seed;
    find("truncation-value").textContent = Number(find("truncation").value).toFixed(2);
    find("share-value").textContent = Math.round(100 * find("share").value) + " %";
    find("pace-value").textContent = find("pace").value;
    if (!working && model) work();
  }

  async function work() {
    working = true;
    try {
      while (wanted) {
        const next = wanted;
        wanted = null;
        image = await model.picture(next);
        shown = next;
        const canvas = find("picture");
        canvas.getContext("2d").putImageData(image, 0, 0);
        canvas.dataset.point = JSON.stringify(next);
        await new Promise((resolve) => setTimeout(resolve));  // let the page hear its user
      }
    } catch (error) {
      say(firstLine(error), true);
    }
    working = false;
  }

  function setSeed(value) {
    stop();
    seed = Math.min(MAX_SEED, Math.max(0, Math.floor(Number(value)) || 0));
    find("seed").value = Math.min(seed, find("seed").max);
    find("seed-number").value = seed;
    draw();
  }

  // --- favourites

  async function keep() {
    if (!shown) return;
    // A place on a walk has no seed of its own: its styles are kept.
    const own = shown.toward ? { styles: base64(await model.styles(shown)) } : shown;
    add(own, image);
    remember();
    say(`kept; ${kept.length} in all`);
  }

  function base64(floats) {
    let text = "";
    for (const byte of new Uint8Array(floats.buffer)) text += String.fromCharCode(byte);
    return btoa(text);
  }

  function add(item, picture) {
    const tile = document.createElement("div");
    tile.className = "tile";
    const canvas = document.createElement("canvas");
    [canvas.width, canvas.height] = [facts.width, facts.height];
    canvas.getContext("2d").putImageData(picture, 0, 0);
    canvas.addEventListener("click", () => restore(item));
    const drop = document.createElement("button");
    [drop.className, drop.textContent, drop.title] = ["drop", "\u00d7", "No longer a favourite"];
    drop.addEventListener("click", () => { kept = kept.filter((other) => other !== item); tile.remove(); remember(); });
    tile.append(canvas, drop);
    find("kept").append(tile);
    kept.push(item);
  }

  function restore(item) {
    stop();
    if (!item.styles) {
      seed = item.seed;
      find("seed").value = Math.min(seed, find("seed").max);
      find("seed-number").value = seed;
      find("truncation").value = item.truncation ?? 1;
    }
    draw(item);
  }

  function remember() {
    try {
      localStorage.setItem(store, JSON.stringify(kept));
    } catch {
      say("this browser keeps no favourites for the next visit: save them as a file");
    }
  }

  async function recall() {
    let items = facts.favourites;
    try {
      const stored = JSON.parse(localStorage.getItem(store));
      if (Array.isArray(stored)) items = stored;
    } catch { /* nothing is kept here: the page begins with what came with it */ }
    for (const item of items) {
      try {
        add(item, await model.picture(item));
      } catch { /* an entry that is no point of this model is left out */ }
    }
  }

  function saveList() {
    const favourites = kept.map((item) => ({ point: item, model: facts.name, model_hash: facts.modelHash }));
    download(new Blob([JSON.stringify({ format: 1, favourites }, null, 1)], { type: "application/json" }), "favourites.json");
  }

  // --- walks

  function walk() {
    if (walkStart !== null) { stop(); draw(); return; }
    if (kept.length < 2) { say("a walk needs two favourites: keep some first (K)"); return; }
    walkStart = performance.now();
    find("walk").setAttribute("aria-pressed", "true");
    step([]);
  }

  function stop() {
    walkStart = null;
    find("walk").setAttribute("aria-pressed", "false");
  }

  async function step(times) {
    if (walkStart === null || kept.length < 2) { stop(); return; }
    const phase = (performance.now() - walkStart) / 1000 / Number(find("pace").value);
    const [start, end] = [kept[Math.floor(phase) % kept.length], kept[Math.floor(phase + 1) % kept.length]];
    const t = phase % 1;
    wanted = t ? { ...start, toward: end, amount: t * t * (3 - 2 * t) } : start;
    if (!working) await work();
    times.push(performance.now());
    if (times.length > 30) times.shift();
    if (times.length > 5) {
      const rate = (1000 * (times.length - 1)) / (times.at(-1) - times[0]);
      find("status").dataset.rate = rate.toFixed(2);
      note(`${rate.toFixed(1)} pictures/s`);
    }
    requestAnimationFrame(() => step(times));
  }

  // --- files, screen, keys

  function download(blob, name) {
    const link = document.createElement("a");
    link.href = URL.createObjectURL(blob);
    link.download = name;
    link.click();
    setTimeout(() => URL.revokeObjectURL(link.href), 10000);
  }

  async function save() {
    if (!image) return;
    const own = shown.toward ? { styles: base64(await model.styles(shown)) } : shown;
    const name = own.styles ? "walk.png" : `seed-${String(own.seed).padStart(4, "0")}.png`;
    download(await png.withTexts(image, png.texts(facts, own)), name);
  }

  function full() {
    if (document.fullscreenElement) document.exitFullscreen();
    else document.documentElement.requestFullscreen().catch(() => say("this browser allows no full screen here; C hides the controls"));
  }

  const KEYS = {
    ArrowLeft: () => setSeed(seed - 1), ArrowRight: () => setSeed(seed + 1), " ": any, k: keep, w: walk, s: save, f: full,
    c: () => document.body.classList.toggle("alone"),
  };

  function any() {
    setSeed(Math.floor(Math.random() * (MAX_SEED + 1)));
  }

  function onKey(event) {
    const control = event.target.closest("input, select, button, summary");
    if (event.ctrlKey || event.metaKey || event.altKey || (control && /^(Arrow| )/.test(event.key))) return;
    const act = control && control.type === "number" ? null : KEYS[event.key.length === 1 ? event.key.toLowerCase() : event.key];
    if (act && model) { event.preventDefault(); act(); }
  }

  function watchTouch() {
    let from = null;
    const stage = find("stage");
    stage.addEventListener("pointerdown", (event) => { from = event.clientX; });
    stage.addEventListener("pointerup", (event) => {
      const moved = from === null ? 0 : event.clientX - from;
      from = null;
      if (Math.abs(moved) > SWIPE_PX && model) setSeed(seed - Math.sign(moved));
    });
    stage.addEventListener("pointercancel", () => { from = null; });
  }

  function addOption(select, value, text) {
    const option = document.createElement("option");
    [option.value, option.textContent] = [value, text];
    select.append(option);
  }

  function addSlider({ name }) {
    const label = document.createElement("label");
    const value = document.createElement("output");
    const slider = document.createElement("input");
    Object.assign(slider, { type: "range", min: -5, max: 5, step: 0.25, value: 0, id: `move-${name}` });
    label.htmlFor = slider.id;
    label.append(name, value);
    slider.addEventListener("input", () => { amounts.set(name, Number(slider.value)); value.textContent = slider.value; stop(); draw(); });
    slider.addEventListener("dblclick", () => { slider.value = 0; slider.dispatchEvent(new Event("input")); });
    find("sliders").append(label, slider);
  }

  function build() {
    facts.directions.forEach(addSlider);
    if (facts.classes.length) {
      find("class-section").hidden = false;
      addOption(find("class-a"), "", "by the seed");
      addOption(find("class-b"), "", "none");
      facts.classes.forEach((name, label) => { addOption(find("class-a"), label, name); addOption(find("class-b"), label, name); });
      find("blend").hidden = facts.classes.length < 2;
    }
    find("truncation").value = facts.start.truncation;
    for (const id of ["truncation", "class-a", "class-b", "share"]) find(id).addEventListener("input", () => { stop(); draw(); });
    find("pace").addEventListener("input", () => { find("pace-value").textContent = find("pace").value; });
    find("seed").addEventListener("input", () => setSeed(find("seed").value));
    find("seed-number").addEventListener("change", () => setSeed(find("seed-number").value));
    const buttons = { back: KEYS.ArrowLeft, next: KEYS.ArrowRight, random: any, keep, walk, save, full, list: saveList };
    for (const [id, act] of Object.entries(buttons)) find(id).addEventListener("click", () => model && act());
    document.addEventListener("keydown", onKey);
    document.addEventListener("fullscreenchange", () => document.body.classList.toggle("alone", Boolean(document.fullscreenElement)));
    watchTouch();
  }

  async function open() {
    build();
    try {
      const loaded = await Model.load(facts, note, (text) => say(text, true));
      model = loaded;
      note("");
      draw();
      await recall();
      document.body.dataset.ready = loaded.engine;
    } catch (error) {
      say(firstLine(error), true);
    }
  }

  open();
  return { model: () => model, picture: (item) => model.picture(item) };
})();
