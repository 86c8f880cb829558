"""Where a continuous number begins to count as something, each written once."""

from __future__ import annotations

VANISHING = 0.01
"""Nats below which the entropy of a token counts as vanishing."""
RESOLVED = 1e-6
"""Nats per token that single precision can tell from zero."""
RELIABILITY_BINS = 10
"""Equal parts of [0, 1] into which tokens are sorted by the confidence of the model."""
RETURNED = 0.95
"""Recovery from which a sequence counts as having returned."""
NEAR = 0.25
"""Edit distance, a share of the length, within which a generated text counts as a copy of
another."""
PATH_BINS = 20
"""Equal parts of (0, 1] in which the way from noise to text is averaged."""
PATH_TIMES = (0.0, *((i + 0.5) / PATH_BINS for i in range(PATH_BINS)))
"""Where along that way: the last step, at t -> 0, and the middle of each part."""
