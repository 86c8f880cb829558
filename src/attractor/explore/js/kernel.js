/**
 * Matrix products over one block of memory: by SIMD instructions of WebAssembly where the browser has them, in plain
 * JavaScript otherwise.
 *
 * Weights lie in panels of `PANEL` columns, so that both kernels read memory from front to back: entry (k, n) of a
 * matrix with K rows is at `((n / PANEL | 0) * K + k) * PANEL + n % PANEL`.
 *
 * @typedef {object} Kernel
 * @property {Float32Array} memory everything that the kernel reads and writes
 * @property {(x: number, w: number, out: number, rows: number, inner: number, columns: number) => void} matmul
 *   `out = x w`, each given by where it begins in `memory`: x of (rows, inner), w in panels, out of (rows, columns).
 *   `rows` is a multiple of `BLOCK`, `columns` one of `PANEL`.
 * @property {"simd" | "plain"} kind
 */

export const PANEL = 8;
export const BLOCK = 4;

/**
 * @param {number} n
 * @param {number} unit
 */
export const upTo = (n, unit) => Math.ceil(n / unit) * unit;

/**
 * A kernel with room for so many floats.
 * @param {number} floats
 * @param {boolean} [plain] do not use WebAssembly even where it is there
 * @returns {Kernel}
 */
export function makeKernel(floats, plain = false) {
  if (!plain) {
    try {
      return simdKernel(floats);
    } catch {
      // No WebAssembly here, or none with SIMD: the plain kernel computes the same.
    }
  }
  return plainKernel(floats);
}

/**
 * @param {number} floats
 * @returns {Kernel}
 */
export function plainKernel(floats) {
  const f = new Float32Array(floats);
  /** @type {Kernel["matmul"]} */
  const matmul = (x, w, out, rows, inner, columns) => {
    // Two rows by four columns at a time: eight sums in registers.
    for (let n = 0; n < columns; n += 4) {
      const panel = w + ((n / PANEL) | 0) * inner * PANEL + (n % PANEL);
      for (let m = 0; m < rows; m += 2) {
        let x0 = x + m * inner;
        let x1 = x0 + inner;
        let a0 = 0, a1 = 0, a2 = 0, a3 = 0, b0 = 0, b1 = 0, b2 = 0, b3 = 0;
        for (let k = 0, at = panel; k < inner; k++, at += PANEL) {
          const p = f[x0++], q = f[x1++];
          const w0 = f[at], w1 = f[at + 1], w2 = f[at + 2], w3 = f[at + 3];
          a0 += p * w0; a1 += p * w1; a2 += p * w2; a3 += p * w3;
          b0 += q * w0; b1 += q * w1; b2 += q * w2; b3 += q * w3;
        }
        const o = out + m * columns + n;
        f[o] = a0; f[o + 1] = a1; f[o + 2] = a2; f[o + 3] = a3;
        const o1 = o + columns;
        f[o1] = b0; f[o1 + 1] = b1; f[o1 + 2] = b2; f[o1 + 3] = b3;
      }
    }
  };
  return { memory: f, matmul, kind: "plain" };
}

const PAGE = 65536;

/**
 * @param {number} floats
 * @returns {Kernel}
 */
function simdKernel(floats) {
  const memory = new WebAssembly.Memory({ initial: Math.ceil((floats * 4) / PAGE) });
  const module = new WebAssembly.Module(assemble());
  const instance = new WebAssembly.Instance(module, { e: { m: memory } });
  const run = /** @type {Kernel["matmul"]} */ (instance.exports.f);
  return {
    memory: new Float32Array(memory.buffer),
    matmul: (x, w, out, rows, inner, columns) => run(x * 4, w * 4, out * 4, rows, inner, columns),
    kind: "simd",
  };
}

/**
 * The module of one function, written byte by byte since a compiler would be one more thing to install: four rows by
 * eight columns at a time, their sums in eight registers of four floats.
 */
