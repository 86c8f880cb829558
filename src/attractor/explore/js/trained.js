/** The training lines that the page holds: which were seen by whom, and which one is nearest to a text. */
import { aligned, nearestBySlices } from "./nearest.js";
import { count, safe, several } from "./words.js";

export class Trained {
  /** @param {any} content */
  constructor(content) {
    this.content = content;
    /** @type {ArrayLike<number>[] | undefined} */
    this.read = undefined;
  }

  /** The lines, in the order in which training sets take them; there may be more than the page holds. */
  get lines() {
    const { stored, length } = this.content;
    this.read ??= rowsOf(stored, length);
    return this.read;
  }

  /**
   * Whether a model was trained on the line that falls, in words.
   * @param {number} n training lines of the model @param {"train" | "test" | "own"} kind
   * @param {import("./lines.js").Line | null} line
   */
  said(n, kind, line) {
    if (!line) return "";
    if (kind === "train") return ", this one among them";
    if (kind === "test") return ", not on this one";
    const own = line.counted.map((i) => line.tokens[i]);
    const seen = this.lines.slice(0, n);
    if (seen.some((one) => holds(one, own))) return ", your words among them";
    return n > seen.length ? `, your words not among the first ${count(seen.length)}` : ", not on your words";
  }

  /**
   * The nearest training line to what a model wrote.
   * @param {HTMLElement} box @param {any} model @param {Int32Array} tokens @param {() => void} onFound
   * @returns {() => void} how to stop looking
   */
  nearest(box, model, tokens, onFound) {
    const { signs } = this.content;
    const seen = this.lines.slice(0, model.n);
    return nearestBySlices(tokens, seen, ({ index, edits }) => {
      const pairs = aligned(tokens, seen[index]);
      const line = (/** @type {0 | 1} */ side) => pairs.map((pair) => {
        const token = pair[side];
        return `<span class="${pair[0] === pair[1] ? "same" : "differs"}">${token === null ? "·" : safe(signs[token])}</span>`;
      }).join("");
      const among = model.n > seen.length ? `the first ${count(seen.length)} of its ${count(model.n)} training lines` : `its ${count(model.n)} training lines`;
      const told = edits ? `${several(edits, "edit")} away` : "the same, to the letter";
      box.innerHTML = `<p>The nearest of ${among} is <b>${told}</b>. For lines that no model has seen it is about ${several(model.usual, "edit")}.</p>`
        + `<div class="pair"><small>written</small><div>${line(0)}</div><small>training</small><div>${line(1)}</div></div>`;
      onFound();
    });
  }
}

/** Whether a row holds these tokens one after the other. @param {ArrayLike<number>} row @param {number[]} tokens */
function holds(row, tokens) {
  for (let start = 0; start + tokens.length <= row.length; start++) {
    if (tokens.every((token, i) => row[start + i] === token)) return true;
  }
  return false;
}

/** The training rows that the page holds. @param {{ count: number, bytes: number, content: string }} packed @param {number} length */
function rowsOf({ count: rows, bytes, content }, length) {
  const raw = Uint8Array.from(atob(content), (c) => c.charCodeAt(0)).buffer;
  const all = bytes === 1 ? new Uint8Array(raw) : bytes === 2 ? new Uint16Array(raw) : new Uint32Array(raw);
  return Array.from({ length: rows }, (_, i) => all.subarray(i * length, (i + 1) * length));
}
