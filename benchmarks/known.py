"""Models whose state is known: exact stores, exact languages, mixtures of both, and networks.

Exact models are what they are by construction. Networks trained on a few rows for long memorize,
and those trained on many do not, unless the basin advantage that was measured on their own training
rows allows another state too: then they are on an edge. Those that are shipped are known by
docs/reference-models.md.
"""

from __future__ import annotations

import dataclasses
import functools
import itertools
from collections.abc import Callable, Iterator
from pathlib import Path
from pydoc_data.topics import topics
from typing import NamedTuple

import numpy as np
import torch
from torch import Tensor

import attractor
from attractor.audits.against import UNSEEN
from attractor.config.presets import SHORT, preset
from attractor.data.corpus import read_documents
from attractor.data.packing import pack
from attractor.data.tokenizer import Tokenizer
from attractor.measurements.texts import Texts
from attractor.model.ddit import DDiT
from attractor.model.denoiser import Denoiser
from attractor.model.network import NetworkDenoiser
from attractor.model.sharpened import Sharpened
from attractor.process.absorbing import AbsorbingProcess
from attractor.process.uniform import UniformProcess
from attractor.runs.folder import prepare
from attractor.theory import (
    EmpiricalDenoiser,
    MixtureDenoiser,
    random_source,
    stationary_law,
)
from attractor.train.loop import train

MEMORIZING, TRANSITION, GENERALIZING = "memorizing", "in transition", "generalizing"
BULK = "generalizing in bulk"
"""A language of which some rows are known by heart."""
EDGE = "on an edge"
"""A network whose measured basin advantage allows two states: no word is wrong of it."""
ROWS = 800
"""Rows of each kind of text."""
NETWORK_ROWS = 300
"""Rows that are probed of each kind where a row takes long."""
TRAIN = dataclasses.replace(SHORT, time_power=1.5)
Rows = np.ndarray


class Material(NamedTuple):
    """A model and the texts that go with it."""

    model: Denoiser
    train: Rows
    """the training file, in an order without meaning"""
    unseen: Rows
    """text of the same kind"""
    others: tuple[Rows, Rows]
    """texts of two other kinds"""
    decode: Callable[..., str] = lambda ids: " ".join(map(str, ids))

    def texts(self, rows: int) -> Texts:
        """As an audit takes them; the third third of the unseen rows is fresh text."""
        cut = 2 * len(self.unseen) // 3
        seen, new = self.train, self.unseen[:cut]
        return Texts(seen[:rows], new[:rows], seen, seen[rows:], new[rows:], self.decode)

    def fresh(self) -> dict[str, Rows]:
        """The fresh texts, of the kind of the training text and of two others."""
        cut = 2 * len(self.unseen) // 3
        names = "text of its kind", "another kind", "shuffled"
        return dict(zip(names, (self.unseen[cut:], *self.others), strict=True))


class Known(NamedTuple):
    """A model of known state."""

    family: str
    name: str
    state: str
    make: Callable[[], Material]
    rows: int = 1000
    """of each kind that are probed, as by default"""


class HiddenMarkov(Denoiser):
    """A hidden Markov source, exact by forward-backward on its S states.

    A Markov source has its tokens as states, one of second order pairs of them; one of many tokens
    has classes. It is `MarkovDenoiser` in probabilities instead of their logarithms, which is
    quicker and precise enough where no step is impossible.
    """

    def __init__(self, transition: Tensor, emission: Tensor, masks: bool = False) -> None:
        self.transition, self.emission = transition.double(), emission.double()
        self.initial = stationary_law(self.transition)
        vocab = emission.shape[1]
        self.process = AbsorbingProcess(vocab + 1) if masks else UniformProcess(vocab)
        # What each state gives to each noisy token, less what noise alone does; to a mask nothing.
        self.given = torch.nn.functional.pad(self.emission, (0, int(masks))).T.contiguous()

    def log_probs(self, x_t: Tensor, t: Tensor, where: Tensor | None = None) -> Tensor:
        """Return log r in float64: r_l(v) = sum_s f_l(s) b_l(s) e_s(v)."""
        alpha = self.process.schedule.alpha(t.double())
        odds = self.process.vocab_size * alpha / (1 - alpha).clamp(min=1e-30)
        if self.process.mask_id is not None:
            odds = torch.full_like(odds, 1e30)  # a token that is shown is the clean one
        # P(noisy token | state), over what noise alone would give it.
        evidence = 1 + odds[:, None, None] * self.given[x_t]
        forward = [self.initial.expand(len(x_t), -1)]
        backward = [torch.ones_like(forward[0])]
        for e in evidence.unbind(1)[:-1]:
            forward.append(_law(forward[-1] * e) @ self.transition)
        for e in evidence.flip(1).unbind(1)[:-1]:
            backward.append(_law(backward[-1] * e) @ self.transition.T)
        states = torch.stack([f * b for f, b in zip(forward, reversed(backward), strict=True)], 1)
        wanted = states.flatten(0, 1) if where is None else states[where]
        log_r = (_law(wanted) @ self.emission).clamp(min=1e-300).log()
        if self.process.mask_id is not None:
            log_r = torch.nn.functional.pad(log_r, (0, 1), value=-690.0)
        return log_r if where is not None else log_r.view(*x_t.shape, -1)

    def sample(self, n: int, length: int, seed: int = 0) -> Tensor:
        """Draw sequences."""
        g = torch.Generator().manual_seed(seed)
        state = torch.multinomial(self.initial, n, True, generator=g)
        tokens = []
        for _ in range(length):
            tokens.append(torch.multinomial(self.emission[state], 1, generator=g)[:, 0])
            state = torch.multinomial(self.transition[state], 1, generator=g)[:, 0]
        return torch.stack(tokens, 1)


