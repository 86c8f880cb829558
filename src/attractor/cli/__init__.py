"""The command line: arguments in, an exit code out."""

from __future__ import annotations

import contextlib
import dataclasses
import functools
import io
import operator
import re
import signal
import sys
import threading
import warnings
from collections.abc import Callable
from pathlib import Path
from typing import Annotated, Any

import tyro

import attractor
from attractor.cli import commands
from attractor.cli.help import FIELDS
from attractor.cli.pipe import ending_with_reader
from attractor.cli.terminal import plain_warning
from attractor.config.identity import run_config_from_dict
from attractor.config.presets import preset
from attractor.config.settings import ProbeConfig, RunConfig
from attractor.machine.processes import processes
from attractor.types import AttractorError

__all__ = ["main", "parse"]

DESCRIPTION = (
    f"{attractor.__doc__}`attractor --version` says which version this is, `attractor COMMAND "
    "--help` what a command takes."
)


def main(argv: list[str] | None = None) -> int:
    """Run a command; exit code 2 and one line on bad input."""
    arguments = sys.argv[1:] if argv is None else argv
    warnings.formatwarning = plain_warning
    if threading.current_thread() is threading.main_thread():
        # An exit unwinds the stack: half-written files are removed, and workers save a checkpoint.
        # The signal alone would end this process on the spot.
        signal.signal(signal.SIGTERM, lambda *_: sys.exit(143))
    try:
        command = parse(arguments)
        if processes().count > 1 and not isinstance(command, commands.TrainCommand):
            raise AttractorError(
                f"only `train` runs in several processes, and this is one of {processes().count}"
            )
        return command() or 0
    except (AttractorError, OSError) as error:
        print(f"attractor: {error}", file=sys.stderr)
        return 2
    except KeyboardInterrupt:
        print("attractor: interrupted; the same command again goes on from here", file=sys.stderr)
        return 130


def parse(arguments: list[str]) -> Callable[[], int | None]:
    """The command the arguments ask for; the defaults of a config are those of `--preset`.

    Raises:
        AttractorError: in one line, if they make no sense.
    """
    if arguments == ["--version"]:
        return _show_version
    # The parser shows and fills in defaults, and these are what the preset and the folder say: so
    # both are read from the arguments before it runs.
    base = preset(_value_of("--preset", arguments) or commands.DEMO)
    single = RunConfig(data=base.data, model=base.model, train=base.train, probe=base.probe)
    known: dict[str, object] = {
        "demo": commands.DemoCommand(),
        "sweep": commands.SweepCommand(config=base, out=tyro.MISSING),
        "train": commands.TrainCommand(config=single, out=tyro.MISSING),
        "probe": commands.ProbeCommand(run=tyro.MISSING, config=_probe_of(arguments) or base.probe),
        "measure": commands.MeasureCommand(
            sweep=tyro.MISSING, config=_probe_of(arguments) or base.probe
        ),
        "generate": commands.GenerateCommand(run=tyro.MISSING),
        "audit": commands.AuditCommand(model=tyro.MISSING),
        "reference": commands.ReferenceCommand(
            sweep=tyro.MISSING, out=tyro.MISSING, name=tyro.MISSING
        ),
        "push": commands.PushCommand(run=tyro.MISSING, hub_id=tyro.MISSING),
        "report": commands.ReportCommand(sweep=tyro.MISSING),
        "twins": commands.TwinsCommand(sweep=tyro.MISSING),
        "theory": commands.TheoryCommand(),
    }
    kinds = [Annotated[type(c), tyro.conf.subcommand(name, default=c)] for name, c in known.items()]
    any_of_them: Any = functools.reduce(operator.or_, kinds)
    complaint = io.StringIO()
    try:
        with ending_with_reader(), contextlib.redirect_stderr(complaint):
            return tyro.cli(
                any_of_them,
                args=arguments,
                prog="attractor",
                description=DESCRIPTION,
                registry=FIELDS,
            )
    except SystemExit as stop:
        if stop.code in (0, None):
            raise
        raise AttractorError(_in_one_line(complaint.getvalue())) from None


def _show_version() -> None:
    with ending_with_reader():
        print(f"attractor {attractor.__version__}")


def _probe_of(arguments: list[str]) -> ProbeConfig | None:
    """The defaults of `attractor measure` and `attractor probe`: what the sweep or the run that
    they are given was measured with; None if it is not among the arguments."""
    # An option's value may be a folder too, so the folder meant is the one that holds a config.
    words = [Path(argument) for argument in arguments[1:] if not argument.startswith("-")]
    folders = [word for word in words if word.is_dir()]
    if arguments[:1] not in (["measure"], ["probe"]) or not folders:
        return None
    if arguments[0] == "measure":
        from attractor.sweeps.run import SWEEP, config_of

        sweep = next((folder for folder in folders if (folder / SWEEP).is_file()), None)
        return None if sweep is None else config_of(sweep).probe
    from attractor.measurements import known
    from attractor.runs.folder import CONFIG, read_json

    run = next((folder for folder in folders if (folder / CONFIG).is_file()), None)
    if run is None:
        return None
    probe = run_config_from_dict(read_json(run / CONFIG)).probe
    return dataclasses.replace(probe, measure=known(probe.measure))


def _value_of(option: str, arguments: list[str]) -> str | None:
    """The value of an option before the parser, which needs it for its defaults, has run."""
    for i, argument in enumerate(arguments):
        if argument == option and i + 1 < len(arguments):
            return arguments[i + 1]
        if argument.startswith(option + "="):
            return argument.partition("=")[2]
    return None


def _in_one_line(box: str) -> str:
    """The message in a framed complaint of the parser, without its title, its frame and its
    repetition of the help."""
    lines = [line.strip(" │|") for line in box.splitlines()[1:]]
    message: list[str] = []
    for line in lines:
        is_rule = not line.strip("─-╭╮╰╯+ ")
        if is_rule and message:
            break  # below the rule the help is repeated
        if not is_rule:
            message.append(line)
    return re.sub(r"^Error parsing __tyro\S+ ", "", " ".join(message)) or box.strip()
