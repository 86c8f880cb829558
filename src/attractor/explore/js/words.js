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

/** Share of the corrupted tokens that has to return for a sentence to count as found. */
export const FOUND = 0.75;

/**
 * From which size on a sentence is lost, or found.
 * @param {number[]} sizes rising @param {(number | null)[]} shares of each, null where it is not known yet
 * @param {string} what the sentence
 */
export function fromWhichOn(sizes, shares, what) {
  const known = sizes.flatMap((n, i) => (shares[i] === null ? [] : [{ n, found: /** @type {number} */ (shares[i]) >= FOUND }]));
  if (known.length < sizes.length) return "";
  const found = known.filter((one) => one.found);
  if (!found.length) return `${what} is lost at every n.`;
  if (found.length === known.length) return `${what} is found at every n.`;
  const change = known.findIndex((one, i) => i > 0 && one.found !== known[i - 1].found);
  if (known.slice(change).every((one) => one.found === known[change].found)) {
    const [before, after] = known[0].found ? ["found", "lost"] : ["lost", "found"];
    return `${what} is ${before} up to n = ${count(known[change - 1].n)} and ${after} from n = ${count(known[change].n)} on.`;
  }
  return `${what} is found at n = ${found.map((one) => count(one.n)).join(", ")}, and lost at the others.`;
}
