"""docs/file-formats.md has every file, column and key that the code writes, and no other."""

from __future__ import annotations

import dataclasses
import json
import re
import shutil
from collections.abc import Iterator
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import pyarrow.parquet as pq
import pytest
import torch
from trainings import metrics, watched

from attractor.analysis.agreement import Agreement
from attractor.analysis.summary import Case, model_detector, models_summary
from attractor.audits.attack import Attack
from attractor.audits.extraction import extract
from attractor.audits.measure import Effort
from attractor.audits.reference import Reference, ReferenceModel
from attractor.audits.run import audit
from attractor.audits.subject import Audited
from attractor.audits.texts import texts_of_run
from attractor.cli import main
from attractor.config.settings import RunConfig, SweepConfig
from attractor.data.dataset import open_dataset
from attractor.data.replicas import PLANTED, list_planted
from attractor.data.stream import State
from attractor.measurements.micro_attractors import MicroAttractor
from attractor.measurements.texts import Texts
from attractor.process.registry import make_process, process_settings
from attractor.publish import export
from attractor.results.estimate import Estimate
from attractor.sweeps.onset import onset_summary
from attractor.sweeps.plan import PlannedRun, plan
from attractor.sweeps.search import search
from attractor.theory import EmpiricalDenoiser, random_source
from attractor.theory_page import markov
from attractor.theory_page.write import write_theory_report
from attractor.train.state import Check

PAGE = Path(__file__).parents[1] / "docs" / "file-formats.md"
NOT_MADE = {"ablation", "twins", "twins_chance", "prefix_extraction", "min_k_prob"}
NOT_MADE |= {"extracted_spans", "sama", "base_nelbo"}
NOT_MADE |= {
    f"repetition_{name}" for name in ("copies", "recovery", "radius", "nelbo", "extraction")
}
"""Arrays that have to be asked for, and are not here."""
Place = tuple[str, ...]
"""The keys that lead to a value; that of a list of objects has [] behind it."""


class Entry(NamedTuple):
    """A line of a table of the page."""

    name: str
    optional: bool
    cells: list[str]


def table(heading: str, first: str) -> list[Entry]:
    """The table under a heading whose first column is called `first`."""
    text = PAGE.read_text()
    assert text.count(f"\n{heading}\n") == 1, heading
    section = re.split(r"\n##+ ", text.split(f"\n{heading}\n")[1])[0]
    lines = section[section.index(f"| {first} |") :].split("\n\n")[0].strip().splitlines()
    entries = []
    for line in lines[2:]:
        name, *cells = (cell.strip() for cell in line.strip("|").split("|"))
        found = re.fullmatch(r"`(.+)`( \?)?", name)
        assert found, f"not a name: {line}"
        entries.append(Entry(found[1], bool(found[2]), cells))
    return entries


def leaves(value: Any, place: Place = ()) -> Iterator[tuple[Place, Any]]:
    """Every value of a JSON file that is no object, or an empty one, and its place."""
    if isinstance(value, dict) and value:
        for name, inner in value.items():
            yield from leaves(inner, (*place, name))
    elif isinstance(value, list) and value and all(isinstance(item, dict) for item in value):
        for item in value:
            yield from leaves(item, (*place[:-1], f"{place[-1]}[]"))
    else:
        yield place, value


def covers(pattern: Place, place: Place) -> bool:
    """Whether a line of a table means a place; `*` is any name, `*[]` that of any list."""
    return len(pattern) == len(place) and all(
        a in (b, "*[]" if b.endswith("[]") else "*") for a, b in zip(pattern, place, strict=True)
    )


def check_keys(heading: str, *contents: Any) -> None:
    """The keys of a file are those of its table; contents together show all but the optional."""
    known = {tuple(entry.name.split(".")): entry.optional for entry in table(heading, "key")}
    found = {place for content in contents for place, _ in leaves(content)}
    for content in contents:
        for place, value in leaves(content):
            if value or not _stands_for_more(place, known):
                assert any(covers(p, place) for p in known), f"{heading} lacks {'.'.join(place)}"
    for pattern, optional in known.items():
        seen = any(covers(pattern, place) for place in found)
        assert optional or seen, f"{heading} has {'.'.join(pattern)}, which no file has"


def _stands_for_more(place: Place, known: dict[Place, bool]) -> bool:
    """Whether null, or an empty list or object, is there instead of what the table has."""
    kinds = (place, (*place[:-1], f"{place[-1]}[]"))
    return any(covers(pattern[: len(place)], kind) for pattern in known for kind in kinds)


