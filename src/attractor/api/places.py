"""Where something changes with the size of the training set."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

from attractor.report import words
from attractor.report.view import Report, Star
from attractor.types import AttractorError

OTHERS = {
    "extraction": "prefix extraction",
    "entropy_star": "conditional entropy",
    "entropy_bend": "conditional entropy, change of slope",
    "calibration_star": "calibration",
    "copying": "half of the generations are copies",
    "own_entropy": "entropy of own text",
    "peak": "peak of generative perplexity",
    "validation_peak": "peak of validation perplexity",
}
"""What a place outside recovery is seen in, by its name in the report."""


@dataclass(frozen=True, kw_only=True)
class Place:
    """A training-set size, with what is known of it; `float` gives the size."""

    seen_in: str
    """what changes there: "recovery", "conditional entropy", ..."""
    t: float | None
    """corruption time; None for what does not depend on it"""
    n: float | None
    """the size, in rows; None where it could not be located"""
    ci: tuple[float, float] | None
    """95% interval over sequences, given these training runs"""
    sizes: tuple[float, float] | None
    """the measured sizes between which it lies"""
    seed_ci: tuple[float, float] | None
    """95% interval over training seeds; None with a single one"""
    reason: str | None
    """why there is no size, or no interval"""

    def __float__(self) -> float:
        if self.n is None:
            raise AttractorError(f"there is no n* of {self.what}: {self.reason}")
        return self.n

    @property
    def what(self) -> str:
        """What it is seen in, and at which time."""
        return self.seen_in if self.t is None else f"{self.seen_in} at t = {self.t:g}"

    def __str__(self) -> str:
        if self.n is None:
            return f"not located: {self.reason or 'no reason is recorded'}"
        said = words.approx(self.n)
        if self.ci is not None:
            said += " [{}, {}]".format(*map(words.approx, self.ci))
        if self.seed_ci is not None:
            said += ", over training seeds [{}, {}]".format(*map(words.approx, self.seed_ci))
        if self.sizes is not None:
            said += ", between sizes {} and {}".format(*map(words.count, self.sizes))
        return said

    def __repr__(self) -> str:
        return f"<n* of {self.what}: {self}>"


def places(report: Report) -> tuple[Place, ...]:
    """Every place that was looked for, those of recovery first."""
    found = [_place("recovery", star) for star in report.stars]
    return (*found, *_others(report))


def primary(report: Report) -> Place:
    """The place that headlines the report, see `Report.primary`.

    Raises:
        AttractorError: if neither recovery nor prefix extraction was looked at.
    """
    star = report.primary
    if star is None:
        raise AttractorError("the sweep looked for no place of recovery or prefix extraction")
    return _place("recovery" if star in report.stars else OTHERS["extraction"], star)


def _others(report: Report) -> Iterator[Place]:
    for field, name in OTHERS.items():
        star = getattr(report, field)
        if star is not None and (star.n_star or star.reason):
            yield _place(name, star)


def _place(name: str, star: Star) -> Place:
    return Place(
        seen_in=name,
        t=star.t,
        n=None if star.n_star is None else star.n_star.value,
        ci=None if star.n_star is None else star.n_star.interval,
        sizes=star.sizes,
        seed_ci=star.seed_ci,
        reason=star.reason,
    )
