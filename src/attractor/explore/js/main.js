/** The page: one state, and everything that is drawn of it. */
import { Basin } from "./basin.js";
import { FallView } from "./fall.js";
import { gif } from "./gif.js";
import { given, noiseOnly, spoiled, typed } from "./lines.js";
import { aligned, nearestBySlices } from "./nearest.js";
import { canvas, scene, svg } from "./picture.js";
import { BASIN_STEPS, Live, Recorded } from "./source.js";
import { fromAddress, toAddress } from "./state.js";
import { tokenPanel } from "./token.js";
import { Tour, stops } from "./tour.js";
import { count, named, percent, safe, several } from "./words.js";

const NOISES = 20;
const SHARES = [0.05, 0.1, 0.2, 0.3, 0.4, 0.5, 0.6, 0.8];
/** Milliseconds that a row stays while a fall is played. */
const BEAT = 130;

/** @param {string} selector @returns {any} */
const $ = (selector) => document.querySelector(selector);
/** @param {string} selector @returns {any[]} */
const $$ = (selector) => [...document.querySelectorAll(selector)];

class Page {
  constructor() {
    this.content = JSON.parse($("#content").textContent);
    const { models, signs, unit, live, sentences, length } = this.content;
    /** @type {number[]} */
    this.sizes = models.map((/** @type {any} */ model) => model.n);
    this.shares = live ? SHARES : this.content.shares.map((/** @type {number} */ s) => s / 100);
    this.source = live
      ? new Live(this.content, $("#engine").textContent, (sentence) => this.say(sentence))
      : new Recorded(this.content);
    this.views = $$(".column").map((root) => new FallView(root, signs, unit, (row, token) => this.pick(row, token)));
    this.basin = new Basin(this.sizes, this.shares);
    /** @type {(() => void)[]} */
    this.running = [];
    this.basinOf = "";
    this.playing = 0;
    this.soon = 0;
    /** @type {ReturnType<typeof setTimeout> | undefined} */
    this.basinSoon = undefined;
    /** @type {ArrayLike<number>[] | undefined} */
    this.stored = undefined;
    this.stopBasin = () => {};
    this.counts = { train: sentences.train.length, test: sentences.test.length };
    this.state = fromAddress(location.hash, this.sizes, this.counts, length);
    if (!live) this.restrict();
    this.tour = new Tour($("#tour"), stops(this.sizes, unit, 30), (stop) => this.visit(stop));
    this.listen();
    this.draw();
  }

  /** Only what was recorded can be chosen. */
  restrict() {
    const { state, content } = this;
    if (state.kind === "own") state.kind = "train";
    state.hand = null;
    state.seed = 0;
    state.share = content.shares.reduce((/** @type {number} */ a, /** @type {number} */ b) =>
      Math.abs(b - state.share) < Math.abs(a - state.share) ? b : a);
  }

  /** @param {string} sentence */
  say(sentence) {
    $("#notice").textContent = sentence;
  }

  /** @param {Partial<import("./state.js").State>} changes */
  change(changes) {
    this.stop();
    Object.assign(this.state, changes);
    if (!this.content.live) this.restrict();
    this.draw();
  }

  /** @param {import("./tour.js").Stop} stop */
  visit({ state, into }) {
    this.change(state);
    if (into) this.pick(0, Number($("#sentence .off")?.dataset.i ?? 0));
  }

  get line() {
    const { kind, index, own } = this.state;
    return kind === "own" ? typed(own, this.content) : given(this.content.sentences[kind][index]);
  }

  get what() {
    return this.state.kind === "train" ? "this training line" : this.state.kind === "test" ? "this unseen line" : "your line";
  }

  get name() {
    const { view, kind, index } = this.state;
    return view === "noise" ? "noise" : `${kind}.${index}`;
  }

  remember() {
    history.replaceState(null, "", toAddress(this.state, this.sizes));
  }

  /** Everything anew: controls, falls, curves. */
  draw() {
    const line = this.state.view === "noise" ? null : this.line;
    this.remember();
    this.drawControls(line);
    this.fall(line);
    this.startBasin(line);
    this.drawBasin();
  }

