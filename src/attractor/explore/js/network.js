/**
 * The forward pass of the diffusion transformer in `attractor/model/ddit.py`, one sequence at a time.
 *
 * @typedef {object} Tensor where a weight lies in a model's bytes
 * @property {string} name as in the checkpoint
 * @property {number[]} shape
 * @property {"int8" | "half" | "float"} kind int8 has a scale for each of its rows in front, in float32
 * @property {number} at first byte
 *
 * @typedef {object} Shape
 * @property {number} vocabulary V
 * @property {number} width H
 * @property {number} blocks
 * @property {number} heads
 * @property {number} condition width of the noise-level embedding
 * @property {number} length L
 * @property {number} eps of the log-linear schedule
 * @property {Tensor[]} tensors
 */
import { BLOCK, PANEL, makeKernel, upTo } from "./kernel.js";

/** Share of a token that is still the clean one at time t: `alpha = 1 - (1 - eps) t`. */
export const alphaOf = (/** @type {number} */ t, /** @type {number} */ eps) => 1 - (1 - eps) * t;

/** The value of a number in half precision. */
export function fromHalf(/** @type {number} */ bits) {
  const exponent = (bits >> 10) & 31;
  const fraction = bits & 1023;
  const size = exponent ? (1 + fraction / 1024) * 2 ** (exponent - 15) : fraction * 2 ** -24;
  return bits & 32768 ? -size : size;
}

/**
 * The weights of one tensor as floats.
 * @param {Tensor} tensor
 * @param {ArrayBuffer} bytes
 */
export function decode({ shape, kind, at }, bytes) {
  const size = shape.reduce((a, b) => a * b, 1);
  if (kind === "float") return new Float32Array(bytes.slice(at, at + 4 * size));
  if (kind === "half") return Float32Array.from(new Uint16Array(bytes.slice(at, at + 2 * size)), fromHalf);
  const [rows] = shape;
  const columns = size / rows;
  const scale = new Float32Array(bytes.slice(at, at + 4 * rows));
  const small = new Int8Array(bytes, at + 4 * rows, size);
  return Float32Array.from(small, (value, i) => value * scale[(i / columns) | 0]);
}

const FEATURES = 256;
const sigmoid = (/** @type {number} */ x) => 1 / (1 + Math.exp(-x));
const silu = (/** @type {number} */ x) => x * sigmoid(x);
/** GELU by tanh: `tanh(y) = 2 sigmoid(2 y) - 1`. Trained activations are mostly beyond 5, where less than 3e-7 is left of it. */
const gelu = (/** @type {number} */ x) =>
  x > 5 ? x : x < -5 ? 0 : x / (1 + Math.exp(-1.5957691216057308 * (x + 0.044715 * x * x * x)));

/** A trained network whose weights lie in the memory of a kernel. */
export class Network {
  /**
   * @param {Shape} shape
   * @param {ArrayBuffer} bytes
   * @param {boolean} [plain] compute without WebAssembly
   */
  constructor(shape, bytes, plain = false) {
    this.shape = shape;
    const { width: H, length: L, vocabulary: V, heads } = shape;
    const P = upTo(L, PANEL);
    const D = upTo(H / heads, PANEL);
    const scratch = { x: P * H, y: P * H, wide: P * 4 * H, z: P * H, q: P * D, k: P * D, v: P * D, s: P * P, o: P * D,
      logits: P * upTo(V, PANEL) };
    let size = Object.values(scratch).reduce((a, b) => a + b, 0);
    for (const { shape: [n, k = 0] } of shape.tensors) size += upTo(n, PANEL) * (k || 1);
    this.kernel = makeKernel(size, plain);
    this.f = this.kernel.memory;
    let next = 0;
    const take = (/** @type {number} */ n) => (next += n) - n;
    /** Where each buffer begins. */
    this.at = Object.fromEntries(Object.entries(scratch).map(([name, n]) => [name, take(n)]));
    /** @type {Record<string, number>} where each matrix that is multiplied with begins, in panels */
    this.panels = {};
    /** @type {Record<string, Float32Array>} all other weights */
    this.weights = {};
    for (const tensor of shape.tensors) {
      const values = decode(tensor, bytes);
      const multiplied = /attn_qkv|attn_out|mlp\.[02]\.weight|output_layer\.linear\.weight/.test(tensor.name);
      if (multiplied && !tensor.name.startsWith("sigma_map")) {
        const [n, k] = tensor.shape;
        this.panels[tensor.name] = take(upTo(n, PANEL) * k);
        toPanels(values, this.f, this.panels[tensor.name], n, k);
      } else this.weights[tensor.name] = values;
    }
    const [cos, sin] = rotation(L, H / heads);
    this.cos = cos;
    this.sin = sin;
  }

