"""What is asked of a distribution over the vocabulary, answered a block of tokens at a time.

The distributions of a batch, (B, L, V), are the largest tensor of a measurement, and none needs it whole. A block is
small enough to stay in a core's cache, so what is computed from it costs little beside the output layer.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable

import torch
from jaxtyping import Float, Int, Shaped
from torch import Tensor

CHUNK = 2**23
"""Logits made at a time: 32 MiB in float32, enough rows for matrix products at full speed."""
BLOCK = 2**18
"""Logits on which a CPU works at a time: with two scratch tensors of that size they stay in a core's cache."""


def block_rows(vocab_size: int, device: torch.device) -> int:
    """Rows of a block; a GPU has no such caches and takes all that were made."""
    return max(1, (BLOCK if device.type == "cpu" else CHUNK) // vocab_size)


def reduce_blocks(
    blocks: Iterable[Float[Tensor, "_ V"]], reduction: Callable[..., Tensor], *fields: Tensor
) -> Shaped[Tensor, "M ..."]:
    """`reduction(block, *parts)` of every block, in one tensor; the fields, (M, ...), are split as the blocks are."""
    done, reduced = 0, []
    for block in blocks:
        parts = (field[done : done + len(block)] for field in fields)
        reduced.append(reduction(block, *parts))
        done += len(block)
    return torch.cat(reduced)


def entropy(log_probs: Float[Tensor, "M V"]) -> Float[Tensor, "M"]:
    """`-sum_v p_v log p_v` in nats; a token of probability zero counts for nothing."""
    total = torch.linalg.vecdot(log_probs.exp(), log_probs)
    if total.isnan().any():  # 0 * -inf; looked for here because removing it first would be one more pass over V
        total = torch.linalg.vecdot(log_probs.exp(), log_probs.clamp(min=torch.finfo(log_probs.dtype).min))
    return -total


def top_two(log_probs: Float[Tensor, "M V"]) -> Float[Tensor, "M 2"]:
    """The two largest probabilities, in order."""
    return log_probs.topk(2, dim=-1).values.exp()


def log_prob_of(log_probs: Float[Tensor, "M V"], token: Int[Tensor, "M"]) -> Float[Tensor, "M"]:
    """Log-probability of one token a row."""
    return log_probs.gather(-1, token[:, None])[:, 0]
