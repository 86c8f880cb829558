"""All that a training step changes; whatever else a step needs is a function of (seed, step)."""

from __future__ import annotations

import copy
import math
import time
from collections.abc import Mapping
from typing import Any, NamedTuple

import torch
from torch import Tensor, nn

from attractor.config.settings import TrainConfig
from attractor.machine.processes import gathered, processes, spread_like, whole
from attractor.model.ddit import DDiT
from attractor.train.optim import Ema, learning_rate, make_optimizer
from attractor.train.safety import Guard, mean_of_finite

Groups = dict[str, dict[str, Tensor]]


class Check(NamedTuple):
    """Basins and entropies of a few rows; a gap comes with the ends of its 95% interval, entropies
    in nats."""

    recovery_train: float
    recovery_test: float
    recovery_gap: tuple[float, float, float]
    """training minus unseen rows"""
    entropy_gap_train: tuple[float, float, float]
    """the model's own generations minus training rows"""
    entropy_gap_test: tuple[float, float, float]
    """the model's own generations minus unseen rows"""
    copies: tuple[float, float, float] | None = None
    """share of the model's own generations that are near a training row"""
    copies_test: tuple[float, float, float] | None = None
    """share of unseen rows that are: what nearness says where nothing is copied"""
    per_row: dict[str, list[float | None]] | None = None
    """what these are made of, a number for each row, the same rows in the same order at every
    check; None where nothing was corrupted"""

    @property
    def gap_opened(self) -> bool:
        """Whether training rows come back more often than unseen ones, beyond the interval of the
        gap: memorization, a basin advantage above 1/2, comes later."""
        return self.recovery_gap[1] > 0


class Progress(NamedTuple):
    """One line of metrics.jsonl, and the speed, which is kept apart since no two runs share it."""

    step: int
    loss: float | None
    """mean NELBO of the steps since the last line, nats per token; None if all of them were
    skipped"""
    grad_norm: float | None
    """norm of the gradient of the last step, before clipping; None if it is not finite"""
    lr: float
    """learning rate of the next step"""
    tokens_per_s: float
    """tokens trained on in a second since the last line"""
    skipped: int = 0
    """steps so far whose loss or gradient was not finite, and which moved nothing"""
    validation_nelbo: float | None = None
    """NELBO of held-out rows under the averaged weights, nats per token, where it was estimated and
    finite"""
    check: Check | None = None
    """what the monitor found, where it looked"""


