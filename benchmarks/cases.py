"""Single measurements, each run in a process of its own: `python -m benchmarks.cases NAME SIZE
DEVICE ...`."""

from __future__ import annotations

import dataclasses
import json
import platform
import resource
import statistics
import sys
import time
from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import Any, Literal

import torch
from torch import Tensor

from attractor import UniformProcess, probes
from attractor.config.presets import preset
from attractor.config.settings import TrainConfig
from attractor.machine.device import Precision, autocast, pick_device
from attractor.model.ddit import DDiT
from attractor.model.network import NetworkDenoiser
from attractor.process.absorbing import AbsorbingProcess
from attractor.process.fused import nelbo_loss
from attractor.process.reverse import time_grid
from attractor.train.objective import batch_loss, noisy_batch
from attractor.train.optim import Ema
from attractor.types import AttractorError
from benchmarks import reference
from benchmarks.sizes import SIZES, Size

Result = dict[str, Any]
STEPS = 1000


class Bench:
    """A network of some size, its process, and tokens to feed it."""

    def __init__(self, size: Size, device: torch.device) -> None:
        torch.manual_seed(0)
        self.size, self.device = size, device
        model = dataclasses.asdict(preset(size.preset).model)
        self.network = DDiT(size.vocab_size, **model).to(device)
        for name, parameter in self.network.named_parameters():
            if "adaLN" in name or "output_layer.linear" in name:  # zero in an untrained network
                torch.nn.init.normal_(parameter, std=0.02)
        self.process = UniformProcess(size.vocab_size)
        self.tokens = self.draw(size.batch)

    def draw(self, n: int) -> Tensor:
        """Random sequences, (n, L)."""
        return torch.randint(self.size.vocab_size, (n, self.size.seq_len)).to(self.device)

    def seconds(self, run: Callable[[], object]) -> float:
        """Wall time of one call."""
        self.wait()
        start = time.perf_counter()
        run()
        self.wait()
        return time.perf_counter() - start

    def medians(self, *runs: Callable[[], object], repeats: int | None = None) -> list[float]:
        """Median wall time of each, taken in turns so that a busy machine slows all alike; one
        warm-up each."""
        for run in runs:
            run()
        turns = [[self.seconds(run) for run in runs] for _ in range(repeats or self.size.repeats)]
        return [statistics.median(column) for column in zip(*turns, strict=True)]

    def wait(self) -> None:
        """Until the device has done its work."""
        if self.device.type == "cuda":
            torch.cuda.synchronize(self.device)

    def denoiser(self, noise: str = "uniform", timed: bool = True) -> NetworkDenoiser:
        """The network as the probes see it, under some noise, and with or without the time."""
        process = self.process if noise == "uniform" else AbsorbingProcess(self.size.vocab_size)
        return NetworkDenoiser(self.network, process, self.size.seq_len, timed)


def trainer(bench: Bench, kind: str, precision: Precision) -> Callable[[Tensor], None]:
    """One whole training step: "ours", with Duo's "curriculum", or with the "reference"'s dense
    loss."""
    network = bench.network.train()
    optimizer = torch.optim.AdamW(network.parameters(), lr=1e-5, weight_decay=0.0, fused=True)
    ema = Ema(network, 0.9999)

    def step(x_0: Tensor) -> None:
        optimizer.zero_grad()
        LOSSES[kind](bench, x_0, precision).backward()
        torch.nn.utils.clip_grad_norm_(network.parameters(), 1.0)
        optimizer.step()
        ema.update()

    return step


def our_loss(
    bench: Bench, x_0: Tensor, precision: Precision, curriculum: Literal["none", "duo"] = "none"
) -> Tensor:
    """Mean NELBO as the training loop takes it."""
    config = TrainConfig(curriculum=curriculum)
    batch = noisy_batch(bench.process, x_0, 0, config, torch.Generator().manual_seed(0))
    return batch_loss(bench.network, bench.process, batch, x_0.numel(), precision)


