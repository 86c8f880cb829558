"""What Python gets of a sweep: the same numbers as the files, and one line for what is wrong."""

from __future__ import annotations

import dataclasses
import json
import shutil
from pathlib import Path

import numpy as np
import pytest

import attractor
from attractor.api import tables
from attractor.api.settings import probe_settings, sweep_settings
from attractor.config.presets import preset
from attractor.config.settings import ProbeConfig, SweepConfig, TrainConfig


@pytest.fixture(scope="module")
def opened(small_sweep: Path) -> attractor.api.Sweep:
    found = attractor.open(small_sweep)
    assert isinstance(found, attractor.api.Sweep)
    return found


def test_runs_are_found_by_size_and_by_seed(opened: attractor.api.Sweep) -> None:
    assert list(opened.runs) == [(8, 0, 0), (16, 0, 0), (32, 0, 0), (64, 0, 0)]
    run = opened.runs[32]
    assert run is opened.runs[32, 0] is opened.runs[32, 0, 0]
    assert (run.n_train, run.seed, run.finished) == (32, 0, True)
    assert 32 in opened.runs
    assert 33 not in opened.runs
    with pytest.raises(KeyError, match="n = 8, 16, 32, 64"):
        opened.runs[33]
    assert run.train_rows().shape == (32, 12)
    assert np.array_equal(run.train_rows(8), opened.runs[8].train_rows())
    assert len(run.unseen_rows(5)) == 5
    assert attractor.open(f"{opened.folder}:n=32").folder == run.folder
    assert list(run.metrics()["step"])[-1] == 30