  /** @param {import("./lines.js").Line | null} line */
  drawControls(line) {
    const { state, content, sizes } = this;
    document.body.dataset.view = state.view;
    document.body.dataset.kind = state.kind;
    for (const button of $$("[data-view-of]")) button.setAttribute("aria-pressed", String(button.dataset.viewOf === state.view));
    for (const button of $$("[data-kind]:not(body)")) button.setAttribute("aria-pressed", String(button.dataset.kind === state.kind));
    const counted = state.kind === "own" ? 0 : this.counts[state.kind];
    $("#which").textContent = `${state.index + 1} of ${counted}`;
    $("#share").value = String(state.share);
    $("#share-said").textContent = state.hand ? `${several(state.hand.length, content.unit)}, by hand` : `${state.share}%`;
    $("#by-share").hidden = !state.hand;
    $("#seed").textContent = String(state.seed);
    if (document.activeElement !== $("#own")) $("#own").value = state.own;
    const empty = state.kind === "own" && state.view === "line" && !line;
    $("#own-note").textContent = empty ? "Type a line, in the language of the training text, and watch it fall." : line?.note ?? "";
    $("#falls").hidden = $("#look").hidden = empty;
    $("#basin").hidden = empty || state.view === "noise";
    $$(".size").forEach((slider, column) => {
      slider.value = String(state.models[column]);
      slider.setAttribute("aria-valuetext", `${count(sizes[state.models[column]])} training lines`);
      slider.closest(".column").querySelector(".n").textContent = count(sizes[state.models[column]]);
    });
  }

  /** @param {import("./lines.js").Line | null} line */
  drawSentence(line, /** @type {Int32Array} */ start) {
    const { signs } = this.content;
    const counted = new Set(line?.counted);
    const focused = document.activeElement?.closest("#sentence") ? Number(/** @type {HTMLElement} */ (document.activeElement).dataset.i) : -1;
    $("#sentence").innerHTML = Array.from(line?.tokens ?? [], (token, i) => {
      const hit = start[i] !== token;
      return `<span role="button" tabindex="${i === Math.max(focused, 0) ? 0 : -1}" data-i="${i}" aria-pressed="${hit}" aria-label="${safe(named(signs[token]))}${hit ? ", spoiled" : ""}" `
        + `class="${hit ? "off" : ""}${counted.has(i) ? "" : " filled"}">${safe(signs[token])}</span>`;
    }).join("");
    if (focused >= 0) $("#sentence").children[focused]?.focus();
  }

  /** Let the line fall under both models. @param {import("./lines.js").Line | null} line */
  fall(line) {
    this.running.forEach((stop) => stop());
    const { state, content } = this;
    const noise = state.view === "noise";
    if (!noise && !line) return;
    const name = noise ? "noise" : `${this.name}.${state.share}`;
    let { t, start } = line ? spoiled(line, state, content) : { t: 1, start: noiseOnly(state.seed, content) };
    if (!content.live) start = Int32Array.from(content.models[state.models[0]].falls[name].tokens[0]);
    if (line) this.drawSentence(line, start);
    $("#near").hidden = !noise;
    this.fitted();
    this.running = this.views.map((view, column) => {
      view.reset(line?.tokens ?? null, line?.counted ?? Array.from(start, (_, i) => i));
      const model = state.models[column];
      if (noise) $$(".nearest")[column].textContent = "";
      return this.source.fall({ model, start, t, seed: state.seed, stream: noise ? "generate" : "reverse", name }, (row) => {
        view.add(row);
        this.show();
        if (row.last && noise) this.showNearest(column, row.tokens);
      });
    });
  }

  /** Type as large as a whole row allows. */
  fitted() {
    const { signs, length, unit } = this.content;
    for (const view of this.views) {
      const room = view.lines.clientWidth - (innerWidth > 700 ? 40 : 0);
      const letters = unit === "letter" ? length : length * 4;
      const size = Math.max(8, Math.min(17, room / letters / 0.605));
      view.lines.style.setProperty("--size", `${size}px`);
    }
    document.body.classList.toggle("pieces", unit !== "letter" && signs.length > 0);
  }

  /** The chosen moment in both columns. */
  show() {
    const { state } = this;
    const most = Math.max(1, ...this.views.map((view) => view.rows.length)) - 1;
    const at = state.row < 0 || state.row > most ? most : state.row;
    const slider = $("#moment");
    [slider.max, slider.value] = [String(most), String(at)];
    const row = this.views[0].rows[Math.min(at, this.views[0].rows.length - 1)];
    const end = at === most;
    $("#time").textContent = !row ? "" : end ? "the end" : `noise left: ${percent(row.t)}`;
    slider.setAttribute("aria-valuetext", $("#time").textContent);
    for (const view of this.views) view.show(at, state.token);
    cancelAnimationFrame(this.soon);
    this.soon = requestAnimationFrame(() => this.look(at));
  }

