/**
 * The basin of one sentence: which share of its corrupted tokens returns, against the share that was corrupted.
 *
 * @typedef {import("./engine.js").Outcome & { model: number, share: number }} Found
 */
import { count, fromWhichOn, percent } from "./words.js";

/** Sums over noises at one share. */
class Point {
  n = 0;
  sum = 0;
  squares = 0;

  /** @param {number} value */
  add(value) {
    this.n++;
    this.sum += value;
    this.squares += value * value;
  }

  get mean() {
    return this.sum / this.n;
  }

  /** Twice the standard error over noises; null for a single one. */
  get error() {
    if (this.n < 2) return null;
    return 2 * Math.sqrt(Math.max(0, this.squares - this.n * this.mean ** 2) / (this.n - 1) / this.n);
  }
}

export class Basin {
  /** @param {number[]} sizes training rows of each model @param {number[]} shares */
  constructor(sizes, shares) {
    this.sizes = sizes;
    this.shares = shares;
    this.points = this.none();
  }

  none() {
    return this.sizes.map(() => this.shares.map(() => new Point()));
  }

  clear() {
    this.points = this.none();
  }

  /** @param {Found} found */
  add({ model, share, perturbed, back }) {
    const point = this.points[model][this.shares.indexOf(share)];
    if (point && perturbed) point.add(back / perturbed);
  }

  /** Falls so far. */
  get falls() {
    return this.points.flat().reduce((sum, point) => sum + point.n, 0);
  }

  /** @param {number} model @param {number} share */
  mean(model, share) {
    const point = this.points[model][this.nearest(share)];
    return point.n ? point.mean : null;
  }

  /** Place of the share that is nearest to a given one. @param {number} share */
  nearest(share) {
    const off = this.shares.map((s) => Math.abs(s - share));
    return off.indexOf(Math.min(...off));
  }

  /**
   * The curves of two models, as SVG.
   * @param {number} width in pixels @param {number[]} models @param {number} share that is chosen now
   */
  curves(width, models, share) {
    const height = Math.min(320, Math.max(230, width * 0.55));
    const [left, right, top, bottom] = [44, 14, 16, 44];
    const most = Math.max(...this.shares);
    const x = (/** @type {number} */ s) => left + (s / most) * (width - left - right);
    const y = (/** @type {number} */ r) => top + (1 - Math.min(1, Math.max(0, r))) * (height - top - bottom);
    const grid = [0, 0.25, 0.5, 0.75, 1].map((r) =>
      `<path class="grid" d="M${left} ${y(r)}H${width - right}"/><text x="${left - 8}" y="${y(r) + 4}" text-anchor="end">${percent(r)}</text>`);
    const ticks = [0, 0.25, 0.5, 0.75, 1].map((f) => Math.round(f * most * 100) / 100).map((s) =>
      `<text x="${x(s)}" y="${height - 24}" text-anchor="middle">${percent(s)}</text>`);
    const lines = models.map((model, column) => {
      const there = this.points[model].map((point, i) => ({ point, s: this.shares[i] })).filter(({ point }) => point.n);
      const edge = (/** @type {number} */ sign) => there.map(({ point, s }) => `${x(s)} ${y(point.mean + sign * (point.error ?? 0))}`);
      const band = there.length > 1 ? `<path class="band c${column}" d="M${[...edge(1), ...edge(-1).reverse()].join("L")}z"/>` : "";
      const path = there.length ? `<path class="line c${column}" d="M${there.map(({ point, s }) => `${x(s)} ${y(point.mean)}`).join("L")}"/>` : "";
      const marks = there.map(({ point, s }) => column
        ? `<rect class="mark c1" x="${x(s) - 4}" y="${y(point.mean) - 4}" width="8" height="8"/>`
        : `<circle class="mark c0" cx="${x(s)}" cy="${y(point.mean)}" r="4.5"/>`);
      return band + path + marks.join("");
    });
    return `<svg viewBox="0 0 ${width} ${height}" width="${width}" height="${height}" role="img" aria-label="Share that comes back against share spoiled">`
      + `${grid.join("")}${ticks.join("")}<path class="here" d="M${x(Math.min(share, most))} ${top}V${height - bottom}"/>`
      + `<text class="axis" x="${(left + width - right) / 2}" y="${height - 6}" text-anchor="middle">share spoiled</text>${lines.join("")}</svg>`;
  }

  /**
   * Every model at every share, as a table whose cells choose a model and a share.
   * @param {number[]} models the two columns @param {number} share
   */
  table(models, share) {
    const row = this.nearest(share);
    const head = this.sizes.map((n, i) => `<th scope="col" class="${models.includes(i) ? "shown" : ""}">${count(n)}</th>`).join("");
    const body = this.shares.map((s, i) => {
      const cells = this.sizes.map((n, model) => {
        const point = this.points[model][i];
        const value = point.n ? point.mean : 0;
        const label = point.n ? `${percent(point.mean)} come back at n = ${count(n)} and ${percent(s)} spoiled` : "not computed yet";
        return `<td><button type="button" data-model="${model}" data-share="${Math.round(s * 100)}" style="--v:${value.toFixed(3)}" `
          + `class="${point.n ? "" : "empty"} ${value > 0.6 ? "dark" : ""}" aria-label="${label}">${point.n ? Math.round(100 * point.mean) : "·"}</button></td>`;
      });
      return `<tr class="${i === row ? "shown" : ""}"><th scope="row">${percent(s)}</th>${cells.join("")}</tr>`;
    });
    return `<table><thead><tr><th scope="col" class="corner">spoiled</th>${head}</tr></thead><tbody>${body.reverse().join("")}</tbody></table>`;
  }

  /** From which n on the sentence is lost or found, at one share. @param {number} share @param {string} what */
  said(share, what) {
    const at = this.shares[this.nearest(share)];
    const told = fromWhichOn(this.sizes, this.sizes.map((_, model) => this.mean(model, at)), what);
    return told && `With ${percent(at)} spoiled, ${told}`;
  }
}
