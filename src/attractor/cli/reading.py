"""How a model and text that are somebody else's are read: options that several commands have."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Literal


@dataclass(frozen=True, kw_only=True)
class Reading:
    """How a model is loaded, and how files of text become rows of it."""

    column: str = "text"
    """Name of the column that holds the text in .jsonl and .parquet files."""
    row: Literal["packed", "document"] = "packed"
    """What a row of text is: "packed", documents one after the other, or "document", each padded to
    the length of a row, for models that know padding."""
    tokenizer: Path | None = None
    """Tokenizer of the model, where none lies beside it."""
    markers: tuple[str, str] | None = None
    """Which tokens of that tokenizer mark the beginning and the end, where it has none of the usual
    ones."""
    weights: Literal["ema", "raw"] = "ema"
    """Which weights of the model: "ema", averaged over training, or "raw", those of the last
    step."""
    revision: str | None = None
    """Branch, tag or commit of a model of the Hub; the newest unless given."""
    family: str | None = None
    """Kind of checkpoint, where it cannot be told from its content; an unknown word is answered
    with those there are."""
    settings: tuple[str, ...] = ()
    """Settings that the checkpoint does not tell, as name=value, such as n_heads=12 seq_len=1024;
    the error names those that are missing."""
    dtype: Literal["float32", "bfloat16", "float16"] | None = None
    """Precision of the weights of a large network; as they are stored unless given."""
    device_map: Literal["auto"] | None = None
    """Spread a large network over all GPUs there are."""


READING = Reading()
