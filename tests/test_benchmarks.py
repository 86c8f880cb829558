"""The reference of the benchmark is right, and the benchmark says what it should."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
import torch

from attractor import UniformProcess, nelbo
from attractor.process.absorbing import AbsorbingProcess
from attractor.theory import random_source

ROOT = Path(__file__).parents[1]
sys.path.append(str(ROOT))

from benchmarks import __main__ as command  # noqa: E402
from benchmarks import cases, reference  # noqa: E402
from benchmarks.grounds import bits  # noqa: E402
from benchmarks.known import Known, first_order  # noqa: E402
from benchmarks.sizes import Size  # noqa: E402
from benchmarks.spurious import shares  # noqa: E402
from benchmarks.verdicts import MODES, Judged, is_wrong, table  # noqa: E402

SMALL = Size(
    "test",
    "demo",
    vocab_size=11,
    seq_len=8,
    batch=4,
    repeats=1,
    sequences=2,
    times=(0.5,),
    kept_times=(0.5,),
)


def test_the_reference_is_the_formula() -> None:
    torch.manual_seed(0)
    log_p = torch.randn(4, 5, 7, dtype=torch.float64).log_softmax(-1)
    x_t, x_0 = torch.randint(7, (2, 4, 5))
    a, b = torch.full((4,), 0.3, dtype=torch.float64), torch.full((4,), 0.4, dtype=torch.float64)
    torch.testing.assert_close(
        reference.nelbo(log_p, x_t, x_0, a, -a), nelbo(log_p, x_t, x_0, a, -a)
    )
    dense = reference.posterior(x_t, log_p.exp(), alpha_s=0.4, alpha_t=0.3)
    torch.testing.assert_close(dense, UniformProcess(7).posterior(x_t, log_p.exp(), b, a))
    masked = reference.masked_posterior(x_t, log_p.exp(), 0.4, 0.3, mask=6)
    torch.testing.assert_close(masked, AbsorbingProcess(7).posterior(x_t, log_p.exp(), b, a))


def test_gumbel_max_draws_the_distribution() -> None:
    torch.manual_seed(0)
    probs = torch.tensor([0.5, 0.3, 0.2], dtype=torch.float64)
    share = torch.bincount(reference.gumbel_max(probs.expand(40_000, 3)), minlength=3) / 40_000
    torch.testing.assert_close(share.double(), probs, rtol=0, atol=0.01)


@pytest.fixture
def in_process(monkeypatch: pytest.MonkeyPatch) -> None:
    """Measurements of a very small model without processes of their own."""
    monkeypatch.setitem(cases.SIZES, "test", SMALL)
    monkeypatch.setattr(cases, "STEPS", 20)

    def case(name: str, size: Size, device: str, *arguments: object) -> cases.Result:
        result = cases.run(name, size.name, device, *map(str, arguments))
        return (
            {key: max(value, 1) for key, value in result.items()}
            if name == "train_memory"
            else result
        )

    monkeypatch.setattr(command, "case", case)


@pytest.mark.usefixtures("in_process")
def test_a_report_has_every_ratio_and_a_table() -> None:
    report = command.measure((SMALL,), "cpu", full=False)
    assert set(report) == {"device", "ratios", "measurements"}
    expected = {
        "train_step_time",
        "train_step_memory",
        "recovery_time",
        "recovery_time_kept_uniform_0.5",
        "recovery_time_kept_absorbing_0.5",
        "entropy_over_forward",
        "train_peak_share",
    }
    assert set(report["ratios"]) == expected
    assert all(value > 0 for value in report["ratios"].values())
    lines = command.table(report).splitlines()
    assert len([line for line in lines if line.startswith("| test")]) == 6
    assert len({line.count("|") for line in lines if line.startswith("|")}) == 1


@pytest.mark.slow
def test_a_device_that_is_not_there_is_one_line() -> None:
    command = [sys.executable, "-m", "benchmarks", "--device", "abacus"]
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=False)
    assert (done.returncode, done.stdout) == (2, "")
    assert done.stderr.startswith("benchmarks: device = 'abacus' cannot be used here")
    assert done.stderr.count("\n") == 1


@pytest.mark.slow
def test_quick_prints_one_json_object() -> None:
    done = subprocess.run(
        [sys.executable, "-m", "benchmarks", "--quick", "--json"],
        cwd=ROOT,
        capture_output=True,
        text=True,
        check=True,
    )
    assert set(json.loads(done.stdout)) == {"device", "ratios", "measurements"}


def test_the_bits_that_an_exact_store_of_uniform_rows_holds() -> None:
    """K rows of L tokens, each of V alike: all there is to know is K (L log V - log K) nats."""
    k, length, vocab, parameters = 64, 16, 8, 1000
    unseen, train = np.full(50, np.log(vocab)), np.full(k, np.log(k) / length)
    found = bits(unseen, train, k * length, parameters)
    exact = k * (length * np.log2(vocab) - np.log2(k)) / parameters
    assert found.value == pytest.approx(exact)
    assert found.ends() == pytest.approx((exact, exact))


def test_the_interval_of_bits_covers_the_truth_and_the_null_is_nothing() -> None:
    """95% of 400 tables, within 3.6 standard errors; in half of them nothing is held."""
    covered = np.zeros((2, 200))
    for held, run in np.ndindex(covered.shape):
        rng = np.random.default_rng([held, run])
        unseen, train = rng.gamma(4, 0.3, 200), rng.gamma(4, 0.3, 100) - 0.2 * held
        low, high = bits(unseen, train, 1000, 100).ends()
        covered[held, run] = low <= 10 * 0.2 * held / np.log(2) <= high
    assert (covered.mean(1) > 0.95 - 3.6 * np.sqrt(0.95 * 0.05 / 200)).all()


@pytest.mark.parametrize("masks", [False, True])
def test_the_quick_source_of_the_bench_is_the_exact_one(masks: bool) -> None:
    quick = first_order(5, 0.3, seed=1, masks=masks)
    exact = random_source(5, 0.3, seed=1, masks=masks)
    tokens = exact.sample(6, 9, seed=2)
    times = torch.linspace(0.1, 0.9, 6)
    noise = torch.rand(6, 9, 2, generator=torch.Generator().manual_seed(0), dtype=torch.float64)
    x_t = exact.process.corrupt(tokens, times, noise)
    found, known = (model.log_probs(x_t, times).exp() for model in (quick, exact))
    assert torch.allclose(found, known, atol=1e-9)
    where = torch.rand(6, 9, generator=torch.Generator().manual_seed(1)) < 0.4
    assert torch.equal(quick.log_probs(x_t, times, where), quick.log_probs(x_t, times)[where])


def test_a_model_on_an_edge_is_never_wrong_and_dilutes_no_error_rate() -> None:
    def judged(state: str, word: str) -> Judged:
        known = Known("network", state, state, lambda: pytest.fail("is not made"))
        return Judged(known, (word, word, word), ("", "", ""), aside=False)

    found = [
        judged("memorizing", "generalizing in bulk"),
        judged("generalizing", "undecided"),
        judged("on an edge", "memorizing"),
        judged("in transition", "generalizing"),
    ]
    lines = list(table(found))
    assert "| a verdict, all | 4 | 3 | 3 | 3 |" in lines
    # 1 of 2: at most 97.5% with 95%, one-sided.
    cells = " | ".join(["1 (at most 97.5%)"] * 3)
    assert f"| wrong, all, of a clear state | 2 | {cells} |" in lines


def test_rows_known_by_heart_must_not_pass_where_they_were_given() -> None:
    """Without training data nothing but the bulk is judged."""
    wrong = [is_wrong("generalizing in bulk", "generalizing", mode) for mode in MODES]
    assert wrong == [False, False, True]
    assert not is_wrong("generalizing in bulk", "generalizing in bulk", MODES[2])


def test_copies_and_spurious_states_are_told_apart() -> None:
    """Of eight texts three are copies, one of them not quite, and two are neighbours."""
    rng = np.random.default_rng(0)
    train, other = rng.integers(0, 50, (4, 16)), rng.integers(50, 99, (4, 16))
    near, twin = train[2].copy(), other[0].copy()
    near[:4], twin[:4] = 99, 99
    texts = np.stack([train[0], train[0], near, other[0], twin, *other[1:]])
    copies, spurious = shares(texts, train)
    assert (copies.value, spurious.value) == (3 / 8, 2 / 8)
    assert shares(np.concatenate([train, other]), train)[1].value == 0
