"""Text goes in and comes out at one place, whatever is measured."""

from __future__ import annotations

import copy

import numpy as np
import pytest
import torch
from torch import Tensor

import attractor
from attractor.data.tokenizer import Tokenizer
from attractor.model.sharpened import Sharpened

LINES = ["abba abba abba", "cab cab"]
ROWS = torch.tensor([[0, 4, 5, 5, 4, 3, 4, 1], [0, 5, 5, 4, 3, 4, 5, 1], [0, 5, 4, 1, 6, 4, 5, 1]])


class Spelling(attractor.Denoiser):
    """Any token is as likely as any other; knows four characters and three markers."""

    def __init__(self, process: attractor.ForwardProcess | None = None) -> None:
        self.tokenizer = Tokenizer.train_characters(LINES)
        self.process = process or attractor.UniformProcess(self.tokenizer.vocab_size)
        self.seq_len = 8

    def log_probs(self, x_t: Tensor, t: Tensor, where: Tensor | None = None) -> Tensor:
        size = self.process.vocab_size
        full = torch.full((*x_t.shape, size), 1 / size).log()
        return full if where is None else full[where]


def test_text_is_cut_and_marked_as_training_text_is() -> None:
    model = Spelling()
    assert torch.equal(model.encode(LINES), ROWS)
    assert model.decode(ROWS) == ["abba a", "bba ab", "bacab"]
    assert torch.equal(model.encode(LINES[0], seq_len=6)[1], torch.tensor([0, 3, 4, 5, 5, 1]))
    assert len(model.encode(LINES[0])) == 2  # 15 tokens, and 6 beside the markers of a row


PROBES = {
    "recovery": lambda model, text: attractor.probes.recovery(model, text, 0.5, 20).recovered,
    "fixed_points": lambda model, text: attractor.probes.fixed_points(model, text, steps=20).stays,
    "entropy": lambda model, text: attractor.probes.conditional_entropy(model, text).per_token,
    "calibration": lambda model, text: attractor.probes.calibration(model, text).nll,
    "likelihood": lambda model, text: attractor.probes.likelihood(model, text, 2).per_token,
    "basin": lambda model, text: attractor.probes.basin_radii(model, text, 2, 20).per_sequence,
}


@pytest.mark.parametrize("probe", PROBES)
def test_every_probe_takes_text(probe: str) -> None:
    measure, model = PROBES[probe], Spelling()
    from_ids = measure(model, ROWS)
    for text in (LINES, tuple(LINES), np.array(LINES)):
        assert torch.equal(measure(model, text), from_ids)


@pytest.mark.parametrize(
    ("text", "complaint"),
    [
        (
            "abba é abba \U0001f600",
            r"does not know 'é' \(U\+00E9\), '\U0001f600' \(U\+1F600\): 2 of",
        ),
        ("cab", "4 tokens do not fill one row: seq_len=8 needs at least 6"),
        ("", "1 tokens do not fill one row"),
        ([], "a list of strings, is wanted"),
    ],
)
def test_text_that_a_model_cannot_take_is_shown(text: object, complaint: str) -> None:
    with pytest.raises(attractor.AttractorError, match=complaint) as error:
        Spelling().encode(text)  # type: ignore[arg-type]
    assert "\n" not in str(error.value)


def test_a_model_without_a_tokenizer_says_how_to_get_one() -> None:
    model = Spelling()
    model.tokenizer = None
    with pytest.raises(attractor.AttractorError, match=r"load\(\.\.\., tokenizer=PATH\)"):
        attractor.probes.recovery(model, "abba abba", 0.5)
    with pytest.raises(attractor.AttractorError, match="comes without a tokenizer"):
        model.decode(ROWS)
    assert "tokenizer: none" in repr(model)


def test_masks_and_ids_beyond_the_tokenizer_are_named() -> None:
    model = Spelling(attractor.AbsorbingProcess(9))
    row = [0, 8, 5, 7, 1]
    assert model.decode(np.array([row])) == ["[MASK]b[7]"]
    assert model.pieces(row) == ["[BOS]", "[MASK]", "b", "[7]", "[EOS]"]
    assert Sharpened(model, 0.5).decode(torch.tensor(row)) == ["[MASK]b[7]"]


def test_what_a_model_writes_prints_as_text_and_is_a_tensor() -> None:
    model = Spelling()
    found = attractor.sample(model, 25, steps=10)
    lines = repr(found).splitlines()
    assert lines[:20] == list(found.texts[:20]) == model.decode(found)[:20]
    assert lines[20] == "... and 5 more"
    assert "and 5 more" in found._repr_html_()
    half = found[:2]
    assert type(half) is Tensor  # so that what is computed of them prints as it is
    assert found.numpy().shape == (25, 8)
    assert copy.copy(found).texts == found.texts
    model.tokenizer = None
    assert type(attractor.sample(model, 2, steps=10)) is Tensor


def test_results_say_what_they_are_in_a_line_and_in_colour() -> None:
    model = Spelling()
    found = attractor.probes.recovery(model, ROWS, 0.9, steps=20)
    assert repr(found).startswith("<Recovery of 3 sequences of 8 tokens at t = 0.9: ")
    shown = found._repr_html_()
    assert shown.count("<table") == 3
    assert "[BOS]" in shown
    changed = int(found.perturbed.sum())
    kinds = found.outcome()
    # Changed tokens are coloured as they are corrupted, and whatever went wrong or came back below.
    right = shown.count("title='returned'") - 1
    wrong = shown.count("title='did not return'") - 1
    assert (right, wrong) == (int((kinds == 1).sum()), int((kinds == 2).sum()) + changed)
    entropy = attractor.probes.conditional_entropy(model, ROWS)
    assert repr(entropy).startswith(
        "<Entropy of 3 sequences of 8 tokens: 1.946 nats per token, 0.0%"
    )
    assert "1.946" in repr(attractor.probes.calibration(model, ROWS))
    assert "nats per token, perplexity" in repr(attractor.probes.likelihood(model, ROWS, 2))
    assert "of the sequences stay" in repr(attractor.probes.fixed_points(model, ROWS, steps=10))
    assert "they return from" in repr(attractor.probes.basin_radii(model, ROWS, 2, 10))
    for text in (repr(model), model._repr_html_()):
        assert "tokens in a row" in text
        assert "uniform" in text


def test_a_shipped_model_knows_its_text() -> None:
    model = attractor.load("reference:n=1024", device="cpu")
    text = "In the beginning God created the heavens and the earth. " * 2
    rows = model.encode(text)
    assert rows.shape == (1, 64)
    assert model.decode(rows)[0] == text[:62]
