"""Every family against golden outputs, made with its authors' code or with a forward pass written
apart."""

from __future__ import annotations

import json
import shutil
from pathlib import Path
from typing import Any

import pytest
import torch
from safetensors.torch import load_file, save_file
from torch import Tensor
from toy import CONFIGS, HEADS, L, V, hub_folder, logits, tokens, weights

import attractor
from attractor import AbsorbingProcess, AttractorError, HybridProcess, UniformProcess, adapters
from attractor.process.hybrid import GiddSchedule

GOLDEN = Path(__file__).parents[1] / "golden"
PAPER = GOLDEN / "am_ld" / "lm1b-toy-0.01.ckpt"


def time_of(sigma: Tensor) -> Tensor:
    """The t at which the log-linear schedule has this sigma."""
    return ((1 - torch.exp(-sigma.double())) / (1 - 1e-3)).float()


def same(found: Tensor, expected: Tensor) -> None:
    torch.testing.assert_close(found, expected.to(found.dtype), rtol=0, atol=1e-5)


@pytest.mark.parametrize("weights", ["ema", "raw"])
def test_the_papers_checkpoints(weights: str) -> None:
    expected = load_file(GOLDEN / "am_ld" / "lm1b-toy-0.01.expected.safetensors")
    denoiser = attractor.load(PAPER, weights=weights)  # type: ignore[arg-type]
    same(
        denoiser.log_probs(expected["tokens"], time_of(expected["sigma"])),
        expected[f"log_probs_{weights}"],
    )
    assert isinstance(denoiser.process, UniformProcess)
    assert denoiser.seq_len == 16


def test_udlm_made_with_its_authors_code() -> None:
    expected = load_file(GOLDEN / "udlm_hf" / "expected.safetensors")
    denoiser = attractor.load(GOLDEN / "udlm_hf")
    same(denoiser.log_probs(expected["tokens"], time_of(expected["sigma"])), expected["log_probs"])
    assert denoiser.process.vocab_size == 101


def test_gidd_made_with_its_authors_code() -> None:
    expected = load_file(GOLDEN / "gidd_hf" / "expected.safetensors")
    denoiser = attractor.load(GOLDEN / "gidd_hf")
    assert isinstance(denoiser.process, HybridProcess)
    assert denoiser.process.mask_id == 100
    assert denoiser.process.schedule == GiddSchedule(101, 0.2, 1e-4)
    found = denoiser.log_probs(expected["tokens"], expected["t"])
    same(found[..., :100], expected["logits"][..., :100].log_softmax(-1))
    assert (found[..., 100] == -torch.inf).all()


@pytest.mark.parametrize("kind", ["duo", "udlm"])
def test_uniform_models_of_the_hub(kind: str, tmp_path: Path) -> None:
    raw = hub_folder(tmp_path, kind)
    denoiser, t = attractor.load(tmp_path), torch.tensor([0.1, 0.5, 0.9])
    sigma = denoiser.process.schedule.sigma(t)
    same(denoiser.log_probs(tokens(), t), logits(raw, tokens(), sigma).log_softmax(-1))
    assert isinstance(denoiser.process, UniformProcess)
    assert (denoiser.process.vocab_size, denoiser.seq_len) == (V, L)


def test_mdlm_is_told_no_time_never_writes_a_mask_and_carries_tokens_over(tmp_path: Path) -> None:
    raw = hub_folder(tmp_path, "mdlm")
    denoiser, mask = attractor.load(tmp_path), V - 1
    assert isinstance(denoiser.process, AbsorbingProcess)
    assert denoiser.process.mask_id == mask
    x_t = tokens()
    hidden = torch.rand(x_t.shape, generator=torch.Generator().manual_seed(2)) < 0.5
    x_t[hidden] = mask
    found = denoiser.log_probs(x_t, torch.tensor([0.1, 0.5, 0.9]))
    expected = logits(raw, x_t, torch.zeros(3))
    expected[..., mask] = -torch.inf
    same(found[hidden], expected.log_softmax(-1)[hidden])
    assert torch.equal(found[~hidden].argmax(-1), x_t[~hidden])
    assert (found[~hidden].amax(-1) == 0).all()
    where = denoiser.log_probs(x_t, torch.tensor([0.1, 0.5, 0.9]), hidden)
    torch.testing.assert_close(where, found[hidden])
    blocks = torch.cat(list(denoiser.blocks(x_t, torch.tensor([0.1, 0.5, 0.9]))))
    torch.testing.assert_close(blocks, found.flatten(0, 1))


