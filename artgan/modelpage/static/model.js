"use strict";
// The model: points to pictures, by the rules of artgan/generation/space.py.

class Model {
  /** Load the runtime and the two graphs; `tell` hears how far it is, `warn` what the page could not do as asked. */
  static async load(facts, tell, warn) {
    const model = new Model(facts, warn);
    const names = Object.keys(facts.files);
    const data = {};
    for (const [place, name] of names.entries()) {
      tell(`loading, ${place + 1} of ${names.length + 1}`);
      data[name] = await parts.bytes(name, facts.files[name]);
    }
    const glue = URL.createObjectURL(new Blob([data.glue], { type: "text/javascript" }));
    await parts.script(facts.runtime.script);
    Object.assign(ort.env.wasm, { numThreads: 1, proxy: false, wasmBinary: data.wasm, wasmPaths: { mjs: glue } });
    ort.env.logLevel = "error";
    tell(`loading, ${names.length + 1} of ${names.length + 1}`);
    model.graphs = data;
    await model.open(facts.runtime.webgpu && navigator.gpu ? "webgpu" : "wasm");
    if (facts.runtime.webgpu && !navigator.gpu) warn("this browser has no WebGPU: the page uses WebAssembly, which is slower");
    return model;
  }

  constructor(facts, warn) {
    this.facts = facts;
    this.warn = warn;
    this.means = parts.floats(facts.means);
    this.steps = new Map(facts.directions.map((item) => [item.name, parts.floats(item.step)]));
    this.mapped = new Map();
  }

  async open(engine) {
    const options = { executionProviders: [engine], graphOptimizationLevel: "all" };
    try {
      this.mapping = await ort.InferenceSession.create(this.graphs.mapping, { executionProviders: ["wasm"] });
      this.synthesis = await ort.InferenceSession.create(this.graphs.synthesis, options);
      this.engine = engine;
    } catch (error) {
      await this.fallBack(engine, error);
    }
  }

  async fallBack(engine, error) {
    if (engine === "wasm") throw new Error(`this browser cannot run the model: ${firstLine(error)}`);
    this.warn(`WebGPU failed (${firstLine(error)}): the page goes on with WebAssembly, which is slower`);
    await this.open("wasm");
  }

  /** w of a seed and a class, Float32Array. */
  async w(seed, label) {
    const key = `${seed}/${label}`;
    if (!this.mapped.has(key)) {
      const { latentDim, key: stream, classes } = this.facts;
      const given = { latents: new ort.Tensor("float32", latents.normals(stream, seed, latentDim), [1, latentDim]) };
      if (classes.length) given.labels = new ort.Tensor("int64", BigInt64Array.from([BigInt(label)]), [1]);
      this.mapped.set(key, (await this.mapping.run(given)).w.data.slice());
      if (this.mapped.size > 500) this.mapped.delete(this.mapped.keys().next().value);
    }
    return this.mapped.get(key);
  }

  shares(point) {
    const chosen = (point.classes || []).filter(([, weight]) => weight > 0);
    const total = chosen.reduce((sum, [, weight]) => sum + weight, 0);
    return chosen.length ? chosen.map(([label, weight]) => [label, weight / total]) : [[0, 1]];
  }

  mean(label) {
    const width = this.facts.styleDim;
    return this.means.subarray(label * width, (label + 1) * width);
  }

  /** Styles of a point, Float32Array `[layers * styleDim]`. */
  async styles(point) {
    const { layers, styleDim: width } = this.facts;
    const shares = this.shares(point);
    const styles = new Float32Array(layers * width);
    if (point.styles) {
      styles.set(parts.floats(point.styles));
    } else {
      for (const [label, share] of shares) {
        const w = await this.w(point.seed, label);
        for (let place = 0; place < styles.length; place++) styles[place] += share * w[place % width];
      }
    }
    const truncation = point.truncation ?? 1;
    if (truncation !== 1) {
      const center = new Float32Array(width);
      for (const [label, share] of shares) this.mean(label).forEach((value, place) => { center[place] += share * value; });
      styles.forEach((value, place) => {
        styles[place] = center[place % width] + truncation * (value - center[place % width]);
      });
    }
    for (const [name, amount] of point.moves || []) {
      const step = this.steps.get(name);
      styles.forEach((value, place) => { styles[place] = value + amount * step[place % width]; });
    }
    if (point.toward && point.amount > 0) {
      const other = await this.styles(point.toward);
      styles.forEach((value, place) => { styles[place] = value + point.amount * (other[place] - value); });
    }
    return styles;
  }

  /** The picture of a point, ImageData. */
  async picture(point) {
    const { layers, styleDim, width, height } = this.facts;
    const styles = await this.styles(point);
    const feed = { styles: new ort.Tensor("float32", styles, [1, layers, styleDim]) };
    let values;
    try {
      values = (await this.synthesis.run(feed)).images.data;
    } catch (error) {
      await this.fallBack(this.engine, error);
      values = (await this.synthesis.run(feed)).images.data;
    }
    const image = new ImageData(width, height);
    const size = width * height;
    for (let pixel = 0; pixel < size; pixel++) {
      for (let channel = 0; channel < 3; channel++) {
        image.data[4 * pixel + channel] = (values[channel * size + pixel] + 1) * 127.5;  // rounded and clipped by its type
      }
      image.data[4 * pixel + 3] = 255;
    }
    return image;
  }
}

function firstLine(error) {
  return String((error && error.message) || error).split("\n")[0].slice(0, 300);
}
