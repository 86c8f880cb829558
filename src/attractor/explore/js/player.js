/** The moment of the falls that is shown: walked through, scrubbed and played. */
import { $ } from "./dom.js";

/** Milliseconds that a row stays while a fall is played. */
const BEAT = 130;

export class Player {
  /** @param {(row: number) => void} onRow told of the row that is wanted, -1 for the last one */
  constructor(onRow) {
    this.onRow = onRow;
    this.playing = 0;
  }

  /** The row that is shown. */
  get at() {
    return Number($("#moment").value);
  }

  /** @param {number} by rows */
  step(by) {
    this.to(this.at + by);
  }

  /** @param {number} row */
  to(row) {
    const most = Number($("#moment").max);
    const at = Math.min(most, Math.max(0, row));
    this.onRow(at === most ? -1 : at);
  }

  /** Play on, from the beginning where the end is shown; pause where it plays. */
  toggle() {
    if (this.playing) this.stop();
    else this.play(this.at === Number($("#moment").max) ? 0 : this.at);
  }

  /** @param {number} from row */
  play(from) {
    this.stop();
    this.to(from);
    this.playing = window.setInterval(() => {
      this.step(1);
      if (this.at === Number($("#moment").max)) this.stop();
    }, BEAT);
    $("#play").textContent = "Pause";
  }

  stop() {
    clearInterval(this.playing);
    this.playing = 0;
    $("#play").textContent = "Play";
  }
}
