/**
 * What the tokenizer of a sweep makes of typed text.
 *
 * @typedef {object} Spelling
 * @property {"characters" | "bytes"} kind
 * @property {Record<string, number>} vocabulary
 * @property {number} [unknown] of characters: what stands for those that it lacks
 * @property {[string, string][]} [merges] of byte-level BPE, in the order in which they are made
 *
 * @typedef {{ ids: number[], unknown: string[] }} Encoded token ids, and the characters that the tokenizer lacks
 */

/** The words into which GPT-2's tokenizer cuts text before it merges bytes. */
const WORD = /'(?:[sdmt]|ll|ve|re)| ?\p{L}+| ?\p{N}+| ?[^\s\p{L}\p{N}]+|\s+(?!\S)|\s+/gu;

/** @param {string} text @param {Spelling} spelling @returns {Encoded} */
export function encode(text, spelling) {
  if (spelling.kind === "characters") {
    /** @type {Encoded} */
    const found = { ids: [], unknown: [] };
    for (const letter of text) {
      if (Object.hasOwn(spelling.vocabulary, letter)) found.ids.push(spelling.vocabulary[letter]);
      else {
        found.ids.push(/** @type {number} */ (spelling.unknown));
        found.unknown.push(letter);
      }
    }
    return found;
  }
  const rank = new Map((spelling.merges ?? []).map((pair, i) => [pair.join(" "), i]));
  const ids = (text.match(WORD) ?? []).flatMap((word) => merged(word, rank).map((piece) => spelling.vocabulary[piece]));
  return { ids, unknown: [] };
}

/** The letters that stand for the 256 bytes: printable ones for themselves, others from U+0100 on. */
const BYTES = (() => {
  const shown = (/** @type {number} */ b) => (b >= 33 && b <= 126) || (b >= 161 && b <= 172) || b >= 174;
  let next = 256;
  return Array.from({ length: 256 }, (_, b) => String.fromCharCode(shown(b) ? b : next++));
})();

/** @param {string} word @param {Map<string, number>} rank */
function merged(word, rank) {
  const pieces = Array.from(new TextEncoder().encode(word), (byte) => BYTES[byte]);
  for (;;) {
    let best = -1, lowest = Infinity;
    for (let i = 0; i + 1 < pieces.length; i++) {
      const at = rank.get(`${pieces[i]} ${pieces[i + 1]}`) ?? Infinity;
      if (at < lowest) [best, lowest] = [i, at];
    }
    if (best < 0) return pieces;
    pieces.splice(best, 2, pieces[best] + pieces[best + 1]);
  }
}
