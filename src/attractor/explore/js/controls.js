/** What the reader does, by pointer and keyboard. */
import { $, $$ } from "./dom.js";
import { fromAddress } from "./state.js";

/** Everything that can be pressed, moved and typed. @param {import("./main.js").Page} page */
export function listen(page) {
  const { content } = page;
  const on = (/** @type {string} */ selector, /** @type {string} */ kind, /** @type {(event: any) => void} */ act) =>
    $(selector).addEventListener(kind, act);
  for (const button of $$("[data-view-of]")) button.addEventListener("click", () => page.change({ view: button.dataset.viewOf, row: -1, token: -1 }));
  for (const button of $$("[data-kind]:not(body)")) {
    button.addEventListener("click", () => {
      page.change({ kind: button.dataset.kind, index: 0, hand: null, row: -1, token: -1 });
      if (button.dataset.kind === "own") $("#own").focus();
    });
  }
  const another = (/** @type {number} */ by) => {
    const { kind, index } = page.state;
    if (kind !== "own") page.change({ index: (index + by + page.counts[kind]) % page.counts[kind], hand: null, row: -1, token: -1 });
  };
  on("#before", "click", () => another(-1));
  on("#after", "click", () => another(1));
  on("#own", "input", () => page.change({ own: $("#own").value, hand: null, row: -1, token: -1 }));
  on("#share", "input", () => page.change({ share: Number($("#share").value), hand: null, row: -1 }));
  on("#by-share", "click", () => page.change({ hand: null }));
  on("#less-noise", "click", () => page.change({ seed: Math.max(0, page.state.seed - 1), row: -1 }));
  on("#more-noise", "click", () => page.change({ seed: page.state.seed + 1, row: -1 }));
  on("#moment", "input", () => { page.player.stop(); page.player.to(page.player.at); });
  on("#play", "click", () => page.player.toggle());
  on("#first", "click", () => { page.player.stop(); page.player.step(-1e6); });
  on("#back", "click", () => { page.player.stop(); page.player.step(-1); });
  on("#on", "click", () => { page.player.stop(); page.player.step(1); });
  $$(".size").forEach((slider, column) => slider.addEventListener("input", () => {
    const models = [...page.state.models];
    models[column] = Number(slider.value);
    page.change({ models, row: -1 });
  }));
  on("#all-n", "click", (event) => {
    const cell = event.target.closest("[data-model]");
    if (cell) page.change({ models: [page.state.models[0], Number(cell.dataset.model)], share: Number(cell.dataset.share), hand: null, row: -1 });
  });
  on("#sentence", "click", (event) => spoil(page, event.target.closest("[data-i]")));
  on("#sentence", "keydown", (event) => alongSentence(page, event));
  on("#start-tour", "click", () => page.tour.to(0));
  for (const button of $$("[data-picture]")) button.addEventListener("click", () => page.picture(button.dataset.picture));
  document.addEventListener("keydown", (event) => pressed(page, event));
  addEventListener("hashchange", () => {
    page.player.stop();
    page.state = fromAddress(location.hash, page.sizes, page.counts, content.length);
    if (!content.live) page.restrict();
    page.draw();
  });
  addEventListener("resize", () => { page.fitted(); page.filling.drawSoon(); });
}

/** Spoil a token by hand, or leave it as it was. @param {import("./main.js").Page} page @param {HTMLElement | null} token */
function spoil(page, token) {
  if (!token || !page.content.live) return;
  const now = $$("#sentence .off").map((one) => Number(one.dataset.i));
  const i = Number(token.dataset.i);
  const hand = now.includes(i) ? now.filter((one) => one !== i) : [...now, i].sort((a, b) => a - b);
  token.focus();
  page.change({ hand, row: -1 });
}

/** @param {import("./main.js").Page} page @param {KeyboardEvent} event */
function alongSentence(page, event) {
  const tokens = [...$("#sentence").children];
  const at = tokens.indexOf(event.target);
  const to = /** @type {Record<string, number>} */ ({ ArrowRight: at + 1, ArrowLeft: at - 1, Home: 0, End: tokens.length - 1 })[event.key];
  if (event.key === "Enter" || event.key === " ") spoil(page, tokens[at]);
  else if (tokens[to]) {
    tokens[at].tabIndex = -1;
    tokens[to].tabIndex = 0;
    tokens[to].focus();
  } else return;
  event.preventDefault();
  event.stopPropagation();
}

/** Keys that work wherever nothing else needs them. @param {import("./main.js").Page} page @param {KeyboardEvent} event */
function pressed(page, event) {
  const target = /** @type {Element} */ (event.target);
  if (event.ctrlKey || event.metaKey || event.altKey || target.closest("input, textarea, button, a, #sentence, #tour")) return;
  const length = page.content.length;
  const token = (/** @type {number} */ by) => page.pick(-2, Math.min(length - 1, Math.max(0, page.state.token + by)));
  const acts = /** @type {Record<string, () => void>} */ ({
    " ": () => page.player.toggle(),
    ArrowLeft: () => token(-1),
    ArrowRight: () => token(1),
    ...(target.closest("#falls") ? { ArrowUp: () => page.player.step(-1), ArrowDown: () => page.player.step(1) } : {}),
  });
  if (!acts[event.key]) return;
  event.preventDefault();
  acts[event.key]();
}
