"""Distributions at some positions are those of the whole sequence, however they are asked for."""

from __future__ import annotations

import pytest
import torch
from torch import Tensor

from attractor import AttractorError, UniformProcess
from attractor.model.ddit import DDiT
from attractor.model.network import NetworkDenoiser
from attractor.process import reductions
from attractor.process.absorbing import AbsorbingProcess
from attractor.process.forward import ForwardProcess

V = 11


def denoiser(process: ForwardProcess) -> NetworkDenoiser:
    torch.manual_seed(0)
    network = DDiT(vocab_size=V, hidden_size=16, n_blocks=3, n_heads=2, cond_dim=8)
    for parameter in network.parameters():
        torch.nn.init.normal_(parameter, std=0.3)
    return NetworkDenoiser(network, process, seq_len=9)


def some(kind: str) -> Tensor:
    where = torch.zeros(5, 9, dtype=torch.bool)
    if kind == "ragged":  # no position, one, several, all
        where[1, 4] = where[2, [0, 3, 8]] = where[3] = True
    elif kind == "one":
        where[4, 0] = True
    elif kind == "all":
        where[:] = True
    return where


@pytest.mark.parametrize(
    "process", [UniformProcess(V), AbsorbingProcess(V)], ids=["uniform", "absorbing"]
)
@pytest.mark.parametrize("kind", ["none", "ragged", "one", "all"])
def test_at_some_positions(
    process: ForwardProcess, kind: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(reductions, "CHUNK", 4 * V)
    model, where = denoiser(process), some(kind)
    x_t, t = torch.randint(V, (5, 9)), torch.linspace(0.1, 0.9, 5)
    whole = model.log_probs(x_t, t)[where]
    torch.testing.assert_close(model.log_probs(x_t, t, where), whole, atol=2e-5, rtol=1e-5)
    parts = list(model.blocks(x_t, t, where))
    assert len(parts) == max(1, -(-len(whole) // 4))
    torch.testing.assert_close(torch.cat(parts), whole, atol=2e-5, rtol=1e-5)


@pytest.mark.parametrize("kind", ["whole", "none", "ragged", "all"])
@pytest.mark.parametrize("rows", [1, 2, 3])
def test_a_few_rows_at_a_time(rows: int, kind: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """As they are on a CPU, beside all of them at once and GELU as torch has it."""
    monkeypatch.setattr(reductions, "ACTIVATIONS", rows * 9 * 64 / torch.get_num_threads())
    model, where = denoiser(UniformProcess(V)), None if kind == "whole" else some(kind)
    seen = []
    model.network.vocab_embed.register_forward_hook(lambda *at: seen.append(len(at[1][0])))
    x_t, t = torch.randint(V, (5, 9)), torch.linspace(0.1, 0.9, 5)
    found = model.log_probs(x_t, t, where)
    assert max(seen) <= rows
    with torch.enable_grad():
        whole = model.network(x_t, model.process.schedule.sigma(t)).log_softmax(-1).detach()
    wanted = whole if where is None else whole[where]
    torch.testing.assert_close(found, wanted, atol=2e-5, rtol=1e-5)


def test_weights_that_are_no_numbers_are_refused() -> None:
    network = denoiser(UniformProcess(V)).network
    network.output_layer.linear.bias.data[3] = torch.nan
    with pytest.raises(AttractorError, match=r"'output_layer.linear.bias' is not finite"):
        NetworkDenoiser(network, UniformProcess(V))


def test_a_whole_sequence_in_blocks() -> None:
    model = denoiser(UniformProcess(V))
    x_t, t = torch.randint(V, (5, 9)), torch.full((5,), 0.3)
    torch.testing.assert_close(
        torch.cat(list(model.blocks(x_t, t))), model.log_probs(x_t, t).flatten(0, 1)
    )
