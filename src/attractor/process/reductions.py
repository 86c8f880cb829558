"""What is asked of a distribution over the vocabulary, answered a block of tokens at a time.

The distributions of a batch, (B, L, V), are the largest tensor of a measurement, and none needs it
whole. A block is small enough to stay in a core's cache, so what is computed from it costs little
beside the output layer.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable

import torch
from jaxtyping import Float, Int, Shaped
from torch import Tensor

CHUNK = 2**23
"""Logits that a CPU makes at a time: 32 MiB in float32, enough rows for matrix products at full
speed."""
GPU_CHUNK = 2**26
"""Logits that a GPU makes at a time, which needs more rows for that."""
BLOCK = 2**18
"""Logits on which a CPU works at a time: with two scratch tensors of that size they stay in a
core's cache."""
ACTIVATIONS = 3 * 2**17
"""Activations of a network's widest layer that a thread of a CPU makes at a time: 1.5 MiB in
float32, of which the next layer still finds much in a core's cache."""


def cached_parts(activations: int, device: torch.device) -> int:
    """Parts in which rows with so many activations in all go through a network."""
    limit = ACTIVATIONS * torch.get_num_threads()
    return max(1, math.ceil(activations / limit)) if device.type == "cpu" else 1


def chunk_rows(vocab_size: int, device: torch.device) -> int:
    """Rows of logits made at a time."""
    return max(1, (CHUNK if device.type == "cpu" else GPU_CHUNK) // vocab_size)


def block_rows(vocab_size: int, device: torch.device) -> int:
    """Rows of a block; a GPU has no such caches and takes all that were made."""
    return max(1, BLOCK // vocab_size) if device.type == "cpu" else chunk_rows(vocab_size, device)


def reduce_blocks(
    blocks: Iterable[Float[Tensor, "_ V"]], reduction: Callable[..., Tensor], *fields: Tensor
) -> Shaped[Tensor, "M ..."]:
    """`reduction(block, *parts)` of every block, in one tensor; the fields, (M, ...), are split as
    the blocks are.

    Args:
        blocks: log-probabilities of M tokens in parts, in order.
        reduction: what is wanted of a block, (m, V), and of the parts of the fields, (m, ...).
        fields: what else is known of the M tokens.
    """
    done, reduced = 0, None
    for block in blocks:
        part = slice(done, done + len(block))
        found = reduction(block, *(field[part] for field in fields))
        if reduced is None:
            # One tensor for all: many small ones would lie between the blocks' freed memory.
            reduced = found.new_empty(len(fields[0]), *found.shape[1:])
        reduced[part] = found
        done = part.stop
    assert reduced is not None, "there is at least one block, be it empty"
    return reduced


def entropy(log_probs: Float[Tensor, "M V"]) -> Float[Tensor, "M"]:
    """`-sum_v p_v log p_v` in nats."""
    return -_mean_log_prob(log_probs)[0]


def moments(log_probs: Float[Tensor, "M V"], token: Int[Tensor, "M"]) -> Float[Tensor, "M 3"]:
    """Entropy, log-probability of one token, and standard deviation of log p under p, in nats."""
    mean, weighted, log_probs = _mean_log_prob(log_probs)
    variance = torch.linalg.vecdot(weighted, log_probs) - mean**2
    at = log_probs.gather(-1, token[:, None])[:, 0]
    return torch.stack([-mean, at, variance.clamp(min=0).sqrt()], -1)


def beliefs(log_probs: Float[Tensor, "M V"], token: Int[Tensor, "M"]) -> Float[Tensor, "M 4"]:
    """Surprise -log p of one token and entropy, in nats; the largest probability; and whether the
    token has it, which tokens of equal probability share.
    """
    mean, _, log_probs = _mean_log_prob(log_probs)
    at, top = log_probs.gather(-1, token[:, None])[:, 0], log_probs.amax(-1)
    likeliest = (log_probs == top[:, None]).sum(-1)
    return torch.stack([-at, -mean, top.exp(), (at == top) / likeliest], -1)


def _mean_log_prob(log_probs: Float[Tensor, "M V"]) -> tuple[Tensor, Tensor, Tensor]:
    """The mean of log p under p, p log p, and log p, in which a token of probability zero counts
    for nothing.

    Such tokens, 0 * -inf, are looked for in the sum: to remove them first costs one more pass over
    the vocabulary.
    """
    weighted = log_probs.exp().mul_(log_probs)
    mean = weighted.sum(-1)
    if mean.isnan().any():
        # exp(-1e4) is 0 in every precision, and 0 times a finite number is 0.
        log_probs = log_probs.clamp(min=-1e4)
        weighted = log_probs.exp().mul_(log_probs)
        mean = weighted.sum(-1)
    return mean, weighted, log_probs
