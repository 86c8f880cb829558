"""How far a sweep is, read from its folder alone, so that it can be asked from anywhere that sees
it."""

from __future__ import annotations

import statistics
from pathlib import Path
from typing import Literal, NamedTuple

from attractor.config.settings import ProbeConfig
from attractor.machine.files import is_locked
from attractor.results.tables import RESULTS
from attractor.runs.measure import is_complete
from attractor.sweeps.attempt import FAILED
from attractor.sweeps.follow import last_line
from attractor.sweeps.plan import PlannedRun
from attractor.sweeps.run import planned_runs
from attractor.train.logbook import METRICS
from attractor.train.state import Progress

State = Literal["done", "running", "failed", "waiting"]


class RunStatus(NamedTuple):
    """One run of a sweep."""

    run: PlannedRun
    state: State
    progress: Progress | None
    """the last line of its metrics; None before there is one"""
    seconds_left: float | None
    """None for a run that is done, and as long as no run of the sweep has shown its speed"""


class SweepStatus(NamedTuple):
    """All runs of a sweep."""

    runs: list[RunStatus]

    def count(self, state: State) -> int:
        """Runs in a state."""
        return sum(run.state == state for run in self.runs)

    @property
    def seconds_left(self) -> float | None:
        """Seconds until all runs are done, with as many side by side as there are now; failed ones
        are not waited for. None as long as it is not known of each of them."""
        left = [run.seconds_left for run in self.runs if run.state in ("running", "waiting")]
        known = [seconds for seconds in left if seconds is not None]
        return sum(known) / max(1, self.count("running")) if len(known) == len(left) else None


def read_status(out: Path) -> SweepStatus:
    """The state of every run, by results, locks and tracebacks.

    Raises:
        AttractorError: if `out` holds no sweep.
    """
    runs = planned_runs(out)
    states = {run.run_id: _state(out / run.run_id, run.config.probe) for run in runs}
    lines = {run.run_id: last_line(out / run.run_id) for run in runs}
    paces = [line.tokens_per_s for line in lines.values() if line and line.tokens_per_s > 0]
    usual = statistics.median(paces) if paces else None
    done = [out / run.run_id for run in runs if states[run.run_id] == "done"]
    # The shortest, since a run to which measurements were added later seems to have taken until
    # then.
    measuring = [_probing_seconds(run) for run in done if (run / METRICS).is_file()]
    probing = min(measuring, default=0.0)
    found = []
    for run in runs:
        state, line, left = states[run.run_id], lines[run.run_id], None
        if usual is not None and state != "done":
            pace = (line.tokens_per_s if line else 0.0) or usual
            steps = run.config.train.steps - (line.step if line else 0)
            tokens = steps * run.config.train.batch_size * run.config.data.seq_len
            left = tokens / pace + probing
        found.append(RunStatus(run, state, line, left))
    return SweepStatus(found)


def _state(run: Path, asked: ProbeConfig) -> State:
    if is_complete(run, asked):
        return "done"
    if is_locked(run):
        return "running"
    return "failed" if (run / FAILED).is_file() else "waiting"


def _probing_seconds(run: Path) -> float:
    """From the end of the training to the results; more, if measurements were added later."""
    return max(0.0, (run / RESULTS).stat().st_mtime - (run / METRICS).stat().st_mtime)