def dense_loss(bench: Bench, x_0: Tensor, precision: Precision) -> Tensor:
    """Mean NELBO with every tensor over the vocabulary kept for autograd."""
    schedule = bench.process.schedule
    t = (torch.rand(len(x_0)) * 0.999 + 1e-3).to(bench.device)
    x_t = bench.process.corrupt(x_0, t, torch.rand(*x_0.shape, 2).to(bench.device))
    with autocast(bench.device, precision):
        log_p = bench.network(x_t, schedule.sigma(t)).float().log_softmax(-1)
    return reference.nelbo(log_p, x_t, x_0, schedule.alpha(t), schedule.dalpha(t)).mean()


LOSSES = {
    "ours": our_loss,
    "curriculum": partial(our_loss, curriculum="duo"),
    "reference": dense_loss,
}


def train_time(bench: Bench, precision: Precision = "float32") -> Result:
    """Training step against the reference (always float32), and its share of the matrix-product
    peak."""
    ours, theirs = trainer(bench, "ours", precision), trainer(bench, "reference", "float32")
    kind = torch.bfloat16 if precision == "bf16" else torch.float32
    n = torch.randn(2048, 2048, device=bench.device).to(kind)
    x_0 = bench.tokens
    seconds, reference_seconds, product = bench.medians(
        lambda: ours(x_0), lambda: theirs(x_0), lambda: n @ n
    )
    # 2 FLOPs forward and 4 backward for each weight and token; the embedding is only looked up.
    embedding = bench.network.vocab_embed.embedding.numel()
    parameters = sum(p.numel() for p in bench.network.parameters()) - embedding
    flops, peak = 6 * parameters * x_0.numel() / seconds, 2 * 2048**3 / product
    return {
        "seconds": seconds,
        "reference_seconds": reference_seconds,
        "peak_share": flops / peak,
        "peak_flops": peak,
    }


def curriculum_time(bench: Bench) -> Result:
    """Training step with Duo's curriculum against one without."""
    latent, plain = trainer(bench, "curriculum", "float32"), trainer(bench, "ours", "float32")
    seconds, plain_seconds = bench.medians(
        lambda: latent(bench.tokens), lambda: plain(bench.tokens), repeats=5
    )
    return {"seconds": seconds, "plain_seconds": plain_seconds}


def train_memory(bench: Bench, kind: str, before: int) -> Result:
    """Peak memory of a training step, weights, gradients and optimizer state included, in bytes."""
    step = trainer(bench, kind, "float32")
    step(bench.draw(1))  # makes the optimizer's state
    step(bench.draw(bench.size.memory_batch or bench.size.batch))
    return {"bytes": peak_memory(bench.device) - before}


def recovery(
    bench: Bench,
    t: float,
    sequences: int | None = None,
    steps: int | None = None,
    noise: str = "uniform",
    timed: bool = True,
) -> Result:
    """A whole recovery probe; the reference is timed for a few of its equal steps and multiplied by
    their number."""
    denoiser = bench.denoiser(noise, timed)
    n, steps = sequences or bench.size.sequences, steps or STEPS
    tokens = bench.draw(n) % (denoiser.process.text.count)
    rows = {"forward": 0, "output": 0}

    def count(event: Any) -> None:
        rows["output"] += len(event.log_probs)

    def passed(_: Any, arguments: tuple[Tensor]) -> None:
        rows["forward"] += len(arguments[0])

    with torch.no_grad():
        denoiser.log_probs(tokens, tokens.new_ones(n, dtype=torch.float32), tokens < 100)  # warm-up
    grid = time_grid(t, steps)
    counted = bench.network.vocab_embed.register_forward_pre_hook(passed)
    seconds = bench.seconds(lambda: probes.recovery(denoiser, tokens, t, steps, callback=count))
    counted.remove()
    at, to = grid[0].item(), grid[1].item()
    (step,) = bench.medians(
        lambda: reference.reverse_step(bench.network, denoiser.process, tokens, at, to), repeats=3
    )
    dense_rows = len(grid) * n
    return {
        "seconds": seconds,
        "reference_seconds": step * len(grid),
        "sequences": n,
        "steps": len(grid),
        "forward_share": rows["forward"] / dense_rows,
        "output_share": rows["output"] / (dense_rows * bench.size.seq_len),
    }


