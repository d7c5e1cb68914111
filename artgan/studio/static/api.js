// Requests to the studio: one place that speaks HTTP, retries when it is busy, and turns failures into lines for people.

async function ask(path, options = {}, tries = 6) {
  const answer = await fetch(path, options);
  if (answer.status === 503 && tries > 0) {
    await new Promise((done) => setTimeout(done, 1000 * Number(answer.headers.get("Retry-After") || 1)));
    return ask(path, options, tries - 1);
  }
  if (!answer.ok) {
    const text = await answer.json().catch(() => ({}));
    throw new Error(text.error || `the studio answered ${answer.status}`);
  }
  return answer;
}

const json = (content, signal) => ({
  method: "POST", headers: { "Content-Type": "application/json" }, body: JSON.stringify(content), signal,
});

export const get = async (path) => (await ask(path)).json();

export const post = async (path, content, signal) => (await ask(path, json(content, signal))).json();

const blobUrl = (text) => {
  const bytes = Uint8Array.from(atob(text), (character) => character.charCodeAt(0));
  return URL.createObjectURL(new Blob([bytes], { type: "image/png" }));
};

// Blob URLs of the pictures of points, in order.
export async function render(model, points, signal) {
  const answer = await post("/api/render", { model, points }, signal);
  return answer.pictures.map(blobUrl);
}

const nameOf = (answer) => (answer.headers.get("Content-Disposition") || "").match(/filename="([^"]+)"/)?.[1] || "picture";

export async function download(path, content) {
  const answer = await ask(path, content ? json(content) : {});
  const link = document.createElement("a");
  link.href = URL.createObjectURL(await answer.blob());
  link.download = nameOf(answer);
  link.click();
  setTimeout(() => URL.revokeObjectURL(link.href), 10000);
  return { name: link.download, note: decodeURIComponent(answer.headers.get("Artgan-Note") || "") };
}

export async function file(job) {
  const answer = await ask(`/api/jobs/${job}/file`);
  return { url: URL.createObjectURL(await answer.blob()), name: nameOf(answer), type: answer.headers.get("Content-Type") };
}

export const upload = async (picture) => (await ask("/api/uploads", { method: "POST", body: picture })).json();

// What a picture file says of what made it, or null.
export const recipeOf = async (picture) => (await (await ask("/api/recipe", { method: "POST", body: picture })).json()).recipe;

export const sendFile = (drop, name, file, signal) =>
  ask(`/api/door/files?${new URLSearchParams({ drop, name })}`, { method: "POST", body: file, signal });

// Start a long job, draw its progress and a Stop button into `place`, and resolve with its number and result; null if stopped.
export async function work(content, place) {
  const { job } = await post("/api/jobs", content);
  const bar = document.createElement("progress");
  const text = document.createElement("span");
  const stop = document.createElement("button");
  bar.setAttribute("aria-label", "Progress");
  text.className = "quiet";
  stop.className = "small";
  stop.textContent = "Stop";
  stop.onclick = () => ask(`/api/jobs/${job}`, { method: "DELETE" });
  place.replaceChildren(bar, text, stop);
  place.hidden = false;
  try {
    for (;;) {
      const state = await get(`/api/jobs/${job}`);
      if (state.progress?.total) { bar.max = state.progress.total; bar.value = state.progress.done; }
      text.textContent = state.state === "waiting" ? "waiting" : state.progress?.task || "";
      if (state.state === "done") return { job, result: state.result };
      if (state.state === "cancelled") return null;
      if (state.state === "failed") throw new Error(state.error);
      await new Promise((done) => setTimeout(done, 250));
    }
  } finally {
    place.hidden = true;
  }
}
