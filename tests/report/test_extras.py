"""Figures and tables for a paper: which are written, where, and what they show."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import made_up
import numpy as np
import pytest

from attractor.report.charts import all_figures
from attractor.report.extras import Extras, places_table, sizes_table, write_extras
from attractor.report.figures import Figure
from attractor.report.paper import FIGURES, histograms, trajectories, transition
from attractor.report.passages import latex_passages
from attractor.report.sweep_files import read_report
from attractor.report.tables import Table, latex
from attractor.report.vector import draw_figure, print_style
from attractor.report.view import Report
from attractor.types import AttractorError


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    return made_up.write(tmp_path / "s", made_up.full(), made_up.passages())


@pytest.fixture(scope="module")
def report(tmp_path_factory: pytest.TempPathFactory) -> Report:
    folder = tmp_path_factory.mktemp("sweeps") / "s"
    return read_report(made_up.write(folder, made_up.full(), made_up.passages()))


def named(report: Report, name: str) -> Figure:
    return next(figure for figure in all_figures(report) if figure.id == name)


@pytest.mark.slow
def test_every_figure_of_the_page_is_written(folder: Path) -> None:
    paths = write_extras([folder], Extras(figures="pdf"))
    assert {p.stem for p in paths} == {figure.id for figure in all_figures(read_report(folder))}
    assert {p.parent for p in paths} == {folder / "figures"}
    assert all(p.read_bytes().startswith(b"%PDF") for p in paths)


@pytest.mark.slow
def test_one_figure_into_a_folder_of_ones_own(folder: Path, tmp_path: Path) -> None:
    sizes = []
    for dpi in (50, 100):
        asked = Extras(figures="png", only=("gap",), out=tmp_path / f"at-{dpi}", dpi=dpi)
        (path,) = write_extras([folder], asked)
        assert path == tmp_path / f"at-{dpi}" / "gap.png"
        head = path.read_bytes()[:24]
        assert head[1:4] == b"PNG"
        sizes.append(int.from_bytes(head[16:20], "big"))
    assert sizes[1] == pytest.approx(2 * sizes[0], abs=2)


@pytest.mark.slow
@pytest.mark.parametrize(
    ("asked", "said"),
    [
        ({"figures": "pdf", "only": ("histogram",)}, "only = 'histogram': there are recovery, "),
        (
            {"figures": "pdf", "set": "paper", "only": ("recovery",)},
            "only = 'recovery': there are transition, histograms, trajectories, passages",
        ),
        ({"only": ("gap",)}, "only = 'gap' names figures: add --figures pdf"),
        ({"figures": "pdf", "dpi": 0}, "dpi = 0: at least 1"),
        ({"figures": "pdf", "style": Path("nowhere.mplstyle")}, r"nowhere\.mplstyle"),
    ],
)
def test_what_cannot_be_written_is_named(folder: Path, asked: dict[str, Any], said: str) -> None:
    with pytest.raises(AttractorError, match=said):
        write_extras([folder], Extras(**asked))


@pytest.mark.slow
def test_figures_of_a_paper_show_all_models(tmp_path: Path) -> None:
    """One figure for both, beside their folders; tables of each in a folder of its own."""
    folders = [
        made_up.write(tmp_path / name, made_up.full(), made_up.passages())
        for name in ("tiny", "small")
    ]
    paths = write_extras(folders, Extras(figures="svg", set="paper", only=("transition",)))
    assert paths == [tmp_path / "figures/transition.svg"]
    with print_style("svg"):
        drawn = transition([read_report(each) for each in folders])
    assert [ax.get_title() for ax in drawn.axes[:2]] == ["tiny", "small"]
    paths = write_extras(folders, Extras(tables="tex", out=tmp_path / "out"))
    assert {p.parent for p in paths} == {tmp_path / "out/tiny", tmp_path / "out/small"}


def test_the_peak_of_validation_perplexity_stands_on_the_axis_of_recovery(tmp_path: Path) -> None:
    data = made_up.full()
    data["validation_peak"] = {"n_train": 300.0, "ci": [200.0, 500.0]}
    report = read_report(made_up.write(tmp_path / "s", data))
    with print_style("pdf"):
        upper, lower = transition([report]).axes
    assert upper.get_xlim() == lower.get_xlim()
    assert [text.get_text() for text in lower.texts] == ["peak at n = 300"]
    assert any(list(line.get_xdata()) == [300.0, 300.0] for line in lower.lines)
    unseen = [row for row in data["rows"] if row["split"] == "test" and row["t"] == 0.15]
    nelbo = {n: [r["nelbo_per_token"] for r in unseen if r["n_train"] == n] for n in made_up.SIZES}
    drawn = next(line for line in lower.lines if len(line.get_xdata()) == len(made_up.SIZES))
    assert drawn.get_ydata() == pytest.approx([np.exp(np.mean(nelbo[n])) for n in made_up.SIZES])


def test_histograms_are_a_grid_with_the_same_axes(report: Report) -> None:
    with print_style("pdf"):
        axes = [ax for ax in histograms([report]).axes if ax.get_title()]
    assert len(axes) == len(made_up.SIZES)
    assert len({(ax.get_xlim(), ax.get_ylim()) for ax in axes}) == 1


@pytest.mark.slow
@pytest.mark.parametrize("name", ["density", "trajectory", "survival"])
def test_plots_beside_each_other_have_the_same_axes(report: Report, name: str) -> None:
    layouts = [panel.spec["layout"] for panel in named(report, name).panels]
    for axis in ("xaxis", "yaxis"):
        assert len({tuple(layout[axis]["range"]) for layout in layouts}) == 1


def test_trajectories_have_a_line_for_each_size(report: Report) -> None:
    with print_style("pdf"):
        plot, scale = trajectories([report]).axes
    assert len(plot.lines) == len(made_up.SIZES)
    assert len({line.get_color() for line in plot.lines}) == len(made_up.SIZES)
    assert scale.get_ylabel() == "training sequences n"
    assert scale.get_ylim() == pytest.approx((made_up.SIZES[0], made_up.SIZES[-1]))


@pytest.mark.slow
def test_figures_leave_pyplot_to_whoever_calls(folder: Path) -> None:
    """A notebook draws its own figures inline, before and after."""
    import matplotlib
    from matplotlib import pyplot

    before, size = matplotlib.get_backend(), pyplot.rcParams["figure.figsize"]
    matplotlib.use("svg")
    try:
        write_extras([folder], Extras(figures="png", only=("recovery",)))
        write_extras([folder], Extras(figures="pdf", set="paper"))
        assert matplotlib.get_backend() == "svg"
        assert pyplot.get_fignums() == []
        assert pyplot.rcParams["figure.figsize"] == size
    finally:
        matplotlib.use(before)


def test_a_paper_without_data_has_fewer_figures(tmp_path: Path) -> None:
    folder = made_up.write(tmp_path / "s", made_up.minimal())
    paths = write_extras([folder], Extras(figures="svg", set="paper"))
    assert [p.stem for p in paths] == ["transition"]


@pytest.mark.slow
def test_no_label_is_longer_than_its_axis_or_crosses_a_line(report: Report) -> None:
    """What stands left of a plot ends within its height; the label of a place is above the lines of
    all others."""
    with print_style("pdf"):
        for name in ("gap", "recovery"):
            drawn = draw_figure(named(report, name))
            renderer = drawn.canvas.get_renderer()
            drawn.draw_without_rendering()
            ax = drawn.axes[0]
            plot, label = ax.get_window_extent(renderer), ax.yaxis.label.get_window_extent(renderer)
            assert plot.y0 - 1 <= label.y0
            assert label.y1 <= plot.y1 + 1
            for text in (text for text in ax.texts if "n* =" in text.get_text()):
                box = text.get_window_extent(renderer)
                for line in (line for line in ax.lines if len(set(line.get_xdata())) == 1):
                    crossed = line.get_window_extent(renderer)
                    assert not (box.x0 < crossed.x0 < box.x1 and crossed.y1 > box.y0 + 1)


def test_tables_as_csv_and_tex(folder: Path) -> None:
    write_extras([folder], Extras(tables="csv"))
    lines = (folder / "tables" / "controls.csv").read_text().splitlines()
    assert lines[2].startswith("memorizer,100.0% (98.0% to 102.0%)")
    assert (folder / "tables/measurements.csv").is_file()
    tex = {p.name: p.read_text() for p in write_extras([folder], Extras(tables="tex"))}
    assert r"untrained & 2.0\% (0.0\% to 4.0\%)" in tex["controls.tex"]
    assert "measurements.tex" not in tex  # thousands of lines
    assert tex.pop("passages.tex").count(r"\begin{tabular}") == 2
    assert all(text.count(r"\begin{tabular}") == 1 for text in tex.values())
    option = latex(
        Table("micro", "", "", ("token", "rank"), [("[BOS]", "1"), ("*", "2"), ("the", "3")])
    )
    assert option.splitlines()[5:8] == [r"{}[BOS] & 1 \\", r"{}* & 2 \\", r"the & 3 \\"]


def test_the_table_of_sizes_has_six_lines_and_the_numbers_of_the_sweep(report: Report) -> None:
    table = sizes_table(report)
    assert [row[0] for row in table.rows] == ["16", "64", "256", "2,048", "4,096", "16,384"]
    found = [made_up.row(16, seed, split, 0.15) for split in ("train", "test") for seed in (0, 1)]
    train, test = (np.mean([r["recovery_rate"] for r in found[i : i + 2]]) for i in (0, 2))
    _, a, b, advantage, *_ = table.rows[0]
    assert a.startswith(f"{train:.2f} [")
    assert b.startswith(f"{test:.2f} [")
    assert advantage == f"{(train - test) / (1 - test):.2f}"


def test_a_place_that_is_missing_says_why_beside_the_table(tmp_path: Path) -> None:
    data = made_up.full()
    data["transition"][1] |= {"n_star": None, "ci": None, "reason": "fewer than 4 sizes"}
    table = places_table(read_report(made_up.write(tmp_path / "s", data)))
    assert table.rows[1] == ("recovery at t = 0.5", "none", "", "", "", "")
    assert table.read == "Not located: recovery at t = 0.5: fewer than 4 sizes."


def test_passages_in_tex_keep_their_letters_and_marks(tmp_path: Path) -> None:
    tokens = [
        {"original": a, "corrupted": b, "recovered": c, "outcome": outcome, "entropy": 0.1}
        for a, b, c, outcome in (
            ("a_", "a_", "a_", "stable"),
            (" b", "&", " b", "recovered"),
            ("\\c", "%", "\\c", "recovered"),
            ("d", "d", "\n", "unstable"),
        )
    ]
    views = [{"n_train": 16, "seed": 0, "tokens": tokens}]
    texts = {"schema": 1, "passages": [{"split": "test", "row": 0, "t": 0.15, "views": views}]}
    report = read_report(made_up.write(tmp_path / "s", made_up.minimal(), texts))
    lines = latex_passages(report.passages).splitlines()
    assert r"original & \texttt{a\_~b\textbackslash{}cd} \\" in lines
    assert r"corrupted & \texttt{a\_\toknoise{\&\%}d} \\" in lines
    assert (
        r"n = 16 & \texttt{a\_\tokcameback{~b\textbackslash{}c}\tokbroken{$\hookleftarrow$}} \\"
        in lines
    )


def test_passages_are_drawn_token_below_token(report: Report) -> None:
    with print_style("pdf"):
        drawn = FIGURES["passages"]([report])
    lines: dict[float, list[float]] = {}
    for text in drawn.axes[0].texts:
        if text.get_family() == ["DejaVu Sans Mono"] and text.get_text():
            x, y = text.get_position()
            lines.setdefault(y, []).append(x)
    starts = list(lines.values())
    assert len(starts) % 4 == 0  # original, corrupted and two models, in every block
    for i in range(0, len(starts), 4):
        assert starts[i] == starts[i + 1] == starts[i + 2] == starts[i + 3]
    assert max(max(x) for x in starts) < 14 + 76
