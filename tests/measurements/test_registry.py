"""Forgetting a place is a failing test: every measurement declares what it yields, and has its
unit, its cost and its page."""

from __future__ import annotations

import dataclasses
import fnmatch
import importlib
import pkgutil
import re
import runpy
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pytest
import torch
from chain import Chain
from docs import tables

from attractor import measurements
from attractor.config.settings import ProbeConfig
from attractor.data.replicas import Planted
from attractor.measurements import (
    ALL,
    GROUPS,
    measure_these,
    quantity,
    require_measurable,
    rows_of,
    wanted,
)
from attractor.measurements.measurement import Measurement
from attractor.measurements.prefix_extraction import PREFIX_EXTRACTION
from attractor.measurements.subject import Subject
from attractor.measurements.texts import Texts
from attractor.model.denoiser import Denoiser
from attractor.process.calls import Calls
from attractor.results.tables import Arrays, Block, read_arrays, write_tokens
from attractor.theory import MarkovDenoiser, random_source
from attractor.types import AttractorError

ROOT = Path(__file__).parents[2]
V, L = 6, 10
CONFIG = ProbeConfig(
    measure=("all",),
    t=(0.3, 0.8),
    rows=24,
    test_rows=30,
    steps=24,
    nelbo_draws=2,
    generated=12,
    basin_rounds=2,
    ablation_steps=(8, 16),
    planted_rows=12,
)


class Counted(Denoiser):
    """A source that counts the rows it is asked about."""

    def __init__(self, source: Denoiser) -> None:
        self.source, self.process, self.seq_len = source, source.process, L
        self.asked = 0

    def log_probs(
        self, x_t: torch.Tensor, t: torch.Tensor, where: torch.Tensor | None = None
    ) -> torch.Tensor:
        self.asked += len(x_t)
        return self.source.log_probs(x_t, t, where)


@pytest.fixture(scope="module")
def source() -> MarkovDenoiser:
    return random_source(V, 0.3, seed=1)


def model_for(measurement: Measurement, source: MarkovDenoiser) -> Denoiser:
    """Of which a measurement is defined: one that writes from left to right, or one with noise."""
    return Chain(V, L) if measurement.asks == "order" else source


@pytest.fixture(scope="module")
def texts(source: MarkovDenoiser) -> Texts:
    rows = source.sample(200, L, seed=2).numpy()
    repeated = Planted(rows[188:], np.tile([0, 1, 5], 4))
    return Texts(rows[:24], rows[100:130], rows[:100], rows[24:100], rows[130:188], str, repeated)


@pytest.fixture(scope="module")
def arrays(
    source: MarkovDenoiser, texts: Texts, tmp_path_factory: pytest.TempPathFactory
) -> Arrays:
    """Of everything that one model is measured by, and of a comparison with a twin."""
    folder = tmp_path_factory.mktemp("everything")
    own = source.sample(12, L, seed=3).numpy()
    chosen = [(m, CONFIG) for m in wanted(CONFIG.measure)]
    blocks = [
        *measure_these(Counted(source), texts, CONFIG, chosen),
        *measure_these(Chain(V, L), texts, CONFIG, [(PREFIX_EXTRACTION, CONFIG)]),
        *(
            Block(measurement=name, split="generated", original=own, value=own[:, :1] / V)
            for name in ("twins", "twins_chance")
        ),
    ]
    write_tokens(folder, blocks)
    return read_arrays(folder)


def of(measurement: Measurement) -> str:
    return measurement.name


@pytest.mark.parametrize("measurement", ALL, ids=of)
def test_what_is_yielded_is_declared_and_what_is_declared_is_yielded(
    measurement: Measurement, arrays: Arrays
) -> None:
    declared = {quantity.name for quantity in measurement.quantities}
    rows = list(measurement.rows(arrays, 0))
    assert {row.measurement for row in rows} == declared
    for row in rows:
        unit = quantity(row.measurement).unit
        for value in (row.value, row.low, row.high):
            assert value is None or unit.least <= value <= unit.most, (row, unit)


@pytest.mark.parametrize("measurement", ALL, ids=of)
def test_figures_show_declared_quantities(measurement: Measurement) -> None:
    declared = {quantity.name for quantity in measurement.quantities}
    for section in measurement.sections:
        assert {trace.quantity for trace in section.traces} <= declared
        assert len({quantity(trace.quantity).unit for trace in section.traces}) == 1
        assert section.read.endswith(".")
        assert section.assumed.endswith(".")


@pytest.mark.parametrize("measurement", [m for m in ALL if m.run is not None], ids=of)
def test_what_asks_the_network_has_a_cost(
    measurement: Measurement, source: MarkovDenoiser, texts: Texts
) -> None:
    """The own generations, and what is needed of other measurements, are paid for once; beside them
    a measurement asks for rows exactly if it says that it costs something."""
    assert measurement.run is not None
    denoiser = Counted(model_for(measurement, source))
    subject = Subject(denoiser, texts, CONFIG)
    if measurement.on_generations:
        assert len(subject.own.tokens) == CONFIG.generated
    for needed in (m.run for m in ALL if m.name in measurement.needs):
        list(needed(subject, CONFIG) if needed is not None else ())
    before = denoiser.asked
    list(measurement.run(subject, CONFIG))
    calls = (
        measurement.calls(denoiser.process, CONFIG, L) if measurement.calls is not None else Calls()
    )
    asked = denoiser.asked - before
    assert (asked > 0) == (calls.events + calls.dense > 0)
    # Coins and bisection are random, and the last step asks for every row.
    assert asked <= 2 * (calls.events + calls.dense)
    assert 2 * asked >= calls.events + calls.dense


