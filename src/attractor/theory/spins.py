"""Associative memories on spins: learning rules, retrieval at zero temperature, and what is
measured on them.

Spins are +1 and -1 in float32. Patterns are (P, N), states (R, N), couplings J[i, j] from spin j to
spin i; any number of leading dimensions, such as one for seeds, goes through every function.
"""

from __future__ import annotations

import math
from abc import ABC, abstractmethod
from collections.abc import Callable, Sequence
from typing import NamedTuple

import torch
from jaxtyping import Float
from torch import Tensor

from attractor.theory.capacities import check_spins
from attractor.types import AttractorError

RETURNED = 0.95
"""Share of spins that must be right for a pattern to count as retrieved."""


# ---- data


def random_patterns(
    p: int, n: int, seed: int = 0, device: torch.device | str = "cpu"
) -> Float[Tensor, "P N"]:
    """Patterns of independent fair spins.

    Args:
        p: patterns, at least 1.
        n: spins in each, at least 10.
        seed: of the draw.
        device: where the patterns live.

    Raises:
        AttractorError: for n < 10 or p < 1.
    """
    check_spins(n)
    _check_count("p", p)
    return _signs(torch.randn(p, n, generator=_generator(seed), device="cpu")).to(device)


class HiddenManifold(NamedTuple):
    """Patterns that share features, xi = sign(c F): the random-features model (Negri et al.,
    arXiv:2303.16880)."""

    features: Float[Tensor, "D N"]
    """the features F, each a pattern of fair spins"""
    train: Float[Tensor, "P N"]
    """patterns to store"""
    test: Float[Tensor, "Q N"]
    """unseen patterns of the same features"""


def hidden_manifold(
    p: int,
    n: int,
    d: int,
    test: int,
    active: int = 3,
    seed: int = 0,
    device: torch.device | str = "cpu",
) -> HiddenManifold:
    """Train and unseen test patterns, each the majority of an odd number of its features with
    random signs.

    The features and the test patterns do not depend on p. Training sets of different p begin with
    the same patterns only in part: torch draws normal numbers in blocks of 16 and the last, broken
    block anew, so that up to the last six of the smaller set (of three features each) are others.

    Args:
        p: training patterns.
        n: spins, at least 10.
        d: features, at least `active`.
        test: unseen patterns.
        active: features in a pattern, odd, so that there is always a majority.
        seed: of everything.
        device: where the patterns live.

    Raises:
        AttractorError: for numbers outside these ranges.
    """
    check_spins(n)
    _check_count("p", p)
    _check_count("test", test)
    if not 1 <= active <= d or active % 2 == 0:
        raise AttractorError(
            f"active = {active} must be odd and at most the number of features, d = {d}"
        )
    features = _signs(torch.randn(d, n, generator=_generator(seed, 1), device="cpu"))

    def mix(count: int, stream: int) -> Tensor:
        # Choice and signs come from generators of their own, so that neither moves the other.
        lots = torch.rand(count, d, generator=_generator(seed, stream), device="cpu")
        chosen = lots.topk(active, 1).indices
        signs = torch.randn(count, active, generator=_generator(seed, stream + 1), device="cpu")
        signs = _signs(signs)
        return (signs[..., None] * features[chosen]).sum(1).sign().to(device)

    return HiddenManifold(features.to(device), mix(p, 2), mix(test, 4))


def flip(patterns: Float[Tensor, "*S P N"], share: float, seed: int = 0) -> Float[Tensor, "*S P N"]:
    """Flip exactly round(share N) spins of every pattern, drawn at random; larger shares flip the
    same ones and more.

    Raises:
        AttractorError: for a share outside [0, 1/2], or patterns that are not of spins.
    """
    _check_spin_values(patterns)
    if not 0 <= share <= 0.5:
        raise AttractorError(f"share = {share} is outside [0, 1/2]")
    # The second argsort turns an order into ranks: each spin's place in a random order that does
    # not depend on the share.
    lots = torch.rand(patterns.shape, generator=_generator(seed, 6), device="cpu")
    order = lots.argsort(-1).argsort(-1).to(patterns.device)
    return torch.where(order < round(share * patterns.shape[-1]), -patterns, patterns)


# ---- learning rules


def hebb(patterns: Float[Tensor, "*S P N"]) -> Float[Tensor, "*S N N"]:
    """Hebb's couplings, J = xi^T xi / N without its diagonal."""
    _check_spin_values(patterns)
    return without_diagonal(patterns.mT @ patterns / patterns.shape[-1])