def test_the_forward_pass_written_apart_is_that_of_the_authors() -> None:
    """On their UDLM toy, whose shapes it can be given."""
    import toy

    expected = load_file(GOLDEN / "udlm_hf" / "expected.safetensors")
    raw = {
        k.removeprefix("backbone."): v
        for k, v in load_file(GOLDEN / "udlm_hf" / "model.safetensors").items()
    }
    with pytest.MonkeyPatch.context() as patch:
        for name, value in {"V": 101, "H": 32, "HEADS": 4}.items():
            patch.setattr(toy, name, value)
        same(
            toy.logits(raw, expected["tokens"], expected["sigma"]).log_softmax(-1),
            expected["log_probs"],
        )


def test_a_probe_runs_on_somebody_elses_model(tmp_path: Path) -> None:
    hub_folder(tmp_path, "mdlm")
    denoiser = attractor.load(tmp_path)
    found = attractor.probes.recovery(denoiser, tokens(), 0.5, steps=10)
    assert found.unstable_rate == 0
    assert attractor.probes.conditional_entropy(denoiser, tokens()).mean > 0
    with pytest.raises(AttractorError, match="is the denoiser's mask"):
        attractor.probes.recovery(denoiser, torch.full((1, L), V - 1), 0.5)


def lightning(
    path: Path, *, config: dict[str, Any] | None = None, ema: bool = True, legacy: bool = False,
    prefix: str = "backbone.",
) -> Path:  # fmt: skip
    """A Lightning checkpoint whose settings are plain dictionaries."""
    raw, averaged = weights(0), weights(1)
    content: dict[str, Any] = {
        "state_dict": {f"{prefix}{name}": value for name, value in raw.items()}
    }
    if config is not None:
        content["hyper_parameters"] = {"config": config}
    if ema:
        shadow = [value for name, value in averaged.items() if "rotary" not in name]
        content["ema"] = {"decay": 0.9999, "num_updates": 3, "shadow_params": shadow}
    torch.save(content, path, _use_new_zipfile_serialization=not legacy)
    return path


TOLD = {
    "algo": {"name": "duo_base", "time_conditioning": True, "causal_attention": False},
    "noise": {"type": "log-linear", "eps": 1e-3},
    "model": {"length": L, "n_heads": HEADS, "hidden_size": 16, "n_blocks": 2, "cond_dim": 8},
}


@pytest.mark.parametrize(
    ("legacy", "prefix"),
    [(False, "backbone."), (True, "backbone."), (False, "module.backbone._orig_mod.")],
)
def test_averages_are_matched_to_names_in_both_formats(
    tmp_path: Path, legacy: bool, prefix: str
) -> None:
    path = lightning(tmp_path / "a.ckpt", config=TOLD, legacy=legacy, prefix=prefix)
    t = torch.tensor([0.1, 0.5, 0.9])
    for kind, seed in (("raw", 0), ("ema", 1)):
        denoiser = attractor.load(path, kind)  # type: ignore[arg-type]
        sigma = denoiser.process.schedule.sigma(t)
        same(
            denoiser.log_probs(tokens(), t), logits(weights(seed), tokens(), sigma).log_softmax(-1)
        )


def test_what_a_checkpoint_does_not_tell_is_asked_for(tmp_path: Path) -> None:
    path = lightning(tmp_path / "a.ckpt")
    with pytest.raises(
        AttractorError, match=r"does not tell algo, time_conditioning, eps, seq_len: attractor.load"
    ):
        attractor.load(path)
    said = {"algo": "duo", "time_conditioning": True, "eps": 1e-3, "seq_len": L}
    assert isinstance(attractor.load(path, **said).process, UniformProcess)
    with pytest.raises(AttractorError, match="does not tell mask_id"):
        attractor.load(path, **{**said, "algo": "mdlm"})
    assert attractor.load(path, **{**said, "algo": "mdlm"}, mask_id=3).process.mask_id == 3
    with pytest.raises(AttractorError, match="algo = 'sedd' is not supported"):
        attractor.load(path, **{**said, "algo": "sedd"})
    with pytest.raises(AttractorError, match="unknown setting 'heads'"):
        attractor.load(path, **said, heads=2)
    with pytest.raises(AttractorError, match=r"n_heads = 4 was given, but .* says 2"):
        attractor.load(path, **said, n_heads=4)


@pytest.mark.parametrize(
    ("path", "value", "message"),
    [
        ("noise.type", "cosine", "only 'log-linear' is supported"),
        ("algo.causal_attention", True, "only False is supported"),
        ("model.n_blocks", 3, "says n_blocks = 3, but its tensors have 2"),
    ],
)
def test_what_is_not_supported_is_named(
    tmp_path: Path, path: str, value: object, message: str
) -> None:
    group, name = path.split(".")
    config = {**TOLD, group: {**TOLD[group], name: value}}
    with pytest.raises(AttractorError, match=message):
        attractor.load(lightning(tmp_path / "a.ckpt", config=config))