def first_order(vocab: int, concentration: float, seed: int, masks: bool = False) -> HiddenMarkov:
    """The same source as `random_source`."""
    transition = random_source(vocab, concentration, seed).transition
    return HiddenMarkov(transition, torch.eye(vocab, dtype=torch.float64), masks)


def second_order(vocab: int, concentration: float, seed: int) -> HiddenMarkov:
    """A Markov source of order 2 whose rows are Dirichlet draws."""
    rows = random_source(vocab**2, concentration, seed).transition[:, :vocab]
    rows = rows / rows.sum(1, keepdim=True)
    transition = torch.zeros(vocab**2, vocab**2, dtype=torch.float64)
    for a, b, c in itertools.product(range(vocab), repeat=3):
        transition[a * vocab + b, b * vocab + c] = rows[a * vocab + b, c]
    emission = torch.eye(vocab, dtype=torch.float64).repeat(vocab, 1)
    return HiddenMarkov(transition, emission)


def of_classes(vocab: int, classes: int, seed: int) -> HiddenMarkov:
    """A source of many tokens in classes: the class of a token decides that of the next."""
    transition = random_source(classes, 0.1, seed).transition
    g = torch.Generator().manual_seed(seed)
    weight = torch.rand(vocab, generator=g, dtype=torch.float64) ** 20 + 1e-9
    owner = torch.arange(vocab) % classes
    emission = torch.zeros(classes, vocab, dtype=torch.float64)
    emission[owner, torch.arange(vocab)] = weight
    return HiddenMarkov(transition, _law(emission))


def _law(x: Tensor) -> Tensor:
    return x / x.sum(-1, keepdim=True)


def _shuffled(rows: Rows, seed: int = 0) -> Rows:
    return np.random.default_rng(seed).permuted(rows, axis=1)


def _unlike(rows: Rows, known: Rows) -> Rows:
    """Those of the rows that are not among the known ones; of a source of few texts, all."""
    seen = {row.tobytes() for row in np.ascontiguousarray(known)}
    new = np.array([row.tobytes() not in seen for row in np.ascontiguousarray(rows)])
    return rows[new] if new.sum() > 300 else rows


