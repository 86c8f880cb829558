from __future__ import annotations

from pathlib import Path

import pytest
import torch
from safetensors.torch import load_file

from attractor import LogLinear, UniformProcess
from attractor.config.presets import preset
from attractor.model.ddit import DDiT
from attractor.model.network import NetworkDenoiser
from attractor.runs.measure import parameter_count

GOLDEN = Path(__file__).parents[1] / "golden"


def golden_network() -> DDiT:
    weights = {
        key.removeprefix("backbone."): value
        for key, value in load_file(GOLDEN / "udlm_hf" / "model.safetensors").items()
    }
    weights.pop("rotary_emb.inv_freq")
    network = DDiT(vocab_size=101, hidden_size=32, n_blocks=2, n_heads=4, cond_dim=16)
    network.load_state_dict(weights)  # strict: the parameter names are the public ones
    return network.eval()


def small_network() -> DDiT:
    torch.manual_seed(0)
    network = DDiT(vocab_size=11, hidden_size=16, n_blocks=2, n_heads=2, cond_dim=8)
    for parameter in network.parameters():
        torch.nn.init.normal_(parameter, std=0.3)
    return network


def test_reproduces_the_outputs_of_a_published_layout() -> None:
    expected = load_file(GOLDEN / "udlm_hf" / "expected.safetensors")
    found = golden_network()(expected["tokens"], expected["sigma"]).log_softmax(-1)
    torch.testing.assert_close(found, expected["log_probs"], rtol=0, atol=1e-5)


@pytest.mark.parametrize(
    ("name", "millions"), [("tiny", 23.7), ("small", 139.3), ("medium", 384.0)]
)
def test_presets_have_the_parameter_counts_of_the_paper(name: str, millions: float) -> None:
    assert round(parameter_count(preset(name), 30_522) / 1e6, 1) == millions


def test_where_picks_the_rows_of_the_full_output() -> None:
    denoiser = NetworkDenoiser(small_network(), UniformProcess(11))
    x_t, t = torch.randint(11, (3, 7)), torch.tensor([0.1, 0.5, 0.9])
    where = torch.rand(3, 7) < 0.4
    where[0, 0] = True
    torch.testing.assert_close(denoiser.log_probs(x_t, t, where), denoiser.log_probs(x_t, t)[where])


def test_rows_at_different_times_do_not_see_each_other() -> None:
    denoiser = NetworkDenoiser(small_network(), UniformProcess(11))
    x_t, t = torch.randint(11, (3, 7)), torch.tensor([0.1, 0.5, 0.9])
    together = denoiser.log_probs(x_t, t)
    for i in range(3):
        torch.testing.assert_close(
            together[i : i + 1], denoiser.log_probs(x_t[i : i + 1], t[i : i + 1])
        )


def test_an_untrained_network_is_uniform() -> None:
    """adaLN-zero: gates and output layer start at zero."""
    network = DDiT(vocab_size=11, hidden_size=16, n_blocks=1, n_heads=2, cond_dim=8)
    denoiser = NetworkDenoiser(network, UniformProcess(11, LogLinear()))
    log_p = denoiser.log_probs(torch.randint(11, (2, 5)), torch.full((2,), 0.3))
    torch.testing.assert_close(log_p.exp(), torch.full_like(log_p, 1 / 11))
    assert not denoiser.network.training
