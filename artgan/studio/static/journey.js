// Films from kept picture to kept picture, and the search for a picture of one's own.
import { file, render, work } from "./api.js";
import { $, choose, choosePicture, guarded, make, options, say, state } from "./controls.js";
import { keptPoints } from "./kept.js";
import { made } from "./wall.js";

const MOST = 64;

const makeFilm = guarded(async () => {
  const points = keptPoints();
  if (points.length < 2) { say("keep two pictures or more first"); return; }
  if (points.length > MOST) { say(`a film takes up to ${MOST} kept pictures: choose some by a tag, under Kept`, true); return; }
  $("film").disabled = true;
  try {
    const done = await work({
      kind: "film", model: state.model, points, steps: Number($("steps").value), fps: Number($("fps").value),
      easing: $("easing").value, loop: $("loop").checked, format: $("video-format").value,
    }, $("film-job"));
    if (!done) return;
    const film = await file(done.job);
    made(done.result.note);
    const moving = film.type.startsWith("video/");
    const view = moving ? make("video", { src: film.url, controls: true, loop: true, muted: true, autoplay: true })
      : make("img", { src: film.url, alt: "The film" });
    $("film-result").replaceChildren(view, make("p", {}, make("a", { className: "button", href: film.url, download: film.name, textContent: `Save ${film.name}` })));
  } finally {
    $("film").disabled = false;
  }
});

let target = null;

const find = guarded(async () => {
  if (target === null) { say("choose a picture first"); return; }
  $("project-run").disabled = true;
  try {
    const perLayer = document.querySelector("input[name=space]:checked").value === "w+";
    const done = await work({
      kind: "project", model: state.model, upload: target, per_layer: perLayer, steps: Number($("project-steps").value),
    }, $("project-job"));
    if (!done) return;
    const { point, start_loss: start, loss, network } = done.result;
    [$("found").src] = await render(state.model, [point]);
    $("found").hidden = false;
    $("found-text").textContent = `Distance ${loss.toFixed(3)} in ${network}'s layers; the best seed alone ${start.toFixed(3)}.`;
    $("truncation").value = 1;
    await choose({ ...point, truncation: 1 });
  } finally {
    $("project-run").disabled = false;
  }
});

export function startJourney() {
  options($("easing"), state.studio.easings.map((name) => [name, name]));
  options($("video-format"), state.studio.video_formats.map((name) => [name, name]));
  $("easing").value = "smooth";
  $("film").onclick = makeFilm;
  $("project-run").onclick = find;
  choosePicture($("target-file"), $("target-drop"), $("target-picture"), (upload) => { target = upload; });
}
