"""Generative perplexity: how likely a text is under a language model that is not the one being
measured."""

from __future__ import annotations

import importlib
from abc import ABC, abstractmethod
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import torch
from jaxtyping import Int
from numpy.typing import NDArray

from attractor.data.loss import Loss, lost_characters
from attractor.types import AttractorError

Ids = Int[np.ndarray, "..."]
Values = NDArray[np.float64]
Truths = NDArray[np.bool_]


class Judge(ABC):
    """A language model that says how many nats each sequence costs."""

    @abstractmethod
    def nats(self, tokens: Ids, counted: Truths | None = None) -> Values:
        """Nats per token of each sequence, (N, L) to (N,).

        Tokens are those of the measured model, also where the judge splits the text into others.

        Args:
            tokens: the sequences.
            counted: which of the tokens are text and not padding, (N, L); all unless given.
        """


class _Level(NamedTuple):
    """Grams of one length: a context, then a token.

    A gram or context of any length is one integer, a key. It is built from the *place* of a shorter
    one in the sorted table of the level below, and one more token, so that keys stay small.
    """

    contexts: Ids
    """sorted keys: place of the context one token shorter, times V + 1, plus the first token"""
    grams: Ids
    """sorted keys: place of the context, times V, plus the last token"""
    counts: Values
    """how often each gram occurs; below the highest level, how many different tokens come before
    it"""
    discounts: Values
    """what is taken from a count of 0, 1, 2, and 3 or more"""
    total: Values
    """sum of the counts of each context's grams"""
    freed: Values
    """what the discounts took from each context: the weight of the level below"""


class NGramJudge(Judge):
    """Interpolated n-grams with modified Kneser-Ney smoothing (Chen and Goodman, Computer Speech &
    Language 13, 359).

    Args:
        rows: text to learn from, (N, L); grams do not cross rows.
        vocab_size: V, larger than every token.
        order: longest gram.
        counted: which of these tokens are text and not padding, (N, L); all unless given.

    Raises:
        AttractorError: for no text, an order below 1, or tokens outside the vocabulary.
    """

    def __init__(
        self, rows: Ids, vocab_size: int, order: int = 5, counted: Truths | None = None
    ) -> None:
        rows = np.asarray(rows, dtype=np.int64)
        if not rows.size or order < 1 or rows.min() < 0 or rows.max() >= vocab_size:
            raise AttractorError(
                f"{rows.size} tokens, order = {order}: at least 1 of each, tokens below "
                f"{vocab_size}"
            )
        self.vocab_size, self.order = vocab_size, order
        # Of every place in the text: the context of its gram, as a place in the table of contexts.
        # The empty context is the only one of its length.
        there = np.ones(rows.size, dtype=bool) if counted is None else counted.ravel()
        text = rows.ravel()[there]
        context = np.zeros(len(text), dtype=np.int64)
        keys = [np.zeros(1, dtype=np.int64)]
        found = []
        for k in range(1, order + 1):
            gram_keys = context * vocab_size + text
            found.append(np.unique(gram_keys, return_index=True, return_inverse=True))
            # The context of the next level begins a token earlier.
            context_keys = context * (vocab_size + 1) + self._before(rows, k)[there]
            longer, context = np.unique(context_keys, return_inverse=True)
            keys.append(longer)
        self.levels = []
        for k, (grams, _, inverse) in enumerate(found):
            # The longest grams count how often they occur. A shorter one counts in how many
            # different ways it is continued to the left: each different gram of the next level,
            # taken where it first occurs, counts once. So "Francisco", which follows only "San",
            # gets little where the context is unknown, however often it occurs.
            seen = inverse if k + 1 == order else inverse[found[k + 1][1]]
            counts = np.bincount(seen, minlength=len(grams)).astype(np.float64)
            self.levels.append(self._level(keys[k], grams, counts))

    def probabilities(self, tokens: Ids) -> Values:
        """P(token | those before it in its row), (N, L)."""
        tokens = np.asarray(tokens, dtype=np.int64)
        # From the shortest context to the longest, each level mixed with the one below it. A
        # context that the text does not have is -1, and so are all longer ones: there p stays as it
        # is.
        context = np.zeros(tokens.size, dtype=np.int64)
        p = np.full(tokens.size, 1 / self.vocab_size)
        for k, level in enumerate(self.levels):
            if k:
                longer = context * (self.vocab_size + 1) + self._before(tokens, k)
                context = _find(level.contexts, np.where(context < 0, -1, longer))
            gram_keys = context * self.vocab_size + tokens.ravel()
            gram = _find(level.grams, np.where(context < 0, -1, gram_keys))
            count = np.where(gram < 0, 0, level.counts[gram])
            kept = np.maximum(count - level.discounts[np.minimum(count, 3).astype(int)], 0)
            p = np.where(context < 0, p, (kept + level.freed[context] * p) / level.total[context])
        return p.reshape(tokens.shape)

    def nats(self, tokens: Ids, counted: Truths | None = None) -> Values:
        """Nats per token of each sequence."""
        cost = -np.log(self.probabilities(tokens))
        if counted is None or counted.all():
            return cost.mean(1)
        return np.where(counted, cost, 0).sum(1) / counted.sum(1)

    def _before(self, rows: Ids, k: int) -> Ids:
        """The token k places before each; V before the beginning of a row."""
        padded = np.pad(rows, ((0, 0), (k, 0)), constant_values=self.vocab_size)
        return padded[:, : rows.shape[1]].ravel()

    def _level(self, contexts: Ids, grams: Ids, counts: Values) -> _Level:
        # The discounts of Chen and Goodman: D_i = i - (i + 1) Y n_{i+1} / n_i with Y = n_1 / (n_1 +
        # 2 n_2), of the numbers n_i of grams that are counted i times.
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
        self.tokenizer = require_judge(path)
        from transformers import AutoModelForCausalLM

        try:
            self.model = AutoModelForCausalLM.from_pretrained(path, local_files_only=True).eval()
        except (OSError, ValueError) as error:
            raise _no_judge(path, error) from None
        self.decode, self.batch_size = decode, batch_size
        if self.tokenizer.pad_token is None:
            self.tokenizer.pad_token = self.tokenizer.eos_token
        # So that positions count from the beginning of each text.
        self.tokenizer.padding_side = "right"

    @torch.inference_mode()
    def nats(self, tokens: Ids, counted: Truths | None = None) -> Values:
        """Nats of each text under the judge, per token of the measured model; the first of its own
        tokens is given.

        Raises:
            UnknownTextError: if the judge does not know such text.
        """
        found, loss = [], Loss()
        for start in range(0, len(tokens), self.batch_size):
            rows = np.asarray(tokens)[start : start + self.batch_size].tolist()
            texts = [self.decode(row) for row in rows]
            batch = self.tokenizer(texts, return_tensors="pt", padding=True)
            ids, there = batch["input_ids"], batch["attention_mask"][:, 1:]
            loss += _loss(self.tokenizer, texts, ids.tolist())
            if not ids.shape[1]:
                raise AttractorError("the judge was given texts without a token")
            log_p = self.model(**batch).logits[:, :-1].float().log_softmax(-1)
            cost = -log_p.gather(-1, ids[:, 1:, None])[..., 0] * there
            found.append(cost.sum(1).double().numpy())
        loss.require_known("the judged text")
        length = tokens.shape[1] if counted is None else counted.sum(1)
        return np.concatenate(found) / length


