"""A tokenizer as the page needs it: what to show for each token, and how to make tokens of what
somebody types."""

from __future__ import annotations

import json
from typing import Any

from attractor.data.tokenizer import Tokenizer

SIGNS = {"\n": "↵", "\t": "⇥", "\r": "↵"}
BEGIN, END, UNKNOWN, MASK = "▸", "¶", "□", "▒"
"""What stands on the page for tokens that are no text."""


def signs(tokenizer: Tokenizer, vocab_size: int) -> list[str]:
    """What is shown for each token of a model: text with its leading space, or a sign."""
    special = {tokenizer.unk_id: UNKNOWN, tokenizer.bos_id: BEGIN, tokenizer.eos_id: END}
    shown = []
    for token in range(vocab_size):
        if token in special:
            shown.append(special[token])
        elif token >= tokenizer.vocab_size:
            shown.append(MASK)  # the one id that a process adds
        else:
            piece = tokenizer.pieces([token])[0]
            shown.append("".join(SIGNS.get(c, c) for c in piece) or UNKNOWN)
    return shown


def spelling(tokenizer: Tokenizer) -> dict[str, Any] | None:
    """What js/tokenizer.js needs; None for a tokenizer of another kind, with which nothing can be
    typed on the page."""
    said = json.loads(tokenizer._backend.to_str())
    model, before = said["model"], said["pre_tokenizer"]
    if model["type"] != "BPE" or said["normalizer"] is not None:
        return None
    vocabulary = dict(model["vocab"])
    if before is None and not model["merges"]:
        return {"kind": "characters", "unknown": tokenizer.unk_id, "vocabulary": vocabulary}
    if before is not None and before["type"] == "ByteLevel" and not before["add_prefix_space"]:
        merges = [m.split(" ") if isinstance(m, str) else m for m in model["merges"]]
        return {"kind": "bytes", "vocabulary": vocabulary, "merges": merges}
    return None
