"""`python -m benchmarks.duo CHECKOUT [SIZE]`: our training step beside the one of Duo's own code.

CHECKOUT is a clone of github.com/s-sahoo/duo (tried at 7c9b498). Its network, noise, loss and
averaged weights are used as they are, in float32, with torch's AdamW as its configuration has it.
Of what it imports only `einops` must be installed: the rotation of flash-attn, which needs a GPU,
is done here, and what a step does not use is replaced by names without content.
"""

from __future__ import annotations

import importlib
import importlib.abc
import importlib.machinery
import sys
import types
from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from attractor import nelbo
from attractor.machine.device import Precision, pick_device
from benchmarks.cases import Bench, device_name, trainer
from benchmarks.sizes import SIZES

UNUSED = {
    *("flash_attn", "hydra", "lightning", "omegaconf", "requests", "timm", "torchmetrics"),
    *("torchvision", "transformers"),
}
"""packages that Duo's modules import and a training step does not use"""


class _Empty(type):
    """A class that is called and inherited from without effect, and has more such inside."""

    def __getattr__(cls, name: str) -> type:
        if name.startswith("__"):
            raise AttributeError(name)
        return _Empty(name, (), {"__init__": lambda self, *_, **__: None})


class _Nothing(types.ModuleType):
    """A module that has a class without content under every name."""

    __path__: tuple[str, ...] = ()

    def __getattr__(self, name: str) -> type:
        return _Empty.__getattr__(_Empty, name)


class _Unused(importlib.abc.MetaPathFinder, importlib.abc.Loader):
    """Finds the packages that need not be there."""

    def find_spec(self, name: str, *_: Any) -> importlib.machinery.ModuleSpec | None:
        return importlib.machinery.ModuleSpec(name, self) if name.split(".")[0] in UNUSED else None

    def create_module(self, spec: importlib.machinery.ModuleSpec) -> types.ModuleType:
        return _Nothing(spec.name)

    def exec_module(self, module: types.ModuleType) -> None:
        pass


def rotated(x: Tensor, cos: Tensor, sin: Tensor) -> Tensor:
    """What flash-attn's `apply_rotary_emb_torch` computes, (B, L, heads, D)."""
    cos, sin = cos[:, None], sin[:, None]
    one, two = x.chunk(2, -1)
    return torch.cat([one * cos - two * sin, one * sin + two * cos], -1)


class Duo:
    """Their network with the weights of ours, and what a training step takes from their code."""

    def __init__(self, checkout: Path, bench: Bench) -> None:
        sys.meta_path.insert(0, _Unused())
        sys.path.insert(0, str(checkout))
        importlib.import_module("flash_attn.layers.rotary").apply_rotary_emb_torch = rotated  # type: ignore[attr-defined]
        self.algo, models = importlib.import_module("algo"), importlib.import_module("models")
        block = bench.network.blocks[0]
        shape = types.SimpleNamespace(
            hidden_size=bench.network.vocab_embed.embedding.shape[1],
            cond_dim=block.adaLN_modulation.in_features,
            n_heads=block.n_heads,
            n_blocks=len(bench.network.blocks),
            dropout=block.dropout,
            scale_by_sigma=False,
        )
        config = types.SimpleNamespace(
            model=shape, algo=types.SimpleNamespace(causal_attention=False)
        )
        self.network = models.dit.DIT(config, bench.size.vocab_size)
        self.network.load_state_dict(bench.network.state_dict(), strict=False)
        self.vocab_size, self.ignore_bos = bench.size.vocab_size, False
        self.average = models.ema.ExponentialMovingAverage

    def noisy(self, x_0: Tensor) -> tuple[Tensor, Tensor, Tensor]:
        """Corrupted rows with alpha and its time derivative, (B, 1)."""
        t = (torch.rand(len(x_0)) / len(x_0) + torch.arange(len(x_0)) / len(x_0)) % 1
        t = (0.999 * t + 1e-3)[:, None]
        # Under the log-linear schedule of their configuration.
        alpha, slope = 1 - 0.999 * t, torch.full_like(t, -0.999)
        return self.algo.DUO_BASE.q_xt(self, x_0, alpha), alpha, slope

    def loss(self, x_0: Tensor, x_t: Tensor, alpha: Tensor, slope: Tensor) -> Tensor:
        """Their NELBO, (B, L), in nats."""
        logits = self.network(x_t, -alpha[:, 0].log())
        return self.algo.DUO_BASE.nll_per_token(
            self, logits.log_softmax(-1), x_t, x_0, alpha, slope
        )

    def trainer(self) -> Callable[[Tensor], None]:
        """One whole training step."""
        parameters = list(self.network.train().parameters())
        optimizer = torch.optim.AdamW(parameters, lr=1e-5, weight_decay=0.0)
        average = self.average(parameters, 0.9999)

        def step(x_0: Tensor) -> None:
            optimizer.zero_grad()
            self.loss(x_0, *self.noisy(x_0)).mean().backward()
            torch.nn.utils.clip_grad_norm_(parameters, 1.0)
            optimizer.step()
            average.update(parameters)

        return step


@torch.no_grad()
def difference(duo: Duo, bench: Bench) -> float:
    """Largest difference of the two losses on the same corrupted rows, relative to their mean."""
    bench.network.eval(), duo.network.eval()
    x_0 = bench.tokens[:2]
    x_t, alpha, slope = duo.noisy(x_0)
    log_probs = bench.network(x_t, -alpha[:, 0].log()).log_softmax(-1)
    ours = nelbo(log_probs, x_t, x_0, alpha[:, 0], slope[:, 0])
    return ((ours - duo.loss(x_0, x_t, alpha, slope)).abs().max() / ours.mean()).item()


def main(checkout: str, size: str = "tiny", *precisions: Precision) -> None:
    bench = Bench(SIZES[size], pick_device("cpu"))
    duo = Duo(Path(checkout), bench)
    print(f"{device_name(bench.device)}; the losses differ by at most {difference(duo, bench):.1e}")
    theirs = partial(duo.trainer(), bench.tokens)
    for precision in precisions or ("float32", "bf16"):
        ours = partial(trainer(bench, "ours", precision), bench.tokens)
        seconds, reference = bench.medians(ours, theirs)
        print(
            f"{size}, training step in {precision}: {seconds:.2f} s, Duo's in float32 "
            f"{reference:.2f} s, {seconds / reference:.3f}"
        )


if __name__ == "__main__":
    main(*sys.argv[1:])
