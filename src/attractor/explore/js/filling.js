/** The basin of the line, as its falls come in: the curves of two models, and the table of all. */
import { Basin } from "./basin.js";
import { $, $$ } from "./dom.js";
import { BASIN_STEPS } from "./source.js";
import { count } from "./words.js";

/** Falls a point of the curves is the mean of, in the end. */
const NOISES = 20;
const SHARES = [0.05, 0.1, 0.2, 0.3, 0.4, 0.5, 0.6, 0.8];

export class Filling {
  /**
   * @param {any} content @param {import("./source.js").Source} source
   * @param {() => import("./state.js").State} state what the page shows
   */
  constructor(content, source, state) {
    this.content = content;
    this.source = source;
    this.state = state;
    /** @type {number[]} */
    this.sizes = content.models.map((/** @type {any} */ model) => model.n);
    this.shares = content.live ? SHARES : content.shares.map((/** @type {number} */ s) => s / 100);
    this.basin = new Basin(this.sizes, this.shares);
    this.of = "";
    this.what = "";
    /** @type {ReturnType<typeof setTimeout> | undefined} */
    this.soon = undefined;
    this.stop = () => {};
  }

  /**
   * Fill it in, once its part of the page is seen.
   * @param {import("./lines.js").Line | null} line @param {string} name of a recording
   */
  start(line, name) {
    const key = line ? line.tokens.join() : "";
    if (!line || key === this.of) return;
    this.stop();
    this.basin.clear();
    this.of = key;
    const begin = () => {
      const others = this.sizes.map((_, i) => i).filter((i) => !this.state().models.includes(i));
      const queue = [[...new Set(this.state().models)], ...others.map((i) => [i])];
      const next = () => {
        const models = queue.shift();
        if (!models) return;
        const job = { models, original: line.tokens, counted: line.counted, shares: this.shares, noises: NOISES, seed: 0, name };
        stopJob = this.source.basin(job, (found) => { this.basin.add(found); this.drawSoon(); }, next);
      };
      next();
    };
    let stopJob = () => {};
    const watch = new IntersectionObserver((seen) => {
      if (!seen.some((one) => one.isIntersecting)) return;
      watch.disconnect();
      begin();
    }, { rootMargin: "200px" });
    watch.observe($("#basin"));
    this.stop = () => {
      watch.disconnect();
      stopJob();
    };
  }

  drawSoon() {
    this.soon ??= setTimeout(() => {
      this.soon = undefined;
      this.draw();
    }, 120);
  }

  /** @param {string} what falls, in words */
  draw(what = this.what) {
    this.what = what;
    const { basin, sizes, content } = this;
    const state = this.state();
    if (state.view === "noise") return;
    const share = state.hand ? state.hand.length / content.length : state.share / 100;
    const box = $("#curves");
    box.innerHTML = basin.curves(Math.max(280, Math.round(box.clientWidth)), state.models, share);
    const focus = /** @type {HTMLElement | null} */ (document.activeElement?.closest("#all-n button"));
    $("#all-n").innerHTML = basin.table(state.models, share);
    if (focus) $(`#all-n [data-model="${focus.dataset.model}"][data-share="${focus.dataset.share}"]`)?.focus();
    $$("#curve-key b").forEach((name, column) => { name.textContent = `${count(sizes[state.models[column]])} lines`; });
    $("#found").textContent = basin.said(share, what) || "The answer comes once every model has been tried.";
    const all = sizes.length * this.shares.length * (content.live ? NOISES : 1);
    $("#filled").textContent = content.live
      ? `${count(basin.falls)} of ${count(all)} falls so far, up to ${NOISES} a point, each of ${BASIN_STEPS} steps; bands are two standard errors over noises.`
      : "One recorded fall a point.";
  }
}
