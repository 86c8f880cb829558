"""Arguments in, a command out."""

from __future__ import annotations

import contextlib
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
from attractor.cli.examples import epilogue
from attractor.cli.help import fields, options
from attractor.cli.pipe import ending_with_reader
from attractor.config.presets import preset, single
from attractor.config.settings import ProbeConfig
from attractor.types import AttractorError, did_you_mean

HELP_ALL = "--help-all"
UNKNOWN = re.compile(r"Unrecognized (?:or misplaced )?options: (--?[^\s,=]+)")
DESCRIPTION = (
    f"{attractor.__doc__}`attractor --version` says which version this is, `attractor COMMAND "
    "--help` what a command takes and `--help-all` every setting of it. `--debug`, or "
    "ATTRACTOR_DEBUG=1, prints the traceback of an error."
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
    known: dict[str, object] = {
        "demo": commands.DemoCommand(),
        "sweep": commands.SweepCommand(config=base, out=tyro.MISSING),
        "train": commands.TrainCommand(config=single(base), out=tyro.MISSING),
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
    named = next(iter(arguments), None)
    if named is not None and named not in known and not named.startswith("-"):
        raise AttractorError(
            f"there is no command '{named:.80}': there are {', '.join(known)}"
            f"{did_you_mean(named, known)}"
        )
    every = HELP_ALL in arguments
    asked = ["--help" if argument == HELP_ALL else argument for argument in arguments]
    complaint = io.StringIO()
    try:
        with ending_with_reader(), contextlib.redirect_stderr(complaint):
            return tyro.cli(
                any_of_them,
                args=asked,
                prog="attractor",
                description=DESCRIPTION,
                # What a help leaves out, tyro would not take either.
                registry=fields(short=not every and bool({"--help", "-h"} & {*arguments})),
            )
    except SystemExit as stop:
        if stop.code in (0, None):
            _show_end(named if named in known else None, known, every)
            raise
        message = _in_one_line(complaint.getvalue())
        raise AttractorError(_meant(message, known.get(named or ""))) from None


def _show_end(command: str | None, known: dict[str, object], every: bool) -> None:
    """Print what follows the options in a help."""
    hidden = [] if command is None else [rare for _, rare in options(known[command]) if rare]
    with ending_with_reader():
        print(epilogue(command, 0 if every else len(hidden)))


def _meant(message: str, command: object) -> str:
    """A complaint of an unknown option, with what may have been meant; any other as it is."""
    found = UNKNOWN.match(message)
    if found is None or command is None:
        return message
    wrong, there = found[1], [option for option, _ in options(command)]
    # Whoever leaves out a section, as in --steps, means one of the options that end so.
    ends = [option for option in there if re.split(r"--|\.", option)[-1] == wrong.lstrip("-")]
    meant = f"; did you mean {' or '.join(ends)}?" if ends else did_you_mean(wrong, there)
    return f"there is no option {wrong}{meant}"


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
    from attractor.api.measuring import settings_of

    # An option's value may be a folder too, so the folder meant is the one that holds a config.
    for folder in map(resolved, words):
        if (arguments[0] == "measure" and (folder / SWEEP).is_file()) or is_run(folder):
            return settings_of(folder)
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
