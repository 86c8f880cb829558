"""A trained network as a Denoiser."""

from __future__ import annotations

import torch
from jaxtyping import Bool, Float, Int
from torch import Tensor

from attractor.model.ddit import DDiT
from attractor.model.denoiser import Denoiser
from attractor.process.forward import ForwardProcess


class NetworkDenoiser(Denoiser):
    """The distributions of a DDiT, conditioned on sigma = -log alpha(t).

    Args:
        network: the transformer; it is put in evaluation mode.
        process: the noise it was trained under.
        seq_len: L it was trained with.
    """

    def __init__(self, network: DDiT, process: ForwardProcess, seq_len: int | None = None) -> None:
        self.network = network.eval()
        self.process = process
        self.seq_len = seq_len
        self.device = network.vocab_embed.embedding.device

    @torch.no_grad()
    def log_probs(
        self, x_t: Int[Tensor, "B L"], t: Float[Tensor, "B"], where: Bool[Tensor, "B L"] | None = None
    ) -> Float[Tensor, "B L V"] | Float[Tensor, "M V"]:
        """Log-probabilities in float32."""
        logits = self.network(x_t, self.process.schedule.sigma(t), where).float()
        return self.process.distribution(logits, x_t if where is None else x_t[where])
