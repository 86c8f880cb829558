"""A bidirectional network that is not told the time as a Denoiser: body and head apart."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Protocol, runtime_checkable

import torch
from jaxtyping import Bool, Float, Int
from torch import Tensor

from attractor.model.denoiser import Denoiser, Frame
from attractor.process.forward import ForwardProcess
from attractor.process.reductions import block_rows, chunk_rows

NO_FRAME = Frame()


@runtime_checkable
class Encoder(Protocol):
    """A network in two parts, of which the second works on each position by itself."""

    def hidden(
        self, x: Int[Tensor, "B L"], keep: Bool[Tensor, "B L"] | None = None
    ) -> Float[Tensor, "B L H"]:
        """What the head is given; positions outside `keep` are padding, which none attends to."""
        ...

    def head(self, hidden: Float[Tensor, "M H"]) -> Float[Tensor, "M V"]:
        """Logits at M positions."""
        ...


class EncoderDenoiser(Denoiser):
    """The distributions of an `Encoder`; the head runs at wanted positions only.

    What is no text, such as the mask, has probability zero. A visible token is *not* carried over,
    as MDLM's is: the distribution there is the network's own, as its authors' code gives it.

    Args:
        encoder: the network; a module must be in evaluation mode.
        process: the noise it was trained under.
        device: where it is.
        seq_len: the length of rows; None if any will do.
        shift: whether the logits at a position predict the next token, as those of networks that
            began as causal ones do; the first position then reads its own.
        pad_id: the id that fills up short rows, to which no position attends; None if all are
            attended to.
        frame: what stands at both ends of every text.
    """

    time_conditioned = False

    def __init__(
        self,
        encoder: Encoder,
        process: ForwardProcess,
        device: torch.device,
        seq_len: int | None = None,
        shift: bool = False,
        pad_id: int | None = None,
        frame: Frame = NO_FRAME,
    ) -> None:
        self.encoder, self.process, self.device = encoder, process, device
        self.seq_len, self.shift, self.pad_id, self.frame = seq_len, shift, pad_id, frame

    def log_probs(
        self,
        x_t: Int[Tensor, "B L"],
        t: Float[Tensor, "B"],
        where: Bool[Tensor, "B L"] | None = None,
    ) -> Float[Tensor, "B L V"] | Float[Tensor, "M V"]:
        """Log-probabilities in float32."""
        wanted = torch.ones_like(x_t, dtype=torch.bool) if where is None else where
        with torch.no_grad():
            found = self._distribution(self.encoder.head(self._hidden(x_t)[wanted]))
        return found.view(*x_t.shape, -1) if where is None else found

    def body(self, x_t: Int[Tensor, "B L"], t: Float[Tensor, "B"]) -> Float[Tensor, "B L H"]:
        """What the encoder's head is given."""
        with torch.no_grad():
            return self._hidden(x_t)

    def head(self, states: Float[Tensor, "M H"], x_t: Int[Tensor, "M"]) -> Float[Tensor, "M V"]:
        """Log-probabilities in float32, by the encoder's head alone."""
        with torch.no_grad():
            return self._distribution(self.encoder.head(states))

    def blocks(
        self,
        x_t: Int[Tensor, "B L"],
        t: Float[Tensor, "B"],
        where: Bool[Tensor, "B L"] | None = None,
    ) -> Iterator[Float[Tensor, "m V"]]:
        """The same, with the head run for a chunk of tokens at a time."""
        wanted = torch.ones_like(x_t, dtype=torch.bool) if where is None else where
        with torch.no_grad():
            hidden = self._hidden(x_t)[wanted]
        vocab = self.process.vocab_size
        few = block_rows(vocab, hidden.device)
        for part in hidden.split(chunk_rows(vocab, hidden.device)):
            # Not around a yield, where it would hold for whoever reads the blocks, too.
            with torch.no_grad():
                logits = self.encoder.head(part)
            for block in logits.split(few):
                yield self._distribution(block)

    def _hidden(self, x_t: Int[Tensor, "B L"]) -> Float[Tensor, "B L H"]:
        keep = None if self.pad_id is None else x_t != self.pad_id
        hidden = self.encoder.hidden(x_t, None if keep is None or keep.all() else keep)
        # What is shifted is the input of the head, which works on each position by itself.
        return torch.cat([hidden[:, :1], hidden[:, :-1]], 1) if self.shift else hidden

    def _distribution(self, logits: Float[Tensor, "M V"]) -> Float[Tensor, "M V"]:
        return self.process.text.restrict(logits.float()).log_softmax(-1)
