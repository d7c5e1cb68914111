"use strict";
// Latents of a seed: Philox4x64-10 (Salmon et al. 2011) and the inverse of the normal distribution function, as
// artgan/seeding.py draws them.

const latents = (() => {
  const MASK = (1n << 64n) - 1n;
  const MULTIPLIERS = [0xd2e7470ee14c6c93n, 0xca5a826395121157n];
  const WEYL = [0x9e3779b97f4a7c15n, 0xbb67ae8584caa73bn];
  const ROUNDS = 10;
  const WORDS = 4;

  function block(counter, key) {
    let [a, b, c, d] = [counter & MASK, counter >> 64n, 0n, 0n];
    let [first, second] = key;
    for (let round = 0; round < ROUNDS; round++) {
      const left = a * MULTIPLIERS[0];
      const right = c * MULTIPLIERS[1];
      [a, b, c, d] = [(right >> 64n) ^ b ^ first, right & MASK, (left >> 64n) ^ d ^ second, left & MASK];
      first = (first + WEYL[0]) & MASK;
      second = (second + WEYL[1]) & MASK;
    }
    return [a, b, c, d];
  }

  // Wichura 1988, "Algorithm AS 241: The percentage points of the normal distribution", PPND16.
  const CENTRAL = [
    [3.387132872796366608, 133.14166789178437745, 1971.5909503065514427, 13731.693765509461125, 45921.953931549871457,
      67265.770927008700853, 33430.575583588128105, 2509.0809287301226727],
    [1, 42.313330701600911252, 687.1870074920579083, 5394.1960214247511077, 21213.794301586595867, 39307.89580009271061,
      28729.085735721942674, 5226.495278852854561],
  ];
  const MIDDLE = [
    [1.42343711074968357734, 4.6303378461565452959, 5.7694972214606914055, 3.64784832476320460504, 1.27045825245236838258,
      0.24178072517745061177, 0.0227238449892691845833, 7.7454501427834140764e-4],
    [1, 2.05319162663775882187, 1.6763848301838038494, 0.68976733498510000455, 0.14810397642748007459, 0.0151986665636164571966,
      5.475938084995344946e-4, 1.05075007164441684324e-9],
  ];
  const FAR = [
    [6.6579046435011037772, 5.4637849111641143699, 1.7848265399172913358, 0.29656057182850489123, 0.026532189526576123093,
      0.0012426609473880784386, 2.71155556874348757815e-5, 2.01033439929228813265e-7],
    [1, 0.59983220655588793769, 0.13692988092273580531, 0.0148753612908506148525, 7.868691311456132591e-4,
      1.8463183175100546818e-5, 1.4215117583164458887e-7, 2.04426310338993978564e-15],
  ];

  function ratio([above, below], x) {
    const value = (coefficients) => coefficients.reduceRight((sum, coefficient) => sum * x + coefficient, 0);
    return value(above) / value(below);
  }

  function inverseNormal(p) {
    const q = p - 0.5;
    if (Math.abs(q) <= 0.425) return q * ratio(CENTRAL, 0.180625 - q * q);
    const r = Math.sqrt(-Math.log(q < 0 ? p : 1 - p));
    const size = r <= 5 ? ratio(MIDDLE, r - 1.6) : ratio(FAR, r - 5);
    return q < 0 ? -size : size;
  }

  /** Standard normals of a position in a stream, Float32Array of `width`; `key` is two 64-bit words in hexadecimal. */
  function normals(key, position, width) {
    const words = key.map((text) => BigInt(`0x${text}`));
    const blocks = Math.max(1, Math.ceil(width / WORDS));
    const values = new Float32Array(width);
    for (let index = 0; index < blocks; index++) {
      // NumPy's Philox counts up before it draws.
      const drawn = block(BigInt(position) * BigInt(blocks) + BigInt(index) + 1n, words);
      for (let place = 0; place < WORDS && index * WORDS + place < width; place++) {
        values[index * WORDS + place] = inverseNormal((Number(drawn[place] >> 11n) + 0.5) * 2 ** -53);
      }
    }
    return values;
  }

  return { normals };
})();
