/**
 * The event-driven reverse process of `attractor/process/reverse.py` for uniform noise: the network is asked only at
 * steps, and its output layer only at positions, where a coin that needs no network has come up.
 *
 * @typedef {(tokens: Int32Array, t: number, where: number[]) => Float32Array} Probabilities
 *   distributions of clean tokens at some positions, (where.length, V)
 *
 * @typedef {object} Process
 * @property {number} vocabulary V
 * @property {number} eps of the log-linear schedule
 * @property {Probabilities} probabilities
 *
 * @typedef {(position: number, step: number) => number[]} Uniforms four uniforms at a place
 *
 * @typedef {object} Move what a coin that came up did
 * @property {number} step
 * @property {number} position
 * @property {number} from
 * @property {number} to
 * @property {"stayed" | "network" | "noise"} how
 */
import { alphaOf } from "./network.js";

export const T_MIN = 1e-5;

/** Times from the smallest one of the grid that is >= t, falling. @param {number} t @param {number} steps */
export function timeGrid(t, steps) {
  const grid = Array.from({ length: steps + 1 }, (_, i) => 1 + (i * (T_MIN - 1)) / steps);
  grid[steps] = T_MIN;
  const first = grid.filter((time) => time >= t - 1e-12).length - 1;
  return grid.slice(Math.max(first, 0));
}

/** A token on 0 ... V - 1. @param {number} u @param {number} vocabulary */
export const uniformToken = (u, vocabulary) => Math.min(Math.floor(u * vocabulary), vocabulary - 1);

/**
 * Draw x_t given x_0: each token is kept with probability alpha(t) and drawn anew otherwise.
 * @param {Int32Array} tokens @param {number} t @param {Process} process @param {Uniforms} uniforms
 */
export function corrupt(tokens, t, { vocabulary, eps }, uniforms) {
  const alpha = alphaOf(t, eps);
  return tokens.map((token, i) => {
    const u = uniforms(i, 0);
    return u[0] >= alpha ? uniformToken(u[1], vocabulary) : token;
  });
}

/** Weights of a redraw from the network and of one from the noise. @param {number} b @param {number} a */
const redraws = (b, a) => [b - a, (1 - a / b) * (1 - b)];

/** Draws the steps at which coins come up, by inversion of their survival function. */
class Candidates {
  /** @param {number[]} alpha at the times of the grid, and 1 at the end */
  constructor(alpha) {
    this.last = alpha.length - 2;
    this.logSurvival = [0];
    for (let k = 0; k <= this.last; k++) {
      const [network, noise] = redraws(alpha[k + 1], alpha[k]);
      const coin = Math.min(1, (network + noise) / (1 - alpha[k]));
      this.logSurvival.push(this.logSurvival[k] + Math.log1p(-coin));
    }
  }

  /** The step of the next candidate after `step`; beyond `last` when there is none. @param {number} step @param {number} u */
  next(step, u) {
    if (step >= this.last) return this.last + 1;
    const level = this.logSurvival[step + 1] + Math.log(u);
    let low = step + 1, high = this.last + 2;
    while (low < high) {
      const middle = (low + high) >> 1;
      if (this.logSurvival[middle] <= level) high = middle;
      else low = middle + 1;
    }
    return low - 1;
  }
}

/**
 * Draw x_s of one token given that its coin came up.
 * @param {number} z @param {Float32Array} probs @param {number} at where the token's distribution begins
 * @param {number} vocabulary @param {number} b @param {number} a @param {number[]} u
 * @returns {{ to: number, how: Move["how"] }}
 */
export function jump(z, probs, at, vocabulary, b, a, u) {
  if (!(u[0] * (vocabulary * a * probs[at + z] + 1 - a) < 1 - a)) return { to: z, how: "stayed" };
  const [network, noise] = redraws(b, a);
  if (!(u[1] * (network + noise) < network)) return { to: uniformToken(u[2], vocabulary), how: "noise" };
  let total = 0;
  for (let v = 0; v < vocabulary; v++) total += probs[at + v];
  let token = 0, sum = probs[at];
  while (sum <= u[2] * total && token < vocabulary - 1) sum += probs[at + ++token];
  return { to: token, how: "network" };
}

/**
 * Run one sequence down the grid; yields before every step at which something may move, or that is watched.
 *
 * @param {Process} process
 * @param {Int32Array} start tokens at grid[0]; not changed
 * @param {number[]} grid falling times, see `timeGrid`
 * @param {Uniforms} uniforms
 * @param {object} [options]
 * @param {boolean} [options.greedy] the last step takes the network's likeliest token instead of a draw
 * @param {(step: number) => boolean} [options.watched] steps at which the distributions of all positions are wanted
 * @returns {Generator<{ step: number, t: number, tokens: Int32Array, where: number[], probs: Float32Array,
 *   moves: Move[] }, Int32Array>} `tokens` as they are before the moves; in the end the text at t = 0
 */
export function* reverse({ vocabulary, eps, probabilities }, start, grid, uniforms, options = {}) {
  const tokens = start.slice();
  const alpha = [...grid.map((t) => alphaOf(t, eps)), 1];
  const candidates = new Candidates(alpha);
  const { last } = candidates;
  const pending = Array.from(tokens, (_, i) => candidates.next(-1, uniforms(i, 0)[3]));
  const everywhere = Array.from(tokens, (_, i) => i);
  for (let step = 0; step <= last; step++) {
    const moving = everywhere.filter((i) => pending[i] === step);
    const where = options.watched?.(step) ? everywhere : moving;
    if (!where.length) continue;
    const probs = probabilities(tokens, grid[step], where);
    const before = tokens.slice();
    /** @type {Move[]} */
    const moves = [];
    for (const position of moving) {
      const at = (where === everywhere ? position : moving.indexOf(position)) * vocabulary;
      const u = uniforms(position, step + 1);
      const from = tokens[position];
      let { to, how } = jump(from, probs, at, vocabulary, alpha[step + 1], alpha[step], u);
      if (options.greedy && step === last) {
        to = 0;
        for (let v = 1; v < vocabulary; v++) if (probs[at + v] > probs[at + to]) to = v;
        how = to === from ? "stayed" : "network";
      }
      tokens[position] = to;
      moves.push({ step, position, from, to, how });
      pending[position] = candidates.next(step, u[3]);
    }
    yield { step, t: grid[step], tokens: before, where, probs, moves };
  }
  return tokens;
}
