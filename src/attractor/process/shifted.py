"""Hybrid noise whose mixture is a sigmoid of the log-SNR (GIDD at scale, arXiv:2512.10858).

Of the noise, a share u is uniform over the n ids of text and the rest is the mask,

    alpha = sigmoid(log_snr),    u = sigmoid(log_snr + shift),
    m_text = (1 - alpha) u / n,  m_mask = (1 - alpha) (1 - u),

so that early noise is uniform and late noise is masks, and the shift says which is which. With
e = exp(shift) and D = alpha e + 1 - alpha, u = alpha e / D: everything is a function of alpha,
which can be the clock.
"""

from __future__ import annotations

import math
from collections.abc import Iterable

from jaxtyping import Float
from torch import Tensor

from attractor.process.hybrid import ByKind, MixtureProcess
from attractor.process.schedule import Schedule
from attractor.types import AttractorError

LARGEST = 80.0
"""Beyond it exp(shift) leaves the range of float32; the mixture has long been one kind of noise."""


class ShiftedProcess(MixtureProcess):
    """q(x_t | x_0) = Cat(alpha e_{x_0} + m_text 1_text + m_mask e_mask) with those m.

    Args:
        vocab_size: V, the mask included.
        schedule: alpha(t); log-linear unless given.
        mask_id: the mask; the last id unless given.
        shift: added to the log-SNR; large is uniform noise, very negative is masks.
        text_ids: which ids may stand in text; all but the mask unless given.

    Raises:
        AttractorError: for a shift beyond +-80, a mask or text ids outside the vocabulary, or if no
            text id is left.
    """

    def __init__(
        self,
        vocab_size: int,
        schedule: Schedule | None = None,
        mask_id: int | None = None,
        shift: float = 0.0,
        text_ids: Iterable[int] | Tensor | None = None,
    ) -> None:
        super().__init__(vocab_size, schedule, mask_id, text_ids)
        if not abs(shift) <= LARGEST:
            raise AttractorError(
                f"shift = {shift} is outside [-{LARGEST:g}, {LARGEST:g}]: such noise is of one kind"
            )
        self.shift, self.odds = shift, math.exp(shift)

    def noise(self, alpha: Float[Tensor, "*n"]) -> ByKind:
        """The probabilities m at alpha: of being one given token of text, or the mask, as noise."""
        scale = (1 - alpha) / self._total(alpha)
        return ByKind(scale * alpha * self.odds / self.text.count, scale * (1 - alpha))

    def renewed(self, alpha_s: Tensor, alpha_t: Tensor) -> ByKind:
        """1 - (m_s / b) / (m_t / a); m / a is (1 - a) e / (n D), and (1 - a)^2 / (a D)."""
        text = (1 - alpha_s) * self._total(alpha_t) / ((1 - alpha_t) * self._total(alpha_s))
        mask = text * (1 - alpha_s) * alpha_t / ((1 - alpha_t) * alpha_s)
        return ByKind(1 - text, 1 - mask)

    def rate(self, alpha: Tensor, dalpha: Tensor) -> ByKind:
        """Of log((1 - alpha) / D), and of that and log((1 - alpha) / alpha)."""
        text = self.odds / ((1 - alpha) * self._total(alpha))
        return ByKind(-dalpha * text, -dalpha * (text + 1 / (alpha * (1 - alpha))))

    def _total(self, alpha: Tensor) -> Tensor:
        return alpha * self.odds + 1 - alpha
