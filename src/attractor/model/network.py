"""A trained network as a Denoiser."""

from __future__ import annotations

from collections.abc import Iterator

import torch
from jaxtyping import Bool, Float, Int
from torch import Tensor

from attractor.model.ddit import DDiT
from attractor.model.denoiser import Denoiser
from attractor.process.forward import ForwardProcess
from attractor.process.reductions import block_rows, cached_parts, chunk_rows
from attractor.types import AttractorError


class NetworkDenoiser(Denoiser):
    """The distributions of a DDiT, conditioned on sigma = -log alpha(t).

    Args:
        network: the transformer; it is put in evaluation mode.
        process: the noise it was trained under.
        seq_len: L it was trained with.
        time_conditioning: whether it sees sigma at all; one that does not, as one without noise, is
            given 0.

    Raises:
        AttractorError: if a weight is not finite: everything measured would be NaN.
    """

    def __init__(
        self,
        network: DDiT,
        process: ForwardProcess,
        seq_len: int | None = None,
        time_conditioning: bool = True,
    ) -> None:
        for name, parameter in network.named_parameters():
            if not parameter.isfinite().all():
                raise AttractorError(f"the network's '{name}' is not finite")
        self.network = network.eval()
        self.time_conditioned = time_conditioning and process.corrupts
        self.process = process
        self.seq_len = seq_len
        self.device = network.vocab_embed.embedding.device

    def facts(self) -> dict[str, str]:
        """With the number of its weights."""
        weights = sum(parameter.numel() for parameter in self.network.parameters())
        return {"parameters": f"{weights:,}", **super().facts()}

    @torch.no_grad()
    def log_probs(
        self,
        x_t: Int[Tensor, "B L"],
        t: Float[Tensor, "B"],
        where: Bool[Tensor, "B L"] | None = None,
    ) -> Float[Tensor, "B L V"] | Float[Tensor, "M V"]:
        """Log-probabilities in float32."""
        logits = self.network.output_layer.linear(self._hidden(x_t, t, where)).float()
        return self.process.distribution(logits, x_t if where is None else x_t[where])

    @torch.no_grad()
    def body(self, x_t: Int[Tensor, "B L"], t: Float[Tensor, "B"]) -> Float[Tensor, "B L H"]:
        """What the output layer sees."""
        return self._hidden(x_t, t)

    @torch.no_grad()
    def head(self, states: Float[Tensor, "M H"], x_t: Int[Tensor, "M"]) -> Float[Tensor, "M V"]:
        """Log-probabilities in float32, by the output layer alone."""
        return self.process.distribution(self.network.output_layer.linear(states).float(), x_t)

    def blocks(
        self,
        x_t: Int[Tensor, "B L"],
        t: Float[Tensor, "B"],
        where: Bool[Tensor, "B L"] | None = None,
    ) -> Iterator[Float[Tensor, "m V"]]:
        """The same, with the output layer run for a chunk of tokens at a time."""
        wanted = torch.ones_like(x_t, dtype=torch.bool) if where is None else where
        with torch.no_grad():
            hidden, tokens = self._hidden(x_t, t, wanted), x_t[wanted]
        vocab, layer = self.process.vocab_size, self.network.output_layer.linear
        rows, few = chunk_rows(vocab, hidden.device), block_rows(vocab, hidden.device)
        # Fresh memory for each chunk would cost page faults.
        buffer = hidden.new_empty(min(rows, len(hidden)), vocab)
        for h, chunk in zip(hidden.split(rows), tokens.split(rows), strict=True):
            # Not around a yield, where it would hold for whoever reads the blocks, too.
            with torch.no_grad():
                logits = torch.addmm(layer.bias, h, layer.weight.T, out=buffer[: len(h)])
            for block, noisy in zip(logits.split(few), chunk.split(few), strict=True):
                yield self.process.distribution(block, noisy)

    def _hidden(
        self,
        x_t: Int[Tensor, "B L"],
        t: Float[Tensor, "B"],
        where: Bool[Tensor, "B L"] | None = None,
    ) -> Float[Tensor, "B L H"] | Float[Tensor, "M H"]:
        """What the output layer sees; on a CPU a few rows at a time."""
        width = 4 * self.network.vocab_embed.embedding.shape[1]  # of the widest layer
        parts = cached_parts(x_t.numel() * width, x_t.device)
        # One level for all rows is one for each: parts of rows and of levels must be of one length.
        rows, levels = x_t.chunk(parts), self._sigma(t).expand(len(x_t)).chunk(parts)
        places = [None] * len(rows) if where is None else where.chunk(parts)
        given = zip(rows, levels, places, strict=True)
        return torch.cat([self.network.hidden(*part) for part in given])

    def _sigma(self, t: Float[Tensor, "B"]) -> Float[Tensor, "B"]:
        return self.process.schedule.sigma(t) if self.time_conditioned else torch.zeros_like(t)
