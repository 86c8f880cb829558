"""What each fold of the page answers, in a sentence or two that are read before it is opened."""

from __future__ import annotations

from collections.abc import Callable

from attractor.measurements import quantity
from attractor.measurements.fold import BASINS, GENERATION, SAFETY, UNCERTAINTY, Fold
from attractor.report import words
from attractor.report.view import Curve, Report, Star, curves


def answer(report: Report, fold: Fold) -> str:
    """Return the answer of a fold, as far as the sweep holds it."""
    said = [sentence for sentence in ANSWERS[fold](report) if sentence]
    return " ".join(said)


def _basins(report: Report) -> list[str]:
    radius = (
        "a training text returns from up to {} of corrupted tokens, an unseen one from up to {}"
    )
    return [
        _course(report, "basin_radius", radius, ("train", "test")),
        _course(report, "unstable_rate", "{} of the untouched tokens of unseen text end up wrong"),
    ]


def _uncertainty(report: Report) -> list[str]:
    change = report.entropy_star
    entropy = "the entropy of a token is {} nats in training text and {} in unseen text"
    return [
        _course(report, "conditional_entropy", entropy, ("train", "test")),
        _course(report, "kappa", "kappa of unseen text, 1 for a calibrated model, is {}"),
        _place(
            report, "judged by the entropy of training tokens alone, the change lies near", change
        ),
    ]


def _generation(report: Report) -> list[str]:
    copies = "{} of the model's own texts are copies of training rows"
    return [
        _course(report, "share_memorized", copies, ("generated",)),
        _place(report, "half of its own texts are copies, beyond chance, at", report.copying),
        _place(report, "generative perplexity under the judge model peaks near", report.peak),
    ]


def _safety(report: Report) -> list[str]:
    told = "a training row is told from an unseen one by its likelihood with an AUROC of {}"
    return [_course(report, "auroc", told, ("NELBO",))]


ANSWERS: dict[Fold, Callable[[Report], list[str]]] = {
    BASINS: _basins,
    UNCERTAINTY: _uncertainty,
    GENERATION: _generation,
    SAFETY: _safety,
}


def _course(report: Report, name: str, sentence: str, splits: tuple[str, ...] = ("test",)) -> str:
    """Fill a sentence with numbers at the smallest n, and say what they are at the largest; nothing
    where they were not measured there."""
    found = [curve for split in splits if (curve := _curve(report, name, split)) is not None]
    form = words.form(quantity(name).unit)
    said: list[str] = []
    for n in dict.fromkeys((report.sizes[0], report.sizes[-1])):
        values = [e.value for curve in found if (e := curve.at(n)) is not None]
        if len(values) < len(splits):
            return ""
        written = [form(value) for value in values]
        filled = f" it is {words.joined(written)}" if said else f", {sentence.format(*written)}"
        said.append(f"at n = {words.count(n)}{filled}")
    whole = "; ".join(said)
    return f"{whole[0].upper()}{whole[1:]}."


def _curve(report: Report, name: str, split: str) -> Curve | None:
    """A number against n, at the smallest t where it depends on it."""
    rows = [r for r in report.measured if (r.measurement, r.split, r.at) == (name, split, None)]
    return next(iter(curves(rows)), None)


def _place(report: Report, sentence: str, star: Star | None) -> str:
    """Say where something changes, and that it does so in the only run where there is one; nothing
    where that was not located."""
    if star is None or star.n_star is None:
        return ""
    whole = f"in this training run, {sentence}" if report.runs == 1 else sentence
    return f"{whole[0].upper()}{whole[1:]} n = {words.placed(star.n_star)}."
