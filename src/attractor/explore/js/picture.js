/**
 * Pictures of a fall for slides: the same drawing as SVG, on a canvas, and frame by frame.
 *
 * @typedef {{ x: number, y: number, width: number, height: number, fill: string }} Box
 * @typedef {{ x: number, y: number, text: string, fill: string, size: number, mono: boolean, bold: boolean }} Label
 * @typedef {{ width: number, height: number, paper: string, boxes: Box[], labels: Label[] }} Scene
 */
import { standing } from "./fall.js";
import { safe } from "./words.js";

const MONO = 'ui-monospace, "SF Mono", Menlo, Consolas, "DejaVu Sans Mono", monospace';
const SANS = 'ui-sans-serif, system-ui, "Segoe UI", Roboto, "Helvetica Neue", Arial, sans-serif';
const [SIZE, CELL, LINE, EDGE, HEAD] = [14, 8.5, 20, 28, 96];

/**
 * Columns of falls, each row up to `at`.
 * @param {{ title: string, view: import("./fall.js").FallView }[]} columns
 * @param {string} title @param {number} at place of the last row that is drawn; -1 for all
 * @returns {Scene}
 */
export function scene(columns, title, at = -1) {
  const css = getComputedStyle(document.documentElement);
  const colour = (/** @type {string} */ name) => css.getPropertyValue(`--${name}`).trim();
  const fills = /** @type {Record<string, string>} */ ({ back: colour("blue"), off: colour("vermillion"), broke: colour("purple"), "": colour("ink"), moved: colour("ink") });
  const wide = Math.max(...columns.map(({ view }) => width(view)));
  const rows = Math.max(...columns.map(({ view }) => view.rows.length));
  /** @type {Scene} */
  const made = { width: Math.ceil(EDGE + columns.length * (wide + EDGE)), height: HEAD + rows * LINE + EDGE, paper: colour("paper"), boxes: [], labels: [] };
  made.labels.push({ x: EDGE, y: 38, text: title, fill: colour("ink"), size: 18, mono: false, bold: true });
  columns.forEach(({ title: name, view }, c) => {
    const left = EDGE + c * (wide + EDGE);
    made.labels.push({ x: left, y: 74, text: name, fill: colour("muted"), size: 14, mono: false, bold: false });
    view.rows.forEach((row, r) => {
      if (at >= 0 && r > at) return;
      let x = left;
      const y = HEAD + r * LINE;
      row.tokens.forEach((token, i) => {
        const kind = view.original ? standing(row.tokens[i], view.rows[0].tokens[i], view.original[i]) : "";
        const room = cell(view, i) * CELL;
        if (kind) made.boxes.push({ x, y: y + LINE - 5, width: room - 1, height: 2, fill: fills[kind] });
        made.labels.push({ x, y: y + LINE - 7, text: view.signs[token], fill: fills[kind], size: SIZE, mono: true, bold: Boolean(kind) });
        x += room;
      });
    });
  });
  return made;
}

/** Letters that a position needs. @param {import("./fall.js").FallView} view @param {number} i */
const cell = (view, i) => Math.max(...view.rows.map((row) => view.signs[row.tokens[i]].length));
/** @param {import("./fall.js").FallView} view */
const width = (view) => CELL * Array.from(view.rows[0]?.tokens ?? [], (_, i) => cell(view, i)).reduce((a, b) => a + b, 0);

/** @param {Scene} made */
export function svg({ width, height, paper, boxes, labels }) {
  const drawn = boxes.map((b) => `<rect x="${b.x}" y="${b.y}" width="${b.width}" height="${b.height}" fill="${b.fill}"/>`);
  const said = labels.map((l) => `<text x="${l.x}" y="${l.y}" fill="${l.fill}" font-size="${l.size}" font-family='${l.mono ? MONO : SANS}'`
    + `${l.bold ? ' font-weight="600"' : ""} xml:space="preserve">${safe(l.text)}</text>`);
  return `<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 ${width} ${height}" width="${width}" height="${height}">`
    + `<rect width="${width}" height="${height}" fill="${paper}"/>${drawn.join("")}${said.join("")}</svg>`;
}

/** @param {Scene} made @param {number} scale */
export function canvas({ width, height, paper, boxes, labels }, scale) {
  const made = document.createElement("canvas");
  [made.width, made.height] = [width * scale, height * scale];
  const pen = /** @type {CanvasRenderingContext2D} */ (made.getContext("2d", { willReadFrequently: true }));
  pen.scale(scale, scale);
  pen.fillStyle = paper;
  pen.fillRect(0, 0, width, height);
  for (const b of boxes) {
    pen.fillStyle = b.fill;
    pen.fillRect(b.x, b.y, b.width, b.height);
  }
  for (const l of labels) {
    pen.fillStyle = l.fill;
    pen.font = `${l.bold ? 600 : 400} ${l.size}px ${l.mono ? MONO : SANS}`;
    pen.fillText(l.text, l.x, l.y);
  }
  return { made, pen };
}
