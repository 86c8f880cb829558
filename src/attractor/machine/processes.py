"""The cores of this machine, and the processes that share the work."""

from __future__ import annotations

import contextlib
import functools
import os
from collections.abc import Iterable, Iterator
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    import torch
    from torch import Tensor


def cores() -> int:
    """Cores this process may use."""
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1


class Processes:
    """The processes that share a training run and its measurements: one, unless a launcher started
    several.

    What is called in one of them must be called in all: they wait for each other.

    Args:
        accelerator: of Hugging Face accelerate, where there are several.
    """

    def __init__(self, accelerator: Any = None) -> None:
        self.accelerator = accelerator
        self.rank: int = accelerator.process_index if accelerator else 0
        self.count: int = accelerator.num_processes if accelerator else 1
        self.is_main = self.rank == 0

    def share(self, n: int) -> slice:
        """Which of n rows are this process's: consecutive ones, and as many as every other process
        has, give or take one."""
        return slice(n * self.rank // self.count, n * (self.rank + 1) // self.count)

    def total(self, part: Tensor) -> Tensor:
        """Sum of a tensor over processes; each of them gets it."""
        return part if self.count == 1 else self.accelerator.reduce(part, "sum")

    def joined(self, part: Tensor, n: int) -> Tensor:
        """All n rows, of which each process has its share; each of them gets all."""
        if self.count == 1:
            return part
        # A sum in which all terms but one are zero: shares may differ by a row, which a gather of
        # equal parts would not take.
        whole = part.new_zeros(n, *part.shape[1:])
        whole[self.share(n)] = part
        return self.total(whole)

    def largest(self, value: int) -> int:
        """Largest of one number over processes; each of them gets it."""
        if self.count == 1:
            return value
        import torch

        return int(
            self.accelerator.gather(torch.tensor([value], device=self.accelerator.device)).max()
        )

    def shards(self, wish: bool) -> bool:
        """Whether weights are to be spread: by wish, or as `accelerate launch --use_fsdp` says."""
        return self.count > 1 and (
            wish or os.environ.get("ACCELERATE_USE_FSDP", "false").lower() == "true"
        )

    def wrapped(self, module: torch.nn.Module) -> torch.nn.Module:
        """The module, wrapped so that its backward pass averages gradients over processes."""
        return module if self.count == 1 else self.accelerator.prepare(module)

    def sharded(self, module: torch.nn.Module, units: Iterable[torch.nn.Module]) -> torch.nn.Module:
        """The module, with each process holding a share of every weight (FSDP2); the weights of a
        unit, such as a block, are brought together while it runs."""
        from torch.distributed.device_mesh import init_device_mesh
        from torch.distributed.fsdp import fully_shard

        # Units first: what is left for the module is then only the weights outside of them, and no
        # process ever needs room for all weights at once.
        mesh = init_device_mesh(self.accelerator.device.type, (self.count,))
        for unit in (*units, module):
            fully_shard(unit, mesh=mesh)
        return module

    @contextlib.contextmanager
    def apart(self, module: torch.nn.Module) -> Iterator[None]:
        """A context in which backward passes of a wrapped module add gradients up in this process
        and exchange none."""
        if self.count == 1:
            yield
            return
        from torch.distributed.fsdp import FSDPModule  # takes a second, so only where it is needed

        if isinstance(module, FSDPModule):
            module.set_requires_gradient_sync(False)
            yield
            module.set_requires_gradient_sync(True)
        else:
            with self.accelerator.no_sync(module):
                yield

    def wait(self) -> None:
        """Return once all processes have come here."""
        if self.count > 1:
            self.accelerator.wait_for_everyone()


@functools.cache
def processes() -> Processes:
    """Those that `torchrun` or `accelerate launch` started together with this one."""
    # Imported only where it is needed, since it is slow to import: one process has no use for it.
    if int(os.environ.get("WORLD_SIZE", "1")) == 1:
        return Processes()
    import torch
    from accelerate import Accelerator

    return Processes(Accelerator(cpu=not torch.cuda.is_available()))


def whole(tensor: Tensor) -> Tensor:
    """A tensor of which each process may hold a share, brought together; all must call this."""
    if processes().count == 1:
        return tensor
    from torch.distributed.tensor import DTensor

    return tensor.full_tensor() if isinstance(tensor, DTensor) else tensor


def gathered(tensor: Tensor) -> Tensor:
    """The tensor as `whole` brings it together, but in the memory of the machine if it was spread:
    there may be no room for all tensors of a checkpoint on the device."""
    all_of_it = whole(tensor)
    return tensor if all_of_it is tensor else all_of_it.cpu()


def spread_like(tensor: Tensor, like: Tensor) -> Tensor:
    """This process's share of a tensor that all have, if `like` is one that is spread."""
    if processes().count == 1:
        return tensor
    from torch.distributed.tensor import DTensor, distribute_tensor

    if not isinstance(like, DTensor):
        return tensor
    # By default the first process would send the shares out; None says that everybody has the whole
    # tensor, so each cuts its own and nobody waits.
    return distribute_tensor(
        tensor.to(like.device), like.device_mesh, like.placements, src_data_rank=None
    )
