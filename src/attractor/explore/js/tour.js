/**
 * Five stops that operate the page.
 *
 * @typedef {object} Stop
 * @property {string} title
 * @property {string} text
 * @property {Partial<import("./state.js").State>} state
 * @property {string} look at which part of the page
 * @property {boolean} [into] look into the first token that is spoiled
 */
import { count } from "./words.js";

/** @param {number[]} sizes @param {string} unit @param {number} share @returns {Stop[]} */
export function stops(sizes, unit, share) {
  const [few, many] = [count(sizes[0]), count(sizes[sizes.length - 1])];
  const base = { models: [0, sizes.length - 1], hand: null, row: -1, token: -1, seed: 0, share };
  return [
    { title: "A line it was trained on", look: "#falls", state: { ...base, view: "line", kind: "train", index: 0 },
      text: `${share}% of its ${unit}s are replaced at random; then each model repairs the line, from top to bottom. On the left is the model that learned from ${few} lines only, this one among them. Blue ${unit}s came back.` },
    { title: "A line neither has seen", look: "#falls", state: { ...base, view: "line", kind: "test", index: 0 },
      text: `The same noise on new text. Whoever knows lines by heart has nothing to go by here: orange ${unit}s did not come back, purple ones were sound and got broken. Whoever learned the language repairs it about as well as any other line.` },
    { title: "Why this one?", look: "#look", state: { ...base, view: "line", kind: "test", index: 0, row: 0 }, into: true,
      text: `Click any ${unit} to look into the model: how likely it holds each possibility there, and which was drawn. Grey behind a ${unit} says how unsure the model is.` },
    { title: "The basin", look: "#basin", state: { ...base, view: "line", kind: "train", index: 0 },
      text: `How much can be spoiled before the line is lost? Each point is 20 falls. High on the left for a line that was learned by heart, and low where it was not: that is the basin of attraction, and how wide it is. The table has every model.` },
    { title: "Nothing but noise", look: "#falls", state: { ...base, view: "noise" },
      text: `Left alone with noise, where does each model fall? Below each text stands the training line that is nearest to it, ${unit} by ${unit}: a model that knows its lines by heart writes them again; one that learned the language writes something new. Now it is yours: type a line of your own.` },
  ];
}

export class Tour {
  /**
   * @param {HTMLElement} box @param {Stop[]} all
   * @param {(stop: Stop) => void} go
   */
  constructor(box, all, go) {
    this.box = box;
    this.all = all;
    this.go = go;
    this.at = -1;
    box.addEventListener("click", (event) => {
      const to = /** @type {Element} */ (event.target).closest("[data-go]");
      if (to instanceof HTMLElement) this.to(to.dataset.go === "end" ? this.all.length : this.at + Number(to.dataset.go));
    });
    box.addEventListener("keydown", (event) => {
      if (event.key === "Escape") this.to(this.all.length);
    });
  }

  /** @param {number} at */
  to(at) {
    this.at = at;
    const stop = this.all[at];
    this.box.hidden = !stop;
    document.body.classList.toggle("touring", Boolean(stop));
    document.querySelectorAll(".stop").forEach((one) => one.classList.remove("stop"));
    if (!stop) return;
    this.go(stop);
    const last = at === this.all.length - 1;
    this.box.innerHTML = `<p class="step">${at + 1} of ${this.all.length}</p><h2>${stop.title}</h2><p>${stop.text}</p><p class="ways">`
      + `${at ? '<button type="button" data-go="-1">Back</button>' : ""}<button type="button" class="strong" data-go="1">${last ? "Done" : "Next"}</button>`
      + `${last ? "" : '<button type="button" data-go="end">End the tour</button>'}</p>`;
    const place = document.querySelector(stop.look);
    place?.classList.add("stop");
    place?.scrollIntoView({ block: "start", behavior: matchMedia("(prefers-reduced-motion: reduce)").matches ? "auto" : "smooth" });
    /** @type {HTMLElement} */ (this.box.querySelector(".strong")).focus({ preventScroll: true });
  }
}
