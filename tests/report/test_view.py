"""What the page shows: reading, averaging over seeds, the sentences, and errors that name what is
wrong."""

from __future__ import annotations

import dataclasses
import json
import math
from pathlib import Path
from typing import Any

import made_up
import pytest

from attractor.measurements import ALL
from attractor.measurements.fold import BASINS, FOLDS, GENERATION, SAFETY, UNCERTAINTY
from attractor.report import words
from attractor.report.answers import answer
from attractor.report.axes import log_ticks
from attractor.report.charts import all_figures, model_sizes
from attractor.report.page import render, stars, warnings
from attractor.report.sweep_files import read_report
from attractor.report.tables import membership, models
from attractor.report.view import curves, find
from attractor.results.estimate import Estimate
from attractor.types import AttractorError


def read(tmp_path: Path, transition: Any, passages: Any = None) -> Any:
    return read_report(made_up.write(tmp_path / "sweep", transition, passages))


def test_means_over_seeds_and_single_seeds(tmp_path: Path) -> None:
    data = made_up.full()
    report = read(tmp_path, data)
    point = find(report.recovery, "train", 0.15).points[2]
    rows = [r for r in data["rows"] if (r["n_train"], r["split"], r["t"]) == (256, "train", 0.15)]
    assert [r["seed"] for r in rows] == [0, 1]
    assert point.seeds == tuple(r["recovery_rate"] for r in rows)
    assert point.mean.value == pytest.approx(sum(point.seeds) / 2)
    below, apart = (
        sum(r["recovery_rate"] - r["recovery_ci"][0] for r in rows) / 2,
        abs(point.seeds[0] - point.seeds[1]),
    )
    reach = math.hypot(below, 12.7062 * apart / 2)  # Student's t of one degree of freedom
    assert point.mean.low == pytest.approx(max(0, point.mean.value - reach), abs=1e-4)


def test_what_does_not_depend_on_t_is_counted_once(tmp_path: Path) -> None:
    report = read(tmp_path, made_up.full())
    assert [(c.split, c.t) for c in report.entropy] == [
        ("train", None),
        ("test", None),
        ("generated", None),
    ]
    assert all(len(p.seeds) == 2 for c in report.entropy for p in c.points)


def test_perplexity_is_exp_of_the_mean_nelbo(tmp_path: Path) -> None:
    data = made_up.full()
    nelbo = [
        r["nelbo_per_token"]
        for r in data["rows"]
        if (r["n_train"], r["split"], r["t"]) == (16, "test", 0.15)
    ]
    mean = find(read(tmp_path, data).perplexity, "test").at(16)
    assert mean.value == pytest.approx(math.exp(sum(nelbo) / 2))


def test_minimal_file_leaves_parts_out(tmp_path: Path) -> None:
    report = read(tmp_path, made_up.minimal())
    assert report.passages == report.random == ()
    assert report.provenance == {}
    assert [f.id for f in all_figures(report)] == ["recovery", "broken", "entropy", "perplexity"]


def test_intervals_may_be_absent(tmp_path: Path) -> None:
    data = made_up.minimal()
    for row in data["rows"]:
        row["recovery_ci"] = None
    report = read(tmp_path, data)
    assert find(report.recovery, "test", 0.5).at(16).low is None
    perplexity = next(f for f in all_figures(report) if f.id == "perplexity")
    assert "No interval is recorded" in perplexity.assumed


def test_n_star_against_model_size(tmp_path: Path) -> None:
    data = made_up.full()
    found = {"t": 0.15, "n_star": 900.0, "ci": [600.0, 1350.0]}
    missing = {"t": 0.15, "n_star": None, "ci": None, "reason": "no gap"}
    assert model_sizes(read(tmp_path, data)) is None
    data["measurements"]["models"] = [
        {"model": "small", "parameters": 110, "transition": [{**found, "n_star": 2400.0}]},
        {"model": "tiny", "parameters": 24, "transition": [found]},
        {"model": "medium", "parameters": 330, "transition": [missing]},
    ]
    report = read(tmp_path / "several", data)
    figure = model_sizes(report)
    line = figure.panels[0].spec["data"][-1]
    assert (list(line["x"]), list(line["y"])) == ([24, 110], [900, 2400])
    rows = models(report).rows
    assert rows[0] == ("tiny", "24", "0.15", "900 (600 to 1,350)", "")
    assert rows[2] == ("medium", "330", "0.15", "none", "no gap")


