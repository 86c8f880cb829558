/** Pictures of a fall, to be saved. */
import { gif } from "./gif.js";
import { canvas, scene, svg } from "./picture.js";

/**
 * @param {"svg" | "png" | "gif"} kind @param {{ title: string, view: import("./fall.js").FallView }[]} columns
 * @param {string} title @param {(sentence: string) => void} say what takes time
 */
export async function keep(kind, columns, title, say) {
  if (kind === "svg") return save(new Blob([svg(scene(columns, title))], { type: "image/svg+xml" }), "fall.svg");
  if (kind === "png") return canvas(scene(columns, title), 2).made.toBlob((blob) => blob && save(blob, "fall.png"));
  say("Drawing the animation …");
  await new Promise((done) => setTimeout(done, 30));
  const rows = Math.max(...columns.map(({ view }) => view.rows.length));
  const frames = Array.from({ length: rows }, (_, at) => {
    const { made, pen } = canvas(scene(columns, title, at), 1);
    return pen.getImageData(0, 0, made.width, made.height);
  });
  save(gif(frames, frames.map((_, i) => (i === rows - 1 ? 300 : 12))), "fall.gif");
  say("");
}

/** @param {Blob} blob @param {string} name */
function save(blob, name) {
  const link = document.createElement("a");
  link.href = URL.createObjectURL(blob);
  link.download = name;
  link.click();
  setTimeout(() => URL.revokeObjectURL(link.href), 10000);
}
