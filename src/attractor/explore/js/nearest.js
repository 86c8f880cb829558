/** Which training row a text is nearest to, by edits: tokens put in, left out or replaced. */

/**
 * Edits between two rows; gives up, with `limit`, once there are so many.
 * @param {ArrayLike<number>} a @param {ArrayLike<number>} b @param {number} limit
 */
export function edits(a, b, limit) {
  let before = Array.from({ length: b.length + 1 }, (_, j) => j);
  for (let i = 1; i <= a.length; i++) {
    const now = [i];
    let least = i;
    for (let j = 1; j <= b.length; j++) {
      now[j] = Math.min(before[j] + 1, now[j - 1] + 1, before[j - 1] + (a[i - 1] === b[j - 1] ? 0 : 1));
      if (now[j] < least) least = now[j];
    }
    if (least >= limit) return limit;
    before = now;
  }
  return before[b.length];
}

/**
 * The nearest of some rows, looked for in slices so that the page goes on.
 * @param {ArrayLike<number>} text @param {ArrayLike<number>[]} rows
 * @param {(found: { index: number, edits: number }) => void} onFound
 * @returns {() => void} how to stop
 */
export function nearestBySlices(text, rows, onFound) {
  let best = 0, least = Infinity, i = 0;
  const work = () => {
    const until = performance.now() + 12;
    for (; i < rows.length && least && performance.now() < until; i++) {
      const found = edits(text, rows[i], least);
      if (found < least) [best, least] = [i, found];
    }
    if (i < rows.length && least) timer = setTimeout(work);
    else onFound({ index: best, edits: least });
  };
  let timer = setTimeout(work);
  return () => clearTimeout(timer);
}

/**
 * Two rows under each other with the fewest edits: pairs of tokens, null where one has none.
 * @param {ArrayLike<number>} a @param {ArrayLike<number>} b
 * @returns {[number | null, number | null][]}
 */
export function aligned(a, b) {
  const cost = Array.from({ length: a.length + 1 }, (_, i) => Array.from({ length: b.length + 1 }, (_, j) => (i ? 0 : j)));
  for (let i = 1; i <= a.length; i++) {
    cost[i][0] = i;
    for (let j = 1; j <= b.length; j++) {
      cost[i][j] = Math.min(cost[i - 1][j] + 1, cost[i][j - 1] + 1, cost[i - 1][j - 1] + (a[i - 1] === b[j - 1] ? 0 : 1));
    }
  }
  /** @type {[number | null, number | null][]} */
  const pairs = [];
  for (let i = a.length, j = b.length; i || j;) {
    if (i && j && cost[i][j] === cost[i - 1][j - 1] + (a[i - 1] === b[j - 1] ? 0 : 1)) pairs.push([a[--i], b[--j]]);
    else if (i && cost[i][j] === cost[i - 1][j] + 1) pairs.push([a[--i], null]);
    else pairs.push([null, b[--j]]);
  }
  return pairs.reverse();
}