@pytest.mark.slow
@pytest.mark.parametrize("places", [(64.0, 84.0), (84.0, 64.0), (6000.0, 9000.0), (9000.0, 6000.0)])
def test_a_label_never_crosses_the_line_of_another_transition(
    tmp_path: Path, places: tuple[float, float]
) -> None:
    """A label lies at the top of its own line; every line on its side ends below it."""
    data = made_up.full()
    for star, n_star in zip(data["transition"], places, strict=True):
        star |= {"n_star": n_star, "ci": [n_star / 2, n_star * 2]}
    traces = all_figures(read(tmp_path, data))[0].panels[0].spec["data"]
    for label in (t for t in traces if t["mode"] == "text"):
        to_the_right = label["textposition"] == "middle right"
        for line in (
            t for t in traces if len(t["x"]) == 2 and t["x"][0] == t["x"][1] != label["x"][0]
        ):
            if (line["x"][0] > label["x"][0]) == to_the_right:
                assert max(line["y"]) < label["y"][0]


@pytest.mark.parametrize("other", [[310.0, 1490.0], [761.0, 763.0]])
def test_a_headline_is_of_the_smallest_time_whatever_is_known_of_others(
    tmp_path: Path, other: list[float]
) -> None:
    data = made_up.full()
    data["transition"][1]["ci"] = other
    data["transition"].reverse()  # nor does their order in the file choose it
    head, others = words.headline(read(tmp_path, data))
    assert head == (
        "Over 2 training seeds, models stop memorizing at n* = 1,830 training sequences (95% "
        "interval over sequences 1,200 to 2,610, over training runs 400 to 9,000, between the "
        "sizes 1,024 and 4,096; there the basin advantage at t = 0.15 is 1/2)."
    )
    low, high = map(words.approx, other)
    assert others == f"At other times: n* = 762 ({low} to {high}) at t = 0.5."


def test_a_place_missing_at_the_smallest_time_is_the_headline(tmp_path: Path) -> None:
    data = made_up.full()
    data["transition"][0] |= {"n_star": None, "ci": None, "reason": "open towards small n."}
    report = read(tmp_path, data)
    head, others = words.headline(report)
    assert head == (
        "At t = 0.15, the least corruption measured, no transition was located: open towards "
        "small n."
    )
    assert others == "At other times: n* = 762 (310 to 1,490) at t = 0.5."
    page = render(report)
    assert head.rstrip(".").replace(" = ", "\u00a0=\u00a0") in page
    assert others.replace(" = ", "\u00a0=\u00a0") in page


def test_orders_of_the_data_are_training_runs_too(tmp_path: Path) -> None:
    data = made_up.full(seeds=(0,))
    rows = [row for row in data["rows"] if row["seed"] == 0]
    data["rows"] = [row | {"data_seed": order} for row in rows for order in (0, 1, 2)]
    report = read(tmp_path, data)
    head, _ = words.headline(report)
    assert head.startswith("Over 3 orders of the data, models stop")
    assert not any("this training run" in answer(report, fold) for fold in FOLDS)
    assert "over training runs 400 to 9,000" in head
    note = words.seeds_note(report, report.recovery)
    assert note.startswith("Lines: means over 3 orders of the data.")
    assert "3 of a kind tell little of it" in note


