"""Masked language models of transformers' own classes, and a real one."""

from __future__ import annotations

import argparse
import json
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import tokenizers
import torch
import transformers
from safetensors.torch import load_file, save_file
from tokenizers import models, pre_tokenizers, processors

import attractor
from attractor import AbsorbingProcess, AttractorError
from attractor.model.denoiser import Frame

V, MASK = 40, 39
SMALL = {
    "vocab_size": V, "hidden_size": 16, "num_hidden_layers": 2, "num_attention_heads": 2,
    "intermediate_size": 24, "max_position_embeddings": 34,
}  # fmt: skip
KINDS: dict[str, dict[str, Any]] = {
    "bert": SMALL,
    "roberta": SMALL,
    "esm": {**SMALL, "position_embedding_type": "rotary", "pad_token_id": 1, "mask_token_id": MASK},
    "electra": {**SMALL, "embedding_size": 8},
    "distilbert": {
        "vocab_size": V, "dim": 16, "n_layers": 2, "n_heads": 2, "hidden_dim": 24,
        "max_position_embeddings": 34,
    },
    "modernbert": {
        **SMALL, "pad_token_id": 0, "cls_token_id": 1, "sep_token_id": 2, "bos_token_id": 1,
        "eos_token_id": 2,
    },
}  # fmt: skip


def made(folder: Path, kind: str, **changes: Any) -> torch.nn.Module:
    """A model of random weights, saved as its library saves it."""
    transformers.utils.logging.disable_progress_bar()
    with torch.random.fork_rng():
        torch.manual_seed(0)
        config = transformers.AutoConfig.for_model(kind, **KINDS[kind])
        model = transformers.AutoModelForMaskedLM.from_config(config).eval()
        with torch.no_grad():
            for parameter in model.parameters():
                parameter += 0.3 * torch.randn(parameter.shape)
        model.save_pretrained(folder)
    told = json.loads((folder / "config.json").read_text()) | changes
    (folder / "config.json").write_text(json.dumps(told))
    return model


def tokens() -> torch.Tensor:
    x = torch.randint(5, MASK, (3, 9), generator=torch.Generator().manual_seed(1))
    x[:, 3] = MASK
    return x


@pytest.mark.parametrize("kind", KINDS)
def test_body_and_head_apart_are_the_model(kind: str, tmp_path: Path) -> None:
    model, x = made(tmp_path, kind), tokens()
    denoiser = attractor.load(tmp_path, device="cpu", mask_id=MASK)
    assert isinstance(denoiser.process, AbsorbingProcess)
    assert denoiser.process.mask_id == MASK
    with torch.no_grad():
        logits = model(input_ids=x, attention_mask=torch.ones_like(x)).logits
    expected = denoiser.process.text.restrict(logits).log_softmax(-1)
    found = denoiser.log_probs(x, torch.zeros(3))
    torch.testing.assert_close(found, expected, rtol=0, atol=1e-5)
    hidden = x == MASK
    torch.testing.assert_close(denoiser.log_probs(x, torch.ones(3), hidden), found[hidden])


def test_padding_is_attended_by_none(tmp_path: Path) -> None:
    made(tmp_path, "roberta")
    denoiser, x = attractor.load(tmp_path, device="cpu", mask_id=MASK), tokens()
    long = torch.nn.functional.pad(x, (0, 4), value=1)
    torch.testing.assert_close(
        denoiser.log_probs(long, torch.zeros(3))[:, :9], denoiser.log_probs(x, torch.zeros(3))
    )


def word_tokenizer(folder: Path, mask: int = MASK, extra: int = 0) -> None:
    """[CLS] and [SEP] around words, the mask at an id of its own, and a gap before it."""
    words = {"[PAD]": 0, "[UNK]": 1, "[CLS]": 2, "[SEP]": 3, "[MASK]": mask}
    words |= {f"w{i}": i for i in range(4, 30 + extra)}
    backend = tokenizers.Tokenizer(models.WordLevel(words, unk_token="[UNK]"))
    backend.pre_tokenizer = pre_tokenizers.Whitespace()
    backend.add_special_tokens(["[PAD]", "[UNK]", "[CLS]", "[SEP]", "[MASK]"])
    backend.post_processor = processors.TemplateProcessing(
        single="[CLS] $A [SEP]", special_tokens=[("[CLS]", 2), ("[SEP]", 3)]
    )
    backend.save(str(folder / "tokenizer.json"))
    (folder / "tokenizer_config.json").write_text(json.dumps({"mask_token": "[MASK]"}))