def projector(patterns: Float[Tensor, "*S P N"]) -> Float[Tensor, "*S N N"]:
    """The projector onto the span of the patterns; its mean diagonal is P/N for independent ones.

    Raises:
        AttractorError: unless there are fewer patterns than spins.
    """
    _check_spin_values(patterns)
    p, n = patterns.shape[-2:]
    if p >= n:
        raise AttractorError(
            f"load = {p / n:g}: the pseudo-inverse needs fewer patterns than spins, load < 1"
        )
    return patterns.mT @ torch.linalg.pinv(patterns.mT)


def pseudo_inverse(patterns: Float[Tensor, "*S P N"]) -> Float[Tensor, "*S N N"]:
    """The projector without its diagonal (Personnaz, Guyon & Dreyfus 1985; Kanter & Sompolinsky
    1987)."""
    return without_diagonal(projector(patterns))


def pseudo_likelihood(
    patterns: Float[Tensor, "*S P N"],
    steps: int = 300,
    symmetric: bool = False,
    on_step: Callable[[int, Tensor], None] = lambda step, couplings: None,
) -> Float[Tensor, "*S N N"]:
    """Minimise mean[-xi_i h_i + log 2 cosh h_i], the negative log-likelihood of each spin given the
    others.

    The gradient is Hebbian storage weighted by the margin, -(xi_i - tanh h_i) xi_j = -xi_i xi_j (1
    - tanh(xi_i h_i)) (D'Amico et al., arXiv:2507.05147), so the first step from J = 0 is Hebb's
    rule. The step is divided by the largest weight of each spin: it is as long as the curvature
    allows while the weights fade, which is what separable patterns ask for, whose loss has no
    minimum but a direction, the one of largest margin.

    Args:
        patterns: what is stored.
        steps: of gradient descent.
        symmetric: keep J_ij = J_ji; otherwise every spin is a perceptron of its own.
        on_step: sees (number of steps done, J).

    Raises:
        AttractorError: for patterns that are not of spins, or fewer than one step.
    """
    _check_spin_values(patterns)
    if steps < 1:
        raise AttractorError(f"steps = {steps}: at least 1 is needed")
    couplings = patterns.new_zeros((*patterns.shape[:-2], patterns.shape[-1], patterns.shape[-1]))
    # With weights w = 1 - tanh(xi h) and the spectral norm |xi|, the curvature is |xi|^2 where h =
    # 0 and at most 2 max(w) |xi|^2 everywhere: it fades with the weights, hence the division below.
    length = 1 / torch.linalg.matrix_norm(patterns, ord=2)[..., None, None] ** 2
    for step in range(steps):
        # xi - tanh h = xi (1 - tanh(xi h)), and 1 - tanh x = 2 sigmoid(-2x) keeps its digits where
        # tanh is 1.
        weighted = 2 * patterns * (-2 * patterns * (patterns @ couplings.mT)).sigmoid()
        # Symmetric couplings tie the spins together, and all must take one step length.
        largest = weighted.abs().amax((-2, -1) if symmetric else -2, keepdim=True)
        storage = without_diagonal((weighted / largest.clamp(min=1e-30)).mT @ patterns)
        couplings = couplings + length * ((storage + storage.mT) / 2 if symmetric else storage)
        on_step(step + 1, couplings)
    return couplings


def pseudo_likelihood_loss(
    couplings: Float[Tensor, "*S N N"], patterns: Float[Tensor, "*S P N"]
) -> Tensor:
    """Mean over patterns and spins of -log P(xi_i | the others), nats per spin."""
    return torch.nn.functional.softplus(-2 * patterns * (patterns @ couplings.mT)).mean((-2, -1))


def without_diagonal(couplings: Float[Tensor, "*S N N"]) -> Float[Tensor, "*S N N"]:
    """The couplings with a diagonal of zero: no spin acts on itself."""
    return couplings - torch.diag_embed(couplings.diagonal(dim1=-2, dim2=-1))


# ---- memories and retrieval


class Memory(ABC):
    """What a network does: the fields on its spins."""

    @abstractmethod
    def field(
        self, state: Float[Tensor, "*S R N"], at: slice = slice(None)
    ) -> Float[Tensor, "*S R M"]:
        """The fields on the spins `at`, given the state of all."""