def test_with_one_seed_every_headline_says_so(tmp_path: Path) -> None:
    data = made_up.full(seeds=(0,))
    data["rows"] = [row for row in data["rows"] if row["seed"] == 0]
    data["transition"][0]["seed_ci"] = None
    assert words.headline(read(tmp_path, data))[0].startswith(
        "In this training run, models stop memorizing at n* = 1,830 training sequences (95%"
    )
    data["perplexity_peak"] = {"n_train": 512, "ci": [400.0, 600.0], "reason": None}
    said = " ".join(answer(read(tmp_path, data), fold) for fold in FOLDS)
    assert "In this training run, judged by the entropy of training tokens alone, the" in said
    assert "In this training run, generative perplexity under the judge model peaks near" in said
    data["transition"] = [{"t": 0.15, "n_star": None, "ci": None, "reason": "nothing"}]
    said = answer(read(tmp_path, data), UNCERTAINTY)
    assert "In this training run, judged by" in said
    assert "the change lies near n = 1,490" in said
    said = words.headline(read(tmp_path, data))[0]
    assert said == "No transition of this training run was located in this sweep."


def test_passes_over_the_text_are_steps_times_batch_over_rows(tmp_path: Path) -> None:
    data = made_up.full()
    assert words.passes(read(tmp_path, data)) == ""  # no batch size is recorded
    data["measurements"]["provenance"]["batch_size"] = 64
    said = words.passes(read(tmp_path, data))
    assert said.startswith("Every model was trained for 1,200 steps of 64 sequences.")
    # 1,200 x 64 = 76,800 sequences: 4,800 times 16, 1,200 times 64, 4.6875 times 16,384.
    assert "4,800 at n = 16, 1,200 at n = 64" in said
    assert said.endswith("and 4.69 at n = 16,384.")


def test_every_fold_answers_with_the_numbers_of_its_ends(tmp_path: Path) -> None:
    report = read(tmp_path, made_up.full())
    said = {fold: answer(report, fold) for fold in FOLDS}
    radius = [find(curves_of(report, "basin_radius"), s) for s in ("train", "test")]
    first, last = ([curve.points[i].mean.value for curve in radius] for i in (0, -1))
    assert said[BASINS].startswith(
        f"At n = 16, a training text returns from up to {100 * first[0]:.1f}% of corrupted tokens, "
        f"an unseen one from up to {100 * first[1]:.1f}%; at n = 16,384 it is "
        f"{100 * last[0]:.1f}% and {100 * last[1]:.1f}%."
    )
    assert all(said.values())
    empty = read(tmp_path / "less", made_up.minimal())
    assert answer(empty, GENERATION) == answer(empty, SAFETY) == ""


def curves_of(report: Any, name: str) -> Any:
    return curves(row for row in report.measured if row.measurement == name)


def test_every_measurement_is_in_a_fold_and_every_figure_in_one() -> None:
    assert all(measurement.fold in FOLDS for measurement in ALL)
    assert {measurement.fold for measurement in ALL} == set(FOLDS)


def test_models_whose_answer_is_known_stand_at_the_edges_of_recovery(tmp_path: Path) -> None:
    report = read(tmp_path, made_up.full())
    spec = all_figures(report)[0].panels[0].spec
    low, high = (10**end for end in spec["layout"]["xaxis"]["range"])
    assert low < made_up.SIZES[0] / 1.35
    assert high > made_up.SIZES[-1] * 1.35
    drawn = [t for t in spec["data"] if len(t["x"]) == 1 and t["mode"] == "lines+markers"]
    places = {(t["x"][0] < made_up.SIZES[0], t["meta"]["tags"][1]): t["y"][0] for t in drawn}
    assert places == {
        (True, "train"): 1.0,
        (True, "test"): 0.1,
        (False, "train"): 0.6,
        (False, "test"): 0.6,
    }
    names = [note["text"] for note in spec["layout"]["annotations"]]
    assert names == ["exact memorizer", "exact generalizer"]
    bare = all_figures(read(tmp_path / "bare", made_up.minimal()))[0]
    assert "annotations" not in bare.panels[0].spec["layout"]
    assert "known" not in bare.assumed


