"""The fused output layer and NELBO against float64 autograd of the plain formula."""

from __future__ import annotations

from typing import NamedTuple

import pytest
import torch
from torch import Tensor

from attractor.process import reductions
from attractor.process.fused import nelbo_loss
from attractor.process.nelbo import nelbo


class Batch(NamedTuple):
    """Arguments of `nelbo_loss`: float64 that holds float32 values, so that rounding the arguments
    costs nothing."""

    hidden: Tensor
    weight: Tensor
    bias: Tensor
    x_t: Tensor
    x_0: Tensor
    alpha_t: Tensor
    dalpha_t: Tensor
    row_weight: Tensor


def batch(vocab: int, rows: int = 24, width: int = 16, sharpness: float = 1.0) -> Batch:
    """Random tokens at times in [1e-3, 1]; half of the noisy tokens are the clean ones."""
    g = torch.Generator().manual_seed(vocab)
    hidden, weight, bias = (
        torch.randn(s, generator=g) for s in ((rows, width), (vocab, width), (vocab,))
    )
    x_0, other = torch.randint(vocab, (2, rows), generator=g)
    t = torch.linspace(1e-3, 1, rows)
    x_t = torch.where(torch.arange(rows) % 2 == 0, x_0, other)
    row_weight = torch.rand(rows, generator=g) / rows
    b = Batch(
        hidden,
        sharpness * weight,
        bias,
        x_t,
        x_0,
        1 - 0.999 * t,
        torch.full_like(t, -0.999),
        row_weight,
    )
    return Batch(*(x.double() if x.is_floating_point() else x for x in b))


def reference(b: Batch) -> tuple[Tensor, ...]:
    """Loss and gradients by autograd."""
    leaves = [x.clone().requires_grad_() for x in b[:3]]
    log_p = torch.nn.functional.linear(*leaves).log_softmax(-1)
    per_token = nelbo(log_p[:, None], b.x_t[:, None], b.x_0[:, None], b.alpha_t, b.dalpha_t)[:, 0]
    loss = (b.row_weight * per_token).sum()
    return loss.detach(), *torch.autograd.grad(loss, leaves)


def ours(b: Batch, dtype: torch.dtype, scale: float = 1.0) -> tuple[Tensor, ...]:
    """The same by the fused function, at `scale` times the loss."""
    cast = Batch(*(x.to(dtype) if x.is_floating_point() else x for x in b))
    leaves = [x.clone().requires_grad_() for x in cast[:3]]
    loss = nelbo_loss(*leaves, *cast[3:])
    return loss.detach(), *(g / scale for g in torch.autograd.grad(scale * loss, leaves))


def errors(found: tuple[Tensor, ...], expected: tuple[Tensor, ...]) -> list[float]:
    """Relative to the norm of the whole tensor."""
    return [
        ((a.double() - b).norm() / b.norm()).item() for a, b in zip(found, expected, strict=True)
    ]


@pytest.fixture(autouse=True)
def several_chunks(monkeypatch: pytest.MonkeyPatch) -> None:
    """Chunks and blocks so small that every vocabulary needs several, and the last of them are not
    full."""
    monkeypatch.setattr(reductions, "CHUNK", 200_000)
    monkeypatch.setattr(reductions, "BLOCK", 70_000)


@pytest.mark.parametrize("sharpness", [1e-3, 0.3, 3.0])
@pytest.mark.parametrize("vocab", [2, 3, 17, 1000, 30_522])
def test_float32_agrees_with_float64_autograd(vocab: int, sharpness: float) -> None:
    """From the nearly uniform logits of an untrained network to nearly certain ones."""
    b = batch(vocab, sharpness=sharpness)
    assert max(errors(ours(b, torch.float32), reference(b))) < 1e-5


@pytest.mark.parametrize("vocab", [2, 17, 1000])
def test_float64_is_exact(vocab: int) -> None:
    b = batch(vocab)
    assert max(errors(ours(b, torch.float64), reference(b))) < 1e-12


def test_the_incoming_gradient_scales_all_three() -> None:
    b = batch(17)
    assert max(errors(ours(b, torch.float64, scale=-2.5), reference(b))) < 1e-12


@pytest.mark.parametrize("size", [1, 40, 200_000])
def test_the_chunk_does_not_matter(size: int, monkeypatch: pytest.MonkeyPatch) -> None:
    b = batch(17)
    monkeypatch.setattr(reductions, "CHUNK", size)
    monkeypatch.setattr(reductions, "BLOCK", max(1, size // 2))
    assert max(errors(ours(b, torch.float64), reference(b))) < 1e-12


def test_without_a_bias() -> None:
    b = batch(17)
    b = b._replace(bias=torch.zeros_like(b.bias))
    weight = b.weight.clone().requires_grad_()
    loss = nelbo_loss(b.hidden, weight, None, *b[3:])
    found = (loss.detach(), *torch.autograd.grad(loss, weight))
    expected = reference(b)
    assert max(errors(found, (expected[0], expected[2]))) < 1e-12


@pytest.mark.parametrize("vocab", [17, 1000, 30_522])
def test_bf16_products_cost_two_digits(vocab: int) -> None:
    """bf16 carries 8 bits, 0.4%: of the three products, and of the logits before the softmax."""
    b = batch(vocab, sharpness=0.3)
    with torch.autocast("cpu", torch.bfloat16):
        found = ours(b, torch.float32)
    assert all(f.dtype == torch.float32 for f in found)
    loss, *gradients = errors(found, reference(b))
    assert loss < 2e-3
    assert max(gradients) < 2e-2


def test_logits_are_not_kept() -> None:
    """Between forward and backward nothing of the size (M, V) is alive."""
    b = batch(1000, rows=64)
    leaves = [x.requires_grad_() for x in b[:3]]
    loss = nelbo_loss(*leaves, *b[3:])
    kept = loss.grad_fn.saved_tensors  # type: ignore[union-attr]
    assert [tuple(x.shape) for x in kept] == [(64, 16), (1000, 16), (1000,)]
