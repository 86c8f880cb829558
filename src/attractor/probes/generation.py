"""Text a model writes by itself."""

from __future__ import annotations

import numpy as np
import torch
from jaxtyping import Bool, Int
from torch import Tensor

from attractor.machine.processes import processes
from attractor.model.denoiser import Denoiser
from attractor.notebook import printable, table_html
from attractor.probes.continuation import continuation
from attractor.probes.tokens import check_tokens, frozen_tokens, timeless
from attractor.process.noise import CountedNoise, row_address
from attractor.process.reverse import Callback, NoiseRemoval, reverse, time_grid
from attractor.types import AttractorError

SHOWN = 20
"""Sequences that are printed at most."""


class Written(Tensor):
    """Rows of token ids, (n, L), that print as text; what is computed of them is a plain tensor."""

    # Typed otherwise than the method that it takes the place of, which calls for subclasses.
    __torch_function__ = torch._C._disabled_torch_function_impl  # type: ignore[assignment]

    texts: tuple[str, ...] = ()
    """the text of each row"""

    @staticmethod
    def of(rows: Int[Tensor, "N L"], texts: list[str]) -> Written:
        """Rows that are printed as these texts."""
        made = rows.as_subclass(Written)
        made.texts = tuple(texts)
        return made

    def __repr__(self) -> str:  # type: ignore[override]
        return "\n".join([*map(printable, self.texts[:SHOWN]), *self._others()])

    def _repr_html_(self) -> str:
        rows = [(str(i), printable(text)) for i, text in enumerate(self.texts[:SHOWN])]
        return table_html("written by the model", ("row", "text"), rows, self._others())

    def _others(self) -> list[str]:
        more = len(self.texts) - SHOWN
        return [f"... and {more:,} more"] if more > 0 else []


def sample(
    denoiser: Denoiser,
    n: int,
    seq_len: int | None = None,
    steps: int = 1000,
    noise_removal: NoiseRemoval = "greedy",
    seed: int = 0,
    callback: Callback | None = None,
    first: int = 0,
    given: Int[Tensor, "N L"] | np.ndarray | None = None,
    frozen: Bool[Tensor, "..."] | np.ndarray | None = None,
) -> Int[Tensor, "N L"]:
    """Generate sequences from pure noise by the reverse process; of an autoregressive model by
    drawing one token after another, for which steps, noise removal and callback mean nothing.

    Args:
        denoiser: the model.
        n: how many sequences.
        seq_len: tokens in each; the denoiser's own unless given.
        steps: of the grid from t = 1 to 1e-5.
        noise_removal: "greedy" takes the likeliest token at the end, "ancestral" draws it.
        seed: sequence i is a function of (seed, i).
        callback: sees every event of the reverse process, such as a `Trajectory`.
        first: number of the first sequence, for whoever generates in parts.
        given: rows whose frozen tokens are kept, (n, L), such as prompts, or padding where the
            sequences are to be shorter; the denoiser's own frame unless given.
        frozen: which of these tokens are kept, (n, L) or (L,); those that are no text are anyhow.

    Returns:
        (n, L) tokens on the CPU; where the model has a tokenizer they print as text, and have
        `.texts`.

    Raises:
        AttractorError: if n < 1, no length is known, or `given` are not n rows of that length.
    """
    length = seq_len or (None if given is None else given.shape[1]) or denoiser.seq_len
    if n < 1 or length is None or length < 1:
        raise AttractorError(f"n = {n} and seq_len = {length}: both must be given and at least 1")
    if noise_removal not in ("greedy", "ancestral"):
        raise AttractorError(
            f"noise_removal = {noise_removal!r}: allowed are 'greedy' and 'ancestral'"
        )
    rows = row_address(n, device=denoiser.device) + first
    uniform, process = CountedNoise(seed, "prior", 1.0).grid(rows, length), denoiser.process
    # Without noise nothing is there at the start, and what stands for it is never looked at.
    blank = torch.full(uniform.shape[:2], int(process.text_ids[0]), device=denoiser.device)
    x_1 = process.prior(uniform[..., :2]) if process.corrupts else blank
    kept = _framed(denoiser, n, length) if given is None else check_tokens(denoiser, given)
    held = None
    if kept is not None:
        if kept.shape != x_1.shape:
            raise AttractorError(
                f"given rows are {tuple(kept.shape)}, and {tuple(x_1.shape)} are wanted"
            )
        held = frozen_tokens(denoiser, kept, frozen)
        x_1 = x_1 if held is None else torch.where(held, kept, x_1)
    if not process.corrupts:
        end = continuation(denoiser, x_1, held, uniform[..., 0])
        return _printed(denoiser, end)
    noise = CountedNoise(seed, "generate", 1.0)
    # Several processes share the rows, unless somebody watches, who is to see all of them.
    mine = processes().share(n) if callback is None else slice(None)
    end = reverse(
        process,
        denoiser.log_probs,
        x_1[mine],
        time_grid(1.0, steps),
        noise,
        rows[mine],
        noise_removal,
        callback=callback,
        frozen=None if held is None else held[mine],
        timeless=timeless(denoiser),
    )
    end = processes().joined(end, n) if callback is None else end
    return _printed(denoiser, end)


def _printed(denoiser: Denoiser, rows: Tensor) -> Tensor:
    rows = rows.cpu()
    return rows if denoiser.tokenizer is None else Written.of(rows, denoiser.decode(rows))


def _framed(denoiser: Denoiser, n: int, length: int) -> Tensor | None:
    """Rows of the denoiser's frame and of any text between; None where it has none."""
    leading, trailing = denoiser.frame
    if not leading and not trailing:
        return None
    between = length - len(leading) - len(trailing)
    if between < 1:
        raise AttractorError(f"seq_len = {length} leaves no token between the denoiser's markers")
    row = [*leading, *[int(denoiser.process.text_ids[0])] * between, *trailing]
    return torch.tensor(row, device=denoiser.device).expand(n, -1)
