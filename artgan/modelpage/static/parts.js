"use strict";
// The large files of the page: pieces of base64 in scripts, because a page opened as a file may load nothing else.

const parts = (() => {
  const held = new Map();

  /** Called by each file in data/. */
  function take(name, place, text) {
    if (!held.has(name)) held.set(name, []);
    held.get(name)[place] = text;
  }

  function script(path) {
    return new Promise((resolve, reject) => {
      const element = document.createElement("script");
      element.src = path;
      element.onload = () => { element.remove(); resolve(); };
      element.onerror = () => reject(new Error(`${path} is missing: copy the whole folder`));
      document.head.append(element);
    });
  }

  /** The bytes of a file that `files` are the pieces of. */
  async function bytes(name, files) {
    for (const file of files) await script(file);
    const pieces = held.get(name) || [];
    held.delete(name);
    const packed = pieces.map((text) => Uint8Array.from(atob(text), (letter) => letter.charCodeAt(0)));
    try {
      const stream = new Blob(packed).stream().pipeThrough(new DecompressionStream("gzip"));
      return new Uint8Array(await new Response(stream).arrayBuffer());
    } catch {
      throw new Error(`${files[0]} is damaged: copy the folder again`);
    }
  }

  /** Float32Array of base64 text. */
  function floats(text) {
    return new Float32Array(Uint8Array.from(atob(text), (letter) => letter.charCodeAt(0)).buffer);
  }

  return { take, script, bytes, floats };
})();