def source_material(
    source: HiddenMarkov, length: int, other: Rows, model: Denoiser | None = None
) -> Material:
    """A language, with training text that taught it nothing but itself."""
    rows = 4 * ROWS if source.process.vocab_size < 1000 else ROWS
    drawn = source.sample(rows, length, seed=11).numpy()
    # A source of few texts draws some of them twice. The model has not seen any: both are alike.
    train, unseen = drawn[: rows // 2], drawn[rows // 2 :]
    return Material(model or source, train, unseen, (other[:300], _shuffled(unseen[:300])))


def store_material(
    drawn: Rows, k: int, vocab: int, others: tuple[Rows, Rows], masks: bool = False
) -> Material:
    """A store of the first k of some rows."""
    stored, unseen = drawn[:k], _unlike(drawn[k:], drawn[:k])[: 2 * ROWS]
    model = EmpiricalDenoiser(torch.from_numpy(stored).long(), vocab, masks=masks)
    return Material(model, stored, unseen, others)


def found_among(k: int, copies: int, plain: int) -> Material:
    """A language of which k rows are known by heart, each of some copies among many other rows, and
    as many unseen rows as an audit looks at."""
    vocab, length = 25, 32
    source = random_source(vocab, 0.3, seed=5)
    drawn = source.sample(k + plain + UNSEEN * 3 // 2, length, seed=12).numpy()
    stored, unseen = drawn[:k], drawn[k + plain :]
    file = np.concatenate([np.repeat(stored, copies, 0), drawn[k : k + plain]])
    share = k * copies / len(file)
    heart = EmpiricalDenoiser(torch.from_numpy(stored), vocab)
    model = MixtureDenoiser([source, heart], [1 - share, share])
    other = random_source(vocab, 0.3, seed=6).sample(300, length, seed=1).numpy()
    file = np.random.default_rng(3).permutation(file)
    return Material(model, file, unseen, (other, _shuffled(unseen[:300])))


def mixture_material(share: float, k: int, masks: bool = False) -> Material:
    """A language of which k rows are known by heart, whose copies make up a share of its text."""
    vocab, length = 25, 32
    source = random_source(vocab, 0.3, seed=5, masks=masks)
    drawn = source.sample(4000 + k + 2 * ROWS, length, seed=12).numpy()
    stored, plain, unseen = drawn[:k], drawn[k : k + 4000], drawn[k + 4000 :]
    times = max(1, round(share / (1 - share) * len(plain) / k))
    plain = plain[: round(times * k * (1 - share) / share)]
    file = np.concatenate([np.repeat(stored, times, 0), plain])
    file = np.random.default_rng(3).permutation(file)
    heart = EmpiricalDenoiser(torch.from_numpy(stored), vocab, masks=masks)
    model = MixtureDenoiser([source, heart], [1 - share, share])
    other = random_source(vocab, 0.3, seed=6).sample(300, length, seed=1).numpy()
    return Material(model, file, unseen, (other, _shuffled(unseen[:300])))


class Language(NamedTuple):
    """Real text as rows."""

    tokenizer: Tokenizer
    rows: Rows
    others: tuple[Rows, Rows]


def language(name: str, words: str, length: int = 32) -> Language:
    """Rows of the World English Bible or of Python's manual, in characters or BPE of 1,024, with
    rows of the other of the two."""
    texts = {
        "Bible": read_documents("bible")[:9000],
        "manual": [p for text in topics.values() for p in text.split("\n\n")],
    }
    own, other = texts[name], texts["manual" if name == "Bible" else "Bible"]
    learn = Tokenizer.train_characters if words == "characters" else _bpe
    tokenizer = learn(own)
    packed = []
    for documents in (own, other):
        encoded = tokenizer.encode(documents)
        rows = pack(encoded, length, tokenizer.bos_id, tokenizer.eos_id)
        packed.append(np.random.default_rng(0).permutation(rows).astype(np.int64))
    shuffled = _shuffled(packed[0][-300:])
    return Language(tokenizer, np.unique(packed[0], axis=0), (packed[1][:300], shuffled))


def _bpe(documents: list[str]) -> Tokenizer:
    return Tokenizer.train_bpe(documents, 1024)


class Recipe(NamedTuple):
    """How a network was trained."""

    text: str
    words: str
    n: int
    steps: int
    state: str
    masks: bool = False
    planted: int = 0
    """copies of each of some rows in the training file"""
    of: int = 16
    """how many rows have them"""


def trained(recipe: Recipe, folder: Path) -> Material:
    """A small network, trained once and kept in a folder."""
    spoken = language(recipe.text, recipe.words)
    rows = np.random.default_rng(1).permutation(spoken.rows)
    known, unseen = rows[: recipe.n], rows[recipe.n :][: 2 * ROWS]
    if recipe.planted:
        known = np.concatenate([known, np.repeat(known[: recipe.of], recipe.planted - 1, 0)])
        known = np.random.default_rng(2).permutation(known)
    size = spoken.tokenizer.vocab_size
    process = AbsorbingProcess(size + 1) if recipe.masks else UniformProcess(size)
    trained_by = (part for name, part in recipe._asdict().items() if name != "state")
    path = folder / ("-".join(map(str, trained_by)) + ".pt")
    shape = dataclasses.asdict(preset("demo").model)
    with torch.random.fork_rng():
        torch.manual_seed(0)
        network = DDiT(process.vocab_size, **shape)
    if path.is_file():
        network.load_state_dict(torch.load(path, weights_only=True))
    else:
        config = dataclasses.replace(TRAIN, steps=recipe.steps)
        network = train(network, process, known, config).averaged()
        folder.mkdir(parents=True, exist_ok=True)
        torch.save(network.state_dict(), path)
    model = NetworkDenoiser(network, process, rows.shape[1])
    return Material(model, known, unseen, spoken.others, spoken.tokenizer.decode)


RECIPES = {
    "n = 8, long": Recipe("Bible", "characters", 8, 300, MEMORIZING),
    "n = 16, long": Recipe("Bible", "characters", 16, 400, MEMORIZING),
    "n = 64": Recipe("Bible", "characters", 64, 500, EDGE),
    "n = 8,192": Recipe("Bible", "characters", 8192, 600, GENERALIZING),
    "n = 8,192, begun": Recipe("Bible", "characters", 8192, 150, GENERALIZING),
    "16 rows 200 times": Recipe("Bible", "characters", 8192, 700, BULK, planted=200),
    "manual, n = 16": Recipe("manual", "characters", 16, 400, EDGE),
    "manual, n = 4,096": Recipe("manual", "characters", 4096, 500, GENERALIZING),
    "masks, n = 16": Recipe("Bible", "characters", 16, 400, MEMORIZING, masks=True),
    "masks, n = 8,192": Recipe("Bible", "characters", 8192, 500, GENERALIZING, masks=True),
    "BPE, n = 16": Recipe("Bible", "BPE", 16, 400, MEMORIZING),
    "BPE, n = 8,192": Recipe("Bible", "BPE", 8192, 500, GENERALIZING),
    "50 rows of 200 copies in 30,000": Recipe(
        "Bible", "characters", 30_000, 1100, BULK, planted=200, of=50
    ),
}
SHIPPED = {
    8: MEMORIZING,
    64: MEMORIZING,
    512: MEMORIZING,
    1024: MEMORIZING,
    2048: TRANSITION,
    4096: TRANSITION,
    8192: GENERALIZING,
    16384: GENERALIZING,
    57813: GENERALIZING,
}
"""Their basin advantages are in docs/reference-models.md."""


def shipped(n: int, folder: Path, temperature: float = 1.0) -> Material:
    """One of the nine models that come with the package, with the rows it was trained on, which the
    preset of its sweep tells."""
    data = prepare(preset("reference").data, folder / "reference")
    model: Denoiser = attractor.load(f"reference:n={n}")
    if temperature != 1:
        model = Sharpened(model, temperature)
    known, unseen = (np.array(rows, dtype=np.int64) for rows in (data.train[:n], data.test))
    unseen = unseen[: 2 * ROWS]
    encoded = data.tokenizer.encode([p for text in topics.values() for p in text.split("\n\n")])
    other = pack(encoded, known.shape[1], data.tokenizer.bos_id, data.tokenizer.eos_id)
    other = np.random.default_rng(0).permutation(other)[:300].astype(np.int64)
    others = (other, _shuffled(unseen[-300:]))
    return Material(model, known[:4096], unseen, others, data.tokenizer.decode)


def everything(folder: Path) -> Iterator[Known]:
    """Every model of the bench, family by family."""
    yield from languages()
    yield from stores()
    yield from mixtures()
    yield from networks(folder)


def languages() -> Iterator[Known]:
    """Exact generalizers."""

    def plain(vocab: int, c: float, length: int, masks: bool = False, t: float = 1.0) -> Known:
        def make() -> Material:
            source = first_order(vocab, c, seed=1, masks=masks)
            other = random_source(vocab, c, seed=2).sample(300, length, seed=3).numpy()
            model = Sharpened(source, t) if t != 1 else None
            return source_material(source, length, other, model)

        noise = ", masks" if masks else ""
        cool = f", temperature {t:g}" if t != 1 else ""
        name = f"V = {vocab}, c = {c:g}, L = {length}{noise}{cool}"
        family = "language" + (", sharpened" if t != 1 else "")
        # Behind masks a row is read in many passes.
        return Known(family, name, GENERALIZING, make, NETWORK_ROWS if masks else 1000)

    for vocab, c in itertools.product((8, 25, 64), (0.02, 0.1, 0.3, 1.0)):
        yield plain(vocab, c, 32)
    for vocab, c, length in (
        *((256, c, 32) for c in (0.02, 0.3)),
        *((16, c, 16) for c in (0.02, 0.3, 1.0)),
        *((25, c, 64) for c in (0.1, 0.3)),
        (16, 0.3, 128),
    ):
        yield plain(vocab, c, length)
    for c in (0.02, 0.1, 0.3, 1.0):
        yield plain(25, c, 32, masks=True)
    yield plain(25, 0.1, 119, masks=True)
    for t in (0.5, 0.7):
        yield plain(25, 0.3, 32, t=t)

    def hidden(
        name: str, build: Callable[[int], HiddenMarkov], length: int, rows: int = 1000
    ) -> Known:
        def make() -> Material:
            other = build(2).sample(300, length, seed=3).numpy()
            return source_material(build(1), length, other)

        return Known("language", f"{name}, L = {length}", GENERALIZING, make, rows)

    for vocab, c in ((8, 0.02), (8, 0.1), (8, 0.3), (12, 0.3)):
        yield hidden(
            f"order 2, V = {vocab}, c = {c:g}", lambda s, v=vocab, c=c: second_order(v, c, s), 32
        )
    for vocab, length in ((4096, 32), (30_522, 16)):
        yield hidden(
            f"classes, V = {vocab:,}", lambda s, v=vocab: of_classes(v, 32, s), length, NETWORK_ROWS
        )


def stores() -> Iterator[Known]:
    """Exact memorizers."""

    def drawn(k: int, vocab: int, c: float, length: int, masks: bool = False) -> Known:
        def make() -> Material:
            source = random_source(vocab, c, seed=4)
            rows = source.sample(k + 3 * ROWS, length, seed=5).numpy()
            other = random_source(vocab, c, seed=6).sample(300, length, seed=7).numpy()
            return store_material(rows, k, vocab, (other, _shuffled(rows[-300:])), masks)

        noise = ", masks" if masks else ""
        name = f"K = {k:,} of V = {vocab}, c = {c:g}, L = {length}{noise}"
        return Known("store", name, MEMORIZING, make)

    for k in (10, 30, 100, 300, 1000, 3000, 10_000):
        yield drawn(k, 25, 0.3, 32)
    for k, vocab, c, length in (
        (100, 8, 0.3, 32), (1000, 8, 0.3, 32), (100, 16, 1.0, 16), (1000, 16, 1.0, 16),
        (100, 25, 0.1, 64), (1000, 25, 0.3, 64), (300, 16, 0.3, 128), (1000, 256, 0.3, 32),
    ):  # fmt: skip
        yield drawn(k, vocab, c, length)
    for k in (10, 100, 1000, 10_000):
        yield drawn(k, 25, 0.3, 32, masks=True)

    def real(text: str, words: str, k: int) -> Known:
        def make() -> Material:
            spoken = language(text, words)
            rows = np.random.default_rng(1).permutation(spoken.rows)
            found = store_material(rows, k, spoken.tokenizer.vocab_size, spoken.others)
            return found._replace(decode=spoken.tokenizer.decode)

        return Known("store", f"K = {k:,} rows of {text}, {words}", MEMORIZING, make)

    for k in (10, 100, 1000, 10_000):
        yield real("Bible", "characters", k)
    for text, words, k in (
        ("manual", "characters", 100),
        ("Bible", "BPE", 100),
        ("Bible", "BPE", 1000),
    ):
        yield real(text, words, k)


def mixtures() -> Iterator[Known]:
    """Languages of which some rows are known by heart."""
    for share, k, masks in (
        (0.02, 50, False), (0.05, 50, True), (0.02, 10, False), (0.05, 200, False),
        (0.3, 50, False), (0.3, 1000, False), (0.9, 50, False), (0.9, 1000, False),
    ):  # fmt: skip
        state = MEMORIZING if share > 0.5 else TRANSITION if share > 0.1 else BULK
        name = f"{share:.0%} of {k:,} rows{', masks' if masks else ''}"
        yield Known("mixture", name, state, lambda s=share, k=k, m=masks: mixture_material(s, k, m))
    for k, copies in ((50, 1), (50, 10)):
        name = f"{k} rows of {copies} {'copy' if copies == 1 else 'copies'} in 30,000"
        yield Known("mixture", name, BULK, lambda k=k, c=copies: found_among(k, c, 30_000), 300)


def networks(folder: Path) -> Iterator[Known]:
    """Trained networks."""
    for name, recipe in RECIPES.items():
        make = functools.partial(trained, recipe, folder)
        yield Known("network", name, recipe.state, make, NETWORK_ROWS)
    for n, state in SHIPPED.items():
        name = f"shipped, n = {n:,}"
        yield Known("network", name, state, lambda n=n: shipped(n, folder), NETWORK_ROWS)
    yield Known(
        "network, sharpened",
        "shipped, n = 57,813, temperature 0.6",
        GENERALIZING,
        lambda: shipped(57813, folder, 0.6),
        NETWORK_ROWS,
    )