  /**
   * The distributions of clean tokens at some positions: float32 of (where.length, V), each row summing to one.
   * @param {ArrayLike<number>} tokens L noisy tokens, or fewer
   * @param {number} t time in [0, 1]
   * @param {number[]} where positions that are wanted, rising
   */
  probabilities(tokens, t, where) {
    const { f, at, shape: { width: H, vocabulary: V, blocks } } = this;
    const length = tokens.length;
    const embedding = this.weights["vocab_embed.embedding"];
    for (let i = 0; i < length; i++) f.set(embedding.subarray(tokens[i] * H, (tokens[i] + 1) * H), at.x + i * H);
    const condition = this.condition(t);
    const everywhere = Array.from({ length }, (_, i) => i);
    // All positions give keys and values to the next block; after the last one only those wanted go on.
    for (let b = 0; b < blocks; b++) this.block(b, condition, length, b === blocks - 1 ? where : everywhere);
    const [shift, scale] = this.modulation("output_layer", condition, 2);
    const rows = where.length;
    this.norm(at.x, at.y, rows, this.weights["output_layer.norm_final.weight"], shift, scale);
    const columns = upTo(V, PANEL);
    this.kernel.matmul(at.y, this.panels["output_layer.linear.weight"], at.logits, upTo(rows, BLOCK), H, columns);
    return this.softmax(rows, columns);
  }

  /** Logits plus bias, as probabilities. @param {number} rows @param {number} columns */
  softmax(rows, columns) {
    const { f, at, shape: { vocabulary: V } } = this;
    const bias = this.weights["output_layer.linear.bias"];
    const out = new Float32Array(rows * V);
    for (let r = 0; r < rows; r++) {
      const from = at.logits + r * columns;
      let top = -Infinity, sum = 0;
      for (let v = 0; v < V; v++) top = Math.max(top, (f[from + v] += bias[v]));
      for (let v = 0; v < V; v++) sum += f[from + v] = Math.exp(f[from + v] - top);
      for (let v = 0; v < V; v++) out[r * V + v] = f[from + v] / sum;
    }
    return out;
  }

  /** The embedding of the noise level `-log alpha(t)`. @param {number} t */
  condition(t) {
    const { eps } = this.shape;
    const sigma = -Math.log1p((eps - 1) * t);
    const half = FEATURES / 2;
    const features = Float32Array.from({ length: FEATURES }, (_, i) => {
      const angle = sigma * Math.exp((-Math.log(10000) * (i % half)) / half);
      return i < half ? Math.cos(angle) : Math.sin(angle);
    });
    const first = this.linear("sigma_map.mlp.0", features).map(silu);
    return this.linear("sigma_map.mlp.2", first).map(silu);
  }

  /** A layer on one vector. @param {string} name @param {Float32Array} x */
  linear(name, x) {
    const w = this.weights[`${name}.weight`];
    return this.weights[`${name}.bias`].map((bias, n) => {
      let sum = bias;
      for (let k = 0, i = n * x.length; k < x.length; k++) sum += w[i + k] * x[k];
      return sum;
    });
  }

  /** Shifts, scales and gates of a part of the network. @param {string} name @param {Float32Array} c @param {number} n */
  modulation(name, c, n) {
    const all = this.linear(`${name}.adaLN_modulation`, c);
    const H = this.shape.width;
    return Array.from({ length: n }, (_, i) => all.subarray(i * H, (i + 1) * H));
  }

  /**
   * Layer normalisation, shifted and scaled by the noise level.
   * @param {number} from @param {number} to @param {number} rows
   * @param {Float32Array} weight @param {Float32Array} shift @param {Float32Array} scale
   */
  norm(from, to, rows, weight, shift, scale) {
    const { f, shape: { width: H } } = this;
    for (let r = 0; r < rows; r++) {
      const a = from + r * H, b = to + r * H;
      let sum = 0, squares = 0;
      for (let h = 0; h < H; h++) sum += f[a + h];
      const mean = sum / H;
      for (let h = 0; h < H; h++) squares += (f[a + h] - mean) ** 2;
      const by = 1 / Math.sqrt(squares / H + 1e-5);
      for (let h = 0; h < H; h++) f[b + h] = (f[a + h] - mean) * by * weight[h] * (1 + scale[h]) + shift[h];
    }
  }

