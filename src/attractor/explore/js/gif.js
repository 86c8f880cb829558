/** Animated GIFs (GIF89a), frame by frame. */

/**
 * A palette for some frames: their commonest colours, and for each colour the nearest of them.
 * @param {ImageData[]} frames
 */
function palette(frames) {
  /** @type {Map<number, number>} */
  const seen = new Map();
  for (const { data } of frames) {
    for (let i = 0; i < data.length; i += 4) {
      const colour = (data[i] << 16) | (data[i + 1] << 8) | data[i + 2];
      seen.set(colour, (seen.get(colour) ?? 0) + 1);
    }
  }
  // Coarser the more colours there are, so that shades of every hue get a place.
  let mask = 0xffffff;
  /** @type {Map<number, number>} */
  let coarse = seen;
  for (const next of [0xfcfcfc, 0xf8f8f8, 0xf0f0f0]) {
    if (coarse.size <= 256) break;
    mask = next;
    coarse = new Map();
    for (const [colour, n] of seen) coarse.set(colour & mask, (coarse.get(colour & mask) ?? 0) + n);
  }
  const colours = [...coarse].sort((a, b) => b[1] - a[1]).slice(0, 256).map(([colour]) => colour);
  /** @type {Map<number, number>} */
  const known = new Map();
  const index = (/** @type {number} */ colour) => {
    const key = colour & mask;
    const there = known.get(key);
    if (there !== undefined) return there;
    let best = 0, least = Infinity;
    colours.forEach((one, i) => {
      const off = ((one >> 16) - (key >> 16)) ** 2 + (((one >> 8) & 255) - ((key >> 8) & 255)) ** 2 + ((one & 255) - (key & 255)) ** 2;
      if (off < least) [best, least] = [i, off];
    });
    known.set(key, best);
    return best;
  };
  return { colours, index };
}

/** LZW as GIF has it, codes of 9 to 12 bits. @param {Uint8Array} pixels @returns {number[]} */
function compressed(pixels) {
  /** @type {number[]} */
  const out = [8];
  /** @type {number[]} */
  let block = [];
  let bits = 0, held = 0, size = 9, next = 258;
  const byte = (/** @type {number} */ value) => {
    block.push(value);
    if (block.length === 255) { out.push(255, ...block); block = []; }
  };
  const put = (/** @type {number} */ code) => {
    bits |= code << held;
    for (held += size; held >= 8; held -= 8, bits >>>= 8) byte(bits & 255);
  };
  /** @type {Map<number, number>} */
  let table = new Map();
  put(256);
  let prefix = pixels[0];
  for (let i = 1; i < pixels.length; i++) {
    const key = (prefix << 8) | pixels[i];
    const code = table.get(key);
    if (code !== undefined) { prefix = code; continue; }
    put(prefix);
    prefix = pixels[i];
    if (next === 4096) {
      put(256);
      table = new Map();
      [size, next] = [9, 258];
    } else {
      table.set(key, next);
      if (next++ === 1 << size) size++;
    }
  }
  put(prefix);
  put(257);
  if (held) byte(bits & 255);
  if (block.length) out.push(block.length, ...block);
  return [...out, 0];
}

/**
 * @param {ImageData[]} frames of one size
 * @param {number[]} delays of each, in hundredths of a second
 */
export function gif(frames, delays) {
  const { width, height } = frames[0];
  const { colours, index } = palette(frames);
  const word = (/** @type {number} */ n) => [n & 255, n >> 8];
  const table = Array.from({ length: 256 }, (_, i) => colours[i] ?? 0).flatMap((c) => [c >> 16, (c >> 8) & 255, c & 255]);
  const parts = [new Uint8Array([...new TextEncoder().encode("GIF89a"), ...word(width), ...word(height), 0xf7, 0, 0, ...table,
    0x21, 0xff, 11, ...new TextEncoder().encode("NETSCAPE2.0"), 3, 1, 0, 0, 0])];
  /** @type {Uint8Array | null} */
  let before = null;
  frames.forEach(({ data }, k) => {
    const pixels = Uint8Array.from({ length: width * height }, (_, i) => index((data[4 * i] << 16) | (data[4 * i + 1] << 8) | data[4 * i + 2]));
    const [x, y, w, h] = changed(before, pixels, width, height);
    const piece = new Uint8Array(w * h);
    for (let row = 0; row < h; row++) piece.set(pixels.subarray((y + row) * width + x, (y + row) * width + x + w), row * w);
    parts.push(new Uint8Array([0x21, 0xf9, 4, 4, ...word(delays[k]), 0, 0, 0x2c, ...word(x), ...word(y), ...word(w), ...word(h), 0]),
      Uint8Array.from(compressed(piece)));
    before = pixels;
  });
  return new Blob([.../** @type {BlobPart[]} */ (parts), new Uint8Array([0x3b])], { type: "image/gif" });
}

/**
 * The rectangle in which a frame differs from the one before.
 * @param {Uint8Array | null} before @param {Uint8Array} now @param {number} width @param {number} height
 */
function changed(before, now, width, height) {
  if (!before) return [0, 0, width, height];
  let [left, top, right, bottom] = [width, height, -1, -1];
  for (let i = 0; i < now.length; i++) {
    if (now[i] === before[i]) continue;
    const x = i % width, y = (i / width) | 0;
    [left, top, right, bottom] = [Math.min(left, x), Math.min(top, y), Math.max(right, x), Math.max(bottom, y)];
  }
  return right < 0 ? [0, 0, 1, 1] : [left, top, right - left + 1, bottom - top + 1];
}
