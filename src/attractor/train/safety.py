"""Steps whose loss or gradient is not finite: they move nothing and are counted, all without asking
the device."""

from __future__ import annotations

import torch
from torch import Tensor

from attractor.types import AttractorError

LIMIT = 10
"""Steps in a row that may be skipped before training stops."""


class Guard:
    """Counts skipped steps on the device: the single bad batch is passed over, the training that
    has blown up is stopped.

    Args:
        device: where the losses are.
    """

    def __init__(self, device: torch.device) -> None:
        self.counts = torch.zeros(3, device=device)  # in all, in a row now, most in a row

    def check(self, loss: Tensor, grad_norm: Tensor) -> Tensor:
        """1.0 where the step must be skipped and 0.0 where it may be taken, float32 ()."""
        # Arithmetic where one would write `if`: reading a number back would make the device wait.
        bad = (~(loss.isfinite() & grad_norm.isfinite())).float()
        total, row, longest = self.counts.unbind()
        row = (row + 1) * bad  # back to zero after a step that could be taken
        # In place: a recorded step finds its counts where they were.
        self.counts.copy_(torch.stack([total + bad, row, torch.maximum(longest, row)]))
        return bad

    def read(self, step: int, lr: float) -> int:
        """Steps skipped so far; `lr` is the learning rate that was set, for the message.

        Raises:
            AttractorError: if `LIMIT` of them came in a row.
        """
        total, _, longest = (int(count) for count in self.counts.tolist())
        if longest >= LIMIT:
            raise AttractorError(
                f"training has diverged: the loss or its gradient was not finite at {longest} "
                f"steps in a row, before step {step}; what was saved before is sound; begin anew, "
                f"in another folder or with --force, with a learning rate below lr = {lr:g}"
            )
        return total


def mean_of_finite(losses: list[Tensor]) -> float | None:
    """Mean loss of the steps that were taken; None if there was none."""
    values = torch.stack(losses)
    taken = values[values.isfinite()]
    return taken.mean().item() if len(taken) else None