@pytest.mark.parametrize(
    ("kind", "changes", "message"),
    [
        ("udlm", {"n_registers": 4}, "says n_registers = 4, which is not understood"),
        ("mdlm", {"soft_cap": 30.0}, "says soft_cap = 30.0, which is not understood"),
        ("duo", {"rope_theta": 500.0}, "says rope_theta = 500.0: only 10000.0 is supported"),
        ("mdlm", {"adaln": False}, "says adaln = False: only True is supported"),
    ],
)
def test_settings_of_the_hub_that_nobody_heeds_are_refused(
    kind: str, changes: dict[str, Any], message: str, tmp_path: Path
) -> None:
    hub_folder(tmp_path, kind, **changes)
    with pytest.raises(AttractorError, match=message):
        attractor.load(tmp_path)


def test_a_rotary_table_of_another_base_is_refused(tmp_path: Path) -> None:
    tensors = hub_folder(tmp_path, "udlm")
    tensors["rotary_emb.inv_freq"] = 1 / 500 ** (torch.arange(0, 8, 2) / 8)
    save_file({f"backbone.{k}": v for k, v in tensors.items()}, tmp_path / "model.safetensors")
    with pytest.raises(AttractorError, match=r"'rotary_emb.inv_freq' .* base 10,000"):
        attractor.load(tmp_path)


def test_a_family_that_is_named_for_another_layout_is_one_line(tmp_path: Path) -> None:
    hub_folder(tmp_path, "udlm")
    with pytest.raises(AttractorError, match="has no state_dict and so is no Lightning"):
        attractor.load(tmp_path, family="lightning")


def test_a_checkpoint_without_averages_says_so(tmp_path: Path) -> None:
    path = lightning(tmp_path / "a.ckpt", config=TOLD, ema=False)
    with pytest.raises(AttractorError, match="no averaged weights: use weights = 'raw'"):
        attractor.load(path)
    attractor.load(path, "raw")


def test_a_published_model_has_one_set_of_weights(tmp_path: Path) -> None:
    hub_folder(tmp_path, "duo")
    with pytest.raises(AttractorError, match="one set of weights"):
        attractor.load(tmp_path, "raw")


def test_a_configuration_that_contradicts_its_tensors_is_refused(tmp_path: Path) -> None:
    hub_folder(tmp_path, "duo", cond_dim=129)
    with pytest.raises(AttractorError, match="says cond_dim = 129, but its tensors have 8"):
        attractor.load(tmp_path)
    hub_folder(tmp_path, "duo", causal=True)
    with pytest.raises(AttractorError, match="causal = True: such models are not supported"):
        attractor.load(tmp_path)


def test_pickled_and_sharded_weights_of_the_hub(tmp_path: Path) -> None:
    raw, t = hub_folder(tmp_path / "whole", "udlm"), torch.tensor([0.1, 0.5, 0.9])
    expected = attractor.load(tmp_path / "whole").log_probs(tokens(), t)
    named = {f"backbone.{name}": value for name, value in raw.items()}
    for folder in ("pickled", "shards"):
        (tmp_path / folder).mkdir()
        (tmp_path / folder / "config.json").write_text(json.dumps(CONFIGS["udlm"]))
    torch.save(named, tmp_path / "pickled" / "pytorch_model.bin")
    parts = {
        f"model-0000{i}-of-00002.safetensors": dict(list(named.items())[i - 1 :: 2]) for i in (1, 2)
    }
    for file, part in parts.items():
        save_file(part, tmp_path / "shards" / file)
    index = {"weight_map": {name: file for file, part in parts.items() for name in part}}
    (tmp_path / "shards" / "model.safetensors.index.json").write_text(json.dumps(index))
    for folder in ("pickled", "shards"):
        assert torch.equal(attractor.load(tmp_path / folder).log_probs(tokens(), t), expected)


def test_names_are_read_as_they_were_before_torch_compile_and_ddp(tmp_path: Path) -> None:
    raw, t = hub_folder(tmp_path / "hub", "udlm"), torch.tensor([0.1, 0.5, 0.9])
    expected = attractor.load(tmp_path / "hub").log_probs(tokens(), t)
    for before, within in (("_orig_mod.", ""), ("module._orig_mod.", ""), ("", "module.")):
        named = {f"{before}backbone.{within}{name}": value for name, value in raw.items()}
        save_file(named, tmp_path / "hub" / "model.safetensors")
        assert torch.equal(attractor.load(tmp_path / "hub").log_probs(tokens(), t), expected)
    save_file(
        named | {"backbone.blocks.0.norm1.weight": torch.ones(16)},
        tmp_path / "hub" / "model.safetensors",
    )
    with pytest.raises(
        AttractorError, match=r"holds 'backbone\.blocks\.0\.norm1\.weight' twice, wrapped"
    ):
        attractor.load(tmp_path / "hub")


