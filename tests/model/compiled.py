"""What is compiled is the same function, and is compiled a bounded number of times.

A script of its own: the shape checks that other tests install are not for torch.compile.
"""

from __future__ import annotations

import numpy as np
import torch

from attractor import UniformProcess
from attractor.config.settings import TrainConfig
from attractor.model.ddit import DDiT
from attractor.process import fused
from attractor.process.chunked import Tokens
from attractor.train.loop import train

V = 11
ROWS = np.random.default_rng(0).integers(V, size=(40, 8))


def main() -> None:
    the_kernel_of_the_loss()
    plain, compiled = trained(compile=False), trained(compile=True)
    for ours, theirs in zip(compiled.parameters(), plain.parameters(), strict=True):
        torch.testing.assert_close(ours, theirs, atol=1e-4, rtol=1e-3)
    a_new_number_of_rows_is_compiled_once_for_all(compiled.eval())
    print("ok")


def the_kernel_of_the_loss() -> None:
    kernel = torch.compile(fused._nelbo_and_gradient, dynamic=True)
    for vocab, rows in ((17, 24), (1000, 24), (1000, 7)):
        torch.manual_seed(vocab)
        logits, alpha = (
            torch.randn(rows, vocab, dtype=torch.float64),
            torch.linspace(0.01, 0.99, rows).double(),
        )
        tokens = Tokens(
            torch.randint(vocab, (rows,)), torch.randint(vocab, (rows,)), alpha, -alpha, alpha
        )
        gradients = logits.clone(), logits.clone()
        losses = kernel(gradients[0], tokens), fused._nelbo_and_gradient(gradients[1], tokens)
        torch.testing.assert_close(*losses, rtol=1e-12, atol=0)
        torch.testing.assert_close(*gradients, rtol=1e-10, atol=1e-14)


def trained(compile: bool) -> DDiT:
    torch.manual_seed(0)
    network = DDiT(vocab_size=V, hidden_size=16, n_blocks=3, n_heads=2, cond_dim=8, dropout=0.0)
    config = TrainConfig(steps=20, batch_size=5, lr=1e-3, warmup=1, compile=compile)
    train(network, UniformProcess(V), ROWS, config)
    return network


@torch.no_grad()
def a_new_number_of_rows_is_compiled_once_for_all(network: DDiT) -> None:
    x, sigma = torch.randint(V, (9, 8)), torch.rand(9)
    for rows in (5, 4, 1):  # the number seen in training, another, and one: each may be compiled
        network(x[:rows], sigma[:rows])
    with torch.compiler.set_stance("fail_on_recompile"):
        for rows in range(1, 10):
            network(x[:rows], sigma[:rows])


if __name__ == "__main__":
    main()
