/** The engine of the explorer, against what Python computed. Run by test_engine.py, which writes the cases. */
import assert from "node:assert/strict";
import { readFileSync } from "node:fs";
import { join } from "node:path";
import { test } from "node:test";

const [cases, js] = [process.env.EXPLORER_CASES, process.env.EXPLORER_JS];
const { Network, fromHalf } = await import(join(js, "network.js"));
const { CountedNoise, digest } = await import(join(js, "noise.js"));
const { corrupt, reverse, timeGrid } = await import(join(js, "reverse.js"));
const { Engine, outcome } = await import(join(js, "engine.js"));
const { encode } = await import(join(js, "tokenizer.js"));
const { aligned, edits, nearestBySlices } = await import(join(js, "nearest.js"));
const { fromAddress, initial, toAddress } = await import(join(js, "state.js"));
const { fromWhichOn } = await import(join(js, "words.js"));
const { typed, spoiled } = await import(join(js, "lines.js"));

const said = JSON.parse(readFileSync(join(cases, "cases.json"), "utf8"));
const bytesOf = (name) => {
  const file = readFileSync(join(cases, name));
  return file.buffer.slice(file.byteOffset, file.byteOffset + file.length);
};
const everywhere = (length) => Array.from({ length }, (_, i) => i);

for (const { name, shape, rows } of said.models) {
  for (const plain of [false, true]) {
    const network = new Network(shape, bytesOf(name), plain);
    const V = shape.vocabulary;

    test(`${name}, ${network.kernel.kind}: probabilities are torch's to 1e-3`, () => {
      let worst = 0;
      for (const { tokens, t, probs } of rows) {
        const found = network.probabilities(tokens, t, everywhere(tokens.length));
        probs.flat().forEach((p, i) => { worst = Math.max(worst, Math.abs(p - found[i])); });
      }
      assert.ok(worst < 1e-3, `${worst}`);
    });

    test(`${name}, ${network.kernel.kind}: a few positions are those of all, and sum to one`, () => {
      const { tokens, t } = rows[0];
      const all = network.probabilities(tokens, t, everywhere(tokens.length));
      const where = [0, 3, 4, 5, tokens.length - 1];
      const some = network.probabilities(tokens, t, where);
      where.forEach((i, r) => {
        const row = some.subarray(r * V, (r + 1) * V);
        row.forEach((p, v) => assert.ok(Math.abs(p - all[i * V + v]) < 1e-5));
        assert.ok(Math.abs(row.reduce((a, b) => a + b, 0) - 1) < 1e-5);
      });
    });
  }

  test(`${name}: fewer tokens than a row are taken`, () => {
    const network = new Network(shape, bytesOf(name));
    const { tokens, probs } = said.short[name];
    const found = network.probabilities(tokens, 0.3, everywhere(tokens.length));
    probs.flat().forEach((p, i) => assert.ok(Math.abs(p - found[i]) < 1e-3));
  });
}

test("there is SIMD here, so that both kernels were tested", () => {
  const { name, shape } = said.models[0];
  assert.equal(new Network(shape, bytesOf(name)).kernel.kind, "simd");
});

test("noise is Python's, to the bit", () => {
  for (const { seed, stream, t, key, position, step, repeat, uniforms } of said.noise) {
    assert.deepEqual(digest(`(${seed}, '${stream}', ${Number.isInteger(t) ? `${t}.0` : t})`), key);
    assert.deepEqual(new CountedNoise(seed, stream, t).uniform(position, step, repeat), uniforms);
  }
});

test("half precision is read as numpy writes it", () => {
  for (const [bits, value] of said.halves) assert.equal(fromHalf(bits), value);
});

test("a fall is the one that Python computes with the same seed", () => {
  for (const { model, original, t, steps, seed, repeat, corrupted, recovered } of said.falls) {
    const { name, shape } = said.models[model];
    const network = new Network(shape, bytesOf(name));
    const process = { ...shape, probabilities: (x, time, where) => network.probabilities(x, time, where) };
    const [first, then] = [new CountedNoise(seed, "corrupt", t), new CountedNoise(seed, "reverse", t)];
    const start = corrupt(Int32Array.from(original), t, process, (i) => first.uniform(i, 0, repeat));
    assert.deepEqual([...start], corrupted);
    const run = reverse(process, start, timeGrid(t, steps), (i, step) => then.uniform(i, step, repeat));
    let next = run.next();
    while (!next.done) next = run.next();
    assert.deepEqual([...next.value], recovered);
  }
});

