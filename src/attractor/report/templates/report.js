(() => {
  "use strict";
  const swap = JSON.parse(document.getElementById("swap").textContent);
  const dark = matchMedia("(prefers-color-scheme: dark)");
  const config = { displayModeBar: false, responsive: true, scrollZoom: false, doubleClick: false, showTips: false };

  // ---- figures -------------------------------------------------------------------------------------------------
  const recolour = (value) => {
    if (typeof value === "string") return Object.hasOwn(swap, value) ? swap[value] : value;
    if (Array.isArray(value)) return value.map(recolour);
    if (value && typeof value === "object") {
      return Object.fromEntries(Object.entries(value).map(([key, item]) => [key, recolour(item)]));
    }
    return value;
  };

  const plots = [...document.querySelectorAll("script[data-plot]")].map((script) => {
    const node = document.getElementById(script.dataset.plot);
    return { node, figure: node.closest("figure"), spec: JSON.parse(script.textContent) };
  });

  const draw = (plot, night = dark.matches) => {
    const off = new Set([...plot.figure.querySelectorAll(".keys [aria-pressed=false]")].map((key) => key.dataset.tag));
    const spec = night ? recolour(plot.spec) : structuredClone(plot.spec);
    delete spec.layout.title;  // stands above the plot, where it wraps
    for (const trace of spec.data) trace.visible = !trace.meta.tags.some((tag) => off.has(tag));
    return Plotly.react(plot.node, spec.data, spec.layout, config);
  };

  // A plot in a closed fold has no size: it is drawn when its fold opens.
  const inSight = (plot) => !plot.node.closest("details:not([open])");
  const drawAll = (night) => plots.filter(inSight).forEach((plot) => draw(plot, night));
  drawAll();
  dark.addEventListener("change", () => drawAll());

  // ---- folds ---------------------------------------------------------------------------------------------------
  const folds = [...document.querySelectorAll("details")];
  folds.forEach((fold) => fold.addEventListener("toggle", () => {
    if (!fold.open) return;
    plots.filter((plot) => fold.contains(plot.node) && inSight(plot)).forEach((plot) => draw(plot));
    hint();
  }));
  const openTarget = () => {
    const target = document.getElementById(decodeURIComponent(location.hash.slice(1)));
    for (let fold = target?.closest("details"); fold; fold = fold.parentElement.closest("details")) fold.open = true;
    target?.scrollIntoView();
  };
  addEventListener("hashchange", openTarget);
  if (location.hash) openTarget();

  // Paper is white whatever the screen is, and has no folds.
  let closed = [];
  addEventListener("beforeprint", () => {
    closed = folds.filter((fold) => !fold.open);
    closed.forEach((fold) => { fold.open = true; });
    drawAll(false);
  });
  addEventListener("afterprint", () => {
    closed.forEach((fold) => { fold.open = false; });
    drawAll();
  });

  // ---- tables that are wider than the page ------------------------------------------------------------------------
  const tables = [...document.querySelectorAll(".scroll")];
  const hint = () => tables.forEach((box) => box.classList.toggle("wide", box.scrollWidth > box.clientWidth + 1));
  addEventListener("resize", hint);
  hint();

  document.querySelectorAll(".keys button").forEach((button) => {
    button.addEventListener("click", () => {
      button.setAttribute("aria-pressed", button.getAttribute("aria-pressed") === "false");
      plots.filter((plot) => plot.figure === button.closest("figure")).forEach((plot) => draw(plot));
    });
  });

  // ---- tokens --------------------------------------------------------------------------------------------------
  const tip = document.getElementById("tip");
  let shown = null;

  const element = (name, text) => Object.assign(document.createElement(name), { textContent: text });

  const hide = () => {
    document.querySelectorAll(".tok.linked").forEach((token) => token.classList.remove("linked"));
    tip.hidden = true;
    shown = null;
  };

  const show = (token) => {
    if (shown === token) return;
    hide();
    shown = token;
    const { outcome, entropy, from, via, to } = token.dataset;
    tip.replaceChildren(
      element("b", outcome), element("span", `entropy ${entropy} nats`), element("i", `“${from}” → “${via}” → “${to}”`));
    tip.hidden = false;
    // The same position in the other lines of the passage.
    const same = token.closest(".passage").querySelectorAll(`.tok[data-i="${token.dataset.i}"]`);
    same.forEach((other) => other !== token && other.classList.add("linked"));
    // A token may wrap over two lines: stay with its wider piece. Below it, so that the lines above can be compared.
    const box = [...token.getClientRects()].reduce((a, b) => (b.width > a.width ? b : a));
    const { clientWidth, clientHeight } = document.documentElement;
    const left = Math.min(Math.max(8, box.left), clientWidth - tip.offsetWidth - 8);
    const below = box.bottom + 8;
    tip.style.left = `${left}px`;
    tip.style.top = `${below + tip.offsetHeight < clientHeight - 8 ? below : box.top - tip.offsetHeight - 8}px`;
  };

  const token = (event) => (event.target instanceof Element ? event.target.closest(".tokens.recovered .tok") : null);
  const follow = (event) => (token(event) ? show(token(event)) : hide());
  document.addEventListener("pointerover", follow);
  document.addEventListener("click", follow);
  document.addEventListener("focusin", follow);
  document.addEventListener("focusout", hide);
  addEventListener("scroll", hide, { passive: true });

  document.addEventListener("keydown", (event) => {
    if (event.key === "Escape") hide();
    const here = token(event);
    if (!here) return;
    const line = [...here.parentElement.children];
    const at = line.indexOf(here);
    const to = { ArrowRight: at + 1, ArrowDown: at + 1, ArrowLeft: at - 1, ArrowUp: at - 1, Home: 0, End: line.length - 1 };
    const next = line[to[event.key]];
    if (!next) return;
    event.preventDefault();
    here.tabIndex = -1;
    next.tabIndex = 0;
    next.focus();
  });
})();