def require_judge(path: Path, texts: Sequence[str] = ()) -> Any:
    """The tokenizer of a judge of Hugging Face; refuses one that cannot be loaded, before anything
    is trained for it.

    Args:
        path: folder of the judge.
        texts: some of what it is to judge.

    Raises:
        AttractorError: if the folder is not there or holds no tokenizer, or transformers is not
            installed.
        UnknownTextError: if the judge does not know such text.
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
    from transformers import AutoTokenizer

    try:
        tokenizer = AutoTokenizer.from_pretrained(path, local_files_only=True)
    except (OSError, ValueError) as error:
        raise _no_judge(path, error) from None
    if texts:
        ids = tokenizer(list(texts))["input_ids"]
        _loss(tokenizer, texts, ids).require_known(f"the text that '{path}' is to judge")
    return tokenizer


def _no_judge(path: Path, error: Exception) -> AttractorError:
    return AttractorError(f"'{path}' holds no causal language model: {str(error).splitlines()[0]}")


def _loss(tokenizer: Any, texts: Sequence[str], ids: list[list[int]]) -> Loss:
    """What the tokenizer of a judge lost of some texts."""
    known = [[i for i in row if i != tokenizer.unk_token_id] for row in ids]
    again = tokenizer.batch_decode(known, skip_special_tokens=True)
    # Half a character, as models of bytes write it, is none that a judge has to know.
    whole = [text.replace("\ufffd", "") for text in texts]
    lost, characters = lost_characters(whole, again)
    return Loss(lost=lost, characters=characters)


def _find(sorted_keys: Ids, keys: Ids) -> Ids:
    """Places of keys in a sorted table, -1 where they are not in it."""
    at = np.searchsorted(sorted_keys, keys).clip(max=len(sorted_keys) - 1)
    return np.where(sorted_keys[at] == keys, at, -1)