def test_a_place_of_an_earlier_version_is_named(tmp_path: Path) -> None:
    data = made_up.full()
    assert read(tmp_path, data).notices == ()
    del data["transition"][0]["sizes"]
    (notice,) = read(tmp_path, data).notices
    assert "where half of the gap at the smallest size is left" in notice


def test_headline_without_a_transition_gives_the_reason(tmp_path: Path) -> None:
    data = made_up.minimal()
    data["transition"] = [
        {"t": 0.15, "n_star": None, "ci": None, "width": None, "reason": "the gap never closes"}
    ]
    data["entropy_transition"] = None
    head, others = words.headline(read(tmp_path, data))
    assert head == "No transition was located in this sweep."
    assert others == "At t = 0.15 there is no n*: the gap never closes."


def test_summary_says_which_model_memorizes_by_its_basin_advantage(tmp_path: Path) -> None:
    said = words.summary(read(tmp_path, made_up.full()))
    assert said.startswith(
        "At t = 0.15 (the least corruption measured), where about 15% of the tokens are corrupted, "
        "with 16 training sequences "
        "99.6% of the corrupted training tokens return"
    )
    assert "a basin advantage (1: training text always returns; 0: no more often than" in said
    assert "of 1.00, so it memorizes. With 16,384" in said
    assert said.count("0: no more") == 1
    assert said.count("so it memorizes") == 1


def test_summary_says_what_both_ends_write(tmp_path: Path) -> None:
    report = read(tmp_path, made_up.full())
    assert words.summary(report).endswith(
        "Of what a model writes by itself 50.0% with 16 and 20.3% with 16,384 sequences are copies "
        "of training text."
    )
    others = tuple(row for row in report.measured if row.measurement != "share_memorized")
    assert "by itself" not in words.summary(dataclasses.replace(report, measured=others))


@pytest.mark.parametrize(
    ("x", "text"),
    [(1830.4, "1,830"), (87.26, "87"), (0.01234, "0.0123"), (1e6, "1,000,000"), (0.0, "0")],
)
def test_three_significant_digits(x: float, text: str) -> None:
    assert words.approx(x) == text


def test_interval_in_words() -> None:
    assert words.with_interval(Estimate(0.5, 0.4, 0.6), words.percent) == "50.0% (40.0% to 60.0%)"
    assert words.with_interval(Estimate(0.5), words.percent) == "50.0%"


@pytest.mark.parametrize(("lo", "hi"), [(12, 22000), (100, 180), (1.0, 1.02), (3, 900)])
def test_log_ticks_lie_inside(lo: float, hi: float) -> None:
    ticks = log_ticks(lo, hi)
    assert len(ticks.values) >= 2
    assert len(set(ticks.labels)) == len(ticks.labels)
    assert all(lo <= x <= hi for x in [*ticks.values, *ticks.minor])


def test_every_size_has_the_same_colour_and_marker_for_a_time(tmp_path: Path) -> None:
    hero = all_figures(read(tmp_path, made_up.full()))[0]
    curves = [t for t in hero.panels[0].spec["data"] if t["mode"] == "lines+markers"]
    looks = {
        (t["meta"]["tags"][0], t["line"]["color"], t["marker"]["symbol"].removesuffix("-open"))
        for t in curves
    }
    assert len(looks) == len(made_up.TIMES)
    assert {t["line"]["dash"] for t in curves if "train" in t["meta"]["tags"]} == {"solid"}
    assert "solid" not in {t["line"]["dash"] for t in curves if "test" in t["meta"]["tags"]}


def broken(change: Any) -> Any:
    data = made_up.full()
    change(data)
    return data


