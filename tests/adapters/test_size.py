"""Large networks: planned without a number, read without a second copy, in another precision, over
devices, and from shards that are not what they say."""

from __future__ import annotations

import json
import shutil
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
import torch
from safetensors.torch import load_file, save_file
from torch import Tensor

import attractor
from attractor import AttractorError
from attractor.audits.measure import Effort
from attractor.audits.plan import lines, plan_audit
from attractor.cli import main
from attractor.machine.gpus import FLOOR, GPUS
from attractor.model.encoder import EncoderDenoiser
from attractor.process.calls import reverse_calls

GOLDEN = Path(__file__).parents[1] / "golden"
INDEX = "model.safetensors.index.json"
TEN_BILLION = {
    "hidden_size": 4096, "intermediate_size": 16_384, "num_hidden_layers": 46,
    "num_attention_heads": 32, "head_dim": 128, "vocab_size": 131_072,
    "max_position_embeddings": 2048, "torch_dtype": "bfloat16",
}  # fmt: skip


def gidd(folder: Path, **changes: Any) -> Path:
    folder.mkdir()
    config = json.loads((GOLDEN / "gidd_scaled_uniform" / "config.json").read_text()) | changes
    (folder / "config.json").write_text(json.dumps(config))
    return folder


def shards(folder: Path, tensors: dict[str, Tensor], count: int = 3) -> dict[str, str]:
    """Tensors in files of their own, and the index of them."""
    names = [f"model-{i + 1:05}-of-{count:05}.safetensors" for i in range(count)]
    where = {name: names[i % count] for i, name in enumerate(tensors)}
    for file in names:
        save_file({n: t for n, t in tensors.items() if where[n] == file}, folder / file)
    (folder / INDEX).write_text(json.dumps({"weight_map": where}))
    return where


def test_a_small_network_takes_some_time_on_a_fast_gpu() -> None:
    """Its calls are so many that no board is through in 0.0 minutes."""
    network = attractor.load("reference:n=8")
    plan = plan_audit(network, 64, Effort(n=1000, steps=64))
    assert all(plan.minutes(gpu) >= FLOOR * plan.rows / 64 / 60 > 0.05 for gpu in GPUS)
    few = plan_audit(network, 64, Effort(n=2, steps=1))
    assert not any(" 0.0 minutes" in line for line in [*lines(plan), *lines(few)])


