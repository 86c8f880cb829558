"""kappa against basin advantage: the right places, of this sweep and of those beside it."""

from __future__ import annotations

from pathlib import Path

import made_up
import pytest

from attractor.report.advantage import advantage, judged
from attractor.report.charts import all_figures
from attractor.report.sweep_files import read_report

T = made_up.TIMES[0]


def test_a_point_is_the_advantage_and_kappa_of_one_size(tmp_path: Path) -> None:
    data = made_up.full(seeds=(0,))
    for row in data["rows"]:
        row["recovery_rate"] = 0.9 if row["split"] == "train" else 0.6
    report = read_report(made_up.write(tmp_path / "one", data))
    models = judged(report, T)
    assert [model.n_train for model in models] == list(report.sizes)
    assert [model.advantage for model in models] == pytest.approx([0.75] * len(models))
    kappas = [
        r.estimate.value for r in report.measured if (r.measurement, r.split) == ("kappa", "test")
    ]
    assert [model.kappa.value for model in models] == pytest.approx(kappas)
    figure = advantage(report)
    assert figure is not None
    assert "kappa" in figure.panels[0].label
    assert "0.75" in figure.panels[0].label
    assert [shape["y0"] for shape in figure.panels[0].spec["layout"]["shapes"]] == [1]
    assert "advantage" in [drawn.id for drawn in all_figures(report)]


def test_an_advantage_over_text_that_nearly_all_returns_is_no_quotient_of_nothing(
    tmp_path: Path,
) -> None:
    data = made_up.full(seeds=(0,))
    for row in data["rows"]:
        row["recovery_rate"] = 0.999 if row["split"] == "train" else 0.99
    models = judged(read_report(made_up.write(tmp_path / "one", data)), T)
    assert [model.advantage for model in models] == pytest.approx([0.18] * len(models))


def test_sweeps_beside_have_a_line_each_and_one_without_kappa_none(tmp_path: Path) -> None:
    folders = []
    for noise in ("uniform", "absorbing", "hybrid"):
        data = made_up.full()
        data["measurements"]["provenance"]["process"] = noise
        if noise == "absorbing":
            rows = data["measurements"]["rows"]
            rows[:] = [row for row in rows if row["measurement"] != "kappa"]
        folders.append(made_up.write(tmp_path / noise, data))
    figure = advantage(read_report(folders[0], folders[1:]))
    assert figure is not None
    assert [key.label for key in figure.keys] == ["uniform", "hybrid"]
    lines = [x for x in figure.panels[0].spec["data"] if x["mode"] == "lines+markers"]
    assert [line["meta"]["tags"] for line in lines] == [["uniform"], ["hybrid"]]
    assert len({line["line"]["color"] for line in lines}) == 2
    assert advantage(read_report(folders[1])) is None


def test_ratios_are_drawn_on_a_logarithmic_axis_with_a_line_at_1(tmp_path: Path) -> None:
    report = read_report(made_up.write(tmp_path / "one", made_up.full()))
    (figure,) = (drawn for drawn in all_figures(report) if drawn.id == "kappa")
    layout = figure.panels[0].spec["layout"]
    assert layout["yaxis"]["type"] == "log"
    assert [shape["y0"] for shape in layout["shapes"]] == [1]