@pytest.mark.parametrize(
    ("change", "named"),
    [
        (lambda d: d.pop("transition"), "transition"),
        (lambda d: d.pop("schema"), "schema"),
        (lambda d: d.update(schema=2), "expected 1, found 2"),
        (lambda d: d.update(rows=[]), "no rows"),
        (lambda d: d.update(rows={}), "rows: expected a list, found an object"),
        (lambda d: d["rows"][3].pop("recovery_rate"), r"rows\[3\]: missing recovery_rate"),
        (lambda d: d["rows"][3].update(split="dev"), "one of train, test, found 'dev'"),
        (
            lambda d: d["rows"][3].update(n_train=0),
            "n_train: expected a whole number, at least 1, found 0",
        ),
        (
            lambda d: d["rows"][3].update(recovery_rate=math.nan),
            "recovery_rate: expected a finite number, found nan",
        ),
        (
            lambda d: d["rows"][3].update(recovery_rate=True),
            "recovery_rate: expected a finite number, found True",
        ),
        (
            lambda d: d["rows"][3].update(recovery_ci=[0.1]),
            r"recovery_ci: expected \[lo, hi\] or null",
        ),
        (
            lambda d: d["measurements"]["rows"][0].pop("measurement"),
            r"measurements.json.rows\[0\]: missing measurement",
        ),
        (
            lambda d: d["measurements"]["rows"][0].update(value=None),
            "value: expected a finite number",
        ),
        (
            lambda d: d["measurements"].update(schema=2),
            "measurements.json.schema: expected 1, found 2",
        ),
        (lambda d: d["measurements"].update(provenance=[1]), "provenance: expected an object"),
    ],
)
def test_bad_transition_file_is_named(tmp_path: Path, change: Any, named: str) -> None:
    with pytest.raises(AttractorError, match=named):
        read(tmp_path, broken(change))


@pytest.mark.parametrize(
    ("passages", "named"),
    [
        ({"schema": 1}, "passages.json: missing passages"),
        ({"schema": 3, "passages": []}, "schema: expected 1, found 3"),
        ({"schema": 1, "passages": [{"split": "train"}]}, r"passages\[0\]: missing row, t, views"),
        ([], "expected an object, found a list"),
    ],
)
def test_bad_passages_file_is_named(tmp_path: Path, passages: Any, named: str) -> None:
    with pytest.raises(AttractorError, match=named):
        read(tmp_path, made_up.full(), passages)


def test_unknown_outcome_is_named(tmp_path: Path) -> None:
    texts = made_up.passages()
    texts["passages"][0]["views"][1]["tokens"][2]["outcome"] = "lost"
    with pytest.raises(
        AttractorError, match=r"views\[1\]\.tokens\[2\]\.outcome: expected one of stable, recovered"
    ):
        read(tmp_path, made_up.full(), texts)


def test_no_sweep_and_no_json(tmp_path: Path) -> None:
    with pytest.raises(AttractorError, match="no such file"):
        read_report(tmp_path)
    (tmp_path / "transition.json").write_text("{", encoding="utf-8")
    with pytest.raises(AttractorError, match="not a JSON file"):
        read_report(tmp_path)


def test_single_size_draws(tmp_path: Path) -> None:
    data = made_up.full(seeds=(0,))
    for part in (data, data["measurements"]):
        part["rows"] = [item for item in part["rows"] if item["n_train"] == 256]
    figures = all_figures(read(tmp_path, data))
    drawn = {figure.id for figure in figures}
    assert drawn >= {"recovery", "broken", "fixed", "entropy", "gap", "perplexity"}
    assert "One training seed" in figures[0].assumed
    json.dumps([panel.spec for figure in figures for panel in figure.panels], allow_nan=False)


def test_n_star_without_an_interval_gives_the_reason(tmp_path: Path) -> None:
    data = made_up.minimal()
    data["transition"][0] |= {"ci": None, "reason": "only 3 of 400 bootstrap fits"}
    report = read(tmp_path, data)
    assert stars(report)[0] == (
        "recovery at t = 0.15",
        "1,830",
        "only 3 of 400 bootstrap fits",
        "1,024 to 4,096",
        "400 to 9,000",
        "1.21",
    )
    # The other time is known better, and yet it is not the one that was named beforehand.
    assert "at t = 0.15 is 1/2" in words.headline(report)[0]