def test_mask_frame_and_text_are_the_tokenizers(tmp_path: Path) -> None:
    made(tmp_path, "bert")
    word_tokenizer(tmp_path)
    denoiser = attractor.load(tmp_path, device="cpu")
    assert denoiser.process.mask_id == MASK
    assert denoiser.process.text_ids.tolist() == list(range(4, 30))
    assert denoiser.frame == Frame((2,), (3,))
    made_up = attractor.sample(denoiser, 4, 10, steps=4)
    assert (made_up[:, 0] == 2).all()
    assert (made_up[:, -1] == 3).all()
    assert ((made_up[:, 1:-1] >= 4) & (made_up[:, 1:-1] < 30)).all()
    with pytest.raises(AttractorError, match=r"mask_id = 38 was given, but .* says 39"):
        attractor.load(tmp_path, device="cpu", mask_id=38)


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"position_embedding_type": "relative_key"}, "position_embedding_type = 'relative_key'"),
        ({"is_decoder": True}, "is_decoder = True"),
        ({"block_size": 4}, "block_size = 4, which is not understood"),
        ({"model_type": "nobert"}, "model type 'nobert', which transformers does not have"),
        ({"hidden_size": 20}, "is not of the shape|not of the shape|cannot make"),
        ({"num_hidden_layers": 3}, "lacks 'bert.encoder.layer.2"),
        ({"num_hidden_layers": 1}, "has an unknown 'bert.encoder.layer.1"),
        ({"architectures": None}, "of no family that is known"),
        ({"quantization_config": {"bits": 4}}, "quantization_config"),
    ],
)
def test_what_does_not_fit_is_refused_in_one_line(
    changes: dict[str, Any], message: str, tmp_path: Path
) -> None:
    made(tmp_path, "bert", **changes)
    with pytest.raises(AttractorError, match=message) as caught:
        attractor.load(tmp_path, device="cpu", mask_id=MASK)
    assert "\n" not in str(caught.value)


def test_a_tied_output_layer_that_is_stored_is_the_embedding(tmp_path: Path) -> None:
    """It is drawn apart from the embedding here, as no library saves it."""
    made(tmp_path, "roberta")
    tensors = load_file(tmp_path / "model.safetensors")
    body = tensors["roberta.embeddings.word_embeddings.weight"]
    tensors["lm_head.decoder.weight"] = body.clone()
    save_file(tensors, tmp_path / "model.safetensors", metadata={"format": "pt"})
    attractor.load(tmp_path, device="cpu", mask_id=MASK)
    tensors["lm_head.decoder.weight"] = body + 1e-3
    save_file(tensors, tmp_path / "model.safetensors", metadata={"format": "pt"})
    with pytest.raises(AttractorError, match=r"\(tied\), but stores 'lm_head.decoder.weight'"):
        attractor.load(tmp_path, device="cpu", mask_id=MASK)


def test_the_tokenizer_must_be_the_models(tmp_path: Path) -> None:
    made(tmp_path, "bert")
    with pytest.raises(AttractorError, match=r"does not tell mask_id"):
        attractor.load(tmp_path, device="cpu")
    word_tokenizer(tmp_path, mask=38)
    assert attractor.load(tmp_path, device="cpu").process.mask_id == 38
    with pytest.raises(AttractorError, match=r"mask_id = 39 was given, but .* says 38"):
        attractor.load(tmp_path, device="cpu", mask_id=39)
    word_tokenizer(tmp_path, mask=90)
    with pytest.raises(AttractorError, match="mask_id = 90 is outside the vocabulary of 40"):
        attractor.load(tmp_path, device="cpu")


def test_a_head_that_is_not_there_is_not_made_up(tmp_path: Path) -> None:
    made(tmp_path, "bert")
    file = tmp_path / "model.safetensors"
    tensors = load_file(file)
    save_file({k: v for k, v in tensors.items() if "cls." not in k}, file)
    with pytest.raises(AttractorError, match=r"lacks 'cls\.predictions"):
        attractor.load(tmp_path, device="cpu", mask_id=MASK)


