/**
 * What computes behind the page: takes messages, works in slices and answers piece by piece. It runs in a worker, or,
 * where there are none, in the page's own thread.
 *
 * @typedef {import("./network.js").Shape} Shape
 *
 * @typedef {object} Row one state of a fall
 * @property {number} row
 * @property {number} t
 * @property {Int32Array} tokens
 * @property {Float32Array} entropy of each token given the others, in nats
 * @property {import("./reverse.js").Move[] | null} moves what happens between this row and the next one, where it is known
 *
 * @typedef {{ perturbed: number, back: number, kept: number, broken: number }} Outcome counts of tokens
 */
import { Network } from "./network.js";
import { CountedNoise } from "./noise.js";
import { T_MIN, corrupt, reverse, timeGrid } from "./reverse.js";

/** Milliseconds of work between two looks at the messages. */
const SLICE = 24;

/** Entropy of each row of a matrix of distributions, in nats. @param {Float32Array} probs @param {number} vocabulary */
export function entropies(probs, vocabulary) {
  const h = new Float32Array(probs.length / vocabulary);
  for (let i = 0; i < probs.length; i++) if (probs[i] > 0) h[(i / vocabulary) | 0] -= probs[i] * Math.log(probs[i]);
  return h;
}

/**
 * What became of the tokens that count.
 * @param {ArrayLike<number>} original @param {ArrayLike<number>} corrupted @param {ArrayLike<number>} end
 * @param {(position: number) => boolean} [counts]
 * @returns {Outcome}
 */
export function outcome(original, corrupted, end, counts = () => true) {
  const found = { perturbed: 0, back: 0, kept: 0, broken: 0 };
  for (let i = 0; i < original.length; i++) {
    if (!counts(i)) continue;
    const right = end[i] === original[i];
    if (corrupted[i] !== original[i]) {
      found.perturbed++;
      if (right) found.back++;
    } else {
      found.kept++;
      if (!right) found.broken++;
    }
  }
  return found;
}

export class Engine {
  /** @param {(answer: any, transfer?: ArrayBuffer[]) => void} post */
  constructor(post) {
    this.post = post;
    /** @type {Map<string, Network>} */
    this.models = new Map();
    /** @type {{ id: number, urgent: boolean, run: Generator }[]} */
    this.jobs = [];
    this.awake = false;
  }

  /** @param {any} message */
  receive(message) {
    if (message.do === "model") {
      this.models.set(message.model, new Network(message.shape, message.bytes, message.plain));
      return;
    }
    if (message.do === "stop") {
      this.jobs = this.jobs.filter((job) => job.id !== message.id);
      return;
    }
    const kinds = { fall: this.fall, look: this.look, basin: this.basin };
    const run = kinds[/** @type {keyof kinds} */ (message.do)].call(this, message);
    this.jobs.push({ id: message.id, urgent: message.do !== "basin", run });
    if (!this.awake) this.wake();
  }

  wake() {
    this.awake = this.jobs.length > 0;
    if (this.awake) setTimeout(() => this.work());
  }

  /** One slice: what somebody waits for before what fills in by and by; several of either take turns. */
  work() {
    const until = performance.now() + SLICE;
    while (this.jobs.length && performance.now() < until) {
      const job = this.jobs.find((one) => one.urgent) ?? this.jobs[0];
      this.jobs.splice(this.jobs.indexOf(job), 1);
      if (!job.run.next().done) this.jobs.push(job);
      else this.post({ id: job.id, done: true });
    }
    this.wake();
  }

  /** @param {string} model */
  process(model) {
    const network = /** @type {Network} */ (this.models.get(model));
    const { vocabulary, eps } = network.shape;
    /** @type {import("./reverse.js").Probabilities} */
    const probabilities = (tokens, t, where) => network.probabilities(tokens, t, where);
    return { vocabulary, eps, probabilities };
  }

  /**
   * Let a sequence fall, and answer with a `Row` for every `stride` steps and one for the end.
   * @param {{ id: number, model: string, start: Int32Array, t: number, steps: number, stride: number, seed: number,
   *   stream: "reverse" | "generate" }} job
   */
  *fall({ id, model, start, t, steps, stride, seed, stream }) {
    const process = this.process(model);
    const noise = new CountedNoise(seed, stream, t);
    const everywhere = Array.from(start, (_, i) => i);
    /** @type {Row | null} */
    let row = null;
    const run = reverse(process, start, timeGrid(t, steps), (i, step) => noise.uniform(i, step),
      { greedy: stream === "generate", watched: (step) => step % stride === 0 });
    let next = run.next();
    for (; !next.done; next = run.next()) {
      const { step, t: time, tokens, probs, moves } = next.value;
      if (step % stride === 0) {
        if (row) this.post({ id, ...row });
        row = { row: step / stride, t: time, tokens, entropy: entropies(probs, process.vocabulary), moves: [] };
      }
      row?.moves.push(...moves);
      yield;
    }
    if (row) this.post({ id, ...row });
    const entropy = entropies(process.probabilities(next.value, T_MIN, everywhere), process.vocabulary);
    this.post({ id, row: row ? row.row + 1 : 0, t: T_MIN, tokens: next.value, entropy, moves: [], last: true });
  }

  /**
   * The distribution of one token.
   * @param {{ id: number, model: string, tokens: Int32Array, t: number, position: number }} job
   */
  *look({ id, model, tokens, t, position }) {
    this.post({ id, probs: this.process(model).probabilities(tokens, t, [position]) });
    yield;
  }

  /**
   * Corrupt a sequence by each share with one noise after another, and answer with the `Outcome` of each fall.
   * @param {{ id: number, models: string[], original: Int32Array, counted: number[], shares: number[], noises: number,
   *   steps: number, seed: number }} job
   */
  *basin({ id, models, original, counted, shares, noises, steps, seed }) {
    const counts = new Set(counted);
    for (let noise = 0; noise < noises; noise++) {
      for (const model of models) {
        const process = this.process(model);
        for (const share of shares) {
          const [first, then] = [new CountedNoise(seed, "corrupt", share), new CountedNoise(seed, "reverse", share)];
          const start = corrupt(original, share, process, (i) => first.uniform(i, 0, noise));
          const run = reverse(process, start, timeGrid(share, steps), (i, step) => then.uniform(i, step, noise));
          let next = run.next();
          for (; !next.done; next = run.next()) yield;
          this.post({ id, model, share, noise, ...outcome(original, start, next.value, (i) => counts.has(i)) });
        }
      }
    }
  }
}

/** Answer the page from inside a worker. */
export function serve() {
  const engine = new Engine((answer) => postMessage(answer));
  addEventListener("message", (event) => {
    try {
      engine.receive(event.data);
    } catch (error) {
      postMessage({ failed: String(error) });
    }
  });
}
