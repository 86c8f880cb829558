"""What theory says of large spin memories: capacities, margins and error rates, in the limit of
many spins."""

from __future__ import annotations

import math
from numbers import Integral
from typing import NamedTuple

from scipy import optimize, special

from attractor.types import AttractorError

LEAST = 1e-300
"""Smallest load, in patterns per spin: below it float64 cannot hold the reciprocal."""


class Retrieval(NamedTuple):
    """A state of the Hopfield network at zero temperature."""

    load: float
    """patterns per spin"""
    overlap: float
    """overlap of the attractor with the stored pattern, 1 where they are the same"""


def gardner_capacity(kappa: float) -> float:
    """Largest load at which couplings with margin kappa exist: 1/alpha_c = (1 + kappa^2) Phi(kappa)
    + kappa phi(kappa).

    Gardner, J. Phys. A 21, 257 (1988), for random patterns. The margin of a spin is xi_i h_i /
    |J_i|. At kappa = 0 the capacity is 2 patterns per spin.

    Args:
        kappa: margin that all spins of all patterns are to have, at least 0.

    Raises:
        AttractorError: for kappa < 0, where the formula does not hold.
    """
    if not 0 <= kappa < math.inf:
        raise AttractorError(f"kappa = {kappa} is outside [0, inf)")
    # Gardner's integral over the normal density phi of (z + kappa)^2 from z = -kappa on, in closed
    # form by parts.
    density = math.exp(-kappa * kappa / 2) / math.sqrt(2 * math.pi)
    return float(1 / ((1 + kappa * kappa) * special.ndtr(kappa) + kappa * density))


def max_margin(load: float) -> float:
    """Largest margin that couplings storing `load` patterns per spin can have: the inverse of
    `gardner_capacity`.

    Raises:
        AttractorError: for a load outside [1e-300, 2].
    """
    if not LEAST <= load <= 2:
        raise AttractorError(
            f"load = {load} is outside [{LEAST:g}, 2]: no couplings store more than 2 patterns per "
            "spin"
        )
    # Phi >= 1/2 gives alpha_c <= 2 / (1 + kappa^2), so the margin is at most sqrt(2 / load).
    # Reciprocals are compared, since they grow like a polynomial where the capacity fades away.
    highest = math.sqrt(2 / load)
    margin = optimize.brentq(lambda k: 1 / gardner_capacity(k) - 1 / load, 0, highest, xtol=1e-13)
    return float(margin)


def hopfield_capacity() -> Retrieval:
    """The largest load with retrieval in Hopfield's network at T = 0, and the overlap there:
    0.13791 and 0.9674."""
    # Every retrieval state is a y > 0 with a load of its own, see `_hopfield_load`: the capacity is
    # the top of that curve. On its far side, at larger y and so larger overlap, are the stable
    # states.
    y = optimize.minimize_scalar(
        lambda y: -_hopfield_load(y), bounds=(0.5, 4), method="bounded", options={"xatol": 1e-12}
    )
    return Retrieval(_hopfield_load(float(y.x)), math.erf(y.x))


def hopfield_overlap(load: float) -> float:
    """Overlap of the retrieval state at T = 0 (Amit, Gutfreund & Sompolinsky, Ann. Phys. 173, 30,
    1987).

    Raises:
        AttractorError: for a load outside [1e-300, 0.137906], beyond which no retrieval state
            exists.
    """
    top = hopfield_capacity()
    if not LEAST <= load <= top.load:
        raise AttractorError(
            f"load = {load} is outside [{LEAST:g}, {top.load:.6f}]: Hopfield's network retrieves "
            "nothing there"
        )
    # Far out the load is 1 / (2 y^2), so that 2 / sqrt(load) lies beyond the state that is sought.
    y_top = float(special.erfinv(top.overlap))
    y_end = y_top + 2 / math.sqrt(load)
    return math.erf(optimize.brentq(lambda y: _hopfield_load(y) - load, y_top, y_end))


def hebb_error(load: float) -> float:
    """Share of spins of a stored pattern that Hebb's couplings flip in one synchronous step:
    erfc(1/sqrt(2 load))/2.

    The field on a spin is its own pattern's, of size 1, plus the cross-talk of all others, which is
    Gaussian with a variance of the load; the spin flips where the cross-talk wins.

    Raises:
        AttractorError: unless load is positive and finite.
    """
    if not 0 < load < math.inf:
        raise AttractorError(f"load = {load} must be positive and finite")
    return math.erfc(1 / math.sqrt(2 * load)) / 2


def pseudo_inverse_margin(load: float) -> float:
    """Margin of the pseudo-inverse couplings without their diagonal: sqrt((1 - load)/load).

    It is exact for each spin with J_ii of the projector in the place of the load, which is the mean
    of J_ii.

    Raises:
        AttractorError: for a load outside [1e-300, 1).
    """
    if not LEAST <= load < 1:
        raise AttractorError(
            f"load = {load} is outside [{LEAST:g}, 1): the pseudo-inverse stores fewer patterns "
            "than spins"
        )
    return math.sqrt((1 - load) / load)


def basin_floor(kappa: float, n: float) -> float:
    """Share of spins that may be flipped, chosen as badly as can be, and are put right in one
    synchronous step.

    Flipping a share rho of the spins takes from xi_i h_i = kappa |J_i| at most 2 sum_{flipped j}
    |J_ij|, which is at most 2 |J_i| sqrt(rho n) by Cauchy-Schwarz. So every sign survives if rho <
    kappa^2 / 4n. Written with the cosine between couplings and pattern, k = kappa / sqrt(n), it is
    rho < (k/2)^2; in Gardner's units, where kappa is of order one however many spins there are, the
    division by n must not be forgotten.

    Raises:
        AttractorError: for a margin below zero or n < 10.
    """
    if not 0 <= kappa < math.inf:
        raise AttractorError(f"kappa = {kappa} is outside [0, inf)")
    check_spins(n)
    return min(1.0, kappa / (2 * math.sqrt(n))) ** 2


def one_step_error(kappa: float, rho: float) -> float:
    """Share of spins still wrong one step after a *random* share rho of all spins was flipped,
    margin kappa everywhere.

    The field of a spin is then kappa (1 - 2 rho) with a Gaussian of variance 4 rho (1 - rho) around
    it.

    Raises:
        AttractorError: for kappa below zero or rho outside (0, 1/2].
    """
    if not 0 <= kappa < math.inf or not 0 < rho <= 0.5:
        raise AttractorError(
            f"kappa = {kappa} and rho = {rho}: allowed are kappa >= 0 and rho in (0, 1/2]"
        )
    return float(special.ndtr(-kappa * (1 - 2 * rho) / (2 * math.sqrt(rho * (1 - rho)))))


def check_spins(n: float) -> None:
    """Raise AttractorError for fewer than 10 spins, of which nothing in this theory speaks, or for
    no whole number."""
    if not isinstance(n, Integral):
        raise AttractorError(f"n = {n} spins is no whole number")
    if n < 10:
        raise AttractorError(f"n = {n} spins are too few: at least 10 are needed")


def _hopfield_load(y: float) -> float:
    """Load at which m = erf(y): sqrt(2 alpha) = erf(y)/y - 2/sqrt(pi) exp(-y^2), the three
    saddle-point equations."""
    return (math.erf(y) / y - 2 / math.sqrt(math.pi) * math.exp(-(y**2))) ** 2 / 2
