"""Models that ship with the package."""

from __future__ import annotations

import json
import shutil
from pathlib import Path

import pytest
import torch
from benchmarks.words import share_known

import attractor
from attractor import AttractorError, probes, reference


def test_every_model_is_loaded_and_half_precision_changes_little() -> None:
    assert len(reference.sizes()) >= 8
    for n in reference.sizes():
        denoiser = attractor.load(f"reference:n={n}", device="cpu")
        assert denoiser.seq_len == 64
        rows = torch.zeros(2, 64, dtype=torch.long)
        law = denoiser.log_probs(rows, torch.full((2,), 0.1)).exp().sum(-1)
        torch.testing.assert_close(law, torch.ones_like(law), atol=1e-5, rtol=0)
    weights = sum(file.stat().st_size for file in reference.HERE.glob("n*/*.safetensors"))
    assert weights <= 12e6


def test_more_rows_memorize_less() -> None:
    """On text that is its own: what the smallest training set's model writes it is surer of."""
    smallest, largest = (
        attractor.load(f"reference:n={n}", device="cpu")
        for n in (reference.sizes()[0], reference.sizes()[-1])
    )
    entropy = [
        probes.conditional_entropy(model, attractor.sample(model, 8, steps=64)).per_token.mean()
        for model in (smallest, largest)
    ]
    assert entropy[0] < entropy[1]


@pytest.mark.parametrize(
    "name", ["reference:", "reference:n=", "reference:n=0", "reference:n=08", "reference:m=8"]
)
def test_a_name_that_is_none(name: str) -> None:
    with pytest.raises(AttractorError, match="names no reference model: one is reference:n="):
        attractor.load(name)


def test_a_size_that_is_not_there_names_the_nearest() -> None:
    with pytest.raises(AttractorError, match=r"no reference model of n = 2,000; the nearest is re"):
        attractor.load("reference:n=2000")


@pytest.mark.parametrize("file", [reference.WEIGHTS, "config.json", "tokenizer.json"])
def test_altered_files_are_refused(
    file: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    n = reference.sizes()[0]
    shutil.copy(reference.HERE / reference.INDEX, tmp_path)
    place = shutil.copytree(reference.HERE / f"n{n}", tmp_path / f"n{n}")
    monkeypatch.setattr(reference, "HERE", tmp_path)
    assert attractor.load(f"reference:n={n}", device="cpu").seq_len == 64
    whole = (place / file).read_bytes()
    (place / file).write_bytes(whole[:-1] + bytes([whole[-1] ^ 1]))
    with pytest.raises(AttractorError, match=f"{file}' was altered: its SHA-256 is not that in"):
        attractor.load(f"reference:n={n}")
    (place / file).unlink()
    with pytest.raises(AttractorError, match="cannot be read"):
        attractor.load(f"reference:n={n}")
    (tmp_path / reference.INDEX).unlink()
    with pytest.raises(AttractorError, match="names no models: install attractor again"):
        attractor.load(f"reference:n={n}")


def test_the_index_tells_how_they_were_made() -> None:
    index = json.loads((reference.HERE / reference.INDEX).read_text())
    assert index.keys() == {"command", "device", "steps", "models"}


HERE = Path(__file__).parents[1] / "docs" / "reference"


def committed(n: int, split: str, name: str, t: float | None = None) -> tuple[float, float, float]:
    """A number of the committed sweep, of its first seed, with the ends of its interval."""
    rows = json.loads((HERE / "measurements.json").read_text())["rows"]
    asked = {"n_train": n, "seed": 0, "split": split, "measurement": name, "t": t}
    (found,) = [row for row in rows if asked.items() <= row.items()]
    return found["value"], *found["ci"]


def test_the_committed_sweep_replays_at_one_end_and_restores_unseen_text_at_the_other() -> None:
    sizes = reference.sizes()
    for n in sizes[:2]:
        assert committed(n, "generated", "share_memorized")[1] > 0.9
        assert committed(n, "generated", "conditional_entropy")[2] < 0.05
        assert committed(n, "test", "basin_radius")[0] == 0
    radii = {n: committed(n, "test", "basin_radius") for n in (512, sizes[-1])}
    assert radii[sizes[-1]][1] > radii[512][2]
    smallest, largest = sizes[0], sizes[-1]
    assert committed(largest, "generated", "share_memorized")[2] < 0.05
    assert committed(largest, "test", "recovery_rate", 0.15)[0] >= 0.76
    assert committed(largest, "test", "recovery_rate", 0.3)[0] >= 0.62
    low = committed(largest, "test", "recovery_rate", 0.15)[1]
    assert low > 2 * committed(smallest, "test", "recovery_rate", 0.15)[2]
    judged = {n: committed(n, "generated", "judge_nats") for n in sizes}
    inner = max(judged, key=lambda n: judged[n][0])
    assert inner not in (smallest, largest)
    assert judged[inner][1] > max(judged[smallest][2], judged[largest][2])
    kappas = [committed(n, "test", "kappa")[0] for n in sizes]
    assert kappas == sorted(kappas, reverse=True)


def test_the_committed_transition_has_two_seeds_around_it() -> None:
    located = json.loads((HERE / "transition.json").read_text())
    assert {(r["n_train"], r["seed"]) for r in located["rows"]} == {
        *((n, 0) for n in reference.sizes()), (1024, 1), (2048, 1), (4096, 1)
    }  # fmt: skip
    for place in located["transition"][:2]:
        assert all(1024 < n < 4096 for n in place["seed_n_star"])
        assert place["ci"][0] < place["n_star"] < place["ci"][1]


def test_on_other_ground_texts_agree_and_networks_without_noise_hold_more() -> None:
    grounds = json.loads((HERE / "grounds.json").read_text())
    for one, other in (("characters", "plays"), ("plays", "characters")):
        assert grounds[one]["ci"][0] < grounds[other]["ci"][1]
    noisy, ahead = grounds["characters"], grounds["autoregressive"]
    assert ahead["ci"][0] > 5 * noisy["ci"][1]
    assert ahead["bits_per_parameter"]["2048"][1] > 5 * noisy["bits_per_parameter"]["256"][2]
    for each in grounds.values():
        low, high = each["between"]
        assert low < each["n_star"] < high
        # The null: at the largest size nothing is known to be held, and no row returns better.
        largest = max(each["advantage"], key=int)
        for name in ("advantage", "bits_per_parameter"):
            assert each[name][largest][1] < 0 < each[name][largest][2]


def test_words_are_those_that_no_end_of_a_row_cuts() -> None:
    found = share_known(["ut the dog sat on the ma", "n he", "his house is th"], {"the", "house"})
    assert found.value == pytest.approx(3 / 7)  # of the, dog, sat, on, the; none; house, is


def test_the_page_tells_the_committed_places() -> None:
    page = (HERE.parent / "what-the-sweep-shows.md").read_text()
    grounds = json.loads((HERE / "grounds.json").read_text())
    for ground in ("characters", "plays"):
        assert f"half-way at {grounds[ground]['kappa_half_way']:.0f} rows in both" in page
    for each in grounds.values():
        low, high = each["ci"]
        place = (
            f"{each['n_star']:,.0f} [{low:,.0f}, {high:,.0f}] | {each['tokens_per_parameter']:.2g}"
        )
        assert place in page
        assert f"| {each['bits_of_text_per_parameter']:.2g}" in page
