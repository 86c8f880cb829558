"""When the state of a run is saved, which savings are kept, and where a run goes on.

What a crash leaves, at each moment of a save:

1. while the files are written: a hidden `*.partial` directory, which the next start removes;
2. after the rename: the new checkpoint, whole, beside the older ones;
3. while older ones are removed: a hidden `*.discarded.partial` directory, removed as in 1.

metrics.jsonl is synced before a checkpoint that counts its bytes is written. So the lines that a
checkpoint stands for are on the disk whenever it is, and what was written after them is cut off
when the run goes on from there, to be written once more.
"""

from __future__ import annotations

import shutil
import time
import warnings
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from attractor.config.settings import TrainConfig
from attractor.machine.checkpoint import (
    DamagedCheckpoint,
    is_sound,
    load_checkpoint,
    save_checkpoint,
)
from attractor.machine.files import clear_up, make_directory
from attractor.machine.processes import processes
from attractor.train.logbook import Logbook
from attractor.train.state import Groups, TrainState
from attractor.train.stop import PoliteStop
from attractor.types import AttractorError

CHECKPOINT = "checkpoint"
AGREE = 10
"""Steps after which several processes ask each other whether to save or to stop: asking at every
step would make each wait for all others."""
GROUPS = ("model", "ema", "optimizer")
"""Files of tensors in a checkpoint: last weights, averaged weights, moments of the optimizer."""


def checkpoint_bytes(parameters: int) -> int:
    """Bytes of a checkpoint, at most: weights, averages and two moments in float32."""
    return 4 * 4 * parameters


def checkpoint_paths(run: Path) -> list[Path]:
    """The `checkpoint/step-*` of a run, newest first."""
    return sorted((run / CHECKPOINT).glob("step-*"), reverse=True)


class Checkpoints:
    """The `checkpoint/step-*` of one run.

    The state is saved every `config.checkpoint_minutes`, at the best validation NELBO so far, at
    the end, and when a stop was asked for. Kept are the newest `config.keep_checkpoints` that are
    sound, and the best.

    Args:
        run: directory of the run, which nobody else writes to.
        header: what rebuilds the network, saved with the state.
        seed: of data order and noise; with the step it is all there is to know about random
            numbers.
        config: how often, how many.
        log: metrics of the run, taken back to the step where it goes on.
        stop: a wish to stop.
    """

    def __init__(
        self,
        run: Path,
        header: Mapping[str, Any],
        seed: int,
        config: TrainConfig,
        log: Logbook,
        stop: PoliteStop,
    ) -> None:
        self.run, self.header, self.seed = run, header, seed
        self.config, self.log, self.stop = config, log, stop
        if processes().is_main:
            make_directory(run / CHECKPOINT)
            clear_up(run / CHECKPOINT)
        self.last = time.monotonic()

    def resume(self, state: TrainState) -> None:
        """Make `state` that of the newest sound checkpoint; without one it starts at step 0.

        Damaged ones are passed over with a warning that names them.

        Raises:
            AttractorError: if a checkpoint is of another schema or of another seed.
        """
        # The main process alone decides which checkpoint is sound and takes the log back; the
        # others learn from its step which one it was. Step 0 is a start without a checkpoint.
        if processes().is_main:
            self._resume(state)
        step = processes().largest(state.step)
        if step and not processes().is_main:
            saved, tensors = load_checkpoint(self._path(step), *GROUPS)
            state.restore(tensors, saved["numbers"])
        processes().wait()

    def _resume(self, state: TrainState) -> None:
        # From the newest on: a damaged checkpoint costs the steps since the one before, not the
        # run.
        for path in checkpoint_paths(self.run):
            try:
                saved, tensors = load_checkpoint(path, *GROUPS)
            except DamagedCheckpoint as damage:
                warnings.warn(f"{damage}; going on from an earlier one", stacklevel=2)
                continue
            if saved["random"]["seed"] != self.seed:
                raise AttractorError(
                    f"'{path}' is of seed {saved['random']['seed']}, not {self.seed}"
                )
            if not self.log.rewind(saved["metrics_bytes"]):
                warnings.warn(
                    f"the metrics beside '{path}' are cut short; going on from an earlier one",
                    stacklevel=2,
                )
                continue
            state.restore(tensors, saved["numbers"])
            self._let_go(state)
            return
        self.log.rewind(0)

    def after_step(self, state: TrainState) -> None:
        """Save if it is due; leave if a stop was asked for.

        Raises:
            KeyboardInterrupt: if Ctrl-C was pressed.
            SystemExit: if another signal asked the process to end.
        """
        # Every process has the same best, so all of them go past this point at the same steps.
        is_best = state.best is not None and state.best[0] == state.step
        asks = is_best or state.is_due(min(AGREE, self.config.log_every))
        if processes().count > 1 and not asks:
            return
        is_late = time.monotonic() - self.last >= 60 * self.config.checkpoint_minutes
        # Clocks and signals differ from process to process. One number carries both wishes, the
        # signal above the lowest bit, so that one exchange is enough; a signal also means to save.
        wish = processes().largest(2 * (self.stop.signal or 0) + is_late)
        is_late, self.stop.signal = bool(wish), wish // 2 or None
        if is_best or is_late or state.is_finished:
            self.save(state)
        self.stop.leave()

    def save(self, state: TrainState) -> None:
        """Write the checkpoint of this step, then let go of those that are no longer needed.

        Raises:
            AttractorError: if the weights are not finite, or the disk is full; earlier checkpoints
                stay.
        """
        if not state.is_finite():
            raise AttractorError(
                f"the weights are not finite at step {state.step}; earlier checkpoints are kept"
            )
        self.last = time.monotonic()
        tensors = state.tensors()  # brings shares of weights together: all processes must call it
        if processes().is_main:
            self._save(state, tensors)

    def _save(self, state: TrainState, tensors: Groups) -> None:
        # No state of a random generator and no place in the data is saved: both are functions of
        # (seed, step), see `train.loop`. `log.position` syncs the metrics, before anything of the
        # checkpoint is written.
        content = {
            **self.header,
            "step": state.step,
            "random": {"seed": self.seed, "step": state.step},
            "data": {"rows_seen": state.step * self.config.batch_size},
            "metrics_bytes": self.log.position(),
            "numbers": state.numbers(),
        }
        save_checkpoint(self._path(state.step), tensors, content)
        self._let_go(state)

    def _let_go(self, state: TrainState) -> None:
        """Remove all but the newest sound ones and the best; what is damaged takes nobody's
        place."""
        kept, best = 0, state.best[0] if state.best else 0
        for path in checkpoint_paths(self.run):
            if kept < self.config.keep_checkpoints and is_sound(path):
                kept += 1
            elif path != self._path(best):
                # Renamed first, in one step: a crash in the middle of the removal must not leave
                # half of a directory under the name of a checkpoint.
                discarded = path.rename(path.with_name(f".{path.name}.discarded.partial"))
                shutil.rmtree(discarded)

    def _path(self, step: int) -> Path:
        return self.run / CHECKPOINT / f"step-{step:08d}"
