"use strict";
// A picture to keep: the canvas's PNG with what makes it again, as artgan/images.py writes it.

const png = (() => {
  const TABLE = Uint32Array.from({ length: 256 }, (_, index) => {
    let value = index;
    for (let bit = 0; bit < 8; bit++) value = value & 1 ? 0xedb88320 ^ (value >>> 1) : value >>> 1;
    return value;
  });
  const SIGNATURE_AND_HEADER = 8 + 25;
  const encoder = new TextEncoder();

  function crc(bytes) {
    let value = 0xffffffff;
    for (const byte of bytes) value = TABLE[(value ^ byte) & 255] ^ (value >>> 8);
    return (value ^ 0xffffffff) >>> 0;
  }

  /** An iTXt chunk: uncompressed international text under a keyword. */
  function chunk(keyword, text) {
    const body = encoder.encode(`iTXt${keyword}\0\0\0\0\0${text}`);
    const whole = new Uint8Array(body.length + 8);
    const view = new DataView(whole.buffer);
    view.setUint32(0, body.length - 4);
    whole.set(body, 4);
    view.setUint32(body.length + 4, crc(body));
    return whole;
  }

  /** The PNG of an ImageData with texts in it, Blob. */
  async function withTexts(image, texts) {
    const canvas = document.createElement("canvas");
    [canvas.width, canvas.height] = [image.width, image.height];
    canvas.getContext("2d").putImageData(image, 0, 0);
    const blob = await new Promise((resolve) => canvas.toBlob(resolve, "image/png"));
    const data = new Uint8Array(await blob.arrayBuffer());
    const chunks = Object.entries(texts).map(([keyword, text]) => chunk(keyword, text));
    const pieces = [data.subarray(0, SIGNATURE_AND_HEADER), ...chunks, data.subarray(SIGNATURE_AND_HEADER)];
    return new Blob(pieces, { type: "image/png" });
  }

  /** What `artgan sample` would write into the picture of a point. */
  function texts(facts, point) {
    const names = (point.classes || []).map(([label]) => facts.classes[label]).filter(Boolean).join(", ") || null;
    const truncation = point.truncation ?? 1;
    const seed = point.styles ? null : point.seed;
    const metadata = {
      kind: "sample", seed, class: names, truncation, point, model: facts.name, model_hash: facts.modelHash,
      version: facts.version, runtime: facts.runtime.name, ...facts.credits,
    };
    const shown = [["Seed", seed], ["Model", facts.name], ["Model hash", facts.modelHash], ["Truncation", truncation],
      ["Class", names], ["artgan version", facts.version]];
    const line = shown.filter(([, value]) => value !== null).map(([title, value]) => `${title}: ${value}`).join(", ");
    return { artgan: JSON.stringify(metadata), parameters: line, "XML:com.adobe.xmp": facts.xmp };
  }

  return { withTexts, texts };
})();
