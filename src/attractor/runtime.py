"""The machine: device, precision, threads, and noise that is counted instead of streamed."""

from __future__ import annotations

import contextlib
import functools
import hashlib
import os
from collections.abc import Iterable, Iterator
from typing import Any, Literal

import torch
from jaxtyping import Float, Int
from torch import Tensor

from attractor.types import AttractorError

Precision = Literal["float32", "bf16"]
_MASK = 0xFFFFFFFF


def pick_device(name: str = "auto") -> torch.device:
    """The device to compute on: "auto" takes a GPU where there is one.

    Raises:
        AttractorError: if the device is unknown or not there.
    """
    if name == "auto" and processes().count > 1:
        return processes().accelerator.device
    if name == "auto":
        name = "cuda" if torch.cuda.is_available() else "cpu"
    try:
        device = torch.device(name)
        torch.zeros((), device=device).item()
    except (RuntimeError, AssertionError) as error:
        raise AttractorError(f"device = {name!r} cannot be used here: {str(error).splitlines()[0]}") from None
    return device


def autocast(device: torch.device, precision: Precision) -> contextlib.AbstractContextManager[object]:
    """The context in which a network computes; float32 is left alone."""
    if precision == "float32":
        return contextlib.nullcontext()
    return torch.autocast(device.type, dtype=torch.bfloat16)


def upload(tensor: Tensor, device: torch.device) -> Tensor:
    """The tensor on a device; a GPU copies it from pinned memory, in turn, while this process goes on."""
    return tensor.pin_memory().to(device, non_blocking=True) if device.type == "cuda" else tensor.to(device)


def cores() -> int:
    """Cores this process may use."""
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1


class Processes:
    """The processes that share a training run and its measurements: one, unless a launcher started several.

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
        """Which of n rows are this process's: consecutive ones, as many as the others', to one row."""
        return slice(n * self.rank // self.count, n * (self.rank + 1) // self.count)

    def total(self, part: Tensor) -> Tensor:
        """Sum over processes."""
        return part if self.count == 1 else self.accelerator.reduce(part, "sum")

    def joined(self, part: Tensor, n: int) -> Tensor:
        """All n rows, of which each process has its share."""
        if self.count == 1:
            return part
        whole = part.new_zeros(n, *part.shape[1:])
        whole[self.share(n)] = part
        return self.total(whole)

    def largest(self, value: int) -> int:
        """Largest over processes."""
        if self.count == 1:
            return value
        return int(self.accelerator.gather(torch.tensor([value], device=self.accelerator.device)).max())

    def shards(self, wish: bool) -> bool:
        """Whether weights are to be spread: by wish, or as `accelerate launch --use_fsdp` says."""
        return self.count > 1 and (wish or os.environ.get("ACCELERATE_USE_FSDP", "false").lower() == "true")

    def wrapped(self, module: torch.nn.Module) -> torch.nn.Module:
        """The module, whose backward pass averages gradients over processes."""
        return module if self.count == 1 else self.accelerator.prepare(module)

    def sharded(self, module: torch.nn.Module, units: Iterable[torch.nn.Module]) -> torch.nn.Module:
        """The same, each process with a share of every weight; those of a unit are brought together where it runs."""
        from torch.distributed.device_mesh import init_device_mesh
        from torch.distributed.fsdp import fully_shard

        mesh = init_device_mesh(self.accelerator.device.type, (self.count,))
        for unit in (*units, module):
            fully_shard(unit, mesh=mesh)
        return module

    @contextlib.contextmanager
    def apart(self, module: torch.nn.Module) -> Iterator[None]:
        """A context in which the gradients of a wrapped module only add up here."""
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
        """Until all have come here."""
        if self.count > 1:
            self.accelerator.wait_for_everyone()


@functools.cache
def processes() -> Processes:
    """Those that `torchrun` or `accelerate launch` started together with this one."""
    if int(os.environ.get("WORLD_SIZE", "1")) == 1:
        return Processes()
    from accelerate import Accelerator

    return Processes(Accelerator(cpu=not torch.cuda.is_available()))


def whole(tensor: Tensor) -> Tensor:
    """A tensor of which each process may hold a share, brought together; all must call this."""
    if processes().count == 1:
        return tensor
    from torch.distributed.tensor import DTensor

    return tensor.full_tensor() if isinstance(tensor, DTensor) else tensor


def gathered(tensor: Tensor) -> Tensor:
    """The same, in the memory of the machine if it was spread: there may be no room for all of them on the device."""
    all_of_it = whole(tensor)
    return tensor if all_of_it is tensor else all_of_it.cpu()


def spread_like(tensor: Tensor, like: Tensor) -> Tensor:
    """This process's share of a tensor that all have, if `like` is one that is spread."""
    if processes().count == 1:
        return tensor
    from torch.distributed.tensor import DTensor, distribute_tensor

    if not isinstance(like, DTensor):
        return tensor
    return distribute_tensor(tensor.to(like.device), like.device_mesh, like.placements, src_data_rank=None)