  /**
   * One transformer block on the residual stream in `x`; afterwards only the rows of `where` are there.
   * @param {number} index @param {Float32Array} condition @param {number} length @param {number[]} where
   */
  block(index, condition, length, where) {
    const { f, at, kernel, shape: { width: H } } = this;
    const name = `blocks.${index}`;
    const [shiftA, scaleA, gateA, shiftM, scaleM, gateM] = this.modulation(name, condition, 6);
    this.norm(at.x, at.y, length, this.weights[`${name}.norm1.weight`], shiftA, scaleA);
    kernel.matmul(at.y, this.panels[`${name}.attn_qkv.weight`], at.wide, upTo(length, BLOCK), H, 3 * H);
    this.attention(length, where);
    const rows = where.length, padded = upTo(rows, BLOCK);
    kernel.matmul(at.z, this.panels[`${name}.attn_out.weight`], at.y, padded, H, H);
    for (let r = 0; r < rows; r++) {
      const from = at.x + where[r] * H, to = at.x + r * H;
      for (let h = 0; h < H; h++) f[to + h] = f[from + h] + gateA[h] * f[at.y + r * H + h];
    }
    this.norm(at.x, at.y, rows, this.weights[`${name}.norm2.weight`], shiftM, scaleM);
    kernel.matmul(at.y, this.panels[`${name}.mlp.0.weight`], at.wide, padded, H, 4 * H);
    const bias = this.weights[`${name}.mlp.0.bias`], wide = 4 * H;
    for (let r = 0, i = at.wide; r < rows; r++) for (let h = 0; h < wide; h++, i++) f[i] = gelu(f[i] + bias[h]);
    kernel.matmul(at.wide, this.panels[`${name}.mlp.2.weight`], at.y, padded, wide, H);
    const last = this.weights[`${name}.mlp.2.bias`];
    for (let r = 0, i = 0; r < rows; r++) for (let h = 0; h < H; h++, i++) f[at.x + i] += gateM[h] * (f[at.y + i] + last[h]);
  }

  /**
   * Rotary self-attention of the queries at `where` over all positions: `wide` in, `z` out.
   * @param {number} length @param {number[]} where
   */
  attention(length, where) {
    const { f, at, kernel, cos, sin, shape: { width: H, heads } } = this;
    const d = H / heads, half = d / 2, D = upTo(d, PANEL), P = upTo(length, PANEL);
    const rows = where.length, padded = upTo(rows, BLOCK);
    for (let head = 0; head < heads; head++) {
      f.fill(0, at.k, at.k + P * D);
      f.fill(0, at.v, at.v + P * D);
      for (let i = 0; i < length; i++) {
        const from = at.wide + i * 3 * H + head * d;
        rotate(f, from + H, at.k + ((i / PANEL) | 0) * d * PANEL + (i % PANEL), PANEL, cos, sin, i * half, half);
        for (let c = 0; c < d; c++) f[at.v + (((c / PANEL) | 0) * length + i) * PANEL + (c % PANEL)] = f[from + 2 * H + c];
      }
      for (let r = 0; r < rows; r++) {
        rotate(f, at.wide + where[r] * 3 * H + head * d, at.q + r * d, 1, cos, sin, where[r] * half, half);
      }
      kernel.matmul(at.q, at.k, at.s, padded, d, P);
      this.shares(rows, length, P, d);
      kernel.matmul(at.s, at.v, at.o, padded, length, D);
      for (let r = 0; r < rows; r++) f.copyWithin(at.z + r * H + head * d, at.o + r * D, at.o + r * D + d);
    }
  }

  /** Scores to shares of attention, rows packed to `length`. @param {number} rows @param {number} length @param {number} P @param {number} d */
  shares(rows, length, P, d) {
    const { f, at } = this;
    const by = 1 / Math.sqrt(d);
    for (let r = 0; r < rows; r++) {
      const from = at.s + r * P, to = at.s + r * length;
      let top = -Infinity, sum = 0;
      for (let i = 0; i < length; i++) top = Math.max(top, f[from + i]);
      for (let i = 0; i < length; i++) sum += f[to + i] = Math.exp((f[from + i] - top) * by);
      const over = 1 / sum;
      for (let i = 0; i < length; i++) f[to + i] *= over;
    }
  }
}

/**
 * Turn the two halves of a head by the angles of its position, and write them `stride` apart.
 * @param {Float32Array} f @param {number} from @param {number} to @param {number} stride
 * @param {Float32Array} cos @param {Float32Array} sin @param {number} angle @param {number} half
 */
function rotate(f, from, to, stride, cos, sin, angle, half) {
  for (let c = 0; c < half; c++) {
    const a = f[from + c], b = f[from + half + c], co = cos[angle + c], si = sin[angle + c];
    f[to + c * stride] = a * co - b * si;
    f[to + (half + c) * stride] = b * co + a * si;
  }
}

/** @param {Float32Array} w (n, k) @param {Float32Array} f @param {number} at @param {number} n @param {number} k */
function toPanels(w, f, at, n, k) {
  for (let i = 0; i < n; i++) {
    const to = at + ((i / PANEL) | 0) * k * PANEL + (i % PANEL);
    for (let j = 0; j < k; j++) f[to + j * PANEL] = w[i * k + j];
  }
}

/** Cosines and sines of (length, d / 2). @param {number} length @param {number} d */
function rotation(length, d) {
  const half = d / 2;
  const angle = (/** @type {number} */ i) => ((i / half) | 0) / 10000 ** ((2 * (i % half)) / d);
  const all = { length: length * half };
  return [Float32Array.from(all, (_, i) => Math.cos(angle(i))), Float32Array.from(all, (_, i) => Math.sin(angle(i)))];
}
