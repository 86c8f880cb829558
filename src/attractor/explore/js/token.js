/**
 * A token looked into: what the model holds possible at its place, what is true, and what was drawn.
 *
 * @typedef {import("./source.js").Chance} Chance
 */
import { named, safe } from "./words.js";

const SHOWN = 6;

/**
 * @param {object} looked
 * @param {Chance[]} looked.chances likeliest first
 * @param {string[]} looked.signs
 * @param {number} looked.now the token that stands there
 * @param {number | null} looked.truth the token of the original sentence
 * @param {import("./reverse.js").Move[] | null} looked.moves of this token until the next row, where they are known
 * @param {boolean} looked.last whether this is the end of the fall
 */
export function tokenPanel({ chances, signs, now, truth, moves, last }) {
  const shown = chances.slice(0, SHOWN);
  // The truth is shown wherever it ranks.
  const true_ = chances.findIndex((chance) => chance.token === truth);
  if (true_ >= SHOWN) shown[SHOWN - 1] = chances[true_];
  const bars = shown.map(({ token, p }) => {
    const marks = [token === truth ? "truth" : "", token === now ? "stands here" : ""].filter(Boolean).join(", ");
    return `<li class="${token === truth ? "true" : ""}"><span class="sign">${safe(named(signs[token]))}</span>`
      + `<span class="bar"><span style="width:${(100 * p).toFixed(2)}%"></span></span>`
      + `<span class="p">${percentage(p)}</span><span class="marks">${marks}</span></li>`;
  });
  return `<ol class="bars">${bars.join("")}</ol><p class="draw">${drawn(moves, signs, last)}</p>`;
}

/** @param {number} p */
const percentage = (p) => (p >= 0.0995 ? `${Math.round(p * 100)}%` : p >= 0.001 ? `${(p * 100).toFixed(1)}%` : "&lt;0.1%");

/** What the coins did. @param {import("./reverse.js").Move[] | null} moves @param {string[]} signs @param {boolean} last */
function drawn(moves, signs, last) {
  if (last) return "This is the end: nothing is drawn any more.";
  if (!moves) return "What was drawn on the way to the next row was not recorded.";
  if (!moves.length) return "Its turn does not come before the next row, so it stays.";
  return moves.map(({ from, to, how }) => {
    if (how === "stayed") return `Its turn came, and it stayed “${safe(named(signs[from]))}”.`;
    const whence = how === "network" ? "drawn from these chances" : "drawn at random, as noise";
    return `Its turn came: “${safe(named(signs[to]))}” was ${whence}${from === to ? ", the same again" : ""}.`;
  }).join(" ");
}