class Couplings(Memory):
    """h_i = sum_j J_ij s_j.

    Raises:
        AttractorError: for couplings that are not square, or whose fields are not finite.
    """

    def __init__(self, couplings: Float[Tensor, "..."]) -> None:
        if couplings.ndim < 2 or couplings.shape[-1] != couplings.shape[-2]:
            raise AttractorError(f"couplings must be (N, N) matrices, not {tuple(couplings.shape)}")
        largest = couplings.abs().sum(-1).max().item()
        if not math.isfinite(largest):
            raise AttractorError(
                f"couplings must be finite, and so must fields; the largest field is {largest:g}"
            )
        self.couplings = couplings

    def field(
        self, state: Float[Tensor, "*S R N"], at: slice = slice(None)
    ) -> Float[Tensor, "*S R M"]:
        """The fields sum_j J_ij s_j on the spins `at`."""
        return state @ self.couplings[..., at, :].mT


class DenseMemory(Memory):
    """Energy E = -sum_mu F(m_mu), m_mu = xi_mu . s; the field is the energy at spin -1 minus that
    at spin +1.

    With F(m) = m^degree for m > 0 (Krotov & Hopfield, arXiv:1606.01164), or F(m) = exp(m) where the
    degree is None (Demircigil et al., arXiv:1702.01929). A spin sees each pattern without its own
    contribution to m. The fields of a state are in units of its largest F, which no sign depends on
    and no power overflows.

    Args:
        patterns: what is stored.
        degree: of the polynomial, at least 2; None for the exponential.

    Raises:
        AttractorError: for a degree below 2.
    """

    def __init__(self, patterns: Float[Tensor, "*S P N"], degree: int | None = None) -> None:
        if degree is not None and not 2 <= degree < math.inf:
            raise AttractorError(f"degree = {degree} must be at least 2 and finite")
        _check_spin_values(patterns)
        self.patterns, self.degree = patterns, degree

    def field(
        self, state: Float[Tensor, "*S R N"], at: slice = slice(None)
    ) -> Float[Tensor, "*S R M"]:
        """sum_mu xi_i [F(rest + 1) - F(rest - 1)], where rest = m - xi_i s_i takes one of two
        values."""
        # Where pattern and spin agree, rest + 1 = m and rest - 1 = m - 2; where not, m + 2 and m.
        # So three values of F a pattern serve all spins, and the choice between the two
        # differences, (agreeing + opposing + xi_i s_i (agreeing - opposing)) / 2, is linear in xi_i
        # s_i.
        overlap = state @ self.patterns.mT
        top = overlap.amax(-1, keepdim=True)
        lower, middle, upper = (self._energy(overlap + shift, top) for shift in (-2.0, 0.0, 2.0))
        agreeing, opposing = middle - lower, upper - middle
        mixed = (agreeing + opposing) @ self.patterns[..., at]
        return (mixed + state[..., at] * (agreeing - opposing).sum(-1, keepdim=True)) / 2

    def _energy(self, overlap: Tensor, top: Tensor) -> Tensor:
        """F in units of its largest value in a state, which is F(top + 2) for powers and F(top) for
        the exponential."""
        if self.degree is None:
            return (overlap - top).exp()
        return (overlap.clamp(min=0) / (top + 2).clamp(min=1)) ** self.degree


class ModernHopfield(Memory):
    """h = xi^T softmax(beta xi s): one head of attention over the stored patterns (Ramsauer et al.,
    arXiv:2008.02217).

    Args:
        patterns: what is stored.
        beta: inverse temperature of the attention.

    Raises:
        AttractorError: unless beta is in (0, 1e30], so that float32 holds beta times an overlap.
    """

    def __init__(self, patterns: Float[Tensor, "*S P N"], beta: float = 1.0) -> None:
        if not 0 < beta <= 1e30:
            raise AttractorError(f"beta = {beta} is outside (0, 1e30]")
        _check_spin_values(patterns)
        self.patterns, self.beta = patterns, beta

    def field(
        self, state: Float[Tensor, "*S R N"], at: slice = slice(None)
    ) -> Float[Tensor, "*S R M"]:
        """The mean of the patterns, weighted by attention, at the spins `at`."""
        attention = (self.beta * state @ self.patterns.mT).softmax(-1)
        return attention @ self.patterns[..., at]


