/**
 * Noise that is counted, the same numbers to the bit as `attractor/process/noise.py`: so a fall on the page is the fall
 * that Python computes with the same seed.
 */

/** High and low word of a product of two 32-bit words. @param {number} a @param {number} b */
function product(a, b) {
  const al = a & 0xffff, ah = a >>> 16, bl = b & 0xffff, bh = b >>> 16;
  const middle = ah * bl + ((al * bl) >>> 16);
  const other = al * bh + (middle & 0xffff);
  return [(ah * bh + Math.floor(middle / 65536) + Math.floor(other / 65536)) >>> 0, Math.imul(a, b) >>> 0];
}

/** Philox 4x32-10. @param {number[]} counter four words @param {number[]} key two words @returns {number[]} */
export function philox([c0, c1, c2, c3], [k0, k1]) {
  for (let round = 0; round < 10; round++) {
    const [h0, l0] = product(c0, 0xd2511f53);
    const [h1, l1] = product(c2, 0xcd9e8d57);
    [c0, c1, c2, c3] = [(h1 ^ c1 ^ k0) >>> 0, l1, (h0 ^ c3 ^ k1) >>> 0, l0];
    k0 = (k0 + 0x9e3779b9) >>> 0;
    k1 = (k1 + 0xbb67ae85) >>> 0;
  }
  return [c0, c1, c2, c3];
}

const IV = [
  0x6a09e667f3bcc908n, 0xbb67ae8584caa73bn, 0x3c6ef372fe94f82bn, 0xa54ff53a5f1d36f1n,
  0x510e527fade682d1n, 0x9b05688c2b3e6c1fn, 0x1f83d9abfb41bd6bn, 0x5be0cd19137e2179n,
];
const SIGMA = [
  "0123456789abcdef", "ea489fd61c02b753", "b8c052fdae367194", "7931dcbe265a40f8", "905724afe1bc683d",
  "2c6a0b834d75fe19", "c51fed4a0763928b", "db7ec13950f4862a", "6fe9b308c2d714a5", "a2847615fb9e3cd0",
];
const MASK = (1n << 64n) - 1n;

/**
 * The two words of an 8-byte BLAKE2b digest (RFC 7693) of at most 128 bytes of ASCII.
 * @param {string} text
 */
export function digest(text) {
  const block = new Uint8Array(128);
  for (let i = 0; i < text.length; i++) block[i] = text.charCodeAt(i);
  const view = new DataView(block.buffer);
  const m = Array.from({ length: 16 }, (_, i) => view.getBigUint64(8 * i, true));
  const h0 = IV[0] ^ 0x01010008n;
  const v = [h0, ...IV.slice(1), ...IV];
  v[12] ^= BigInt(text.length);
  v[14] ^= MASK;
  const turn = (/** @type {bigint} */ x, /** @type {bigint} */ n) => ((x >> n) | (x << (64n - n))) & MASK;
  const mix = (/** @type {number[]} */ [a, b, c, d], /** @type {bigint} */ x, /** @type {bigint} */ y) => {
    v[a] = (v[a] + v[b] + x) & MASK; v[d] = turn(v[d] ^ v[a], 32n);
    v[c] = (v[c] + v[d]) & MASK; v[b] = turn(v[b] ^ v[c], 24n);
    v[a] = (v[a] + v[b] + y) & MASK; v[d] = turn(v[d] ^ v[a], 16n);
    v[c] = (v[c] + v[d]) & MASK; v[b] = turn(v[b] ^ v[c], 63n);
  };
  const places = [[0, 4, 8, 12], [1, 5, 9, 13], [2, 6, 10, 14], [3, 7, 11, 15],
    [0, 5, 10, 15], [1, 6, 11, 12], [2, 7, 8, 13], [3, 4, 9, 14]];
  for (let round = 0; round < 12; round++) {
    const s = [...SIGMA[round % 10]].map((digit) => parseInt(digit, 16));
    places.forEach((place, i) => mix(place, m[s[2 * i]], m[s[2 * i + 1]]));
  }
  const word = h0 ^ v[0] ^ v[8];
  return [Number(word & 0xffffffffn), Number(word >> 32n)];
}

/** A time as Python writes it, for times that are not below 1e-4. @param {number} t */
const written = (t) => (Number.isInteger(t) ? `${t}.0` : String(t));

/** Uniform numbers that are a function of (seed, stream, t, row, repeat, position, step). */
export class CountedNoise {
  /** @param {number} seed @param {"corrupt" | "reverse" | "prior" | "generate"} stream @param {number} t */
  constructor(seed, stream, t) {
    this.key = digest(`(${seed}, '${stream}', ${written(t)})`);
  }

  /**
   * Four uniforms on (0, 1).
   * @param {number} position @param {number} step @param {number} [repeat] @param {number} [row]
   */
  uniform(position, step, repeat = 0, row = 0) {
    return philox([row, position, step, repeat], this.key).map((word) => (word + 0.5) * 2 ** -32);
  }
}