def check_files(heading: str, folder: Path, apart: str = r"(?!)") -> None:
    """The files in a folder are those of its table, but for those that `apart` matches."""
    entries = [entry for entry in table(heading, "file") if not entry.name.endswith("/")]
    patterns = {
        re.sub(r"<\\?\w+>", "[^/]+", re.escape(entry.name)): entry.optional for entry in entries
    }
    found = [
        path.relative_to(folder).as_posix()
        for path in folder.rglob("*")
        if path.is_file() and not path.name.startswith(".")
    ]
    found = [name for name in found if not re.match(apart, name)]
    for name in found:
        assert any(re.fullmatch(pattern, name) for pattern in patterns), f"{heading} lacks {name}"
    for pattern, optional in patterns.items():
        seen = any(re.fullmatch(pattern, name) for name in found)
        assert optional or seen, f"{heading} has {pattern}, which is not there"


def read(path: Path) -> Any:
    return json.loads(path.read_text())


def read_lines(path: Path) -> list[Any]:
    return [json.loads(line) for line in path.read_text().splitlines()]


@pytest.fixture(scope="session")
def config(small_config: SweepConfig) -> SweepConfig:
    return small_config


@pytest.fixture(scope="session")
def finished(small_sweep: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A copy, since a set of measurements is added to one of its runs."""
    return Path(shutil.copytree(small_sweep, tmp_path_factory.mktemp("sweeps") / "formats"))


@pytest.fixture(scope="session")
def run(config: SweepConfig, finished: Path) -> Path:
    return finished / plan(config, 10**6)[0].run_id


def test_data_folder(finished: Path) -> None:
    check_files("## A data folder", finished / "data")
    check_keys("### `data/config.json`", read(finished / "data/config.json"))
    check_keys("### `data/counts.json`", read(finished / "data/counts.json"))
    tokenizer = {"tokenizer.json": {"size": 1, "time": 1, "ends": "", "sha256": ""}}
    told = read(finished / "data/source.json")
    check_keys("### `data/source.json`", told, {"tokenizer": tokenizer})
    check_keys("### `data/groups.json`", read(finished / "data/groups.json"))
    data = open_dataset(Path(shutil.copytree(finished / "data", finished.parent / "planted")))
    list_planted(data, [0], (1, 3), 2)
    check_keys("### `data/planted.json`", read(finished.parent / "planted" / PLANTED))
    check_keys("### While a corpus is streamed", dataclasses.asdict(State(left=[])))


def test_run(run: Path) -> None:
    less = ["--measure", "entropy", "--t", "0.5", "--rows", "4", "--test-rows", "4"]
    assert main(["probe", str(run), *less]) == 0
    check_files("## A run", run)
    check_keys("### `config.json`", read(run / "config.json"))
    gap = (0.1, 0.0, 0.2)
    names = [f"{x}_{split}" for x in ("entropy", "nll") for split in ("train", "test", "generated")]
    names += ["recovery_train", "recovery_test", "nearest_test", "nearest_generated"]
    rows: dict[str, list[float | None]] = {name: [0.1, None] for name in names}
    watched = Check(0.3, 0.2, gap, gap, gap, gap, gap, rows)._asdict()
    check_keys("### `metrics.jsonl`", *read_lines(run / "metrics.jsonl"), {"check": watched})
    check_keys("### `speed.jsonl`", *read_lines(run / "speed.jsonl"))
    states = [read(path) for path in run.glob("checkpoint/*/state.json")]
    noises = [make_process(name, 4, 0.2) for name in ("uniform", "absorbing", "hybrid")]
    check_keys("### `state.json`", *states, *({"process": process_settings(p)} for p in noises))
    (probed,) = run.glob("probes/*/config.json")
    check_keys("### `probes/<hash>/config.json`", read(probed))


@pytest.mark.parametrize("name", ["results.parquet", "tokens.parquet"])
def test_columns(run: Path, name: str) -> None:
    written = pq.read_schema(run / name)
    assert [(entry.name, entry.cells[0]) for entry in table(f"### `{name}`", "column")] == [
        (field.name, str(field.type)) for field in written
    ]


def test_sweep(finished: Path, config: SweepConfig, tmp_path: Path) -> None:
    check_files("## A sweep", finished, apart=r"data/|[0-9a-f]{12}/")
    located, measured = (read(finished / f"{name}.json") for name in ("transition", "measurements"))
    check_keys("### `sweep.json`", read(finished / "sweep.json"))
    pair = Agreement("recovery", "entropy", 0.1, (0.0, 0.2), "agree", 2.0)._asdict()
    for n in (8, 16, 32):
        rng = np.random.default_rng(n)
        metrics(tmp_path / str(n) / "metrics.jsonl", watched(rng, 8, 10.0 * n, 20.0 * n))
    runs = [PlannedRun(str(n), RunConfig(n_train=n)) for n in (8, 16, 32)]
    watching = {"onset": onset_summary(runs, tmp_path)}
    check_keys("### `transition.json`", located, {"agreement": [pair]}, watching)
    models = [({"model": name, "parameters": 1}, located | watching) for name in ("demo", "tiny")]
    check_keys("### `transition.json` of several models", models_summary(models))
    certain = MicroAttractor(3, 1, 9, 4, (0.1, 0.7), 0.5)._asdict()
    cases = [Case(True, 0.1), Case(True, 0.2), Case(False, 1.1), Case(False, 1.2)]
    more = {
        "micro_attractors": [certain],
        "detector": model_detector(cases, range(4), "training-set size"),
        "models": [{**label, "transition": found["transition"]} for label, found in models],
    }
    check_keys("### `measurements.json`", measured, more)
    check_keys("### `passages.json`", read(finished / "passages.json"))


def test_adaptive_sweep(config: SweepConfig, tmp_path: Path) -> None:
    def stop(runs: object) -> None:
        raise InterruptedError

    with pytest.raises(InterruptedError):
        search(config, 100, tmp_path, 1.5, stop)
    check_keys("### `adaptive.json`", read(tmp_path / "adaptive.json"))


def test_audit_and_arrays(run: Path, finished: Path, tmp_path: Path) -> None:
    texts, data = texts_of_run(run, rows=8), open_dataset(finished / "data")
    texts = texts._replace(corpus=texts.corpus[:8])  # so few that all fall again and again
    store = EmpiricalDenoiser(torch.tensor(texts.corpus).long(), data.tokenizer.vocab_size)
    fresh = {"fresh": texts.test}
    subject = Audited("store", store, texts.train.shape[1], data.tokenizer, texts, fresh=fresh)
    audit(subject, tmp_path / "audit", Effort(n=12, minutes=0, steps=4, rows=32))
    check_files("## An audit", tmp_path / "audit")
    found = read(tmp_path / "audit/audit.json")
    assert found["brought_back"]
    check_keys("### `audit.json`", found)
    written = [pq.read_table(folder / "tokens.parquet") for folder in (run, tmp_path / "audit")]
    names = {name for arrays in written for name in arrays["measurement"].unique().to_pylist()}
    assert {entry.name for entry in table("### `tokens.parquet`", "array")} == names | NOT_MADE


def test_an_extraction(tmp_path: Path) -> None:
    rows = random_source(9, 1.0, seed=1).sample(40, 12, seed=1).numpy()
    file = np.concatenate([rows[:12], rows[:1]])
    store = EmpiricalDenoiser(torch.from_numpy(file), 9)
    texts = Texts(file[:8], rows[20:], file, file[8:], rows[:0], str)
    spans = tmp_path / "spans.jsonl"
    spans.write_text('{"row": 1, "start": 2, "end": 5}')
    attack = Attack(given=(0.5,), falls=2, steps=(8,), minutes=0)
    extract(Audited("store", store, 12, texts=texts), tmp_path / "made", attack, spans)
    check_files("## An extraction", tmp_path / "made")
    check_keys("### `extraction.json`", read(tmp_path / "made/extraction.json"))


def test_reference_curves() -> None:
    e = Estimate(0.5, 0.4, 0.6, 30)
    points = (ReferenceModel(n_train=8, advantage=e, numbers={"entropy": e}),)
    made = Reference(
        name="by hand",
        process="uniform",
        vocab_size=9,
        seq_len=8,
        parameters=1,
        steps=4,
        t=0.5,
        points=points,
    )
    check_keys("### `<reference>.json`", json.loads(made.text()))


def test_theory_page(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    for name, value in {"SIZES": (10, 40), "ROWS": 10, "GRID": 40}.items():
        monkeypatch.setattr(markov, name, value)
    write_theory_report(tmp_path, n=60, loads=(0.2,), seeds=(0, 1))
    check_files("## A theory page", tmp_path)
    check_keys("### `theory.json`", read(tmp_path / "theory.json"))


def test_published_run(run: Path, tmp_path: Path) -> None:
    folder = export(run, tmp_path / "model")
    check_files("## A published run", folder)
    check_keys("### `config.json` of a published run", read(folder / "config.json"))
    check_keys("### `attractor.json`", read(folder / "attractor.json"))


def test_every_value_has_a_unit() -> None:
    for block in re.findall(r"(?:^\|.*\n)+", PAGE.read_text(), re.MULTILINE):
        head, _, *lines = ([c.strip() for c in line.split("|")] for line in block.splitlines())
        if "unit" in head:
            assert all(line[head.index("unit")] for line in lines), block