class TrainState:
    """Weights, averages, moments, the step, and what has been seen since the last line of metrics.

    Args:
        network: on its own device; it is trained in place.
        config: of the optimizer.
        template: a network that is not spread over processes, for copies; `network` itself unless
            given.
    """

    def __init__(self, network: DDiT, config: TrainConfig, template: DDiT | None = None) -> None:
        self.network, self.config, self._template = network, config, template or network
        self.optimizer = make_optimizer(network, config)
        self.ema = Ema(network, config.ema)
        self.step = 0
        self.best: tuple[int, float] | None = None
        """step and value of the smallest validation NELBO"""
        self.micro_batch = config.micro_batch or config.batch_size
        """rows in one forward and backward pass"""
        self.memorized, self.stopped = 0, False
        """checks in a row that found a recovery gap, and whether they ended the training"""
        self.losses: list[Tensor] = []
        self.grad_norm = torch.zeros(())
        device = network.vocab_embed.embedding.device
        self.guard = Guard(device)
        self.recordable = device.type == "cuda" and processes().count == 1
        """whether a step can be recorded as a CUDA graph, see `train.graph`"""
        self._share: float | Tensor = 0.0
        # A recorded step reads its learning rate and its share of the averages from where they lie.
        self._rates = torch.zeros(2, device=device).unbind() if self.recordable else ()
        self._clock = _Clock()

    def set_rates(self) -> None:
        """Set what changes from step to step: the learning rate, and the share of the averages that
        a step renews."""
        lr: float | Tensor
        lr, self._share = values = learning_rate(self.step, self.config), self.ema.advance()
        if self._rates:
            lr, self._share = (r.fill_(v) for r, v in zip(self._rates, values, strict=True))
        for group in self.optimizer.param_groups:
            group["lr"] = lr

    def move(self, loss: Tensor) -> Tensor:
        """One step of the optimizer along the gradients, and one of the averages over steps; the
        loss, NaN where the step was skipped.

        If the loss or a gradient is not finite, weights and moments stay as they are.
        """
        self.grad_norm = whole(
            nn.utils.clip_grad_norm_(self.network.parameters(), self.config.clip)
        )
        skip = self.guard.check(loss.detach(), self.grad_norm)
        # The attribute by which gradient scalers tell a fused optimizer to leave everything as it
        # is.
        self.optimizer.found_inf = skip  # type: ignore[attr-defined]
        self.optimizer.step()
        self.ema.move(self._share)
        return torch.where(skip > 0, torch.nan, loss.detach())

    def record(self, loss: Tensor) -> None:
        """Count a step that has been taken. Its loss stays on the device until a line of metrics is
        due, see `read`."""
        self.losses.append(loss)
        self.step += 1
        self._clock.steps += 1

    @property
    def is_finished(self) -> bool:
        """Whether the last step has been done, or training was stopped before."""
        return self.stopped or self.step == self.config.steps

    def is_due(self, every: int) -> bool:
        """Whether something done every so many steps, and at the end, is due after this step."""
        return self.step % every == 0 or self.is_finished

    def read(self, tokens_per_step: int) -> Progress:
        """Sum up the steps since the last reading; only here is the device asked for numbers.

        Raises:
            AttractorError: if too many steps in a row were skipped.
        """
        lr = learning_rate(self.step, self.config)
        skipped = self.guard.read(self.step, self.config.lr)
        loss, norm = mean_of_finite(self.losses), self.grad_norm.item()
        self.losses = []
        rate = tokens_per_step * self._clock.rate()
        return Progress(self.step, loss, norm if math.isfinite(norm) else None, lr, rate, skipped)

    def restart_clock(self) -> None:
        """What was done since the last reading, validation for instance, is no training time."""
        self._clock = _Clock()

    def averaged(self) -> DDiT:
        """A copy of the network that carries the averaged weights, for evaluation.

        A copy, so that the network that is trained never carries other weights than its own.
        """
        twin = copy.deepcopy(self._template).to(self.network.vocab_embed.embedding.device)
        twin.load_state_dict(
            {name: whole(average) for name, average in self.ema.state_dict().items()}
        )
        return twin.eval()

    def tensors(self) -> Groups:
        """Weights, averages and moments by file and name."""
        weights: dict[str, Tensor] = dict(self.network.named_parameters())
        moments = {
            f"{key}.{name}": value
            for name, parameter in weights.items()
            for key, value in self.optimizer.state[parameter].items()
        }
        groups = {"model": weights, "ema": self.ema.state_dict(), "optimizer": moments}
        return {
            group: {name: gathered(x) for name, x in found.items()}
            for group, found in groups.items()
        }

    def numbers(self) -> dict[str, Any]:
        """All of the state that is no tensor, as JSON.

        Losses since the last line of metrics are in it too: otherwise the first line after a stop
        would be the mean of fewer steps than without one.
        """
        losses = torch.stack(self.losses).tolist() if self.losses else []
        return {
            "step": self.step,
            "updates": self.ema.updates,
            "best": self.best,
            "losses": [None if math.isnan(loss) else loss for loss in losses],
            "skipped": self.guard.counts.tolist(),
            "micro_batch": self.micro_batch,
            "memorized": self.memorized,
            "stopped": self.stopped,
        }

    def is_finite(self) -> bool:
        """Whether all weights are numbers."""
        return all(bool(whole(p.isfinite().all())) for p in self.network.parameters())

    @torch.no_grad()
    def restore(
        self, tensors: Mapping[str, Mapping[str, Tensor]], numbers: Mapping[str, Any]
    ) -> None:
        """Become the state that `tensors` and `numbers` described.

        Everything is copied into tensors that exist, since optimizer, averages and wrappers of the
        network hold on to those. No process waits for another in here: where weights are spread,
        each takes its own share of the whole tensors.
        """
        weights = dict(self.network.named_parameters())
        for name, parameter in weights.items():
            parameter.copy_(spread_like(tensors["model"][name], parameter))
        for name, average in self.ema.state_dict().items():
            average.copy_(spread_like(tensors["ema"][name], average))
        for key_and_name, value in tensors["optimizer"].items():
            key, _, name = key_and_name.partition(".")
            weight = weights[name]
            # AdamW's count of steps is a single number for each weight, never spread; the fused
            # optimizer wants it on the device of the weight.
            where = value.device if key == "step" and weight.device.type == "cpu" else weight.device
            mine = value if key == "step" else spread_like(value, weight)
            self.optimizer.state[weight][key] = mine.clone().to(where)
        self.step, self.ema.updates = numbers["step"], numbers["updates"]
        self.best = tuple(numbers["best"]) if numbers["best"] else None
        self.micro_batch, self.memorized, self.stopped = (
            numbers[key] for key in ("micro_batch", "memorized", "stopped")
        )
        device = next(iter(weights.values())).device
        losses = [math.nan if loss is None else loss for loss in numbers["losses"]]
        self.losses = list(torch.tensor(losses, device=device))
        self.guard.counts.copy_(torch.tensor(numbers["skipped"]))
        self._clock = _Clock()


class _Clock:
    """Steps a second since the last line."""

    def __init__(self) -> None:
        self.steps, self.start = 0, time.perf_counter()

    def rate(self) -> float:
        return self.steps / (time.perf_counter() - self.start)
