/**
 * One column: a model, the line as it is now, and all its states from top to bottom.
 *
 * @typedef {import("./engine.js").Row} Row
 */
import { outcome } from "./engine.js";
import { count, percent, safe, several } from "./words.js";

/** Entropies, in nats, from which on a token is shaded one step darker. */
const SHADES = [0.1, 0.5, 1, 1.75, 2.5];

/** What a token is at a moment, as a class. @param {number} now @param {number} before @param {number} original */
export function standing(now, before, original) {
  if (before === original) return now === original ? "" : "broke";
  return now === original ? "back" : "off";
}

export class FallView {
  /**
   * @param {HTMLElement} root
   * @param {string[]} signs what is shown for each token
   * @param {string} unit "letter" or "token"
   * @param {(row: number, position: number) => void} onPick
   */
  constructor(root, signs, unit, onPick) {
    this.root = root;
    this.signs = signs;
    this.unit = unit;
    this.lines = /** @type {HTMLElement} */ (root.querySelector(".rows"));
    this.now = /** @type {HTMLElement} */ (root.querySelector(".now"));
    this.verdict = /** @type {HTMLElement} */ (root.querySelector(".verdict"));
    /** @type {Row[]} */
    this.rows = [];
    this.complete = false;
    /** @type {Int32Array | null} */
    this.original = null;
    /** @type {Set<number>} */
    this.counted = new Set();
    root.addEventListener("click", (event) => {
      const token = /** @type {Element} */ (event.target).closest("[data-i]");
      if (!(token instanceof HTMLElement)) return;
      const line = token.closest("[data-row]");
      onPick(line instanceof HTMLElement ? Number(line.dataset.row) : -2, Number(token.dataset.i));
    });
  }

  /** @param {Int32Array | null} original @param {number[]} counted */
  reset(original, counted) {
    this.rows = [];
    this.complete = false;
    this.original = original;
    this.counted = new Set(counted);
    this.lines.replaceChildren();
  }

  /** @param {Row & { last?: boolean }} row */
  add(row) {
    this.rows.push(row);
    this.complete = row.last === true;
    const line = document.createElement("div");
    line.className = row.last ? "row end" : "row";
    line.dataset.row = String(row.row);
    const time = row.last ? "end" : percent(row.t);
    const marked = row.row % 4 === 0 || row.last ? time : "";
    line.innerHTML = `<i>${marked}</i>${this.tokens(row)}`;
    this.lines.append(line);
  }

  /** @param {Row} row */
  tokens(row) {
    return Array.from(row.tokens, (token, i) => {
      const shade = SHADES.findLastIndex((least) => row.entropy[i] >= least) + 1;
      return `<span data-i="${i}" class="${this.standing(row, i)} h${shade}">${safe(this.signs[token])}</span>`;
    }).join("");
  }

  /** @param {Row} row @param {number} i */
  standing(row, i) {
    if (!this.original) return row.row && this.rows[row.row - 1]?.tokens[i] !== row.tokens[i] ? "moved" : "";
    const filled = this.counted.has(i) ? "" : " filled";
    return standing(row.tokens[i], this.rows[0]?.tokens[i] ?? row.tokens[i], this.original[i]) + filled;
  }

  /** Show one state, and a token of it. @param {number} at place of the row; -1 for the last @param {number} token */
  show(at, token) {
    const chosen = at < 0 || at >= this.rows.length ? this.rows.length - 1 : at;
    const row = this.rows[chosen];
    if (!row) return;
    const end = this.complete && chosen === this.rows.length - 1;
    this.now.innerHTML = this.tokens(row);
    this.now.classList.toggle("end", end);
    [...this.lines.children].forEach((line, i) => {
      line.classList.toggle("current", i === chosen);
      line.classList.toggle("later", i > chosen);
    });
    this.root.querySelectorAll(".picked").forEach((one) => one.classList.remove("picked"));
    if (token >= 0) {
      this.now.children[token]?.classList.add("picked");
      const picked = this.lines.children[chosen]?.querySelector(`[data-i="${token}"]`);
      picked?.classList.add("picked");
      if (picked instanceof HTMLElement) this.reveal(picked);
    }
    this.verdict.innerHTML = this.said(row, end);
  }

  /** Scroll a row that is wider than its column to one of its tokens. @param {HTMLElement} token */
  reveal(token) {
    const [box, here] = [this.lines.getBoundingClientRect(), token.getBoundingClientRect()];
    if (here.left < box.left || here.right > box.right) this.lines.scrollLeft += here.left - box.left - box.width / 2;
  }

  /** How the fall stands, in words. @param {Row} row @param {boolean} end */
  said(row, end) {
    if (!this.original) return end ? "This is what it wrote." : "Writing, out of nothing but noise …";
    const { perturbed, back, broken } = outcome(this.original, this.rows[0].tokens, row.tokens, (i) => this.counted.has(i));
    if (!perturbed && !broken) return `No ${this.unit} was spoiled.`;
    const share = perturbed ? `<b>${back} of ${several(perturbed, `spoiled ${this.unit}`)}</b> came back` : "nothing was spoiled";
    const harm = broken ? `, and <b>${count(broken)} of the others</b> broke` : "";
    return `${end ? "" : "So far "}${share}${harm}.`;
  }
}
