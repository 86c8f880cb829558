"""Generative perplexity: how likely a text is under a language model that is not the one being
measured."""

from __future__ import annotations

import importlib
from abc import ABC, abstractmethod
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import NamedTuple

import numpy as np
import torch
from jaxtyping import Int
from numpy.typing import NDArray

from attractor.types import AttractorError

Ids = Int[np.ndarray, "..."]
Values = NDArray[np.float64]


class Judge(ABC):
    """A language model that says how many nats each sequence costs."""

    @abstractmethod
    def nats(self, tokens: Ids) -> Values:
        """Nats per token of each sequence, (N, L) to (N,); the token is that of the measured
        model."""


class _Level(NamedTuple):
    """Grams of one length: a context, then a token."""

    contexts: Ids
    """sorted keys: the context one token shorter, and its first token"""
    grams: Ids
    """sorted keys: context, and last token"""
    counts: Values
    """of each gram; below the highest level, how many different tokens come before it"""
    discounts: Values
    """taken from counts of 0, 1, 2, and 3 or more"""
    total: Values
    """counts of each context"""
    freed: Values
    """what the discounts took from each context"""


class NGramJudge(Judge):
    """Interpolated n-grams with modified Kneser-Ney smoothing (Chen and Goodman, Computer Speech &
    Language 13, 359).

    Args:
        rows: text to learn from, (N, L); grams do not cross rows.
        vocab_size: V, larger than every token.
        order: longest gram.

    Raises:
        AttractorError: for no text, an order below 1, or tokens outside the vocabulary.
    """

    def __init__(self, rows: Ids, vocab_size: int, order: int = 5) -> None:
        rows = np.asarray(rows, dtype=np.int64)
        if not rows.size or order < 1 or rows.min() < 0 or rows.max() >= vocab_size:
            raise AttractorError(
                f"{rows.size} tokens, order = {order}: at least 1 of each, tokens below "
                f"{vocab_size}"
            )
        self.vocab_size, self.order = vocab_size, order
        context = np.zeros(rows.size, dtype=np.int64)
        keys = [np.zeros(1, dtype=np.int64)]
        found = []
        for k in range(1, order + 1):
            grams, first, inverse = np.unique(
                context * vocab_size + rows.ravel(), return_index=True, return_inverse=True
            )
            found.append((grams, first, inverse))
            longer, context = np.unique(
                context * (vocab_size + 1) + self._before(rows, k), return_inverse=True
            )
            keys.append(longer)
        self.levels = []
        for k, (grams, _, inverse) in enumerate(found):
            seen = inverse if k + 1 == order else inverse[found[k + 1][1]]
            counts = np.bincount(seen, minlength=len(grams)).astype(np.float64)
            self.levels.append(self._level(keys[k], grams, counts))

    def probabilities(self, tokens: Ids) -> Values:
        """P(token | those before it in its row), (N, L)."""
        tokens = np.asarray(tokens, dtype=np.int64)
        context = np.zeros(tokens.size, dtype=np.int64)
        p = np.full(tokens.size, 1 / self.vocab_size)
        for k, level in enumerate(self.levels):
            if k:
                longer = context * (self.vocab_size + 1) + self._before(tokens, k)
                context = _find(level.contexts, np.where(context < 0, -1, longer))
            gram = _find(
                level.grams, np.where(context < 0, -1, context * self.vocab_size + tokens.ravel())
            )
            count = np.where(gram < 0, 0, level.counts[gram])
            kept = np.maximum(count - level.discounts[np.minimum(count, 3).astype(int)], 0)
            p = np.where(context < 0, p, (kept + level.freed[context] * p) / level.total[context])
        return p.reshape(tokens.shape)

    def nats(self, tokens: Ids) -> Values:
        """Nats per token of each sequence."""
        return -np.log(self.probabilities(tokens)).mean(1)

    def _before(self, rows: Ids, k: int) -> Ids:
        """The token k places before each; V before the beginning of a row."""
        return np.pad(rows, ((0, 0), (k, 0)), constant_values=self.vocab_size)[
            :, : rows.shape[1]
        ].ravel()

    def _level(self, contexts: Ids, grams: Ids, counts: Values) -> _Level:
        often = np.array([np.sum(counts == i) for i in range(5)], dtype=np.float64)
        discounts = np.array([0, 0.5, 1, 1.5])  # where there is too little text to estimate them
        if often[1:].all():
            ratio = often[1] / (often[1] + 2 * often[2])
            estimated = [i - (i + 1) * ratio * often[i + 1] / often[i] for i in (1, 2, 3)]
            discounts[1:] = np.clip(estimated, 0.05, [0.95, 1.95, 2.95])
        of = grams // self.vocab_size
        taken = np.minimum(discounts[np.minimum(counts, 3).astype(int)], counts)
        size = len(contexts)
        total, freed = (np.bincount(of, x, size).astype(np.float64) for x in (counts, taken))
        return _Level(contexts, grams, counts, discounts, total, freed)