def test_the_table_holds_every_number_of_the_files(opened: attractor.api.Sweep) -> None:
    table = opened.to_pandas()
    assert list(table.columns) == list(tables.COLUMNS)
    written = json.loads((opened.folder / "measurements.json").read_text())["rows"]
    assert len(table) == len(written)
    for i in (0, len(written) // 2, len(written) - 1):
        row, line = written[i], table.iloc[i]
        assert (row["measurement"], row["split"], row["n_train"]) == tuple(
            line[["measurement", "split", "n_train"]]
        )
        assert line["value"] == row["value"]
        assert row.get("t") == line["t"] or (row.get("t") is None and np.isnan(line["t"]))
    assert set(table["unit"]) > {"share", "nats per token"}
    # Those of a run are those of the sweep, in the order of its own file.
    of_run = opened.runs[16].to_pandas()
    of_sweep = table[table["n_train"] == 16]
    assert sorted(of_run["value"]) == sorted(of_sweep["value"])


def test_places_are_those_of_the_files(opened: attractor.api.Sweep) -> None:
    written = json.loads((opened.folder / "transition.json").read_text())["transition"]
    found = [place for place in opened.places if place.seen_in == "recovery"]
    assert [(p.t, p.n) for p in found] == [(w["t"], w["n_star"]) for w in written]
    assert opened.n_star in found
    for place in opened.places:
        if place.n is None:
            with pytest.raises(attractor.AttractorError, match=r"there is no n\* of"):
                float(place)
            assert str(place).startswith("not located: ")
        else:
            assert float(place) == place.n


def test_figures_are_drawn_by_plotly_and_by_matplotlib(opened: attractor.api.Sweep) -> None:
    from matplotlib.figure import Figure

    inline = opened.plot.recovery()
    assert inline.layout.showlegend
    ax = Figure().subplots()
    assert opened.plot.recovery(ax=ax) is ax
    # The same lines: those with markers and those without, in one figure as in the other.
    assert "returns" in ax.get_ylabel() or "return" in ax.get_ylabel()
    drawn = [tuple(np.asarray(line.get_xdata(), float)) for line in ax.lines]
    sizes = tuple(map(float, opened.config.sizes))
    assert drawn.count(sizes) == sum(
        trace.x is not None and tuple(trace.x) == sizes and trace.fill is None
        for trace in inline.data
    )
    assert {"recovery", "entropy"} <= set(opened.plot.names)
    with pytest.raises(attractor.AttractorError, match="did you mean 'recovery'"):
        opened.plot("recovry")
    with pytest.raises(attractor.AttractorError, match="panel = 3"):
        opened.plot("recovery", panel=3)


def test_a_sweep_and_a_run_say_what_they_are(opened: attractor.api.Sweep) -> None:
    assert repr(opened).startswith(f"<Sweep '{opened.folder}': n = 8 to 64, 4 sizes, one training")
    shown = opened._repr_html_()
    assert shown.count("<tr>") == 5  # a head and four sizes
    assert "of unseen text" in shown
    run = opened.runs[8]
    assert repr(run) == f"<Run '{run.folder}': n = 8, seed 0>"
    assert "basin advantage, t = 0.3" in run._repr_html_()


def test_a_loaded_model_takes_and_gives_text(opened: attractor.api.Sweep) -> None:
    model = opened.runs[64].load()
    text = "in the beginning was the light. "
    rows = model.encode(text)
    assert "".join(model.decode(rows)) == text[:30]
    assert attractor.probes.recovery(model, text, t=0.5, steps=10).original.shape == (3, 12)
    step = next((opened.runs[64].folder / "checkpoint").glob("step-*"))
    assert attractor.load(step).tokenizer is not None


def test_more_is_measured_and_a_run_is_shown_with_it(copied_sweep: Path) -> None:
    run = attractor.measure(
        f"{copied_sweep}:n=16", measure="exact_match", t=0.5, rows=8, test_rows=8, progress=False
    )
    assert isinstance(run, attractor.api.Run)
    assert set(run.to_pandas().query("measurement == 'exact_match'")["t"]) == {0.5}
    assert run.measured != run.folder


BAD = {
    "no sweep": (lambda here: attractor.open(here), "is no sweep, no run, no audit"),
    "not there": (lambda here: attractor.open(here / "dmo"), r"did you mean '.*demo'\?"),
    "no path": (lambda here: attractor.open(3), "path = 3"),
    "closed file": (
        lambda here: attractor.sweep(here / "s", text=_closed(here)),
        r"file object \(.*a.txt, closed\): give its path",
    ),
    "text itself": (lambda here: attractor.sweep(here / "s", text="a\nb"), r"text=\[\.\.\.\]"),
    "no text": (lambda here: attractor.sweep(here / "s", text=[]), "at least one text"),
    "a number": (lambda here: attractor.sweep(here / "s", text=["a", 3]), "text 1 is 3"),
    "missing": (lambda here: attractor.sweep(here / "s", text=here / "no.txt"), "does not exist"),
    "setting": (lambda here: attractor.sweep(here / "s", seq_length=3), "did you mean 'seq_len'"),
    "several": (
        lambda here: attractor.sweep(here / "s", steps=3),
        r"steps is a setting of train, probe: say train=\{'steps': \.\.\.\}",
    ),
    "inside": (lambda here: attractor.sweep(here / "s", train={"stps": 3}), "did you mean 'steps'"),
    "section": (lambda here: attractor.sweep(here / "s", train=3), "settings of this section"),
    "type": (lambda here: attractor.sweep(here / "s", lr="fast"), 'lr = "fast" is not a number'),
    "range": (lambda here: attractor.sweep(here / "s", lr=-1.0), "lr = -1.0 must be positive"),
    "preset": (lambda here: attractor.sweep(here / "s", preset="dmo"), "did you mean 'demo'"),
    "sizes": (
        lambda here: attractor.sweep(
            here / "s", text=[f"{i} apples and pears" for i in range(90)], sizes=(8, 9999),
            progress=False,
        ),
        r"n_train=9999 but the training set has only \d+ rows; take sizes of at most",
    ),
    "measure": (lambda here: attractor.measure(here / "demo"), "holds no sweep"),
    "no target": (lambda here: attractor.measure(3), "is no sweep and no run"),
    "audit": (lambda here: attractor.audit("reference:n=1024", train=["a"]), "give both"),
    "effort": (lambda here: attractor.audit("reference:n=1024", minuts=1), "mean 'minutes'"),
    "model": (lambda here: attractor.audit(here / "dmo"), "did you mean"),
}  # fmt: skip


def _closed(here: Path) -> object:
    file = (here / "a.txt").open("w")
    file.close()
    return file


@pytest.mark.parametrize("case", BAD)
def test_bad_input_is_one_line_and_leaves_nothing(case: str, tmp_path: Path) -> None:
    (tmp_path / "demo").mkdir()
    call, message = BAD[case]
    with pytest.raises(attractor.AttractorError, match=message) as error:
        call(tmp_path)
    assert "\n" not in str(error.value)
    assert not (tmp_path / "s").exists()


def test_settings_go_where_they_belong() -> None:
    base = preset("demo")
    made = sweep_settings(
        base,
        {"sizes": [8, 1], "seeds": 3, "seq_len": 16, "t": 0.3, "train": {"steps": 7}, "lr": 1e-3},
    )
    expected = dataclasses.replace(
        base,
        sizes=(8, 1.0),
        seeds=(3,),
        data=dataclasses.replace(base.data, seq_len=16),
        train=dataclasses.replace(base.train, steps=7, lr=1e-3),
        probe=dataclasses.replace(base.probe, t=(0.3,)),
    )
    assert made == expected
    assert sweep_settings(base, {}) == base
    whole = sweep_settings(base, {"train": TrainConfig(steps=9)})
    assert whole.train == TrainConfig(steps=9)
    assert sweep_settings(base, {"sizes": np.array([8, 16])}).sizes == (8, 16)
    assert probe_settings(ProbeConfig(), {"measure": "entropy"}).measure == ("entropy",)


@pytest.mark.slow
def test_a_sweep_of_text_in_memory_is_made_once_and_goes_on(
    small_config: SweepConfig, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    texts = Path(small_config.data.source).read_text().splitlines()
    sections = {name: getattr(small_config, name) for name in ("model", "train", "probe")}
    settings = {**sections, "seq_len": 12, "workers": 1}

    def make(given: list[str], **more: object) -> attractor.api.Sweep:
        return attractor.sweep(tmp_path / "s", text=given, sizes=(8, 16), **settings, **more)

    made = make(texts)
    assert "n = 16" in capsys.readouterr().out
    assert [run.finished for run in made.runs.values()] == [True, True]
    before = (made.runs[8].folder / "metrics.jsonl").stat().st_mtime_ns
    again = make(texts, progress=False, measure=("recovery", "entropy", "calibration"))
    assert capsys.readouterr().out == ""
    assert (again.runs[8].folder / "metrics.jsonl").stat().st_mtime_ns == before
    with pytest.raises(attractor.AttractorError, match="holds the text of an earlier sweep"):
        make(texts[1:])
    assert again.report() == tmp_path / "s" / "report.html"


def test_several_models_are_taken_one_by_one(small_sweep: Path, tmp_path: Path) -> None:
    folder = tmp_path / "several"
    folder.mkdir()
    config = json.loads((small_sweep / "sweep.json").read_text())
    (folder / "sweep.json").write_text(json.dumps({**config, "models": ["demo", "tiny"]}))
    for name in ("demo", "tiny"):
        (folder / name).mkdir()
        for file in ("transition.json", "measurements.json", "passages.json"):
            shutil.copy(small_sweep / file, folder / name)
    opened = attractor.open(folder)
    assert isinstance(opened, attractor.api.Sweep)
    assert list(opened.models) == ["demo", "tiny"]
    assert opened.models["tiny"].places == attractor.open(small_sweep).places
    assert set(opened.to_pandas()["model"]) == {"demo", "tiny"}
    assert "demo, tiny, one by one" in repr(opened)
    with pytest.raises(attractor.AttractorError, match=r"take one, as in \.models\['demo'\]"):
        opened.plot.recovery()


def test_an_unfinished_sweep_says_so(small_sweep: Path, tmp_path: Path) -> None:
    shutil.copy(small_sweep / "sweep.json", tmp_path)
    opened = attractor.open(tmp_path)
    assert "not finished" in repr(opened)
    assert "not finished" in opened._repr_html_()
    with pytest.raises(attractor.AttractorError, match="has no numbers yet"):
        opened.to_pandas()
