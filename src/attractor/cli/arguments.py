"""Arguments in, a command out."""

from __future__ import annotations

import contextlib
import dataclasses
import functools
import io
import operator
import re
import sys
from collections.abc import Callable
from typing import Annotated, Any

import tyro

import attractor
from attractor.cli import commands
from attractor.cli.help import FIELDS
from attractor.cli.pipe import ending_with_reader
from attractor.config.identity import run_config_from_dict
from attractor.config.presets import preset
from attractor.config.settings import ProbeConfig, RunConfig
from attractor.types import AttractorError

DESCRIPTION = (
    f"{attractor.__doc__}`attractor --version` says which version this is, `attractor COMMAND "
    "--help` what a command takes. `--debug`, or ATTRACTOR_DEBUG=1, prints the traceback of an "
    "error."
)


def parse(arguments: list[str]) -> Callable[[], int | None]:
    """The command the arguments ask for; the defaults of a config are those of `--preset`.

    Raises:
        AttractorError: in one line, if they make no sense.
    """
    for argument in arguments:
        _require_text(argument)
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
        "explore": commands.ExploreCommand(),
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


def _require_text(argument: str) -> None:
    """Raise AttractorError for what no file, page or name can hold."""
    try:
        argument.encode()
    except UnicodeEncodeError:
        raise AttractorError(
            f"the argument {argument!a:.200} is no text: its bytes are not "
            f"{sys.getfilesystemencoding().upper()}; a file of such a name can be given by a link "
            "of another name"
        ) from None
    if "\0" in argument:
        raise AttractorError(f"the argument {argument!a:.200} is no text: it holds a zero byte")


def _show_version() -> None:
    with ending_with_reader():
        print(f"attractor {attractor.__version__}")


def _probe_of(arguments: list[str]) -> ProbeConfig | None:
    """The defaults of `attractor measure` and `attractor probe`: what the sweep or the run that
    they are given was measured with; None if it is not among the arguments."""
    words = [word for word in arguments[1:] if not word.startswith("-")]
    if arguments[:1] not in (["measure"], ["probe"]) or not words:
        return None
    from attractor.adapters.sweep_folder import SWEEP, is_run, resolved
    from attractor.measurements import known
    from attractor.runs.folder import CONFIG, read_json
    from attractor.sweeps.run import config_of

    # An option's value may be a folder too, so the folder meant is the one that holds a config.
    for folder in map(resolved, words):
        if arguments[0] == "measure" and (folder / SWEEP).is_file():
            return config_of(folder).probe
        if is_run(folder):
            probe = run_config_from_dict(read_json(folder / CONFIG), folder / CONFIG).probe
            return dataclasses.replace(probe, measure=known(probe.measure))
    return None


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
