/** Numbers and sentences as people read them. */

export const count = (/** @type {number} */ n) => n.toLocaleString("en");
export const percent = (/** @type {number} */ share) => `${Math.round(share * 100)}%`;
/** @param {number} n @param {string} unit */
export const several = (n, unit) => `${count(n)} ${unit}${n === 1 ? "" : "s"}`;

/** Text with what HTML would read as its own. @param {string} text */
export const safe = (text) =>
  text.replace(/[&<>"]/g, (c) => ({ "&": "&amp;", "<": "&lt;", ">": "&gt;", '"': "&quot;" })[c] ?? c);

/** A token in a sentence: a space has a name. @param {string} sign */
export const named = (sign) => (sign === " " ? "space" : sign);

/** Share of the corrupted tokens that has to return for a line to count as one that comes back. */
export const BACK = 0.75;

/**
 * The sizes from which on, or up to which, a line comes back.
 * @param {number[]} sizes rising @param {(number | null)[]} shares of each, null where it is not known yet
 * @param {string} what the line
 */
export function fromWhichOn(sizes, shares, what) {
  if (shares.includes(null)) return "";
  const back = shares.map((share) => /** @type {number} */ (share) >= BACK);
  if (!back.includes(true)) return `${what} comes back under no model.`;
  if (!back.includes(false)) return `${what} comes back under every model.`;
  const change = back.indexOf(!back[0]);
  if (back.slice(change).every((one) => one === back[change])) {
    const [before, after] = [count(sizes[change - 1]), count(sizes[change])];
    return back[0]
      ? `${what} comes back under models of up to ${before} training lines, and from ${after} on no longer.`
      : `${what} is lost under models of up to ${before} training lines, and from ${after} on it comes back.`;
  }
  const some = sizes.filter((_, i) => back[i]).map(count);
  return `${what} comes back under the models of ${some.join(", ")} training lines, and under no other.`;
}
