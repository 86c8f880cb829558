/**
 * What the page shows, and the same as an address, so that a finding can be sent.
 *
 * @typedef {object} State
 * @property {"line" | "noise"} view
 * @property {"train" | "test" | "own"} kind of sentence
 * @property {number} index of the sentence
 * @property {string} own text that was typed
 * @property {number} share of tokens to corrupt, in percent
 * @property {number[] | null} hand positions that were corrupted by hand; null where the share decides
 * @property {number} seed of the noise
 * @property {number[]} models places of the two columns among the models
 * @property {number} row of the fall that is shown; -1 for the last one
 * @property {number} token position that is looked into; -1 for none
 */

/** @param {number} models how many there are @returns {State} */
export const initial = (models) => ({
  view: "line", kind: "train", index: 0, own: "", share: 30, hand: null, seed: 0, models: [0, models - 1], row: -1, token: -1,
});

/** @param {State} state @param {number[]} sizes training rows of each model */
export function toAddress(state, sizes) {
  const parts = new URLSearchParams();
  if (state.view === "noise") parts.set("view", "noise");
  else {
    parts.set("line", state.kind === "own" ? "own" : `${state.kind}.${state.index}`);
    if (state.kind === "own") parts.set("text", state.own);
    if (state.hand) parts.set("hand", state.hand.join("."));
    else parts.set("share", String(state.share));
  }
  parts.set("noise", String(state.seed));
  parts.set("n", state.models.map((i) => sizes[i]).join("."));
  if (state.row >= 0) parts.set("row", String(state.row));
  if (state.token >= 0) parts.set("at", String(state.token));
  return `#${parts}`;
}

/**
 * The state that an address says; whatever it does not say, or says wrongly, is as in the beginning.
 * @param {string} hash @param {number[]} sizes @param {{ train: number, test: number }} sentences how many there are
 * @param {number} length tokens in a row
 * @returns {State}
 */
export function fromAddress(hash, sizes, sentences, length) {
  const parts = new URLSearchParams(hash.replace(/^#/, ""));
  const state = initial(sizes.length);
  const whole = (/** @type {string | null} */ text, /** @type {number} */ low, /** @type {number} */ high, /** @type {number} */ other) => {
    const n = /^-?\d{1,9}$/.test(text ?? "") ? Number(text) : NaN;
    return n >= low && n <= high ? n : other;
  };
  if (parts.get("view") === "noise") state.view = "noise";
  const [kind, index] = (parts.get("line") ?? "").split(".");
  if (kind === "train" || kind === "test") {
    state.kind = kind;
    state.index = whole(index, 0, sentences[kind] - 1, 0);
  } else if (kind === "own") {
    state.kind = "own";
    state.own = (parts.get("text") ?? "").slice(0, 2000);
  }
  state.share = whole(parts.get("share"), 1, 100, state.share);
  if (parts.has("hand")) {
    const places = (parts.get("hand") ?? "").split(".").map((text) => whole(text, 0, length - 1, -1));
    state.hand = [...new Set(places.filter((i) => i >= 0))].sort((a, b) => a - b);
  }
  state.seed = whole(parts.get("noise"), 0, 999999999, 0);
  const chosen = (parts.get("n") ?? "").split(".").map((n) => sizes.indexOf(Number(n)));
  if (chosen.length === 2 && chosen.every((i) => i >= 0)) state.models = chosen;
  state.row = whole(parts.get("row"), 0, 999, -1);
  state.token = whole(parts.get("at"), 0, length - 1, -1);
  return state;
}
