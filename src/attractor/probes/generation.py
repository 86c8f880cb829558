"""Text a model writes by itself."""

from __future__ import annotations

import torch
from jaxtyping import Int
from torch import Tensor

from attractor.machine.processes import processes
from attractor.model.denoiser import Denoiser
from attractor.notebook import printable, table_html
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
) -> Int[Tensor, "N L"]:
    """Generate sequences from pure noise by the reverse process.

    Args:
        denoiser: the model.
        n: how many sequences.
        seq_len: tokens in each; the denoiser's own unless given.
        steps: of the grid from t = 1 to 1e-5.
        noise_removal: "greedy" takes the likeliest token at the end, "ancestral" draws it.
        seed: sequence i is a function of (seed, i).
        callback: sees every event of the reverse process, such as a `Trajectory`.
        first: number of the first sequence, for whoever generates in parts.

    Returns:
        (n, L) tokens on the CPU; where the model has a tokenizer they print as text, and have
        `.texts`.

    Raises:
        AttractorError: if n < 1, or no length is known.
    """
    length = seq_len or denoiser.seq_len
    if n < 1 or length is None or length < 1:
        raise AttractorError(f"n = {n} and seq_len = {length}: both must be given and at least 1")
    if noise_removal not in ("greedy", "ancestral"):
        raise AttractorError(
            f"noise_removal = {noise_removal!r}: allowed are 'greedy' and 'ancestral'"
        )
    rows = row_address(n, device=denoiser.device) + first
    x_1 = denoiser.process.prior(CountedNoise(seed, "prior", 1.0).grid(rows, length)[..., :2])
    noise = CountedNoise(seed, "generate", 1.0)
    # Several processes share the rows, unless somebody watches, who is to see all of them.
    mine = processes().share(n) if callback is None else slice(None)
    end = reverse(
        denoiser.process,
        denoiser.log_probs,
        x_1[mine],
        time_grid(1.0, steps),
        noise,
        rows[mine],
        noise_removal,
        callback=callback,
    )
    end = (processes().joined(end, n) if callback is None else end).cpu()
    return end if denoiser.tokenizer is None else Written.of(end, denoiser.decode(end))