@pytest.mark.parametrize(
    ("left_out", "message"),
    [
        ("args.encoder_layers", "does not tell encoder_layers: "),
        ("args.max_positions", "does not tell max_positions: "),
        ("args.encoder_attention_heads", "does not tell n_heads: "),
        ("model", "has no 'model' with the weights by their names"),
        ("model.decoder.sentence_encoder.embed_tokens.weight", "lacks the tensor that is"),
        ("model.decoder.lm_head.bias", "lacks the tensor that is 'lm_head.bias'"),
        ("model.decoder.lm_head.dense.weight", "lacks 'lm_head.dense.bias' one of"),
    ],
)
def test_a_damaged_checkpoint_of_fairseq_is_refused_in_one_line(
    left_out: str, message: str, tmp_path: Path
) -> None:
    told = {
        "arch": "roberta_base", "encoder_layers": 1, "encoder_attention_heads": 2,
        "encoder_ffn_embed_dim": 8, "max_positions": 12,
    }  # fmt: skip
    names = {"embed_tokens.weight": (7, 4), "embed_positions.weight": (14, 4)}
    model = {f"decoder.sentence_encoder.{name}": torch.ones(shape) for name, shape in names.items()}
    model["decoder.lm_head.bias"] = torch.zeros(7)
    model["decoder.lm_head.dense.weight"] = torch.ones(4, 4)
    group, _, name = left_out.partition(".")
    (told if group == "args" else model).pop(name, None)
    content = {"args": argparse.Namespace(**told), "model": model}
    if not name:
        del content[group]
    torch.save(content, tmp_path / "checkpoint.pt")
    (tmp_path / "dict.txt").write_text("A 1\nC 1\n")
    with pytest.raises(AttractorError, match=message) as caught:
        attractor.load(tmp_path / "checkpoint.pt", device="cpu")
    assert "\n" not in str(caught.value)


LETTERS = "ACDEFGHIKLMNPQRSTVWY"
CHAINS = Path(__file__).parents[1] / "data" / "antibodies" / "heavy119.json"


def chains(rows: int) -> np.ndarray:
    """Real heavy chains of antibodies in their frame, as ids of the model."""
    found = json.loads(CHAINS.read_text())[:rows]
    return np.array([[0, *(4 + LETTERS.index(letter) for letter in row), 2] for row in found])


def shuffled(rows: np.ndarray) -> np.ndarray:
    mixed = rows.copy()
    for i, row in enumerate(mixed):
        row[1:-1] = np.random.default_rng(i).permutation(row[1:-1])
    return mixed


@pytest.fixture(scope="module")
def antibody_model() -> attractor.Denoiser:
    """A RoBERTa of 0.57M parameters that was trained on antibodies, from the package that ships
    it; nothing of the package is run."""
    package = find_spec("sapiens")
    if package is None or not package.submodule_search_locations:
        pytest.skip("the package sapiens is not there: make test installs it")
    folder = Path(package.submodule_search_locations[0])
    return attractor.load(folder / "models" / "v1" / "checkpoint_vh.pt", device="cpu")


def test_the_real_model_is_read_as_it_was_written(antibody_model: attractor.Denoiser) -> None:
    process = antibody_model.process
    assert (process.vocab_size, process.mask_id) == (25, 24)
    assert process.text_ids.tolist() == list(range(4, 24))
    assert antibody_model.frame == Frame((0,), (2,))
    # Half of ten real chains behind masks: the likeliest letter is mostly the one that was there,
    # which is 1 in 20 for a model that is read wrongly.
    x = torch.from_numpy(chains(10))
    hidden = torch.rand(x.shape, generator=torch.Generator().manual_seed(0)) < 0.5
    hidden[:, [0, -1]] = False
    shown = torch.where(hidden, 24, x)
    likeliest = antibody_model.log_probs(shown, torch.zeros(10), hidden).argmax(-1)
    assert (likeliest == x[hidden]).double().mean() > 0.6


@pytest.mark.slow
def test_real_chains_return_and_shuffled_ones_do_not(antibody_model: attractor.Denoiser) -> None:
    real, mixed = chains(24), shuffled(chains(24))
    rates = [
        attractor.probes.recovery(antibody_model, rows, 0.15, steps=32).rate
        for rows in (real, mixed)
    ]
    assert rates[0] > 0.5
    assert rates[1] < 0.15
    found = [attractor.probes.calibration(antibody_model, rows) for rows in (real, mixed)]
    assert found[0].kappa < 1.1
    assert found[1].kappa > 1.3
    entropies = [float(x.per_sequence().entropy.mean()) for x in found]
    assert entropies[0] < 1.1
    assert entropies[1] > 2.0
