"""A training step on a GPU, recorded once and then launched as a whole.

A step of a small model is about a thousand kernels of a few microseconds each, and launching them
one by one takes longer than running them. A CUDA graph launches all of them at once.
"""

from __future__ import annotations

from collections.abc import Callable

import torch
from torch import Tensor

from attractor.train.objective import NoisyBatch

WARM_UP = 3
"""Steps that are taken kernel by kernel before the recording: they make the optimizer's moments,
compile what is compiled, and find out what fits into memory."""

Take = Callable[[NoisyBatch, int], Tensor]
"""Moves the weights by a batch under a seed of dropout, and returns the loss, on the device."""


class GraphedStep:
    """What `take` does, kernel for kernel, as a CUDA graph.

    Whatever changes from step to step must lie in tensors: the batch is copied into those that were
    recorded, and `take` must read learning rate and the like from tensors of the device. A batch of
    other shapes, as at the end of a curriculum, is recorded anew.

    Args:
        take: the step; it neither reads numbers back from the device nor depends on anything but
            tensors, batch and seed.
    """

    def __init__(self, take: Take) -> None:
        self.take = take
        self.stream = torch.cuda.Stream()
        self.shapes: list[torch.Size] = []
        self.warm = 0
        self.graph: torch.cuda.CUDAGraph | None = None
        self.batch: NoisyBatch
        self.loss: Tensor

    def __call__(self, batch: NoisyBatch, seed: int) -> Tensor:
        """Take the step; the loss, nats per token, on the device."""
        shapes = [field.shape for field in batch]
        if shapes != self.shapes:
            self.shapes, self.warm, self.graph = shapes, 0, None
        if self.warm < WARM_UP:
            self.warm += 1
            return self._aside(batch, seed)
        if self.graph is None:
            self.graph = self._record(batch, seed)
        for recorded, field in zip(self.batch, batch, strict=True):
            recorded.copy_(field)
        torch.manual_seed(seed)  # a graph draws dropout from the generator as it is when launched
        self.graph.replay()
        return self.loss.clone()

    def _aside(self, batch: NoisyBatch, seed: int) -> Tensor:
        # On the stream of the recording, since libraries make their workspaces for each stream.
        here = torch.cuda.current_stream()
        self.stream.wait_stream(here)
        with torch.cuda.stream(self.stream):
            loss = self.take(batch, seed)
        here.wait_stream(self.stream)
        return loss

    def _record(self, batch: NoisyBatch, seed: int) -> torch.cuda.CUDAGraph:
        self.batch = NoisyBatch(*(field.clone() for field in batch))
        graph = torch.cuda.CUDAGraph()
        torch.manual_seed(seed)  # a seed may be set again while recording, but not changed
        with torch.cuda.graph(graph, stream=self.stream):
            self.loss = self.take(self.batch, seed)
        return graph
