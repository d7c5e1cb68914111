// The wall: all that was saved, refined and filmed, from disk, the newest first, with its recipes.
import { get } from "./api.js";
import { compareButton } from "./compare.js";
import { $, guarded, make, on, say, state, tell } from "./controls.js";

const shown = new Map();
let next = 0, busy = false, watcher = null;

const place = (item, size) => `/api/wall/${item.id}/${size}`;
const when = (item) => new Date(1000 * item.modified).toLocaleString("en", { dateStyle: "medium", timeStyle: "short" });

function titleOf({ kind, name, recipe }) {
  const point = recipe.point, start = !point ? name : point.styles ? "projection" : `seed ${point.seed}`;
  const look = recipe.refine?.recipe?.description;
  return kind === "film" ? name : `${start}${kind === "refined" ? `, refined${look ? `: ${look}` : ""}` : ""}`;
}

function viewOf(item) {
  if (item.media_type.startsWith("video/")) {
    const film = make("video", { controls: true, loop: true, muted: true, preload: "none" });
    film.setAttribute("aria-label", item.name);
    film.address = place(item, "file");
    watcher.observe(film);
    return film;
  }
  const picture = make("img", { alt: titleOf(item) }), link = make("button", { type: "button", className: "tile" }, picture);
  link.setAttribute("aria-label", `Show ${titleOf(item)} large`);
  picture.address = place(item, "small");
  link.onclick = () => large(item);
  watcher.observe(picture);
  return link;
}

function large(item) {
  $("wall-large").src = item.kind === "film" ? place(item, "file") : place(item, "large");
  $("wall-large").alt = $("wall-title").textContent = titleOf(item);
  $("wall-one").showModal();
}

function boxOf(item) {
  const { kind, name, where, recipe } = item, title = titleOf(item), actions = make("span", { className: "buttons" });
  const save = make("a", { className: "button small", href: place(item, "file"), download: name, textContent: "Save" });
  save.setAttribute("aria-label", `Save ${name}`);
  if (recipe.point) {
    const open = make("button", { type: "button", className: "small", textContent: "Open" });
    open.setAttribute("aria-label", `Open ${title}`);
    open.onclick = () => tell("open-recipe", recipe);
    actions.append(open);
  }
  if (kind !== "film") actions.append(compareButton({ title, picture: async () => place(item, "large") }));
  actions.append(save);
  const text = make("pre", { textContent: JSON.stringify(recipe, null, 1), tabIndex: 0 });
  text.setAttribute("aria-label", `Recipe of ${title}`);
  return make("article", { className: "wall-box" }, viewOf(item),
    make("p", {}, make("b", { textContent: title }), make("span", { className: "quiet", textContent: ` ${kind} ${when(item)}, ${where}/${name}` })),
    actions, make("details", {}, make("summary", { textContent: "Recipe" }), text));
}

// Read on from a place; boxes that stand are not touched, and new results go to the front.
async function read(start) {
  const answer = await get(`/api/wall/${start}`), wanted = $("wall-kind").value;
  const fresh = answer.items.filter(({ id }) => !shown.has(id));
  for (const item of fresh) {
    const box = boxOf(item);
    box.kind = item.kind;
    box.modified = item.modified;
    box.hidden = Boolean(wanted) && wanted !== item.kind;
    shown.set(item.id, box);
    const older = [...$("wall-list").children].find(({ modified }) => modified < item.modified);
    $("wall-list").insertBefore(box, older || null);
  }
  return answer.next;
}

const more = guarded(async () => {
  if (busy || next === null || $("view-wall").hidden) return;
  busy = true;
  try {
    next = await read(next);
  } finally {
    busy = false;
  }
  draw();
});

function draw() {
  $("wall-more").hidden = next === null;
  $("wall-none").hidden = shown.size > 0 || next !== null;
}

// What has come since is at the front.
const renew = guarded(async () => {
  if ($("view-wall").hidden) return;
  if (next === 0) { await more(); return; }
  await read(0);
  draw();
});

function select() {
  const wanted = $("wall-kind").value;
  for (const box of shown.values()) box.hidden = Boolean(wanted) && wanted !== box.kind;
}

// A result has been made; `note` says where it could not be kept.
export function made(note) {
  if (note) say(note, true);
  renew();
}

export function startWall() {
  watcher = new IntersectionObserver((entries) => {
    for (const { target, isIntersecting } of entries) {
      if (!isIntersecting || target.src) continue;
      target.src = target.address;
      if (target.tagName === "VIDEO") target.preload = "metadata";
      watcher.unobserve(target);
    }
  }, { rootMargin: "300px" });
  new IntersectionObserver((entries) => { if (entries.some(({ isIntersecting }) => isIntersecting)) more(); }, { rootMargin: "300px" }).observe($("wall-more"));
  $("wall-more").onclick = more;
  $("wall-kind").onchange = select;
  $("wall-one").querySelector(".close").onclick = () => $("wall-one").close();
  on("view", renew);
  on("grown", renew);
}