function assemble() {
  const [x, w, out, rows, inner, columns] = [0, 1, 2, 3, 4, 5];
  const [m, k, pw, po, stride, step, p0, p1, p2, p3] = [6, 7, 8, 9, 10, 11, 12, 13, 14, 15];
  const [w0, w1, splat] = [16, 17, 18];
  const sums = [19, 20, 21, 22, 23, 24, 25, 26];
  const get = (/** @type {number} */ v) => [0x20, v];
  const set = (/** @type {number} */ v) => [0x21, v];
  const number = (/** @type {number} */ n) => [0x41, n];
  const [add, sub, mul, shl] = [0x6a, 0x6b, 0x6c, 0x74];
  const zero = [0xfd, 12, ...Array(16).fill(0)];
  const load = (/** @type {number} */ offset) => [0xfd, 0, 2, offset];
  const store = (/** @type {number} */ offset) => [0xfd, 11, 2, offset];
  const times = [0xfd, 0xe6, 1];
  const plus = [0xfd, 0xe4, 1];
  const loop = [0x03, 0x40];
  const end = 0x0b;
  const advance = (/** @type {number} */ v, /** @type {number} */ by) => [...get(v), ...number(by), add, ...set(v)];
  /** Count down and go round the loop again while above zero. */
  const again = (/** @type {number} */ v, /** @type {number} */ by) =>
    [...get(v), ...number(by), sub, 0x22, v, ...number(0), 0x4a, 0x0d, 0, end];
  const row = (/** @type {number} */ p, /** @type {number} */ first) => [
    ...get(p), 0xfd, 9, 2, 0, ...set(splat), ...advance(p, 4),
    ...get(sums[first]), ...get(splat), ...get(w0), ...times, ...plus, ...set(sums[first]),
    ...get(sums[first + 1]), ...get(splat), ...get(w1), ...times, ...plus, ...set(sums[first + 1]),
  ];
  const keep = (/** @type {number} */ first) => [
    ...get(po), ...get(sums[first]), ...store(0), ...get(po), ...get(sums[first + 1]), ...store(16),
    ...get(po), ...get(step), add, ...set(po),
  ];
  const body = [
    ...get(inner), ...number(2), shl, ...set(stride),
    ...get(columns), ...number(2), shl, ...set(step),
    ...loop, // over panels; `columns` counts down, `out` moves on by a panel, `w` by K panels' rows
    ...get(x), ...set(p0), ...get(out), ...set(po), ...get(rows), ...set(m),
    ...loop, // over blocks of four rows
    ...get(p0), ...get(stride), add, ...set(p1), ...get(p1), ...get(stride), add, ...set(p2),
    ...get(p2), ...get(stride), add, ...set(p3),
    ...get(w), ...set(pw), ...get(inner), ...set(k),
    ...sums.flatMap((s) => [...zero, ...set(s)]),
    ...loop, // over the inner index
    ...get(pw), ...load(0), ...set(w0), ...get(pw), ...load(16), ...set(w1), ...advance(pw, 32),
    ...row(p0, 0), ...row(p1, 2), ...row(p2, 4), ...row(p3, 6),
    ...again(k, 1),
    ...keep(0), ...keep(2), ...keep(4), ...keep(6),
    ...get(p3), ...set(p0),
    ...again(m, BLOCK),
    ...get(pw), ...set(w), ...advance(out, 32),
    ...again(columns, PANEL),
    end,
  ];
  const code = [2, 10, 0x7f, 11, 0x7b, ...body]; // ten locals of i32, eleven of v128
  const section = (/** @type {number} */ id, /** @type {number[]} */ bytes) => [id, ...leb(bytes.length), ...bytes];
  return new Uint8Array([
    0, 0x61, 0x73, 0x6d, 1, 0, 0, 0,
    ...section(1, [1, 0x60, 6, ...Array(6).fill(0x7f), 0]),
    ...section(2, [1, 1, 0x65, 1, 0x6d, 2, 0, 1]), // the memory, e.m, of one page or more
    ...section(3, [1, 0]),
    ...section(7, [1, 1, 0x66, 0, 0]),
    ...section(10, [1, ...leb(code.length), ...code]),
  ]);
}

/** @param {number} n */
function leb(n) {
  const bytes = [];
  for (; n > 127; n >>= 7) bytes.push((n & 127) | 128);
  return [...bytes, n];
}