def test_bare_weights_are_read_when_the_family_is_named(tmp_path: Path) -> None:
    path = tmp_path / "weights.safetensors"
    save_file({f"backbone.{name}": value for name, value in weights().items()}, path)
    with pytest.raises(AttractorError, match=r"of no family that is known .*family="):
        attractor.load(path)
    with pytest.raises(AttractorError, match="does not tell seq_len, time_conditioning"):
        attractor.load(path, family="mdlm")
    denoiser = attractor.load(path, family="mdlm", seq_len=L, time_conditioning=False)
    assert denoiser.process.mask_id == V - 1
    with pytest.raises(
        AttractorError, match="family = 'bert': there are run, attractor, lightning"
    ):
        attractor.load(path, family="bert")


def test_a_model_of_the_hub(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The client is asked for settings and weights, never for code; a file is fetched alone."""
    hub_folder(tmp_path / "snapshot", "duo")
    asked: list[tuple[str, Any, Any]] = []

    def snapshot_download(repo: str, revision: str | None, allow_patterns: list[str]) -> str:
        asked.append((repo, revision, allow_patterns))
        return str(tmp_path / "snapshot")

    def hf_hub_download(repo: str, file: str, revision: str | None, local_files_only: bool) -> str:
        assert not local_files_only
        asked.append((repo, revision, file))
        return str(shutil.copy(PAPER, tmp_path / "fetched.ckpt"))

    monkeypatch.setattr("huggingface_hub.snapshot_download", snapshot_download)
    monkeypatch.setattr("huggingface_hub.hf_hub_download", hf_hub_download)
    monkeypatch.setattr("huggingface_hub.HfApi.repo_info", lambda *_, **__: None)
    attractor.load("someone/duo-owt", revision="v1")
    attractor.load("someone/models/tiny/lm1b-tiny-0.01.ckpt")
    assert asked[0][:2] == ("someone/duo-owt", "v1")
    assert not any("py" in pattern or pattern == "*" for pattern in asked[0][2])
    assert asked[1] == ("someone/models", None, "tiny/lm1b-tiny-0.01.ckpt")


def test_without_a_network_the_error_says_what_to_do(monkeypatch: pytest.MonkeyPatch) -> None:
    def snapshot_download(*args: object, **kwargs: object) -> str:
        raise ConnectionError("Name or service not known\nand a long story")

    monkeypatch.setattr("huggingface_hub.snapshot_download", snapshot_download)
    with pytest.raises(
        AttractorError, match=r"'someone/duo' cannot be fetched .*not known\); download it where"
    ):
        attractor.load("someone/duo")


@pytest.mark.parametrize("where", ["a" * 5000, "~nobody-at-all/model"])
def test_what_can_be_no_path_is_one_line(where: str) -> None:
    with pytest.raises(AttractorError, match="is no path"):
        attractor.load(where)


@pytest.mark.parametrize(
    "where", ["no such thing", "/nowhere/at/all", "../up/and/away", "owner/..", "a/b/../c", ""]
)
def test_what_is_neither_a_path_nor_a_hub_id_is_not_looked_for(
    where: str, tmp_path: Path, monkeypatch
) -> None:  # type: ignore[no-untyped-def]
    monkeypatch.chdir(tmp_path)
    for ask in ("HfApi.repo_info", "snapshot_download", "hf_hub_download"):
        monkeypatch.setattr(f"huggingface_hub.{ask}", lambda *_, **__: pytest.fail("asked the Hub"))
    with pytest.raises(
        AttractorError, match=r"neither a file or folder here nor a Hub id|of no family"
    ):
        attractor.load(where)


def test_the_family_of_the_documentation_works(tmp_path: Path) -> None:
    document = (Path(__file__).parents[2] / "docs" / "adapters.md").read_text()
    code = document.split("## A family of your own")[1].split("```python\n")[1].split("```")[0]
    assert len(code.splitlines()) <= 40
    before = dict(adapters.FAMILIES)
    try:
        exec(code, {})
        raw = weights()
        config = {
            "model_type": "my-diffusion",
            "vocab_size": V,
            "width": 16,
            "depth": 2,
            "heads": HEADS,
            "length": L,
        }
        (tmp_path / "config.json").write_text(json.dumps({**config, "cond_dim": 8}))
        save_file(
            {f"model.{name}": value for name, value in raw.items()}, tmp_path / "model.safetensors"
        )
        with pytest.raises(AttractorError, match="does not tell eps"):
            attractor.load(tmp_path)
        denoiser, t = attractor.load(tmp_path, eps=1e-2), torch.tensor([0.1, 0.5, 0.9])
        expected = logits(raw, tokens(), denoiser.process.schedule.sigma(t)).log_softmax(-1)
        same(denoiser.log_probs(tokens(), t), expected)
    finally:
        adapters.FAMILIES.clear()
        adapters.FAMILIES.update(before)
    for name in before:
        assert f"`{name}`" in document
