/**
 * Five stops that operate the page.
 *
 * @typedef {object} Stop
 * @property {string} title
 * @property {string} text
 * @property {Partial<import("./state.js").State>} state
 * @property {string} look at which part of the page
 * @property {boolean} [into] look into the first token that is spoiled
 * @property {boolean} [plays] whether the falls are played once they are there
 */
import { count } from "./words.js";

/**
 * @param {number[]} sizes @param {string} unit @param {number} share in percent
 * @param {boolean} live whether the page computes falls, and has not only recordings of them
 * @returns {Stop[]}
 */
export function stops(sizes, unit, share, live) {
  const [few, many] = [count(sizes[0]), count(sizes[sizes.length - 1])];
  const one = sizes.length === 1;
  const base = { models: [0, sizes.length - 1], hand: null, row: -1, token: -1, seed: 0, share };
  const line = (/** @type {"train" | "test"} */ kind) => ({ ...base, view: /** @type {"line"} */ ("line"), kind, index: 0 });
  return [
    { title: "A line from the training text", look: "#falls", plays: true, state: line("train"),
      text: `${share}% of its ${unit}s were replaced at random, and the model repairs them step by step. Blue ${unit}s came back. `
        + (one ? "It has seen this line before." : `The first model has seen only ${few} lines, this one among them: it knows them by heart. The second has seen ${many}.`) },
    { title: one ? "A line it has never seen" : "A line that neither has seen", look: "#falls", plays: true, state: line("test"),
      text: `The same noise on a new line. Orange ${unit}s did not come back, and purple ones were right before and broke. `
        + "A model that only knows its lines by heart is lost here, and turns this line into one of its own. A model that has learned the language does about as well as before." },
    { title: "Why this one?", look: "#look", state: { ...line("test"), row: 0 }, into: true,
      text: `This is one spoiled ${unit} of that line, as the model sees it: what may stand here, and how likely each is. `
        + `You can press any ${unit} of the page to look into it. The darker the grey behind a ${unit}, the less sure the model is.` },
    { title: "The basin", look: "#basin", state: line("train"),
      text: `How much may be spoiled before the line is lost? Read a curve from left, where little is spoiled, to right. While it stays high, the model still pulls the line back: so far reaches the basin of attraction. `
        + (live ? `Each point is the mean of up to 20 falls, which come in while you watch.${one ? "" : " The table has every model."}` : "Each point is one recorded fall.") },
    { title: "Nothing but noise", look: "#near", state: { ...base, view: "noise" },
      text: "Here nothing was given but random letters, and each model made a line of them. Below it stands the most similar training line, and what differs is marked. "
        + `A model that knows its lines by heart writes one of them again; a model that has learned the language writes a new one.${live ? " Now try a line of your own." : ""}` },
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
    document.querySelector(stop.look)?.classList.add("stop");
    this.place();
    /** @type {HTMLElement} */ (this.box.querySelector(".strong")).focus({ preventScroll: true });
  }

  /** Bring what the stop speaks of into sight: also once more, when what stands above it has grown. */
  place() {
    const look = this.all[this.at]?.look;
    if (look) document.querySelector(look)?.scrollIntoView({ block: "start" });
  }
}