def retrieve(
    memory: Memory, state: Float[Tensor, "*S R N"], steps: int = 50, asynchronous: bool = False
) -> Float[Tensor, "*S R N"]:
    """Zero-temperature dynamics s_i <- sign(h_i) until nothing moves, for at most `steps` sweeps.

    A spin without a field keeps its value: the dynamics knows the state and the couplings, never
    the patterns.

    Args:
        memory: the network.
        state: where it starts.
        steps: sweeps; synchronous dynamics of couplings may end in a cycle of two states.
        asynchronous: one spin after the other instead of all at once.

    Raises:
        AttractorError: for a state that is not of spins.
    """
    _check_spin_values(state)
    for _ in range(steps):
        before = state
        if asynchronous:
            state = state.clone()
            for i in range(state.shape[-1]):
                at = slice(i, i + 1)
                state[..., at] = _update(state[..., at], memory.field(state, at))
        else:
            state = _update(state, memory.field(state))
        if torch.equal(state, before):
            break
    return state


# ---- measurements


def overlap(a: Float[Tensor, "*S P N"], b: Float[Tensor, "*S P N"]) -> Float[Tensor, "*S P"]:
    """m = a . b / N of each row; the share of spins that agree is (1 + m)/2."""
    return (a * b).mean(-1)


def stable_share(memory: Memory, patterns: Float[Tensor, "*S P N"]) -> Float[Tensor, "*S P"]:
    """Share of the spins of each pattern that one synchronous step leaves alone; a fixed point has
    share 1."""
    return (1 + overlap(_update(patterns, memory.field(patterns)), patterns)) / 2


def margins(
    couplings: Float[Tensor, "*S N N"], patterns: Float[Tensor, "*S P N"]
) -> Float[Tensor, "*S P N"]:
    """xi_i h_i / |J_i| of each spin of each pattern; zero where a spin has no couplings."""
    norm = couplings.norm(dim=-1)[..., None, :]
    return patterns * (patterns @ couplings.mT) / norm.clamp(min=1e-30)


def asymmetry(couplings: Float[Tensor, "*S N N"]) -> Float[Tensor, "*S"]:
    """|J - J^T| / 2|J|: 0 for symmetric couplings, 1 for antisymmetric ones, 0.71 for independent
    ones; 0 for none."""
    return (couplings - couplings.mT).norm(dim=(-2, -1)) / (2 * couplings.norm(dim=(-2, -1))).clamp(
        min=1e-30
    )


def retrieval_curve(
    memory: Memory, patterns: Float[Tensor, "*S P N"], shares: Sequence[float], seed: int = 0
) -> Float[Tensor, "*S P K"]:
    """Overlap of each pattern with what the dynamics makes of it after each share of its spins was
    flipped."""
    ends = (retrieve(memory, flip(patterns, share, seed)) for share in shares)
    return torch.stack([overlap(end, patterns) for end in ends], -1)


def basin_radius(curve: Float[Tensor, "*S P K"], shares: Sequence[float]) -> Float[Tensor, "*S P"]:
    """Largest flipped share from which each pattern, as from every smaller one of the ascending
    `shares`, comes back.

    It has come back when 95% of its spins are right; the radius is 0 if it does not even stay.
    """
    # A share of right spins is an overlap of twice that less one; the product ends the count at the
    # first share from which the pattern did not come back.
    reached = (curve >= 2 * RETURNED - 1).long().cumprod(-1).sum(-1)
    return curve.new_tensor([0.0, *shares])[reached]


def _update(state: Tensor, field: Tensor) -> Tensor:
    """The sign of the field, and the old spin where there is none."""
    return torch.where(field == 0, state, field.sign())


def _signs(normal: Tensor) -> Tensor:
    return torch.where(normal >= 0, 1.0, -1.0)


def _generator(seed: int, stream: int = 0) -> torch.Generator:
    """A generator on the CPU, so that a seed means the same on every device."""
    check_seed(seed)
    # Sixteen streams a seed; 16 seed + stream stays below 2^63.
    return torch.Generator().manual_seed(16 * seed + stream)


def check_seed(seed: int) -> None:
    """Raise AttractorError for a seed that no generator can be given."""
    if not 0 <= seed < 2**59:
        raise AttractorError(f"seed = {seed} is outside [0, 2^59)")


def _check_spin_values(patterns: Tensor) -> None:
    if not patterns.is_floating_point():
        raise AttractorError(f"patterns must be floating-point spins, not {patterns.dtype}")
    wrong = patterns[patterns.abs() != 1]
    if wrong.numel() or not patterns.numel() or patterns.ndim < 2:
        found = f"{wrong[0].item():g}" if wrong.numel() else f"shape {tuple(patterns.shape)}"
        raise AttractorError(
            f"patterns must be (P, N) spins, +1 or -1, and at least one of them; found {found}"
        )


def _check_count(name: str, count: int) -> None:
    if count < 1:
        raise AttractorError(f"{name} = {count} patterns: at least 1 is needed")
