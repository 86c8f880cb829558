/**
 * Where falls come from: an engine that computes them, or recordings of models that are too large for a page.
 *
 * @typedef {import("./engine.js").Row} Row
 * @typedef {import("./engine.js").Shape} Shape
 *
 * @typedef {object} Model
 * @property {number} n training rows
 * @property {Shape} [shape] of one that runs in the page
 * @property {number} [bits] @property {number} [changed] @property {number} [parameters]
 * @property {Record<string, Recording>} [falls] of one that does not
 *
 * @typedef {{ times: number[], tokens: number[][], entropy: number[][], likeliest: number[][][], chances: number[][][] }} Recording
 *
 * @typedef {object} FallJob
 * @property {number} model @property {Int32Array} start @property {number} t @property {number} seed
 * @property {"reverse" | "generate"} stream @property {string} name of a recording
 *
 * @typedef {{ token: number, p: number }} Chance
 *
 * @typedef {object} Source
 * @property {(job: FallJob, onRow: (row: Row & { last?: boolean }) => void) => () => void} fall returns how to stop it
 * @property {(job: { model: number, row: Row, position: number, name: string }, onFound: (chances: Chance[]) => void) => void} look
 *   the distribution of a token, likeliest first
 * @property {(job: BasinJob, onOutcome: (found: import("./engine.js").Outcome & { model: number, share: number }) => void,
 *   onDone: () => void) => () => void} basin
 *
 * @typedef {{ models: number[], original: Int32Array, counted: number[], shares: number[], noises: number, seed: number,
 *   name: string }} BasinJob
 *
 * @typedef {{ message: any, models: number[], onAnswer: (answer: any) => void, onDone?: () => void, answers: number,
 *   skip: number }} Job what was asked of the engine and has not ended: its answers so far, and how many come again
 */
import { Engine, outcome } from "./engine.js";

/** Steps of the reverse process behind a point of the basin curve. */
export const BASIN_STEPS = 32;

/**
 * Computes with an engine, in a worker where there is one.
 * @implements {Source}
 */
export class Live {
  /**
   * @param {{ models: Model[], steps: number, rows: number }} content
   * @param {string} script text of the engine's modules
   * @param {(sentence: string) => void} say what the reader has to know
   */
  constructor(content, script, say) {
    this.content = content;
    /** @type {Map<number, Job>} */
    this.waiting = new Map();
    this.sent = new Set();
    this.next = 0;
    this.say = say;
    /** @type {(message: any, moved?: Transferable[]) => void} */
    this.post = () => {};
    try {
      const url = URL.createObjectURL(new Blob([`${script}\nserve();`], { type: "text/javascript" }));
      const worker = new Worker(url);
      worker.onmessage = ({ data }) => this.answer(data);
      worker.onerror = () => this.inPage();
      this.post = (message, moved = []) => worker.postMessage(message, moved);
    } catch {
      this.inPage();
    }
  }

  /** Without workers the page computes in its own thread, from where a worker that failed stopped. */
  inPage() {
    const engine = new Engine((answer) => this.answer(answer));
    this.post = (message) => engine.receive(message);
    this.sent.clear();
    this.say("This browser has no workers, so the page computes in its own thread and may stutter.");
    for (const [id, job] of this.waiting) {
      job.skip = job.answers; // they come again, the same ones
      this.put(id, job);
    }
  }

  /** @param {any} data */
  answer(data) {
    if (data.failed) this.say(`The models cannot run here: ${data.failed}`);
    const job = this.waiting.get(data.id);
    if (!job) return;
    if (data.done) {
      this.waiting.delete(data.id);
      job.onDone?.();
    } else if (job.skip > 0) {
      job.skip -= 1;
    } else {
      job.answers += 1;
      job.onAnswer(data);
    }
  }

  /** @param {any} message @param {number[]} models @param {(answer: any) => void} onAnswer @param {() => void} [onDone] */
  ask(message, models, onAnswer, onDone) {
    const id = this.next++;
    const job = { message, models, onAnswer, onDone, answers: 0, skip: 0 };
    this.waiting.set(id, job);
    this.put(id, job);
    return () => {
      this.waiting.delete(id);
      this.post({ do: "stop", id });
    };
  }

  /** @param {number} id @param {Job} job */
  put(id, { message, models }) {
    for (const index of models) this.send(index);
    this.post({ ...message, id });
  }

  /** Give the engine a model when it is first needed. @param {number} index */
  send(index) {
    if (this.sent.has(index)) return;
    this.sent.add(index);
    const { n, shape } = this.content.models[index];
    const text = document.getElementById(`weights-${n}`)?.textContent ?? "";
    const bytes = Uint8Array.from(atob(text), (c) => c.charCodeAt(0)).buffer;
    this.post({ do: "model", model: String(index), shape, bytes }, [bytes]);
  }

  /** @type {Source["fall"]} */
  fall({ model, start, t, seed, stream }, onRow) {
    const { steps, rows } = this.content;
    const stride = Math.ceil((t * steps) / rows);
    return this.ask({ do: "fall", model: String(model), start, t, steps, stride, seed, stream }, [model], onRow);
  }

  /** @type {Source["look"]} */
  look({ model, row: { tokens, t }, position }, onFound) {
    this.ask({ do: "look", model: String(model), tokens, t, position }, [model], ({ probs }) => onFound(
      Array.from(/** @type {Float32Array} */ (probs), (p, token) => ({ token, p })).sort((a, b) => b.p - a.p)));
  }

  /** @type {Source["basin"]} */
  basin({ models, name, ...job }, onOutcome, onDone) {
    const message = { do: "basin", models: models.map(String), steps: BASIN_STEPS, ...job };
    return this.ask(message, models, (found) => onOutcome({ ...found, model: Number(found.model) }), onDone);
  }
}

/**
 * Plays what was recorded when the page was written.
 * @implements {Source}
 */
export class Recorded {
  /** @param {{ models: Model[] }} content */
  constructor(content) {
    this.models = content.models;
  }

  /** @param {number} model @param {string} name */
  recording(model, name) {
    return this.models[model].falls?.[name];
  }

  /** @type {Source["fall"]} */
  fall({ model, name }, onRow) {
    const found = this.recording(model, name);
    const timer = setTimeout(() => found?.times.forEach((t, row) => onRow({
      row, t, tokens: Int32Array.from(found.tokens[row]), entropy: Float32Array.from(found.entropy[row]), moves: null,
      last: row === found.times.length - 1,
    })));
    return () => clearTimeout(timer);
  }

  /** @type {Source["look"]} */
  look({ model, row: { row }, position, name }, onFound) {
    const found = this.recording(model, name);
    const chances = found?.chances[row][position] ?? [];
    onFound(chances.map((p, k) => ({ token: found?.likeliest[row][position][k] ?? 0, p })));
  }

  /** @type {Source["basin"]} */
  basin({ models, original, counted, shares, name }, onOutcome, onDone) {
    const counts = new Set(counted);
    for (const model of models) {
      for (const share of shares) {
        const tokens = this.recording(model, `${name}.${Math.round(share * 100)}`)?.tokens;
        if (tokens) onOutcome({ model, share, ...outcome(original, tokens[0], tokens[tokens.length - 1], (i) => counts.has(i)) });
      }
    }
    onDone();
    return () => {};
  }
}
