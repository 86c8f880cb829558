"""Text that a model writes, wherever the model is."""

from __future__ import annotations

from pathlib import Path

from attractor import adapters
from attractor.adapters.family import Weights
from attractor.api.run import Run
from attractor.config.settings import check_seed
from attractor.model.denoiser import Denoiser
from attractor.model.sharpened import Sharpened
from attractor.probes import sample
from attractor.probes.generation import Written


def generate(
    model: str | Path | Denoiser | Run,
    n: int = 5,
    *,
    steps: int = 1000,
    temperature: float = 1.0,
    top_p: float = 1.0,
    seed: int = 0,
    weights: Weights = "ema",
) -> Written:
    """Let a model write.

    Args:
        model: what `attractor.load` takes, a Denoiser, or a run of a sweep.
        n: how many sequences.
        steps: of the reverse process, from nothing but noise to text; at least 1.
        temperature: log-probabilities are divided by it, above 0; 1 changes nothing.
        top_p: each token is drawn from the likeliest that together reach this probability, above 0
            and at most 1; 1 keeps all.
        seed: of the noise.
        weights: "ema" or "raw".

    Returns:
        (n, L) token ids, which print as text and have `.texts`.

    Raises:
        AttractorError: for settings out of range, or a model that cannot be loaded or has no
            tokenizer; `attractor.sample` gives the token ids of any.
    """
    check_seed(seed)
    if isinstance(model, Run):
        model = model.folder
    denoiser = model if isinstance(model, Denoiser) else adapters.load(model, weights)
    denoiser.pieces([])  # which text is wanted of: known before the model works
    rows = sample(Sharpened(denoiser, temperature, top_p), n, steps=steps, seed=seed)
    return rows if isinstance(rows, Written) else Written.of(rows, denoiser.decode(rows))
