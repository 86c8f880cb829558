/** The page: one state, and everything that is drawn of it. */
import { listen } from "./controls.js";
import { $, $$ } from "./dom.js";
import { FallView } from "./fall.js";
import { Filling } from "./filling.js";
import { keep } from "./keeping.js";
import { given, noiseOnly, spoiled, typed } from "./lines.js";
import { Player } from "./player.js";
import { Live, Recorded } from "./source.js";
import { fromAddress, toAddress } from "./state.js";
import { tokenPanel } from "./token.js";
import { Tour, stops } from "./tour.js";
import { Trained } from "./trained.js";
import { count, named, percent, safe, several } from "./words.js";

/** Least and largest size of a letter of the falls, in pixels; a row that is wider yet is scrolled. */
const [LEAST, LARGEST] = [11, 17];

export class Page {
  constructor() {
    this.content = JSON.parse($("#content").textContent);
    const { models, signs, unit, live, sentences, length } = this.content;
    /** @type {number[]} */
    this.sizes = models.map((/** @type {any} */ model) => model.n);
    this.source = live
      ? new Live(this.content, $("#engine").textContent, (sentence) => this.say(sentence))
      : new Recorded(this.content);
    this.views = $$(".column").map((root) => new FallView(root, signs, unit, (row, token) => this.pick(row, token)));
    this.trained = new Trained(this.content);
    this.player = new Player((row) => this.to(row));
    this.filling = new Filling(this.content, this.source, () => this.state);
    /** @type {(() => void)[]} */
    this.running = [];
    this.soon = 0;
    this.playsAtTheEnd = false;
    this.counts = { train: sentences.train.length, test: sentences.test.length };
    this.state = fromAddress(location.hash, this.sizes, this.counts, length);
    if (!live) this.restrict();
    this.tour = new Tour($("#tour"), stops(this.sizes, unit, 30, live), (stop) => this.visit(stop));
    listen(this);
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
    this.player.stop();
    this.playsAtTheEnd = false;
    Object.assign(this.state, changes);
    if (!this.content.live) this.restrict();
    this.draw();
  }

  /** @param {import("./tour.js").Stop} stop */
  visit({ state, into, plays }) {
    this.change(state);
    this.playsAtTheEnd = Boolean(plays) && !matchMedia("(prefers-reduced-motion: reduce)").matches;
    this.playIfThere();
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
    this.filling.start(line, this.name);
    this.filling.draw(this.what);
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
      const head = slider.closest(".column");
      head.querySelector(".n").textContent = count(sizes[state.models[column]]);
      head.querySelector(".known").textContent = this.trained.said(sizes[state.models[column]], state.kind, line);
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
    for (const view of this.views) view.reset(line?.tokens ?? null, line?.counted ?? Array.from(start, (_, i) => i));
    this.running = this.views.map((view, column) => {
      const model = state.models[column];
      if (noise) $$(".nearest")[column].textContent = "";
      return this.source.fall({ model, start, t, seed: state.seed, stream: noise ? "generate" : "reverse", name }, (row) => {
        view.add(row);
        this.show();
        if (row.last) this.ended(column, row.tokens);
      });
    });
  }

  /** A fall has come to its end. @param {number} column @param {Int32Array} tokens */
  ended(column, tokens) {
    const settle = () => this.tour.place();
    if (this.state.view === "noise") {
      const model = this.content.models[this.state.models[column]];
      this.running.push(this.trained.nearest($$(".nearest")[column], model, tokens, settle));
    }
    settle();
    this.playIfThere();
  }

  /** Play the falls for the tour, once both are there. */
  playIfThere() {
    if (!this.playsAtTheEnd || !this.views.every((view) => view.complete)) return;
    this.playsAtTheEnd = false;
    this.player.play(0);
  }

  /** Type as large as a whole row allows. */
  fitted() {
    const { signs, length, unit } = this.content;
    for (const view of this.views) {
      const room = view.lines.clientWidth - (innerWidth > 700 ? 40 : 0);
      const letters = unit === "letter" ? length : length * 4;
      const size = Math.max(LEAST, Math.min(LARGEST, room / letters / 0.605));
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
        panel.querySelector("h3").textContent = `trained on ${count(this.sizes[state.models[column]])} lines`;
        panel.querySelector("div").innerHTML = tokenPanel({
          chances, signs: content.signs, now: row.tokens[state.token], truth: view.original ? view.original[state.token] : null,
          moves: row.moves && row.moves.filter((move) => move.position === state.token), last,
        });
      });
    });
  }

  /** Show another row. @param {number} row */
  to(row) {
    this.state.row = row;
    this.remember();
    this.show();
  }

  /** @param {number} row -2 for the one that is shown @param {number} token */
  pick(row, token) {
    this.player.stop();
    if (row > -2) this.state.row = row;
    this.state.token = token;
    this.remember();
    this.show();
  }

  /** A picture of the fall, to be saved. @param {"svg" | "png" | "gif"} kind */
  picture(kind) {
    const columns = this.views.map((view, column) => ({ title: `n = ${count(this.sizes[this.state.models[column]])} training lines`, view }));
    const title = this.state.view === "noise" ? "From nothing but noise" : `${this.what[0].toUpperCase()}${this.what.slice(1)}, ${percent(this.views[0].rows[0]?.t ?? 0)} spoiled`;
    return keep(kind, columns, title, (sentence) => this.say(sentence));
  }
}

if (typeof document !== "undefined") new Page();
