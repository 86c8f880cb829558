"""What lies in a folder, whatever made it."""

from __future__ import annotations

from pathlib import Path

from attractor.adapters.sweep_folder import SWEEP, is_run, resolved
from attractor.api.audits import AuditResult
from attractor.api.extractions import ExtractionResult
from attractor.api.run import Run
from attractor.api.sweeps import Sweep
from attractor.audits import extraction, folders
from attractor.machine.paths import nearest_name
from attractor.types import AttractorError


def open(path: str | Path) -> Sweep | Run | AuditResult | ExtractionResult:
    """Open a sweep, a run, an audit or an extraction; its files are read when something is asked of
    it.

    Args:
        path: its folder; of a run also a sweep and values, such as "runs/demo:n=32,seed=1".

    Raises:
        AttractorError: for anything else.
    """
    folder = resolved(_as_path(path))
    if not folder.exists():
        raise AttractorError(f"'{path}' does not exist{nearest_name(folder)}")
    if (folder / SWEEP).is_file():
        return Sweep(folder)
    if is_run(folder):
        return Run(folder)
    if (folder / folders.NUMBERS).is_file():
        return AuditResult(folder)
    if (folder / extraction.NUMBERS).is_file():
        return ExtractionResult(folder)
    raise AttractorError(
        f"'{path}' is no sweep, no run, no audit and no extraction: it holds neither {SWEEP} nor a "
        f"run's config.json nor {folders.NUMBERS} nor {extraction.NUMBERS}"
    )


def _as_path(path: str | Path) -> str | Path:
    if isinstance(path, str | Path):
        return path
    raise AttractorError(f"path = {path!r:.80}: the path of a folder is wanted")