class HuggingFaceJudge(Judge):
    """A causal language model of the transformers library, loaded from a folder; nothing is
    downloaded.

    Args:
        path: folder of the model and its tokenizer.
        decode: text of a row of the measured model's tokens.
        batch_size: texts in one call.

    Raises:
        AttractorError: if the folder is not there or holds no such model, or transformers is not
            installed.
    """

    def __init__(
        self, path: Path, decode: Callable[[Sequence[int]], str], batch_size: int = 16
    ) -> None:
        require_judge(path)
        from transformers import AutoModelForCausalLM, AutoTokenizer

        try:
            self.tokenizer = AutoTokenizer.from_pretrained(path, local_files_only=True)
            self.model = AutoModelForCausalLM.from_pretrained(path, local_files_only=True).eval()
        except (OSError, ValueError) as error:
            raise AttractorError(
                f"'{path}' holds no causal language model: {str(error).splitlines()[0]}"
            ) from None
        self.decode, self.batch_size = decode, batch_size
        if self.tokenizer.pad_token is None:
            self.tokenizer.pad_token = self.tokenizer.eos_token
        self.tokenizer.padding_side = (
            "right"  # so that positions count from the beginning of each text
        )

    @torch.inference_mode()
    def nats(self, tokens: Ids) -> Values:
        """Nats of each text under the judge, per token of the measured model; the first of its own
        tokens is given."""
        found = []
        for start in range(0, len(tokens), self.batch_size):
            texts = [
                self.decode(row)
                for row in np.asarray(tokens)[start : start + self.batch_size].tolist()
            ]
            batch = self.tokenizer(texts, return_tensors="pt", padding=True)
            ids, there = batch["input_ids"], batch["attention_mask"][:, 1:]
            if not ids.shape[1]:
                raise AttractorError("the judge was given texts without a token")
            log_p = self.model(**batch).logits[:, :-1].float().log_softmax(-1)
            cost = -log_p.gather(-1, ids[:, 1:, None])[..., 0] * there
            found.append(cost.sum(1).double().numpy() / tokens.shape[1])
        return np.concatenate(found)


def require_judge(path: Path) -> None:
    """Refuse a judge of Hugging Face that cannot be loaded, before anything is trained for it.

    Raises:
        AttractorError: if the folder is not there, or transformers is not installed.
    """
    if not Path(path).is_dir():
        raise AttractorError(
            f"the judge '{path}' does not exist: give the folder of a causal language model"
        )
    try:
        importlib.import_module("transformers")
    except ImportError:
        raise AttractorError(
            "a judge of Hugging Face needs transformers: pip install 'attractor[hf]'"
        ) from None


def _find(sorted_keys: Ids, keys: Ids) -> Ids:
    """Places of keys in a sorted table, -1 where they are not in it."""
    at = np.searchsorted(sorted_keys, keys).clip(max=len(sorted_keys) - 1)
    return np.where(sorted_keys[at] == keys, at, -1)