def test_ten_billion_parameters_are_planned_without_one(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    folder = gidd(tmp_path / "gidd", **TEN_BILLION)
    denoiser = attractor.load(folder, device="meta", seq_len=512)
    assert isinstance(denoiser, EncoderDenoiser)
    effort = Effort(n=100, steps=32)
    plan = plan_audit(denoiser, 512, effort)
    layer = 4 * 4096**2 + 2 * 4096 * 16_384 + 4 * 4096 + 2 * 4096
    assert plan.parameters == 2 * 131_072 * 4096 + 46 * layer + 4096
    assert 10e9 < plan.parameters < 11e9
    # Two bytes each, a block of logits in float32, and twelve activations of 64 rows.
    inside = 4 * 2**26 + 12 * 64 * 512 * 4096 * 2
    assert plan.memory == 2 * plan.parameters + inside
    assert plan.dtype == "bfloat16"
    # One pass a row for entropies, and the passes of the reverse process.
    process = denoiser.process
    rows = 100 * (1 + reverse_calls(process, 1.0, 32, 512).events)
    rows += 200 * reverse_calls(process, 0.5, 32, 512).events
    assert plan.rows == pytest.approx(rows, abs=1)
    assert plan.flops == pytest.approx(2 * rows * 512 * 46 * layer, rel=0.05)
    assert [plan.count(gpu) for gpu in GPUS] == [1, 1, 1, 1, 2]
    assert main(["audit", str(folder), "--dry-run", "--settings", "seq_len=512"]) == 0
    said = capsys.readouterr().out
    assert "10," in said
    assert all(gpu.name in said for gpu in GPUS)
    assert [path.name for path in tmp_path.iterdir()] == ["gidd"]


def test_behind_masks_the_plan_counts_the_tokens_that_are_read(tmp_path: Path) -> None:
    for folder in ("gidd_scaled_mask", "llada", "dream"):
        denoiser = attractor.load(GOLDEN / folder, device="meta")
        whole = plan_audit(denoiser, 12, Effort(n=1000, steps=2, positions=12))
        some = plan_audit(denoiser, 12, Effort(n=1000, steps=2, positions=3))
        assert whole.rows - some.rows == 9 * 1000
    assert len(lines(whole)) == 2 + len(GPUS)


def test_precision_is_that_of_the_file_or_the_one_asked_for(tmp_path: Path) -> None:
    x, t = load_file(GOLDEN / "llada" / "expected.safetensors")["tokens"], torch.zeros(3)
    plain = attractor.load(GOLDEN / "llada", device="cpu").log_probs(x, t)
    half = attractor.load(GOLDEN / "llada", device="cpu", dtype="bfloat16")
    assert isinstance(half, EncoderDenoiser)
    assert {p.dtype for p in half.encoder.parameters()} == {torch.bfloat16}  # type: ignore[attr-defined]
    found = half.log_probs(x, t)
    assert found.dtype == torch.float32
    finite = plain.isfinite()
    assert 0 < (found - plain)[finite].abs().max() < 0.2
    shutil.copytree(GOLDEN / "llada", tmp_path / "stored")
    tensors = load_file(GOLDEN / "llada" / "model.safetensors")
    save_file(
        {name: value.bfloat16() for name, value in tensors.items()},
        tmp_path / "stored" / "model.safetensors",
    )
    stored = attractor.load(tmp_path / "stored", device="cpu")
    assert torch.equal(stored.log_probs(x, t), found)
    norms = {name: value if "norm" in name else value.bfloat16() for name, value in tensors.items()}
    save_file(norms, tmp_path / "stored" / "model.safetensors")
    with pytest.raises(AttractorError, match="as bfloat16 and as float32: say which"):
        attractor.load(tmp_path / "stored", device="cpu")
    attractor.load(tmp_path / "stored", device="cpu", dtype="float32")
    with pytest.raises(AttractorError, match="dtype = 'int4': there are float32"):
        attractor.load(GOLDEN / "llada", dtype="int4")
    with pytest.raises(AttractorError, match="are not for the family 'duo'"):
        attractor.load(GOLDEN / "udlm_hf", device="cpu", dtype="bfloat16")


@pytest.mark.parametrize("spread", ["auto", {"": "cpu"}, {"model": "cpu", "lm_head": "cpu"}])
def test_a_network_is_spread_over_devices(spread: Any) -> None:
    x, t = load_file(GOLDEN / "gidd_scaled_mask" / "expected.safetensors")["tokens"], torch.zeros(3)
    found = attractor.load(GOLDEN / "gidd_scaled_mask", device="cpu", device_map=spread)
    plain = attractor.load(GOLDEN / "gidd_scaled_mask", device="cpu")
    torch.testing.assert_close(found.log_probs(x, t), plain.log_probs(x, t))


def test_a_device_map_must_know_every_weight() -> None:
    with pytest.raises(AttractorError, match=r"says no device for 'lm_head\.weight'"):
        attractor.load(GOLDEN / "llada", device="cpu", device_map={"model": "cpu"})
    with pytest.raises(AttractorError, match="device_map = 'balanced': there is 'auto'"):
        attractor.load(GOLDEN / "llada", device="cpu", device_map="balanced")


def test_shards_are_what_their_index_says(tmp_path: Path) -> None:
    shutil.copytree(GOLDEN / "gidd_scaled_mask", tmp_path / "model")
    folder, file = tmp_path / "model", tmp_path / "model" / "model.safetensors"
    tensors = load_file(file)
    x, t = load_file(folder / "expected.safetensors")["tokens"], torch.zeros(3)
    plain = attractor.load(folder, device="cpu").log_probs(x, t)
    file.unlink()
    where = shards(folder, tensors)
    assert torch.equal(attractor.load(folder, device="cpu").log_probs(x, t), plain)

    def refused(message: str) -> None:
        with pytest.raises(AttractorError, match=message) as caught:
            attractor.load(folder, device="cpu")
        assert "\n" not in str(caught.value)

    first, second = (folder / f"model-0000{i}-of-00003.safetensors" for i in (1, 2))
    save_file(load_file(second) | {"lm_head.weight": tensors["lm_head.weight"]}, second)
    if where["lm_head.weight"] == second.name:
        save_file(load_file(first) | {"lm_head.weight": tensors["lm_head.weight"]}, first)
    refused("holds 'lm_head.weight' twice")
    shards(folder, tensors)
    second.rename(folder / "away.safetensors")
    refused("cannot be read as safetensors")
    shards(folder, tensors)
    (folder / INDEX).write_text(json.dumps({"weight_map": where | {"more": "../x.safetensors"}}))
    refused("must be a plain")
    (folder / INDEX).write_text(json.dumps({"weight_map": where | {"more.weight": first.name}}))
    refused("promises 'more.weight'")
    shards(folder, tensors | {"model.norm.weight": torch.zeros(24, dtype=torch.int8)})
    refused("is int8")
    shards(folder, tensors | {"model.norm.weight": torch.full((24,), torch.nan)})
    refused("not finite")


PEAK = """
import attractor
def peak():  # of this process alone: what resource tells is handed down from who started it
    status = open("/proc/self/status").read()
    return int(status.split("VmHWM:")[1].split()[0]) * 1024
attractor.load({small!r}, device="cpu")
before = peak()
attractor.load({large!r}, device="cpu")
print(peak() - before)
"""


@pytest.mark.slow
@pytest.mark.skipif(sys.platform != "linux", reason="Linux tells the peak of one process")
def test_a_gigabyte_is_read_without_a_second_copy(tmp_path: Path) -> None:
    folder = gidd(
        tmp_path / "large", hidden_size=1024, intermediate_size=4096, num_hidden_layers=18,
        num_attention_heads=8, head_dim=128, vocab_size=16_384,
    )  # fmt: skip
    denoiser = attractor.load(folder, device="meta")
    assert isinstance(denoiser, EncoderDenoiser)
    shapes = {n: p.shape for n, p in denoiser.encoder.named_parameters()}  # type: ignore[attr-defined]
    shards(folder, {name: torch.full(shape, 0.01) for name, shape in shapes.items()}, 5)
    size = sum(file.stat().st_size for file in folder.glob("*.safetensors"))
    assert 0.9e9 < size < 1.2e9
    code = PEAK.format(small=str(GOLDEN / "gidd_scaled_mask"), large=str(folder))
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert int(done.stdout) < 1.2 * size
