"""Basins of attraction: corrupt a sequence, run the reverse process, see what comes back."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import NamedTuple

import numpy as np
import torch
from jaxtyping import Bool, Float, Int
from torch import Tensor

from attractor.machine.processes import processes
from attractor.model.denoiser import Denoiser
from attractor.notebook import passages_html
from attractor.probes.tokens import Rows, check_tokens, counted_mean, frozen_tokens, timeless
from attractor.process.noise import CountedNoise, row_address
from attractor.process.reverse import (
    Callback,
    NoiseRemoval,
    check_time,
    reverse,
    settle,
    time_grid,
)
from attractor.results.outcomes import OUTCOMES, Outcomes
from attractor.types import AttractorError

__all__ = [
    "OUTCOMES",
    "FixedPoints",
    "Recovery",
    "fixed_points",
    "pseudo_likelihood_fixed_points",
    "recovery",
]


CHANGED = ("recovered", "failed")
"""Outcomes of tokens that the noise changed."""
SHOWN = 8
"""Sequences that a notebook shows at most."""


class Recovery(NamedTuple):
    """Tokens before, between and after; R repeats of N sequences."""

    t: float
    """corruption time, in (0, 1]"""
    original: Int[Tensor, "N L"]
    """clean tokens"""
    corrupted: Int[Tensor, "R N L"]
    """the same under noise"""
    recovered: Int[Tensor, "R N L"]
    """what the reverse process made of them"""
    frozen: Bool[Tensor, "N L"] | None = None
    """tokens that never move and are counted nowhere, where there are any"""
    pieces: Callable[[Sequence[int]], list[str]] | None = None
    """what to show for each token of a row, where the model has a tokenizer"""

    @property
    def outcomes(self) -> Outcomes[Tensor]:
        """What became of each token: stable, recovered, failed or unstable."""
        return Outcomes(self.original, self.corrupted, self.recovered, self.frozen)

    @property
    def perturbed(self) -> Bool[Tensor, "R N L"]:
        """Tokens that the noise changed; a resampled token that lands on itself is not
        perturbed."""
        return self.outcomes.perturbed

    @property
    def restored(self) -> Bool[Tensor, "R N L"]:
        """Whether each token ends up right, perturbed or not."""
        return self.outcomes.restored

    def rate_per_sequence(self) -> Float[Tensor, "N"]:
        """Share of perturbed tokens that return, of each sequence; NaN where nothing was
        perturbed."""
        return self.outcomes.rate_per_sequence()

    def unstable_per_sequence(self) -> Float[Tensor, "N"]:
        """Share of unperturbed tokens that end up wrong, of each sequence; NaN where all were
        perturbed."""
        return self.outcomes.unstable_per_sequence()

    @property
    def rate(self) -> float:
        """Recovery rate: per sequence, then averaged over sequences."""
        return self.rate_per_sequence().nanmean().item()

    @property
    def micro_rate(self) -> float:
        """Recovery rate over all perturbed tokens together."""
        return (self.restored & self.perturbed).sum().item() / max(1, int(self.perturbed.sum()))

    @property
    def unstable_rate(self) -> float:
        """Share of unperturbed tokens that end up wrong, averaged over sequences."""
        return self.unstable_per_sequence().nanmean().item()

    def outcome(self) -> Int[Tensor, "R N L"]:
        """What became of each token, as an index into `OUTCOMES`; frozen ones are stable."""
        return self.outcomes.index()

    def __repr__(self) -> str:
        n, length = self.original.shape
        return (
            f"<Recovery of {n:,} sequences of {length:,} tokens at t = {self.t:g}: {self.rate:.1%} "
            f"of {int(self.perturbed.sum()):,} corrupted tokens return, {self.unstable_rate:.1%} "
            "of the others break>"
        )

    def _repr_html_(self) -> str:
        return passages_html(
            repr(self)[1:-1], [self._lines(i) for i in range(min(SHOWN, len(self.original)))]
        )

    def _lines(self, row: int) -> list[tuple[str, list[tuple[str, str]]]]:
        """A sequence before, between and after, of its first repeat."""
        kinds = [OUTCOMES[i] for i in self.outcome()[0, row].tolist()]
        show = self.pieces or (lambda ids: [f"{i} " for i in ids])
        stages = (
            ("original", self.original[row], ["stable"] * len(kinds)),
            (
                "corrupted",
                self.corrupted[0, row],
                ["failed" if k in CHANGED else "stable" for k in kinds],
            ),
            ("returned", self.recovered[0, row], kinds),
        )
        return [
            (name, list(zip(show(ids.tolist()), colours, strict=True)))
            for name, ids, colours in stages
        ]


class FixedPoints(NamedTuple):
    """Which tokens stay under the deterministic reverse process, without any corruption."""

    stays: Bool[Tensor, "N L"]
    """whether each token ends as it began"""
    frozen: Bool[Tensor, "N L"] | None = None
    """tokens that stay since they never move and are counted nowhere, where there are any"""

    def values(self) -> Float[Tensor, "N L"]:
        """1 for a token that stays, 0 for one that does not, NaN for one that is frozen."""
        stays = self.stays.float()
        return stays if self.frozen is None else stays.masked_fill(self.frozen, torch.nan)

    @property
    def tokens(self) -> float:
        """Share of tokens that stay."""
        return counted_mean(self.values()).item()

    @property
    def sequences(self) -> float:
        """Share of sequences of which every token stays."""
        return self.stays.all(1).float().mean().item()

    def __repr__(self) -> str:
        n, length = self.stays.shape
        return (
            f"<FixedPoints of {n:,} sequences of {length:,} tokens: {self.tokens:.1%} of the "
            f"tokens and {self.sequences:.1%} of the sequences stay>"
        )


def recovery(
    denoiser: Denoiser,
    tokens: Rows,
    t: float,
    steps: int = 1000,
    seed: int = 0,
    repeats: int = 1,
    batch_size: int = 64,
    callback: Callback | None = None,
    first: int = 0,
    frozen: Bool[Tensor, "..."] | np.ndarray | None = None,
) -> Recovery:
    """Corrupt at time t and run the reverse process back to text, ancestral to the end
    (arXiv:2604.26841).

    The random numbers of a row depend on (seed, row, t, repeat) only.

    Args:
        denoiser: what is probed.
        tokens: clean sequences, (N, L), or text.
        t: corruption time in (0, 1].
        steps: of the grid from 1 to 1e-5, of which those below t are run.
        seed: of the noise.
        repeats: independent corruptions of each sequence.
        batch_size: sequences in one call of the network.
        callback: sees every event of the reverse process.
        first: number of the first row, for whoever measures in parts.
        frozen: tokens that never move and are counted nowhere, such as a prompt, (N, L) or (L,);
            those that are no text are frozen anyhow.

    Raises:
        AttractorError: for t outside (0, 1], tokens the denoiser does not know, or if none of them
            may move.
    """
    check_time(t)
    if repeats < 1:
        raise AttractorError(f"repeats = {repeats} must be at least 1")
    x_0 = check_tokens(denoiser, tokens)
    n, length = x_0.shape
    rows = row_address(n, repeats, x_0.device) + first
    process = denoiser.process
    noise = CountedNoise(seed, "corrupt", t).grid(rows, length)
    fixed = frozen_tokens(denoiser, x_0, frozen)
    held = None if fixed is None else fixed.repeat(repeats, 1)
    times = noise.new_full((len(rows),), t)
    x_t = process.corrupt(x_0.repeat(repeats, 1), times, noise[..., :2], held)
    # Several processes share the rows, unless somebody watches, who is to see all of them.
    mine = processes().share(len(rows)) if callback is None else slice(None)
    end = reverse(
        process,
        denoiser.log_probs,
        x_t[mine],
        time_grid(t, steps),
        CountedNoise(seed, "reverse", t),
        rows[mine],
        batch_size=batch_size,
        callback=callback,
        frozen=None if held is None else held[mine],
        timeless=timeless(denoiser),
    )
    end = processes().joined(end, len(rows)) if callback is None else end
    return Recovery(
        t,
        x_0.cpu(),
        x_t.view(repeats, n, length).cpu(),
        end.view(repeats, n, length).cpu(),
        None if fixed is None else fixed.cpu(),
        None if denoiser.tokenizer is None else denoiser.pieces,
    )


def fixed_points(
    denoiser: Denoiser,
    tokens: Rows,
    t: float = 0.05,
    steps: int = 1000,
    frozen: Bool[Tensor, "..."] | np.ndarray | None = None,
) -> FixedPoints:
    """Run the deterministic reverse process from uncorrupted tokens: what stays is a fixed point
    (arXiv:2604.26841).

    Each step takes the likeliest entry of the posterior, the last one too. The posterior holds the
    token's own evidence, which is strong near t = 0: with uniform noise a token stays unless
    another is about V / 1e-5 times as likely in the last step, and V `steps` times in the one
    before it. A step can move a token only near the end of the grid, so the result hardly depends
    on t. What stays without that evidence says `pseudo_likelihood_fixed_points`.

    Args:
        denoiser: what is probed.
        tokens: clean sequences, (N, L), or text.
        t: time in (0, 1] from which the grid is run.
        steps: of the grid from 1 to 1e-5.
        frozen: as in `recovery`.

    Raises:
        AttractorError: for t outside (0, 1], tokens the denoiser does not know, or if none of them
            may move.
    """
    return _settled(denoiser, tokens, t, steps, "ancestral", frozen)


def pseudo_likelihood_fixed_points(
    denoiser: Denoiser,
    tokens: Rows,
    t: float = 0.05,
    steps: int = 1000,
    frozen: Bool[Tensor, "..."] | np.ndarray | None = None,
) -> FixedPoints:
    """The same, but the last step takes the likeliest token of the network, which sees the context
    alone: a token stays only if no other is likelier there. So fixed points of networks are
    defined that learn the pseudo-likelihood (arXiv:2507.05147).

    Arguments and errors are those of `fixed_points`.
    """
    return _settled(denoiser, tokens, t, steps, "greedy", frozen)


def _settled(
    denoiser: Denoiser,
    tokens: Rows,
    t: float,
    steps: int,
    noise_removal: NoiseRemoval,
    frozen: Tensor | np.ndarray | None,
) -> FixedPoints:
    x_0 = check_tokens(denoiser, tokens)
    fixed = frozen_tokens(denoiser, x_0, frozen)
    mine = processes().share(len(x_0))
    end = settle(
        denoiser.process,
        denoiser.blocks,
        x_0[mine],
        time_grid(t, steps),
        noise_removal,
        frozen=None if fixed is None else fixed[mine],
    )
    end = processes().joined(end, len(x_0))
    return FixedPoints((end == x_0).cpu(), None if fixed is None else fixed.cpu())
