// Pictures on their way into the workspace: what was dropped or chosen, file by file, with progress and a Stop button.
import { post, sendFile } from "./api.js";
import { make, say } from "./controls.js";

const AT_ONCE = 3;

const top = (path) => path.split("/")[0];

// What is dropped beside a zone would replace the page in most browsers; one picture may say what made it.
export function catchStrays(open) {
  document.addEventListener("dragover", (event) => event.preventDefault());
  document.addEventListener("drop", (event) => {
    if (event.defaultPrevented) return;
    event.preventDefault();
    const files = event.dataTransfer.files;
    if (files.length === 1 && files[0].type.startsWith("image/")) open(files[0]);
    else if (files.length) say("Drop one picture here to open what made it; others go onto a field with a dashed border.");
  });
}

// A list of {file, path}; all of one folder lose its name, which becomes that of the drop.
export const fromInput = (files) => [...files].map((file) => ({ file, path: file.webkitRelativePath || file.name }));

export async function dropped(transfer) {
  const entries = [...transfer.items].map((item) => item.webkitGetAsEntry?.()).filter(Boolean);
  if (!entries.length) return fromInput(transfer.files);
  const found = [];
  for (const entry of entries) await walk(entry, found);
  return found;
}

async function walk(entry, found) {
  if (entry.isFile) {
    const file = await new Promise((done, failed) => entry.file(done, failed));
    found.push({ file, path: entry.fullPath.replace(/^\//, "") });
    return;
  }
  const reader = entry.createReader();
  for (;;) {
    const some = await new Promise((done, failed) => reader.readEntries(done, failed));
    if (!some.length) return;
    for (const inner of some) await walk(inner, found);
  }
}

// Send files; resolve with the drop, how many were taken and why others were not.
export async function send(files, place) {
  const folder = files.every(({ path }) => path.includes("/") && top(path) === top(files[0].path)) ? top(files[0].path) : null;
  const { drop } = await post("/api/door/drops", { name: folder || (files.length === 1 ? files[0].path.replace(/\.\w+$/, "") : "pictures") });
  const bar = make("progress", { max: files.length, value: 0 }), text = make("span", { className: "quiet" });
  const stop = make("button", { className: "small", type: "button", textContent: "Stop" });
  const halt = new AbortController(), refused = [], left = [...files];
  let sent = 0;
  bar.setAttribute("aria-label", "Progress");
  stop.onclick = () => halt.abort();
  place.replaceChildren(bar, text, stop);
  place.hidden = false;
  const one = async () => {
    while (left.length && !halt.signal.aborted) {
      const { file, path } = left.shift();
      try {
        await sendFile(drop, folder ? path.slice(folder.length + 1) : path, file, halt.signal);
        sent += 1;
      } catch (error) {
        if (error.name !== "AbortError") refused.push(error.message);
      }
      bar.value = files.length - left.length;
      text.textContent = `${sent} of ${files.length} files`;
    }
  };
  try {
    await Promise.all(Array.from({ length: AT_ONCE }, one));
  } finally {
    place.hidden = true;
  }
  return { drop, sent, refused };
}