class CountedNoise:
    """Uniform random numbers that are a pure function of (seed, stream, t, row, repeat, position, step).

    Philox 4x32-10 (Salmon et al., SC 2011): the key is a digest of what is fixed for a whole measurement, the counter
    is the place. So a number does not depend on batch size, on the number of workers, or on what was drawn before.

    Args:
        seed: any integer.
        stream: what the numbers are for; different streams are independent.
        t: time in [0, 1], part of the key.
    """

    def __init__(self, seed: int, stream: str, t: float = 0.0) -> None:
        digest = hashlib.blake2b(repr((int(seed), stream, float(t))).encode(), digest_size=8).digest()
        self.key = (int.from_bytes(digest[:4], "little"), int.from_bytes(digest[4:], "little"))

    def uniform(
        self, row: Int[Tensor, "*n"], position: Int[Tensor, "*n"], step: Int[Tensor, "*n"]
    ) -> Float[Tensor, "*n 4"]:
        """Four independent uniforms on (0, 1) in float64 at each place; see `row_address` for repeats."""
        counter = (row & _MASK, position & _MASK, step & _MASK, (row >> 32) & _MASK)
        words = torch.stack(philox(counter, self.key), -1)
        return (words.double() + 0.5) * 2.0**-32

    def grid(self, row: Int[Tensor, "N"], length: int) -> Float[Tensor, "N L 4"]:
        """Four uniforms for every position of every row, at step 0."""
        position = torch.arange(length, device=row.device).expand(len(row), length)
        return self.uniform(row[:, None].expand_as(position), position, torch.zeros_like(position))


def row_address(rows: int, repeats: int = 1, device: torch.device | str = "cpu") -> Int[Tensor, "N"]:
    """Addresses of rows 0 ... rows-1 for each repeat, repeat-major: the repeat sits in the high 32 bits."""
    row = torch.arange(rows, device=device)
    return torch.cat([row + (repeat << 32) for repeat in range(repeats)])


def philox(counter: tuple[Tensor, Tensor, Tensor, Tensor], key: tuple[int, int]) -> tuple[Tensor, ...]:
    """Philox 4x32-10 on int64 tensors that hold 32-bit words."""
    c0, c1, c2, c3 = counter
    k0, k1 = key
    for _ in range(10):
        p0, p1 = c0 * 0xD2511F53, c2 * 0xCD9E8D57  # int64 wraps, and the low 64 bits are all there is
        c0, c1, c2, c3 = (
            ((p1 >> 32) & _MASK) ^ c1 ^ k0,
            p1 & _MASK,
            ((p0 >> 32) & _MASK) ^ c3 ^ k1,
            p0 & _MASK,
        )
        k0, k1 = (k0 + 0x9E3779B9) & _MASK, (k1 + 0xBB67AE85) & _MASK
    return c0, c1, c2, c3