/** A generator of its own: the law is to hold for any good uniform numbers. */
function mulberry(seed) {
  return () => {
    seed = (seed + 0x6d2b79f5) | 0;
    let t = Math.imul(seed ^ (seed >>> 15), 1 | seed);
    t = (t + Math.imul(t ^ (t >>> 7), 61 | t)) ^ t;
    return ((t ^ (t >>> 14)) >>> 0) / 2 ** 32 + 2 ** -33;
  };
}

for (const { t, steps, grid, tables, law, critical, draws } of said.law) {
  // Chi-square for each of the nine starting points at level 1e-4 / 9, as in tests/process/test_reverse.py.
  for (const watched of [false, true]) {
    test(`three tokens, from t = ${t}${watched ? ", every step watched" : ""}: samples follow the enumerated law`, () => {
      const probabilities = (x, time, where) =>
        Float32Array.from(where.flatMap((i) => tables[grid.findIndex((g) => Math.abs(g - time) < 1e-12)][3 * x[0] + x[1]][i]));
      const random = mulberry(steps + Number(watched));
      for (let state = 0; state < 9; state++) {
        const counts = Array(9).fill(0);
        for (let n = 0; n < draws; n++) {
          const start = Int32Array.of((state / 3) | 0, state % 3);
          const run = reverse({ vocabulary: 3, eps: 1e-3, probabilities }, start, timeGrid(t, steps),
            () => [random(), random(), random(), random()], { watched: () => watched });
          let next = run.next();
          while (!next.done) next = run.next();
          counts[3 * next.value[0] + next.value[1]]++;
        }
        const off = counts.reduce((sum, n, end) => sum + (n - draws * law[state][end]) ** 2 / (draws * law[state][end]), 0);
        assert.ok(off < critical, `from ${state}: ${off} against ${critical}`);
      }
    });
  }
}

test("typed text gives the ids that Python gives", () => {
  for (const { spelling, text, ids } of said.typed) assert.deepEqual(encode(text, spelling).ids, ids);
  const { spelling } = said.typed[0];
  assert.deepEqual(encode("aж☃ж", spelling).unknown, ["ж", "☃", "ж"]);
});

const content = {
  length: 12, markers: { begin: 0, end: 1 }, signs: [..."▸¶□abcdef"], unit: "letter", vocabulary: 9, eps: 1e-3,
  spelling: { kind: "characters", unknown: 2, vocabulary: { a: 3, b: 4, c: 5 } },
  sentences: { test: [[0, 8, 8, 8, 8, 8, 8, 8, 8, 8, 8, 1]] },
};

test("typed lines: empty, short, long, with letters that nobody knows", () => {
  assert.equal(typed("", content), null);
  const short = typed("ab", content);
  assert.deepEqual([...short.tokens], [0, 3, 4, 1, 8, 8, 8, 8, 8, 8, 8, 1]);
  assert.deepEqual(short.counted, [1, 2]);
  assert.match(short.note, /Shorter than a row of 10 letters/);
  const long = typed("abcabcabcabc", content);
  assert.deepEqual([...long.tokens], [0, 3, 4, 5, 3, 4, 5, 3, 4, 5, 3, 1]);
  assert.match(long.note, /2 letters too many/);
  assert.match(typed("aзb", content).note, /have never seen “з”: it stands as □/);
  assert.equal(typed("abcabcabca", content).note, "");
});

test("letters that are chosen by hand do change, and no others", () => {
  const line = typed("abcabcabca", content);
  for (let seed = 0; seed < 40; seed++) {
    const { start, t } = spoiled(line, { ...initial(2), seed, hand: [2, 5, 9] }, content);
    start.forEach((token, i) => assert.equal(token !== line.tokens[i], [2, 5, 9].includes(i)));
    assert.equal(t, 0.25);
  }
});

test("outcomes are counted", () => {
  assert.deepEqual(outcome([1, 2, 3, 4], [1, 9, 9, 4], [1, 2, 9, 5]), { perturbed: 2, back: 1, kept: 2, broken: 1 });
  assert.deepEqual(outcome([1, 2], [9, 9], [1, 2], (i) => i > 0), { perturbed: 1, back: 1, kept: 0, broken: 0 });
});