  /** Look into the chosen token. @param {number} at */
  look(at) {
    const { state, content } = this;
    $("#look").classList.toggle("empty", state.token < 0);
    $("#look-title").textContent = state.token < 0
      ? `Look into a ${content.unit}`
      : `${content.unit[0].toUpperCase()}${content.unit.slice(1)} ${state.token + 1}, ${$("#time").textContent}`;
    if (state.token < 0) return;
    this.views.forEach((view, column) => {
      const row = view.rows[Math.min(at, view.rows.length - 1)];
      if (!row || state.token >= row.tokens.length) return;
      const last = view.complete && row === view.rows[view.rows.length - 1];
      const name = state.view === "noise" ? "noise" : `${this.name}.${state.share}`;
      this.source.look({ model: state.models[column], row, position: state.token, name }, (chances) => {
        const panel = $$(".looked")[column];
        panel.querySelector("h3").textContent = `n = ${count(this.sizes[state.models[column]])}`;
        panel.querySelector("div").innerHTML = tokenPanel({
          chances, signs: content.signs, now: row.tokens[state.token], truth: view.original ? view.original[state.token] : null,
          moves: row.moves && row.moves.filter((move) => move.position === state.token), last,
        });
      });
    });
  }

  /** @param {number} row -2 for the one that is shown @param {number} token */
  pick(row, token) {
    this.stop();
    if (row > -2) this.state.row = row;
    this.state.token = token;
    this.remember();
    this.show();
  }

  /** @param {number} by rows */
  step(by) {
    this.to(Number($("#moment").value) + by);
  }

  /** @param {number} row */
  to(row) {
    const most = Number($("#moment").max);
    const at = Math.min(most, Math.max(0, row));
    this.state.row = at === most ? -1 : at;
    this.remember();
    this.show();
  }

  play() {
    if (this.playing) return this.stop();
    if (Number($("#moment").value) === Number($("#moment").max)) this.state.row = 0;
    this.show();
    this.playing = window.setInterval(() => {
      this.step(1);
      if (this.state.row < 0) this.stop();
    }, BEAT);
    $("#play").textContent = "Pause";
  }

  stop() {
    clearInterval(this.playing);
    this.playing = 0;
    $("#play").textContent = "Play";
  }

  /** The nearest training line to what a model wrote. @param {number} column @param {Int32Array} tokens */
  showNearest(column, tokens) {
    const { content, sizes, state } = this;
    this.stored ??= rowsOf(content.stored, content.length);
    const n = sizes[state.models[column]];
    const seen = this.stored.slice(0, n);
    const box = $$(".nearest")[column];
    this.running.push(nearestBySlices(tokens, seen, ({ index, edits }) => {
      const pairs = aligned(tokens, seen[index]);
      const line = (/** @type {0 | 1} */ side) => pairs.map((pair) => {
        const token = pair[side];
        return `<span class="${pair[0] === pair[1] ? "same" : "differs"}">${token === null ? "·" : safe(content.signs[token])}</span>`;
      }).join("");
      const among = n > seen.length ? `the first ${count(seen.length)} of its ${count(n)} training lines` : `its ${count(n)} training lines`;
      const told = edits ? `${several(edits, "edit")} away` : "the same, to the letter";
      box.innerHTML = `<p>Nearest of ${among}: <b>${told}</b>. Unseen lines are ${content.models[state.models[column]].usual} away, in the median.</p><div class="pair"><small>written</small><div>${line(0)}</div><small>training</small><div>${line(1)}</div></div>`;
    }));
  }