OTHER = {
    "t": (0.5,),
    "repeats": 2,
    "steps": 12,
    "entropy_t": 1e-3,
    "nelbo_draws": 3,
    "generated": 6,
    "basin_rows": 5,
    "basin_rounds": 1,
    "ablation_steps": (4,),
    "planted_rows": 6,
}
"""Settings other than those of CONFIG; rows, test_rows and seed count for everything."""


@pytest.mark.parametrize("measurement", [m for m in ALL if m.run is not None], ids=of)
def test_arrays_depend_on_declared_settings_only(
    measurement: Measurement, source: MarkovDenoiser, texts: Texts
) -> None:
    """An undeclared setting would let numbers made under different conditions into one set."""
    declared = {*measurement.conditions, measurement.axis}
    declared |= {"t"} if measurement.at_smallest_t else set()
    changed = {name: value for name, value in OTHER.items() if name not in declared}
    other = dataclasses.replace(CONFIG, **changed)
    assert measurement.run is not None
    model = model_for(measurement, source)
    first, second = (
        list(measurement.run(Subject(model, texts, config), config)) for config in (CONFIG, other)
    )
    assert len(first) == len(second)
    for one, two in zip(first, second, strict=True):
        for name in ("original", "corrupted", "recovered", "value"):
            np.testing.assert_array_equal(getattr(one, name), getattr(two, name))


def test_every_file_with_a_measurement_is_listed() -> None:
    found = []
    for module in pkgutil.iter_modules(measurements.__path__, f"{measurements.__name__}."):
        names = vars(importlib.import_module(module.name))
        found += [x for name, x in names.items() if name.isupper() and isinstance(x, Measurement)]
    assert {measurement.name for measurement in found} == {measurement.name for measurement in ALL}


@pytest.mark.parametrize("measurement", ALL, ids=of)
def test_its_page_names_its_quantities_and_its_word(measurement: Measurement) -> None:
    page = ROOT / "docs" / "measurements" / f"{measurement.page}.md"
    named = re.findall(r"[a-z_0-9*]+", page.read_text())
    patterns = [name for name in named if "_" in name or name.isalpha()]
    for name in (declared.name for declared in measurement.quantities):
        assert any(fnmatch.fnmatchcase(name, pattern) for pattern in patterns), name


@pytest.mark.parametrize("name", tables.TABLES)
def test_the_tables_of_the_documentation_are_those_of_the_registry(name: str) -> None:
    text = (ROOT / name).read_text()
    assert tables.written(text, tables.TABLES[name]()) == text, (
        "python -m docs.tables writes it again"
    )


def test_the_site_lists_the_page_of_every_measurement() -> None:
    section = ["measurements/index.md", {"The verdict": "measurements/verdict.md"}]
    site = SimpleNamespace(nav=[{"Measurements": section}])
    runpy.run_path(str(ROOT / "docs" / "hooks.py"))["on_config"](site)
    pages = [page for entry in site.nav[0]["Measurements"][1:-1] for page in entry.values()]
    assert pages == list(dict.fromkeys(f"measurements/{m.page}.md" for m in ALL))


def test_names_and_quantities_are_unique() -> None:
    names = [m.name for m in ALL]
    quantities = [quantity.name for m in ALL for quantity in m.quantities]
    assert len(set(names)) == len(names)
    assert len(set(quantities)) == len(quantities)
    assert not set(names) & set(GROUPS)


def test_what_is_wanted_brings_what_it_needs() -> None:
    def words(*asked: str) -> list[str]:
        return [m.name for m in wanted(asked)]

    assert words("likelihood") == ["likelihood"]
    assert words("entropy_gap") == ["entropy", "entropy_gap"]
    assert "entropy_by_outcome" in words("recovery", "entropy")
    assert "entropy_by_outcome" not in words("entropy")
    assert words("generations") == [
        "entropy", "entropy_gap", "calibration", "own_calibration", "trajectory", "novelty",
        "generative_perplexity",
    ]  # fmt: skip
    assert set(words("all")) - set(words()) == {"ablation", "repetition"}


@pytest.mark.parametrize(
    ("word", "message"),
    [
        ("recovry", r"measure = 'recovry': allowed are recovery, .*, all, generations"),
        ("twins", r"measure = 'twins' is no probe of one model: attractor twins SWEEP"),
    ],
)
def test_an_unknown_word_is_named(word: str, message: str) -> None:
    with pytest.raises(AttractorError, match=message):
        require_measurable(word)


def test_an_unknown_quantity_is_an_error_and_never_clipped() -> None:
    with pytest.raises(AttractorError, match="'recovery_rtae' is a quantity of no measurement"):
        quantity("recovery_rtae")


def test_no_arrays_no_numbers(tmp_path: Path, source: MarkovDenoiser) -> None:
    own = source.sample(4, L, seed=3).numpy()
    write_tokens(tmp_path, [Block(measurement="other", split="train", original=own, value=own)])
    assert rows_of(read_arrays(tmp_path)) == []