def test_a_headline_without_an_interval_says_so(tmp_path: Path) -> None:
    data = made_up.minimal()
    for place in (*data["transition"], data["entropy_transition"]):
        place |= {"ci": None, "reason": "only 3 of 400 bootstrap fits"}
    report = read(tmp_path, data)
    said = words.headline(report)[0]
    assert "at n* = 1,830 training sequences (without an interval, over training" in said
    said = answer(report, UNCERTAINTY)
    assert "the change lies near n = 1,490 (without an interval)." in said


def test_every_place_of_a_transition_is_in_the_table(tmp_path: Path) -> None:
    warning = "the interval rests on 16 sequences, fewer than 30"
    data = made_up.minimal() | {
        "entropy_change": {
            "n_star": 900.0,
            "ci": [512.0, 1600.0],
            "width": None,
            "warning": warning,
        },
        "perplexity_peak": {
            "n_train": 1100,
            "ci": [700.0, 2000.0],
            "reason": None,
            "warning": warning,
        },
    }
    report = read(tmp_path, data)
    assert stars(report)[-2:] == [
        ("entropy, change of slope", "900", "512 to 1,600", "", "", ""),
        ("generative perplexity, peak", "1,100", "700 to 2,000", "", "", ""),
    ]
    assert "judge model peaks near n = 1,100 (700 to 2,000)." in answer(report, GENERATION)
    whose = "entropy, change of slope; generative perplexity, peak"
    assert warnings(report) == [f"{warning.capitalize()} ({whose})."]


def test_a_warning_about_every_place_names_none_and_parts_are_said_once(tmp_path: Path) -> None:
    data = made_up.minimal()
    places = (*data["transition"], data["entropy_transition"])
    for place in places:
        place["warning"] = "two seeds are few"
    data["transition"][1]["warning"] += "; 1 of 2 runs has it outside"
    assert warnings(read(tmp_path, data)) == [
        "Two seeds are few.",
        "1 of 2 runs has it outside (recovery at t = 0.5).",
    ]


def test_a_section_says_what_its_own_bands_are(tmp_path: Path) -> None:
    found = {figure.id: figure for figure in all_figures(read(tmp_path, made_up.full()))}
    assert found["radius"].assumed.endswith(
        "Means over 2 training seeds, whose spread widens the bands."
    )
    axis = found["judge"].panels[0].spec["layout"]["yaxis"]
    assert axis["type"] == "log"


@pytest.mark.parametrize(("gain", "says"), [(0.21, "no better than blind"), (0.3, "better")])
def test_better_than_blind_allows_for_the_number_of_scores(
    tmp_path: Path, gain: float, says: str
) -> None:
    """One seed, three sizes and five scores. A gain of 0.21 with an interval from 0.01 has a
    p-value of 0.04, enough for one comparison and not for fifteen; 0.3 has one of 0.003, the
    smallest of fifteen that may be 0.0033."""
    sweep = made_up.full(seeds=(0,))
    rows = sweep["measurements"]["rows"]
    for row in rows:
        if row["measurement"] == "auroc":
            row["value"], row["ci"] = 0.9, [0.85, 0.95]
        if row["measurement"] == "auroc_gain":
            row["value"], row["ci"] = 0.1, [-0.1, 0.3]
            if (row["n_train"], row["split"]) == (made_up.SIZES[0], "entropy"):
                row["value"], row["ci"] = gain, [gain - 0.2, gain + 0.2]
    table = membership(read_report(made_up.write(tmp_path, sweep)))
    assert table is not None
    assert {row[4] for row in table.rows if row[:2] == ("16", "entropy")} == {says}
    assert {row[4] for row in table.rows if row[1] not in ("entropy", "bag of words")} == {
        "no better than blind"
    }
    assert "for the 15 comparisons of this table (Holm" in table.read