  /** Fill in the basin of the line, once its part of the page is seen. @param {import("./lines.js").Line | null} line */
  startBasin(line) {
    const key = line ? line.tokens.join() : "";
    if (!line || key === this.basinOf) return;
    this.stopBasin();
    this.basin.clear();
    this.basinOf = key;
    const begin = () => {
      const others = this.sizes.map((_, i) => i).filter((i) => !this.state.models.includes(i));
      const queue = [[...new Set(this.state.models)], ...others.map((i) => [i])];
      const next = () => {
        const models = queue.shift();
        if (!models) return;
        const job = { models, original: line.tokens, counted: line.counted, shares: this.shares, noises: NOISES, seed: 0, name: this.name };
        stopJob = this.source.basin(job, (found) => { this.basin.add(found); this.drawBasinSoon(); }, next);
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
    this.stopBasin = () => {
      watch.disconnect();
      stopJob();
    };
  }

  drawBasinSoon() {
    this.basinSoon ??= setTimeout(() => {
      this.basinSoon = undefined;
      this.drawBasin();
    }, 120);
  }

  drawBasin() {
    const { basin, state, sizes, content } = this;
    if (state.view === "noise") return;
    const share = state.hand ? state.hand.length / content.length : state.share / 100;
    const box = $("#curves");
    box.innerHTML = basin.curves(Math.max(280, Math.round(box.clientWidth)), state.models, share);
    const focus = /** @type {HTMLElement | null} */ (document.activeElement?.closest("#all-n button"));
    $("#all-n").innerHTML = basin.table(state.models, share);
    if (focus) $(`#all-n [data-model="${focus.dataset.model}"][data-share="${focus.dataset.share}"]`)?.focus();
    $$("#curve-key b").forEach((name, column) => { name.textContent = `n = ${count(sizes[state.models[column]])}`; });
    $("#found").textContent = basin.said(share, this.what) || "The curves fill in as falls come back.";
    const all = sizes.length * this.shares.length * (content.live ? NOISES : 1);
    $("#filled").textContent = content.live
      ? `${count(basin.falls)} of ${count(all)} falls so far; ${NOISES} noises a point, ${BASIN_STEPS} steps; bands are two standard errors over noises.`
      : "One recorded fall a point.";
  }

  listen() {
    const { content } = this;
    const on = (/** @type {string} */ selector, /** @type {string} */ kind, /** @type {(event: any) => void} */ act) =>
      $(selector).addEventListener(kind, act);
    for (const button of $$("[data-view-of]")) button.addEventListener("click", () => this.change({ view: button.dataset.viewOf, row: -1, token: -1 }));
    for (const button of $$("[data-kind]:not(body)")) {
      button.addEventListener("click", () => {
        this.change({ kind: button.dataset.kind, index: 0, hand: null, row: -1, token: -1 });
        if (button.dataset.kind === "own") $("#own").focus();
      });
    }
    const another = (/** @type {number} */ by) => {
      const { kind, index } = this.state;
      if (kind !== "own") this.change({ index: (index + by + this.counts[kind]) % this.counts[kind], hand: null, row: -1, token: -1 });
    };
    on("#before", "click", () => another(-1));
    on("#after", "click", () => another(1));
    on("#own", "input", () => this.change({ own: $("#own").value, hand: null, row: -1, token: -1 }));
    on("#share", "input", () => this.change({ share: Number($("#share").value), hand: null, row: -1 }));
    on("#by-share", "click", () => this.change({ hand: null }));
    on("#less-noise", "click", () => this.change({ seed: Math.max(0, this.state.seed - 1), row: -1 }));
    on("#more-noise", "click", () => this.change({ seed: this.state.seed + 1, row: -1 }));
    on("#moment", "input", () => { this.stop(); this.to(Number($("#moment").value)); });
    on("#play", "click", () => this.play());
    on("#first", "click", () => { this.stop(); this.step(-1e6); });
    on("#back", "click", () => { this.stop(); this.step(-1); });
    on("#on", "click", () => { this.stop(); this.step(1); });
    $$(".size").forEach((slider, column) => slider.addEventListener("input", () => {
      const models = [...this.state.models];
      models[column] = Number(slider.value);
      this.change({ models, row: -1 });
    }));
    on("#all-n", "click", (event) => {
      const cell = event.target.closest("[data-model]");
      if (cell) this.change({ models: [this.state.models[0], Number(cell.dataset.model)], share: Number(cell.dataset.share), hand: null, row: -1 });
    });
    on("#sentence", "click", (event) => this.spoil(event.target.closest("[data-i]")));
    on("#sentence", "keydown", (event) => this.alongSentence(event));
    on("#start-tour", "click", () => this.tour.to(0));
    for (const button of $$("[data-picture]")) button.addEventListener("click", () => this.picture(button.dataset.picture));
    document.addEventListener("keydown", (event) => this.key(event));
    addEventListener("hashchange", () => {
      this.stop();
      this.state = fromAddress(location.hash, this.sizes, this.counts, content.length);
      if (!content.live) this.restrict();
      this.draw();
    });
    addEventListener("resize", () => { this.fitted(); this.drawBasinSoon(); });
  }

  /** Spoil a token by hand, or leave it as it was. @param {HTMLElement | null} token */
  spoil(token) {
    if (!token || !this.content.live) return;
    const now = $$("#sentence .off").map((one) => Number(one.dataset.i));
    const i = Number(token.dataset.i);
    const hand = now.includes(i) ? now.filter((one) => one !== i) : [...now, i].sort((a, b) => a - b);
    token.focus();
    this.change({ hand, row: -1 });
  }

  /** @param {KeyboardEvent} event */
  alongSentence(event) {
    const tokens = [...$("#sentence").children];
    const at = tokens.indexOf(event.target);
    const to = /** @type {Record<string, number>} */ ({ ArrowRight: at + 1, ArrowLeft: at - 1, Home: 0, End: tokens.length - 1 })[event.key];
    if (event.key === "Enter" || event.key === " ") this.spoil(tokens[at]);
    else if (tokens[to]) {
      tokens[at].tabIndex = -1;
      tokens[to].tabIndex = 0;
      tokens[to].focus();
    } else return;
    event.preventDefault();
    event.stopPropagation();
  }

  /** Keys that work wherever nothing else needs them. @param {KeyboardEvent} event */
  key(event) {
    const target = /** @type {Element} */ (event.target);
    if (event.ctrlKey || event.metaKey || event.altKey || target.closest("input, textarea, button, a, #sentence, #tour")) return;
    const length = this.content.length;
    const token = (/** @type {number} */ by) => this.pick(-2, Math.min(length - 1, Math.max(0, this.state.token + by)));
    const acts = /** @type {Record<string, () => void>} */ ({
      " ": () => this.play(),
      ArrowLeft: () => token(-1),
      ArrowRight: () => token(1),
      ...(target.closest("#falls") ? { ArrowUp: () => this.step(-1), ArrowDown: () => this.step(1) } : {}),
    });
    if (!acts[event.key]) return;
    event.preventDefault();
    acts[event.key]();
  }

  /** A picture of the fall, to be saved. @param {"svg" | "png" | "gif"} kind */
  async picture(kind) {
    const columns = this.views.map((view, column) => ({ title: `n = ${count(this.sizes[this.state.models[column]])} training lines`, view }));
    const title = this.state.view === "noise" ? "From nothing but noise" : `${this.what[0].toUpperCase()}${this.what.slice(1)}, ${percent(this.views[0].rows[0]?.t ?? 0)} spoiled`;
    if (kind === "svg") return save(new Blob([svg(scene(columns, title))], { type: "image/svg+xml" }), "fall.svg");
    if (kind === "png") return canvas(scene(columns, title), 2).made.toBlob((blob) => blob && save(blob, "fall.png"));
    this.say("Drawing the animation …");
    await new Promise((done) => setTimeout(done, 30));
    const rows = Math.max(...this.views.map((view) => view.rows.length));
    const frames = Array.from({ length: rows }, (_, at) => {
      const { made, pen } = canvas(scene(columns, title, at), 1);
      return pen.getImageData(0, 0, made.width, made.height);
    });
    save(gif(frames, frames.map((_, i) => (i === rows - 1 ? 300 : 12))), "fall.gif");
    this.say("");
  }
}

/** @param {Blob} blob @param {string} name */
function save(blob, name) {
  const link = document.createElement("a");
  link.href = URL.createObjectURL(blob);
  link.download = name;
  link.click();
  setTimeout(() => URL.revokeObjectURL(link.href), 10000);
}

/** The training rows that the page holds. @param {{ count: number, bytes: number, content: string }} packed @param {number} length */
function rowsOf({ count: rows, bytes, content }, length) {
  const raw = Uint8Array.from(atob(content), (c) => c.charCodeAt(0)).buffer;
  const all = bytes === 1 ? new Uint8Array(raw) : bytes === 2 ? new Uint16Array(raw) : new Uint32Array(raw);
  return Array.from({ length: rows }, (_, i) => all.subarray(i * length, (i + 1) * length));
}

if (typeof document !== "undefined") new Page();