test("edits, the nearest row, and two rows under each other", async () => {
  const letters = (text) => Array.from(text, (c) => c.charCodeAt(0));
  assert.equal(edits(letters("kitten"), letters("sitting"), 99), 3);
  assert.equal(edits(letters("kitten"), letters("sitting"), 2), 2);
  const rows = ["sitting", "mitten", "smitten"].map(letters);
  const found = await new Promise((done) => { nearestBySlices(letters("kitten"), rows, done); });
  assert.deepEqual(found, { index: 1, edits: 1 });
  const pairs = aligned(letters("abc"), letters("xbcd")).map((pair) => pair.map((c) => (c === null ? "-" : String.fromCharCode(c))).join(""));
  assert.deepEqual(pairs, ["ax", "bb", "cc", "-d"]);
});

test("the address holds the state, and nonsense in it is left out", () => {
  const sizes = [32, 1024], counts = { train: 5, test: 7 };
  for (const state of [
    initial(2),
    { ...initial(2), kind: "test", index: 3, share: 55, seed: 4, models: [1, 0], row: 2, token: 9 },
    { ...initial(2), kind: "own", own: "Ü & “you” = 1", hand: [1, 4] },
    { ...initial(2), view: "noise", seed: 12 },
  ]) assert.deepEqual(fromAddress(toAddress(state, sizes), sizes, counts, 12), state);
  assert.deepEqual(fromAddress("#line=train.99&share=x&noise=-3&n=7.8&row=1e9&at=500&hand=z&view=up", sizes, counts, 12),
    { ...initial(2), hand: [] });
});

test("from which n on a line is lost or found", () => {
  const sizes = [1, 2, 4];
  assert.match(fromWhichOn(sizes, [0.9, 0.8, 0.1], "it"), /comes back under models of up to 2 training lines, and from 4 on no longer/);
  assert.match(fromWhichOn(sizes, [0.1, 0.8, 0.9], "it"), /lost under models of up to 1 training lines, and from 2 on it comes back/);
  assert.match(fromWhichOn(sizes, [0.9, 0.9, 0.9], "it"), /comes back under every model/);
  assert.match(fromWhichOn(sizes, [0, 0, 0], "it"), /comes back under no model/);
  assert.match(fromWhichOn(sizes, [0, 0.9, 0], "it"), /comes back under the models of 2 training lines, and under no other/);
  assert.equal(fromWhichOn(sizes, [0.9, null, 0.1], "it"), "");
});

test("the engine answers row by row, in what a job asks for, and stops when told", async () => {
  const { name, shape, rows } = said.models[0];
  const answers = [];
  const engine = new Engine((answer) => answers.push(answer));
  engine.receive({ do: "model", model: "0", shape, bytes: bytesOf(name) });
  const start = Int32Array.from(rows[0].tokens);
  const job = { do: "fall", model: "0", start, t: 0.5, steps: 16, stride: 2, seed: 0, stream: "reverse" };
  engine.receive({ ...job, id: 1 });
  engine.receive({ ...job, id: 2 });
  engine.receive({ do: "stop", id: 2 });
  engine.receive({ do: "look", id: 3, model: "0", tokens: start, t: 0.5, position: 4 });
  engine.receive({ do: "basin", id: 4, models: ["0"], original: start, counted: [1, 2, 3], shares: [0.5], noises: 2, steps: 4, seed: 0 });
  while (!answers.some((a) => a.id === 4 && a.done)) await new Promise((done) => setTimeout(done, 5));
  const fall = answers.filter((a) => a.id === 1 && !a.done);
  assert.deepEqual(fall.map((row) => row.row), fall.map((_, i) => i));
  assert.equal(fall.at(-1).last, true);
  assert.deepEqual([...fall[0].tokens], [...start]);
  assert.ok(fall.every((row) => row.entropy.length === start.length && row.entropy.every((h) => h >= 0)));
  // A row and its moves make the next one.
  fall.slice(0, -1).forEach((row, i) => {
    const next = row.tokens.slice();
    row.moves.forEach((move) => { next[move.position] = move.to; });
    assert.deepEqual([...next], [...fall[i + 1].tokens]);
  });
  assert.equal(answers.filter((a) => a.id === 2).length, 0);
  assert.equal(answers.find((a) => a.id === 3).probs.length, shape.vocabulary);
  assert.equal(answers.filter((a) => a.id === 4 && !a.done).length, 2);
});
