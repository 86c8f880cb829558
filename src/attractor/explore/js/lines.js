/**
 * The sentence that falls: one of the page's, or what somebody typed, as a row of the model.
 *
 * @typedef {object} Line
 * @property {Int32Array} tokens a whole row
 * @property {number[]} counted positions of the sentence itself; what fills the row up is not counted
 * @property {string} note what there is to say of typed text
 */
import { CountedNoise } from "./noise.js";
import { corrupt, uniformToken } from "./reverse.js";
import { encode } from "./tokenizer.js";
import { several } from "./words.js";

/** A row of the page's. @param {number[]} row @returns {Line} */
export const given = (row) => ({ tokens: Int32Array.from(row), counted: row.map((_, i) => i), note: "" });

/**
 * Typed text as a row: cut where it is longer, and filled up with unseen text where it is shorter, since the models
 * know whole rows only.
 * @param {string} text @param {any} content @returns {Line | null} null where there is nothing
 */
export function typed(text, content) {
  const { length, markers, signs, unit, sentences } = content;
  const { ids, unknown } = encode(text, content.spelling);
  if (!ids.length) return null;
  const room = length - 2;
  const own = ids.slice(0, room);
  const unseen = sentences.test[sentences.test.length - 1];
  const begins = unseen.findIndex((/** @type {number} */ token) => token !== markers.begin && token !== markers.end);
  const filler = own.length < room ? [markers.end, ...unseen.slice(begins)] : [];
  const row = [markers.begin, ...own, ...filler].slice(0, length - 1);
  const notes = [];
  if (ids.length > room) notes.push(`${several(ids.length - room, unit)} too many for a row of ${room}: what is beyond was cut.`);
  const letters = [...new Set(unknown)];
  if (letters.length) notes.push(`The models have never seen ${letters.map((c) => `“${c}”`).join(", ")}: ${letters.length > 1 ? "they stand" : "it stands"} as ${signs[content.spelling.unknown]}.`);
  if (filler.length) notes.push(`Shorter than a row of ${room} ${unit}s, so unseen text (in grey) fills it up; that is spoiled too, and not counted.`);
  return { tokens: Int32Array.from([...row, markers.end]), counted: own.map((_, i) => i + 1), note: notes.join(" ") };
}

/**
 * The sentence as it is spoiled, and the time at which that much is.
 * @param {Line} line @param {import("./state.js").State} state @param {any} content
 */
export function spoiled({ tokens }, state, content) {
  const { vocabulary, eps, length } = content;
  const t = state.hand ? Math.max(1, Math.round((100 * state.hand.length) / length)) / 100 : state.share / 100;
  const noise = new CountedNoise(state.seed, "corrupt", t);
  if (!state.hand) {
    const process = { vocabulary, eps, probabilities: () => new Float32Array() };
    return { t, start: corrupt(tokens, t, process, (i) => noise.uniform(i, 0)) };
  }
  const chosen = new Set(state.hand);
  // What was clicked is to change: drawn from all tokens but the true one.
  const other = (/** @type {number} */ token, /** @type {number} */ i) =>
    (token + 1 + uniformToken(noise.uniform(i, 0)[1], vocabulary - 1)) % vocabulary;
  return { t, start: tokens.map((token, i) => (chosen.has(i) ? other(token, i) : token)) };
}

/** Nothing but noise. @param {number} seed @param {any} content */
export function noiseOnly(seed, { vocabulary, length }) {
  const noise = new CountedNoise(seed, "prior", 1);
  return Int32Array.from({ length }, (_, i) => uniformToken(noise.uniform(i, 0)[1], vocabulary));
}
