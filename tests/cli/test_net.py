"""Nothing that happens in a command is an exit code that `audit --gate` could have meant."""

from __future__ import annotations

import errno
import os
import re
import signal
import subprocess
import sys
from pathlib import Path

import pytest

import attractor.cli as cli
from attractor.cli import commands, main
from attractor.cli.net import NOTHING_KEPT
from attractor.types import AttractorError

COMMANDS = {
    commands.DemoCommand: ["demo"],
    commands.SweepCommand: ["sweep", "--out", "x"],
    commands.TrainCommand: ["train", "--out", "x"],
    commands.ProbeCommand: ["probe", "."],
    commands.MeasureCommand: ["measure", "."],
    commands.GenerateCommand: ["generate", "."],
    commands.AuditCommand: ["audit", ".", "--gate"],
    commands.ReferenceCommand: ["reference", ".", "--out", "x", "--name", "x"],
    commands.PushCommand: ["push", ".", "a/b"],
    commands.ReportCommand: ["report", "."],
    commands.TwinsCommand: ["twins", "."],
    commands.TheoryCommand: ["theory"],
    commands.ExploreCommand: ["explore"],
}
"""Every command, with arguments that let it begin."""


class PanicException(BaseException):
    """As libraries in Rust raise it."""


@pytest.fixture(autouse=True)
def elsewhere(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr("tempfile.tempdir", str(tmp_path))


def failing(monkeypatch: pytest.MonkeyPatch, kind: type, error: BaseException) -> None:
    def call(self: object) -> int:
        raise error

    monkeypatch.setattr(kind, "__call__", call)


@pytest.mark.parametrize(("kind", "arguments"), COMMANDS.items())
def test_the_unexpected_is_one_line_and_a_saved_traceback_in_every_command(
    kind: type,
    arguments: list[str],
    capsys: pytest.CaptureFixture[str],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    failing(monkeypatch, kind, KeyError("no\nsuch"))
    assert main(arguments) == 2
    line = capsys.readouterr().err
    assert line.count("\n") == 1
    file = re.search(r"KeyError.*; its traceback is in '(.+)', and --debug prints it", line)
    assert file is not None
    text = Path(file[1]).read_text()
    assert text.startswith("Traceback")
    assert text.rstrip().endswith(r"KeyError: 'no\nsuch'")


@pytest.mark.parametrize("how", ["option", "environment"])
def test_debug_prints_the_traceback(
    how: str, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    failing(monkeypatch, commands.TheoryCommand, ZeroDivisionError("by nothing"))
    if how == "environment":
        monkeypatch.setenv("ATTRACTOR_DEBUG", "1")
    assert main(["theory", "--debug"] if how == "option" else ["theory"]) == 2
    error = capsys.readouterr().err
    assert error.startswith("Traceback")
    assert "attractor: something unexpected happened, ZeroDivisionError: by nothing\n" in error
    assert not list(Path().glob("attractor-*.txt"))


@pytest.mark.parametrize(
    ("error", "said"),
    [
        (AttractorError("two\nlines \x1b[31mred"), r"two lines \x1b[31mred"),
        (OSError(errno.EACCES, "Permission denied", "runs/x"), "'runs/x': Permission denied"),
        (OSError(errno.ENOSPC, "No space left on device"), "the disk is full"),
        (Exception("No space left on device (os error 28)"), "the disk is full"),
        (FileNotFoundError(2, "No usable temporary directory found in ['/tmp']"), "set TMPDIR to"),
        (MemoryError(), "there is not enough memory"),
        (RuntimeError("DefaultCPUAllocator: can't allocate memory"), "there is not enough memory"),
        (RuntimeError("CUDA out of memory. Tried to"), "there is not enough memory"),
        (RuntimeError("shapes"), "RuntimeError: shapes"),
        (RecursionError("too deep"), "RecursionError: too deep"),
        (UnicodeEncodeError("utf-8", "\udcff", 0, 1, "surrogates"), "UnicodeEncodeError"),
        (PanicException("in Rust"), "PanicException: in Rust"),
        (SystemExit(1), "ended unexpectedly, with 1"),
        (SystemExit(3), "ended unexpectedly, with 3"),
        (SystemExit("words"), "ended unexpectedly, with 'words'"),
    ],
)
def test_whatever_is_raised_no_exit_code_is_a_verdict(
    error: BaseException,
    said: str,
    capsys: pytest.CaptureFixture[str],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    failing(monkeypatch, commands.AuditCommand, error)
    assert main(["audit", ".", "--gate"]) == 2
    line = capsys.readouterr().err
    assert line.startswith("attractor: ")
    assert said in line
    assert line.count("\n") == 1


@pytest.mark.parametrize("code", [0, 130, 143])
def test_an_end_that_was_asked_for_stays_one(code: int, monkeypatch: pytest.MonkeyPatch) -> None:
    failing(monkeypatch, commands.AuditCommand, SystemExit(code))
    with pytest.raises(SystemExit) as stop:
        main(["audit", "."])
    assert stop.value.code == code


def test_a_fault_of_an_import_is_no_verdict(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(sys.modules, "attractor.cli.arguments", None)
    assert main(["audit", "model"]) == 2
    assert "ModuleNotFoundError" in capsys.readouterr().err


def test_a_traceback_that_cannot_be_saved_is_no_second_fault(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    failing(monkeypatch, commands.TheoryCommand, KeyError("x"))
    ready = cli._ready

    def ready_then_gone(arguments: list[str]) -> object:
        command = ready(arguments)
        monkeypatch.setattr("tempfile.tempdir", str(tmp_path / "gone"))
        return command

    monkeypatch.setattr(cli, "_ready", ready_then_gone)
    assert main(["theory"]) == 2
    assert "could not be saved (No such file or directory)" in capsys.readouterr().err


GOES_ON = "the same command again goes on from here"


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (["sweep", "--out", "begun"], GOES_ON),
        (["sweep", "--out", "packing"], GOES_ON),
        (
            ["sweep", "--out", "begun", "--force"],
            "the same command without --force goes on from here",
        ),
        (["sweep", "--out", "new"], NOTHING_KEPT),
        (["sweep", "--out", "begun", "--status"], NOTHING_KEPT),
        (["train", "--out", "begun"], GOES_ON),
        (["train", "--out", "begun", "--dry-run"], NOTHING_KEPT),
        (["demo", "--out", "begun"], GOES_ON),
        (["measure", "begun"], GOES_ON),
        (["twins", "begun"], GOES_ON),
        (["audit", "begun"], NOTHING_KEPT),
        (["generate", "begun"], NOTHING_KEPT),
        (["probe", "begun"], NOTHING_KEPT),
        (["theory"], NOTHING_KEPT),
    ],
)
def test_an_interrupted_command_promises_only_what_it_keeps(
    arguments: list[str],
    said: str,
    capsys: pytest.CaptureFixture[str],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    Path("begun").mkdir()
    Path(".packing.packing-0123").mkdir()
    for kind in COMMANDS:
        failing(monkeypatch, kind, KeyboardInterrupt())
    assert main(arguments) == 130
    assert capsys.readouterr().err == f"attractor: interrupted; {said}\n"


@pytest.mark.parametrize(
    ("argument", "said"), [("runs/\udcff", "its bytes are not UTF-8"), ("a\0b", "a zero byte")]
)
def test_an_argument_that_is_no_text_is_refused(
    argument: str, said: str, capsys: pytest.CaptureFixture[str]
) -> None:
    for arguments in (["audit", argument], ["sweep", "--out", "x", "--data.source", argument]):
        assert main(arguments) == 2
        error = capsys.readouterr().err
        assert said in error
        assert error.count("\n") == 1


def run_python(script: str, *arguments: str, **environment: str) -> subprocess.CompletedProcess:
    return subprocess.run(
        [sys.executable, "-c", script, *arguments],
        env=os.environ | environment,
        capture_output=True,
        check=False,
    )


def test_a_terminal_that_lacks_a_character_shows_its_code() -> None:
    script = (
        "from attractor.cli.net import expecting_any_text as any_text; any_text(); "
        "from attractor.cli.terminal import say; say('caf\u00e9 \u05d0 \\udcff')"
    )
    for encoding in ("ascii", "ascii:strict", "latin-1", "utf-8:strict", "ascii:surrogateescape"):
        ended = run_python(script, PYTHONIOENCODING=encoding)
        assert (ended.returncode, ended.stderr) == (0, b""), encoding
        assert ended.stdout.endswith(rb"\udcff" + b"\n")
        assert ended.stdout.startswith(b"caf")


@pytest.mark.skipif(not Path("/dev/full").exists(), reason="needs /dev/full")
def test_output_that_cannot_be_written_is_no_success() -> None:
    script = "import sys; from attractor.cli import main; sys.exit(main(['--version']))"
    with open("/dev/full", "w") as full:
        ended = subprocess.run(
            [sys.executable, "-c", script], stdout=full, stderr=subprocess.PIPE, check=False
        )
    assert (ended.returncode, ended.stderr.count(b"\n")) == (2, 1)
    assert b"the disk is full" in ended.stderr


def test_a_closed_output_is_no_fault() -> None:
    script = (
        "import os, sys; sys.stdout = None; from attractor.cli import main; "
        "sys.exit(main(['--version']))"
    )
    ended = run_python(script)
    assert (ended.returncode, ended.stderr) == (0, b"")


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGHUP])
def test_a_signal_that_comes_twice_does_not_interrupt_the_leaving(
    number: signal.Signals, monkeypatch: pytest.MonkeyPatch
) -> None:
    """As `timeout` sends it, to the command and to its group."""
    left = []

    def call(self: object) -> int:
        try:
            signal.raise_signal(number)
        finally:
            signal.raise_signal(number)
            left.append("in order")
        return 0

    monkeypatch.setattr(commands.TheoryCommand, "__call__", call)
    before = {each: signal.getsignal(each) for each in (signal.SIGTERM, signal.SIGHUP)}
    signal.signal(signal.SIGHUP, signal.SIG_DFL)
    try:
        with pytest.raises(SystemExit) as stop:
            main(["theory"])
    finally:
        for each, handler in before.items():
            signal.signal(each, handler)
    assert stop.value.code == 128 + number
    assert left == ["in order"]


def test_what_nohup_ignores_stays_ignored(monkeypatch: pytest.MonkeyPatch) -> None:
    before = signal.signal(signal.SIGHUP, signal.SIG_IGN)
    try:
        main(["--version"])
        assert signal.getsignal(signal.SIGHUP) is signal.SIG_IGN
    except SystemExit:
        assert signal.getsignal(signal.SIGHUP) is signal.SIG_IGN
    finally:
        signal.signal(signal.SIGHUP, before)
