"""A mixture of exact laws, such as a language of which some texts are known by heart."""

from __future__ import annotations

import math
from collections.abc import Sequence

import torch
from jaxtyping import Bool, Float, Integer
from torch import Tensor

from attractor.model.denoiser import Denoiser
from attractor.theory.solvable import FLOOR, EmpiricalDenoiser, MarkovDenoiser
from attractor.types import AttractorError


class MixtureDenoiser(Denoiser):
    """The law sum_i w_i P_i of whole sequences: partial memorization that is known exactly.

    r_l(v) is proportional to sum_i w_i P_i(x_0[l] = v, x_t at all positions but l): each law counts
    as much as it explains the other tokens, which the laws must therefore tell on one scale.

    Args:
        parts: exact laws of one vocabulary and noise; each sequence is drawn from one of them.
        weights: probability of each.

    Raises:
        AttractorError: if there are not as many positive weights as parts, or the parts differ in
            vocabulary, noise or length.
    """

    def __init__(
        self, parts: Sequence[EmpiricalDenoiser | MarkovDenoiser], weights: Sequence[float]
    ) -> None:
        if not parts or len(weights) != len(parts) or min(weights) <= 0:
            raise AttractorError(
                f"{len(parts)} laws with weights {list(weights)}: give each law a positive weight"
            )
        kinds = {(type(p.process), p.process.vocab_size) for p in parts}
        lengths = {p.seq_len for p in parts} - {None}
        if len(kinds) > 1 or len(lengths) > 1:
            raise AttractorError(
                f"the laws differ: vocabularies of {[p.process.vocab_size for p in parts]}, "
                f"lengths {[p.seq_len for p in parts]}; only laws of one kind can be mixed"
            )
        self.parts, self.process = tuple(parts), parts[0].process
        self.seq_len = lengths.pop() if lengths else None
        self.device = parts[0].device
        total = sum(weights)
        self.log_weights = [math.log(w / total) for w in weights]

    def log_probs(
        self,
        x_t: Integer[Tensor, "B L"],
        t: Float[Tensor, "B"],
        where: Bool[Tensor, "B L"] | None = None,
    ) -> Float[Tensor, "B L V"] | Float[Tensor, "M V"]:
        """Return log r in float64."""
        joint = [
            part.log_joint(x_t, t, where) + weight
            for part, weight in zip(self.parts, self.log_weights, strict=True)
        ]
        return torch.stack(joint).logsumexp(0).log_softmax(-1).clamp(min=FLOOR)
