from __future__ import annotations

import sys
from pathlib import Path

import numpy as np
import pytest
import torch

from attractor import AttractorError
from attractor.data.loss import UnknownTextError
from attractor.probes import HuggingFaceJudge, NGramJudge, require_judge
from attractor.theory.sources import random_source


def test_probabilities_sum_to_one_also_after_what_was_never_seen() -> None:
    rng = np.random.default_rng(0)
    judge = NGramJudge(rng.integers(0, 5, (40, 6)), 7, order=4)
    for before in ([0, 1, 2], [6, 6, 6], [5, 1, 0]):
        queries = np.array([[*before, token] for token in range(7)])
        assert judge.probabilities(queries)[:, 3].sum() == pytest.approx(1)
        assert judge.probabilities(queries[:, 3:])[:, 0].sum() == pytest.approx(1)


def test_two_words_by_hand() -> None:
    """One row `0 1`, order 2. Bigrams (begin, 0) and (0, 1) occur once: discount 0.5, half of the
    mass backs off.

    Each unigram follows one token: (1 - 0.5) / 2 + 0.5 / V at the lower level, V = 2.
    """
    judge = NGramJudge(np.array([[0, 1]]), 2, order=2)
    unigram = (1 - 0.5) / 2 + 0.5 / 2
    assert judge.probabilities(np.array([[0, 1]])).tolist() == [
        pytest.approx([0.5 + 0.5 * unigram] * 2)
    ]


def test_judge_of_a_markov_source_finds_its_entropy() -> None:
    """Bigrams from 64,000 tokens: within 3% of the exact cost of fresh text, and 5-grams are not
    much worse."""
    source = random_source(12, 0.3, seed=0)
    rows, fresh = source.sample(2000, 32, seed=1).numpy(), source.sample(300, 32, seed=2)
    exact = source.nll(fresh).mean().item() / 32
    assert NGramJudge(rows, 12, order=2).nats(fresh.numpy()).mean() == pytest.approx(
        exact, rel=0.03
    )
    assert NGramJudge(rows, 12, order=5).nats(fresh.numpy()).mean() == pytest.approx(
        exact, rel=0.08
    )
    assert (
        NGramJudge(rows, 12).nats(rows[:9]).mean() < NGramJudge(rows[50:], 12).nats(rows[:9]).mean()
    )


def test_bad_input_is_named(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    with pytest.raises(AttractorError, match="order = 0"):
        NGramJudge(np.zeros((2, 3), dtype=np.int64), 4, order=0)
    with pytest.raises(AttractorError, match="tokens below 4"):
        NGramJudge(np.full((2, 3), 4), 4)
    with pytest.raises(AttractorError, match="does not exist"):
        HuggingFaceJudge(tmp_path / "nowhere", str)
    monkeypatch.setitem(sys.modules, "transformers", None)
    with pytest.raises(AttractorError, match=r"pip install 'attractor\[hf\]'"):
        HuggingFaceJudge(tmp_path, str)


def test_a_hugging_face_model_judges_from_disk(tmp_path: Path) -> None:
    transformers = pytest.importorskip("transformers")
    from tokenizers import Tokenizer, models, pre_tokenizers

    words = {"<eos>": 0, "a": 1, "b": 2, "c": 3}
    backend = Tokenizer(models.WordLevel(words, unk_token="<eos>"))
    backend.pre_tokenizer = pre_tokenizers.WhitespaceSplit()
    tokenizer = transformers.PreTrainedTokenizerFast(
        tokenizer_object=backend, eos_token="<eos>", padding_side="left"
    )
    tokenizer.save_pretrained(tmp_path)
    torch.manual_seed(0)
    shape = transformers.GPT2Config(vocab_size=4, n_positions=16, n_embd=8, n_layer=1, n_head=1)
    model = transformers.GPT2LMHeadModel(shape).eval()
    model.save_pretrained(tmp_path)
    judge = HuggingFaceJudge(tmp_path, lambda row: " ".join("abc"[i] for i in row if i < 3))
    rows = np.array(
        [[0, 1, 2], [2, 2, 1], [1, 0, 3]]
    )  # the last one is a word shorter, and padded beside the others

    def nats(words: list[int]) -> float:
        ids = torch.tensor([words])
        return float(model(ids, labels=ids).loss.detach()) * (len(words) - 1) / 3

    expected = [nats([i + 1 for i in row if i < 3]) for row in rows.tolist()]
    assert judge.nats(rows).tolist() == pytest.approx(expected, rel=1e-4)

    # Of a word that it does not know a judge can say nothing; a few are let pass.
    strange = HuggingFaceJudge(tmp_path, lambda row: "a " * 6 + "unheard")
    with pytest.raises(UnknownTextError, match="drops 54% of the characters of the judged text"):
        strange.nats(rows)
    with pytest.raises(UnknownTextError, match="drops 100% of the characters of the text that"):
        require_judge(tmp_path, ["unheard of"])
    assert require_judge(tmp_path, ["a b c \ufffd"]).unk_token_id == tokenizer.unk_token_id