def entropy(bench: Bench) -> Result:
    """The entropy probe against a bare forward pass with its output layer."""
    denoiser, sigma = bench.denoiser(), torch.full((len(bench.tokens),), 1e-5, device=bench.device)

    @torch.no_grad()
    def forward() -> None:
        denoiser.network(bench.tokens, sigma)

    probe, bare = bench.medians(
        lambda: probes.conditional_entropy(denoiser, bench.tokens), forward, repeats=5
    )
    return {"seconds": probe, "forward_seconds": bare}


def loss_memory(device: torch.device, vocab: int, before: int) -> Result:
    """Peak memory of the fused loss beyond its arguments and their gradients, in bytes."""
    m, width = 2048, 16
    shapes = ((m, width), (vocab, width), (vocab,))
    leaves = [torch.randn(s, device=device, requires_grad=True) for s in shapes]
    x, a = torch.randint(vocab, (m,), device=device), torch.full((m,), 0.5, device=device)
    nelbo_loss(*leaves, x, x.flip(0), a, -a, a / m).backward()
    own = 2 * sum(leaf.numel() for leaf in leaves) * 4
    return {"bytes": peak_memory(device) - before - own}


def peak_memory(device: torch.device) -> int:
    """Largest memory of this process so far: of the device where it has its own, else resident."""
    if device.type == "cuda":
        return torch.cuda.max_memory_allocated(device)
    unit = 1 if sys.platform == "darwin" else 1024
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * unit


def times(bench: Bench, precisions: str) -> Result:
    """All that is timed at one size; training in each of the precisions, separated by commas."""
    found: Result = {"device": device_name(bench.device), "entropy": entropy(bench)}
    found["recovery"] = {str(t): recovery(bench, t) for t in bench.size.times}
    found["recovery_kept"] = {
        f"{noise}_{t}": recovery(bench, t, noise=noise, timed=False)
        for noise in ("uniform", "absorbing")
        for t in bench.size.kept_times
    }
    for precision in precisions.split(","):
        found[f"train_{precision}"] = train_time(bench, precision)  # type: ignore[arg-type]
    return found


def device_name(device: torch.device) -> str:
    """What the numbers are measured on."""
    if device.type == "cuda":
        return torch.cuda.get_device_name(device)
    return f"{processor()}, {torch.get_num_threads()} threads"


def processor() -> str:
    """Its model, where the system says."""
    try:
        lines = Path("/proc/cpuinfo").read_text().splitlines()
    except OSError:
        return platform.processor() or platform.machine()
    return next(
        (line.split(":", 1)[1].strip() for line in lines if line.startswith("model name")),
        platform.machine(),
    )


def run(name: str, size: str, device: str, *arguments: str) -> Result:
    """The measurement of that name."""
    at = pick_device(device)
    before = peak_memory(at)
    if name == "loss_memory":
        return loss_memory(at, int(arguments[0]), before)
    bench = Bench(SIZES[size], at)
    match name:
        case "times":
            return times(bench, arguments[0])
        case "train_time":
            return train_time(bench, arguments[0])  # type: ignore[arg-type]
        case "curriculum":
            return curriculum_time(bench)
        case "train_memory":
            return train_memory(bench, arguments[0], before)
        case "recovery":
            return recovery(bench, float(arguments[0]), *(int(a) for a in arguments[1:]))
        case "entropy":
            return entropy(bench)
    raise ValueError(f"no measurement is called {name!r}")


if __name__ == "__main__":
    try:
        print(json.dumps(run(*sys.argv[1:])))
    except AttractorError as error:
        print(f"benchmarks: {error}", file=sys.stderr)
        sys.exit(2)
