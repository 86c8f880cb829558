"""Named GPUs: what their datasheets say they can do."""

from __future__ import annotations

from typing import NamedTuple


class Gpu(NamedTuple):
    """One board."""

    name: str
    flops: float
    """dense bf16 products with float32 sums, per second, without structured sparsity"""
    watts: float
    """board power"""
    memory: float
    """bytes"""
    source: str


UTILISATION = (0.05, 0.35)
"""Shares of the datasheet's rate between which training mostly is: the paper's tiny model reached
5% on an H100 and large models reach about 35%."""
FLOOR = 4e-3
"""Seconds of a call that is too small to fill a board: what the smallest step that was measured on
an H100, recorded as a whole, took."""

GPUS = (
    Gpu("A100 SXM", 312e12, 400, 80e9, "NVIDIA A100 Tensor Core GPU datasheet, 2021"),
    # Their datasheets give the rate with sparsity, of which this is the half.
    Gpu("H100 SXM", 989e12, 700, 80e9, "NVIDIA H100 Tensor Core GPU datasheet, 2023"),
    Gpu("H200 SXM", 989e12, 700, 141e9, "NVIDIA H200 Tensor Core GPU datasheet, 2024"),
    Gpu("L40S", 362e12, 350, 48e9, "NVIDIA L40S datasheet, 2023"),
    Gpu("RTX 4090", 165e12, 450, 24e9, "NVIDIA Ada GPU architecture whitepaper, 2023, appendix A"),
)
