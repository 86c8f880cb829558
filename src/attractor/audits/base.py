"""A base model beside the one that is audited: the model before fine-tuning, or any of the same
tokenizer."""

from __future__ import annotations

from collections.abc import Callable, Iterator

import numpy as np
import torch

from attractor.audits.measure import Effort, block
from attractor.data.tokenizer import Tokenizer
from attractor.measurements.texts import Texts
from attractor.model.denoiser import Denoiser
from attractor.probes import likelihood, sama
from attractor.results.tables import Block
from attractor.types import AttractorError

DRAWS = 4
"""Times of the NELBO, as many as of the audited model's, with the same noise."""


def require_base(
    denoiser: Denoiser, base: Denoiser, length: int, tokenizers: tuple[Tokenizer | None, ...]
) -> None:
    """Raise AttractorError unless a base model knows the same tokens.

    Args:
        denoiser: the audited model.
        base: the one beside it.
        length: tokens of a row.
        tokenizers: of both, where they are known.
    """
    if not base.process.corrupts:
        raise AttractorError(
            "the base model is autoregressive: --base takes a model with noise, as the audited one"
        )
    ids, others = denoiser.process.text_ids, base.process.text_ids
    if not torch.equal(ids.cpu(), others.cpu()):
        raise AttractorError(
            f"the base model knows {len(others):,} tokens of text and the audited one "
            f"{len(ids):,}, or others: --base takes a model of the same tokenizer"
        )
    if base.seq_len not in (None, length):
        raise AttractorError(
            f"the base model takes rows of {base.seq_len} tokens and the audited one {length}: "
            "--base takes a model of the same length"
        )
    known = [t for t in tokenizers if t is not None]
    if len(known) < 2:
        return
    first, second = ([t.pieces([i])[0] for i in range(t.vocab_size)] for t in known)
    if first != second:
        raise AttractorError(
            f"the base model's tokenizer has other tokens than the audited one's, "
            f"{len(second):,} and {len(first):,}: --base takes a model of the same tokenizer"
        )


def measure_beside(
    denoiser: Denoiser,
    base: Denoiser,
    texts: Texts,
    effort: Effort,
    watch: Callable[[str], None],
) -> Iterator[Block]:
    """SAMA, and the NELBO under the base model, of training and unseen rows."""
    for split, rows in (("train", texts.train), ("test", texts.test)):
        watch(f"{len(rows):,} {'training' if split == 'train' else 'unseen'} rows beside the base")
        tokens = torch.from_numpy(np.array(rows).astype(np.int64))
        yield block("sama", tokens, sama(denoiser, base, tokens, effort.seed).numpy(), split)
        found = likelihood(base, tokens, DRAWS, effort.seed)
        yield block("base_nelbo", tokens, found.per_token.numpy(), split)
