from __future__ import annotations

import csv
import itertools
import json
import os
import re
import shlex
import subprocess
import sys
from importlib.metadata import version
from pathlib import Path

import pytest

import tiny
from attractor.cli import main, parse
from attractor.cli.examples import EXAMPLES
from attractor.sweeps import speed

PLAN = ["sweep", "--out", "x", "--dry-run", "--adaptive"]
FAST = [
    "--data.seq-len", "12", "--model.hidden-size", "16", "--model.n-blocks", "1", "--model.n-heads",
    "2",
    "--model.cond-dim", "8", "--train.steps", "20", "--train.batch-size", "8", "--train.log-every",
    "10",
    "--train.validation-rows", "8",
    "--probe.t", "0.5", "--probe.rows", "8", "--probe.test-rows", "8", "--probe.repeats", "1",
    "--probe.steps", "10", "--probe.generated", "4", "--probe.nelbo-draws", "1",
    "--probe.ablation-steps", "4",
]  # fmt: skip


@pytest.fixture(scope="module")
def corpus(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tiny.corpus(tmp_path_factory.mktemp("corpus"))


@pytest.fixture(scope="module")
def run(corpus: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("runs") / "one"
    assert (
        main(
            ["train", "--out", str(folder), "--data.source", str(corpus), "--n-train", "16", *FAST]
        )
        == 0
    )
    return folder


@pytest.mark.parametrize(
    "command",
    [
        *("demo", "train", "sweep", "probe", "generate", "report", "theory", "audit"),
        *("extract", "reference", "explore"),
    ],
)
def test_every_command_explains_itself(command: str, capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit) as stop:
        main([command, "--help"])
    assert stop.value.code == 0
    text = capsys.readouterr().out
    assert f"attractor {command}" in text
    if command not in ("report",):
        assert "default:" in text


@pytest.mark.parametrize("command", EXAMPLES)
def test_help_fits_two_screens_and_ends_with_three_examples(
    command: str, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("COLUMNS", "100")
    with pytest.raises(SystemExit):
        main([command, "--help"])
    short = capsys.readouterr().out
    assert short.count("\n") <= 100
    assert all(f"  {line}\n" in short for line in EXAMPLES[command])
    with pytest.raises(SystemExit):
        main([command, "--help-all"])
    whole = capsys.readouterr().out
    assert whole.count("(default:") >= short.count("(default:")
    hidden = re.search(r"(\d+) more settings: attractor \w+ --help-all", short)
    assert (hidden is not None) == (command in ("sweep", "train", "probe", "measure"))
    for line in EXAMPLES[command]:
        parse(shlex.split(line)[1:])


def test_what_a_short_help_leaves_out_is_taken_all_the_same(
    capsys: pytest.CaptureFixture[str],
) -> None:
    with pytest.raises(SystemExit):
        main(["sweep", "--help"])
    assert "--train.ema" not in capsys.readouterr().out
    command = parse(["sweep", "--out", "x", "--train.ema", "0.5", "--watts", "7"])
    assert (command.config.train.ema, command.watts) == (0.5, 7)  # type: ignore[attr-defined]


@pytest.mark.parametrize("command", ["sweep", "measure", "audit"])
def test_the_help_of_an_option_breaks_only_where_the_terminal_ends(command: str) -> None:
    script = "import sys; from attractor.cli import main; main(sys.argv[1:])"
    printed = subprocess.run(
        [sys.executable, "-c", script, command, "--help-all"],
        env=os.environ | {"COLUMNS": "100", "PYTHONIOENCODING": "utf-8"},
        encoding="utf-8",
        capture_output=True,
        check=True,
    ).stdout
    lines = [line[2:-2] for line in printed.splitlines() if line.startswith("│")]
    assert sum("(default: " in line for line in lines) > 10
    for above, below in itertools.pairwise(lines):
        is_text = above.startswith(" " * 10) or "  " in above.strip()
        if is_text and below.startswith(" " * 10):
            room = len(above) - len(above.rstrip())
            assert room <= len(below.split()[0]), f"{above!r} breaks before {below.strip()!r}"


@pytest.mark.parametrize("arguments", [["--version"], ["sweep", "--help"]])
@pytest.mark.parametrize("unbuffered", ["", "1"])
def test_help_ends_quietly_when_nobody_reads_on(arguments: list[str], unbuffered: str) -> None:
    script = "from attractor.cli import main; import sys; input(); sys.exit(main(sys.argv[1:]))"
    writer = subprocess.Popen(
        [sys.executable, "-c", script, *arguments],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        env=os.environ | {"PYTHONUNBUFFERED": unbuffered},
    )
    assert writer.stdout is not None
    writer.stdout.close()
    writer.stdout = None
    _, complaint = writer.communicate(b"\n", timeout=60)
    assert (writer.returncode, complaint) == (0, b"")


def test_the_version_is_that_of_the_package(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["--version"]) == 0
    assert capsys.readouterr().out == f"attractor {version('attractor')}\n"


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (
            ["sweep", "--out", "x", "--preset", "huge"],
            "unknown preset 'huge'; there are demo, reference, tiny, small, medium",
        ),
        (["sweep", "--out", "x", "--train.stepz", "3"], "--train.stepz"),
        (["sweep", "--out", "x", "--train.steps", "-3"], "steps = -3 must be positive"),
        (["sweep", "--out", "x", "--train.lr", "nan"], "lr = nan must be positive"),
        (["sweep", "--out", "x", "--probe.t", "1.5"], "t = 1.5 is outside (0, 1]"),
        (["sweep", "--out", "x", "--probe.t", "0"], "t = 0.0 is outside (0, 1]"),
        (
            ["sweep", "--out", "x", "--probe.rows", "1"],
            "rows = 1: an interval needs at least 2 sequences",
        ),
        (["sweep"], "--out"),
        (["train", "--out", "x", "--n-train", "0"], "n_train = 0 must be at least 1"),
        (
            ["train", "--out", "x", "--model.hidden-size", "30"],
            "hidden_size = 30 must be a multiple of",
        ),
        (["train", "--out", "x", "--seed", "-1"], "seed = -1 must be at least 0"),
        (["train", "--out", "x", "--model.n-heads", "0"], "n_heads = 0 must be positive"),
        (
            ["train", "--out", "x", "--train.t-min", "2"],
            "t_min = 2.0 must be at least 0 and below 1",
        ),
        (["train", "--out", "x", "--train.betas", "2", "2"], "betas = (2.0, 2.0)"),
        (["sweep", "--out", "x", "--probe.t", "0.1", "0.1"], "none twice"),
        (
            ["sweep", "--out", "x", "--probe.ablation-steps", "16", "0"],
            "ablation_steps = (16, 0): each must be",
        ),
        (["sweep", "--out", "x", "--probe.ablation-steps", "16", "16"], "none twice"),
        (["sweep", "--out", "x", "--probe.ablation-steps"], "at least one value"),
        (
            ["sweep", "--out", "x", "--probe.basin-rows", "1"],
            "basin_rows = 1: an interval needs at least 2",
        ),
        (["sweep", "--out", "x", "--seeds", "0", "0"], "none twice"),
        (
            [*PLAN, "--precision", "1"],
            "precision = 1.0 must be above 1, and at_once = 1 at least 1",
        ),
        ([*PLAN, "--precision", "nan"], "precision = nan must be above 1"),
        ([*PLAN, "--at-once", "0"], "at_once = 0 at least 1"),
        ([*PLAN, "--sizes", "32"], "an adaptive sweep needs a smallest and a largest one"),
        (["dance"], "there is no command 'dance': there are demo, sweep"),
        (["swep", "--out", "x"], "; did you mean 'sweep'?"),
        (["sweep", "--out", "x", "--train.stps", "3"], "did you mean '--train.steps'?"),
        (
            ["sweep", "--out", "x", "--steps", "3"],
            "there is no option --steps; did you mean --train.steps or --probe.steps or --monitor",
        ),
        (["demo", "--worker", "2"], "did you mean '--workers'?"),
        ([], "demo"),
    ],
)
def test_bad_arguments_give_one_line_and_exit_code_2(
    arguments: list[str],
    message: str,
    capsys: pytest.CaptureFixture[str],
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.chdir(tmp_path)
    assert main(arguments) == 2
    error = capsys.readouterr().err
    assert error.startswith("attractor: ")
    assert message in error
    assert error.count("\n") == 1
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["--data.source", "nowhere.txt"], "nowhere.txt"),
        (["--data.source", "empty.txt"], "empty"),
        (["--data.tokenizer", "nothing.json"], "nothing.json"),
        (["--n-train", "1000000"], "n_train=1000000"),
        (["--probe.rows", "17"], "17"),
        (["--probe.test-rows", "100000"], "100000"),
        (["--probe.t", "0.0001"], "t = 0.0001 corrupts about"),
        (["--probe.judge", "nowhere"], "the judge 'nowhere' does not exist"),
    ],
)
def test_bad_data_gives_one_line_and_leaves_nothing(
    arguments: list[str], message: str, corpus: Path, capsys: pytest.CaptureFixture[str],
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:  # fmt: skip
    monkeypatch.chdir(tmp_path)
    Path("empty.txt").write_text("\n\n")
    source = [] if "--data.source" in arguments else ["--data.source", str(corpus)]
    assert main(["train", "--out", "run", "--n-train", "16", *FAST, *source, *arguments]) == 2
    error = capsys.readouterr().err
    assert message in error
    assert error.count("\n") == 1
    assert [p.name for p in tmp_path.iterdir()] == ["empty.txt"]


@pytest.fixture
def hasty(monkeypatch: pytest.MonkeyPatch) -> None:
    """Plans that time this machine once and not well."""
    monkeypatch.setattr(speed, "PATIENCE", 0)
    monkeypatch.setattr(speed, "REPEATS", 1)


@pytest.mark.usefixtures("hasty")
@pytest.mark.parametrize("arguments", [["demo"], ["train", "--out", "x"]])
def test_dry_run_prints_a_plan_and_writes_nothing(
    arguments: list[str],
    capsys: pytest.CaptureFixture[str],
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.chdir(tmp_path)
    assert main([*arguments, "--dry-run"]) == 0
    assert "models" in capsys.readouterr().out
    assert list(tmp_path.iterdir()) == []


@pytest.mark.usefixtures("hasty")
@pytest.mark.parametrize(
    ("command", "settings", "complaint"),
    [
        ("sweep", ["--data.wrap", "paper"], "wrap = 'paper' is for text that is streamed"),
        ("sweep", ["--data.source", "gone.txt"], "the corpus 'gone.txt' does not exist"),
        ("sweep", ["--data.source", "lm1b:gone"], "'gone' does not exist"),
        ("train", ["--data.seq-len", "3"], "seq_len=3 is too short"),
        ("train", ["--data.tokenizer", "bpe", "--data.vocab-size", "9"], "vocab_size=9 is too"),
        ("sweep", ["--probe.measure", "entropy"], "a sweep needs recovery and entropy"),
        ("sweep", ["--probe.measure", "entrop"], "entrop"),
        ("sweep", ["--monitor.at", "5", "--monitor.t", "0.01"], "it needs at least 2 rows and 1"),
        ("sweep", ["--preset", "paper", "--data.source", "bible"], "wrap = 'paper' is for text"),
    ],
)
def test_a_plan_refuses_what_the_command_itself_refuses(
    command: str,
    settings: list[str],
    complaint: str,
    capsys: pytest.CaptureFixture[str],
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.chdir(tmp_path)
    said = []
    for more in (["--dry-run"], []):
        assert main([command, "--out", "x", *settings, *more]) == 2
        said.append(capsys.readouterr().err.strip().splitlines()[-1])
    assert complaint in said[0]
    assert said[0] == said[1]


@pytest.mark.usefixtures("hasty")
def test_a_plan_counts_the_text_and_refuses_sizes_beyond_it(
    corpus: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    options = ["--out", str(tmp_path / "x"), "--data.source", str(corpus), "--data.seq-len", "12"]
    assert main(["sweep", *options, "--sizes", "8", "0.5", "--dry-run"]) == 0
    said = capsys.readouterr().out
    assert "400 documents, 0 of them duplicates" in said
    rows = int(said.split(" rows to train on")[0].split()[-1].replace(",", ""))
    assert f"sizes     8, {rows // 2:,} rows" in said
    for command in (["sweep", "--sizes"], ["train", "--n-train"]):
        assert main([*command, "99999", *options, "--dry-run"]) == 2
        assert f"has only {rows} rows; take sizes of at most {rows}" in capsys.readouterr().err
    assert list(tmp_path.iterdir()) == []


@pytest.mark.usefixtures("hasty")
def test_a_plan_for_the_folder_of_another_sweep_is_refused(
    capsys: pytest.CaptureFixture[str], small_sweep: Path
) -> None:
    assert main(["sweep", "--out", str(small_sweep), "--dry-run"]) == 2
    assert "was made with another config" in capsys.readouterr().err


@pytest.mark.slow
@pytest.mark.usefixtures("hasty")
def test_presets_are_defaults_that_options_override(
    capsys: pytest.CaptureFixture[str], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    assert main(["sweep", "--preset=tiny", "--out", "x", "--dry-run", "--train.steps", "7"]) == 0
    text = " ".join(capsys.readouterr().out.split())
    assert "models 54" in text
    assert "7 steps" in text
    assert list(tmp_path.iterdir()) == []


@pytest.mark.slow
@pytest.mark.usefixtures("hasty")
def test_the_plan_of_an_adaptive_sweep_is_of_the_most_it_can_take(
    capsys: pytest.CaptureFixture[str],
) -> None:
    assert main([*PLAN, "--sizes", "8", "16", "--seeds", "0", "1"]) == 0
    text = " ".join(capsys.readouterr().out.split())
    assert "models 12 12, 2 at a time" in text  # six sizes with two seeds each
    assert "the plan is for 6 of each model, about the most it can take" in text


def test_a_trained_run_is_probed_and_generates(
    run: Path, corpus: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(["generate", str(run), "--n", "3", "--steps", "10"]) == 0
    assert len(capsys.readouterr().out.splitlines()) >= 3
    assert (
        main(
            [
                "generate",
                str(run),
                "--n",
                "3",
                "--steps",
                "10",
                "--temperature",
                "0.5",
                "--top-p",
                "0.9",
            ]
        )
        == 0
    )
    assert main(["generate", str(run), "--top-p", "1.5"]) == 2
    assert "top_p = 1.5 is outside (0, 1]" in capsys.readouterr().err
    fast = [
        "--t",
        "0.4",
        "--rows",
        "6",
        "--test-rows",
        "7",
        "--repeats",
        "1",
        "--steps",
        "10",
        "--generated",
        "4",
        "--nelbo-draws",
        "1",
        "--ablation-steps",
        "4",
    ]
    assert main(["probe", str(run), *fast]) == 0
    assert main(["probe", str(run), *fast, "--text", str(corpus)]) == 0
    assert "recovery_rate" in capsys.readouterr().out
    assert len(list((run / "probes").glob("*/results.parquet"))) == 2


@pytest.mark.slow
def test_a_finished_run_is_never_overwritten_without_force(
    run: Path, corpus: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    arguments = ["train", "--out", str(run), "--data.source", str(corpus), "--n-train", "16", *FAST]
    before = (run / "metrics.jsonl").read_text()
    assert main(arguments) == 2
    assert "--force trains it again" in capsys.readouterr().err
    assert main([*arguments, "--seed", "1"]) == 2
    assert "seed (0 there, 1 asked for)" in capsys.readouterr().err
    assert (run / "metrics.jsonl").read_text() == before
    assert main([*arguments, "--force"]) == 0


def test_force_replaces_runs_and_nothing_else(
    corpus: Path,
    capsys: pytest.CaptureFixture[str],
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.chdir(tmp_path)
    Path("precious").mkdir()
    Path("precious/thesis.tex").write_text("x")
    Path("file").write_text("x")
    source = ["--data.source", str(corpus)]
    for command in (["train", "--n-train", "16"], ["sweep", "--sizes", "8", "16"]):
        assert main([*command, *FAST, *source, "--out", "precious", "--force"]) == 2
        assert "choose another folder" in capsys.readouterr().err
        assert main([*command, *FAST, *source, "--out", "file"]) == 2
        assert capsys.readouterr().err.count("\n") == 1
    assert sorted(p.name for p in tmp_path.rglob("*")) == ["file", "precious", "thesis.tex"]


@pytest.mark.parametrize("command", ["probe", "generate", "report"])
def test_a_folder_that_is_none_is_named(
    command: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main([command, str(tmp_path / "nothing")]) == 2
    assert str(tmp_path / "nothing") in capsys.readouterr().err


def test_a_tokenizer_of_another_size_is_refused(
    run: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    import shutil

    copy = tmp_path / "run"
    shutil.copytree(run, copy)
    path = copy / "data" / "tokenizer.json"
    content = json.loads(path.read_text())
    content["model"]["vocab"]["\u03a9"] = 1 + max(content["model"]["vocab"].values())
    path.write_text(json.dumps(content))
    assert main(["probe", str(copy)]) == 2
    assert "tokenizer has" in capsys.readouterr().err


def test_a_reader_that_goes_away_does_not_change_the_exit_code() -> None:
    """`attractor audit --gate | head` must not say 1, which is a verdict."""
    script = (
        "import sys; from attractor.cli.terminal import say; "
        "[say('x' * 100) for _ in range(5000)]; sys.exit(3)"
    )
    writer = subprocess.Popen(
        [sys.executable, "-c", script], stdout=subprocess.PIPE, stderr=subprocess.PIPE
    )
    assert writer.stdout is not None
    assert writer.stderr is not None
    writer.stdout.read(10)
    writer.stdout.close()
    assert (writer.wait(60), writer.stderr.read()) == (3, b"")
    writer.stderr.close()


def test_no_bar_is_drawn_before_there_is_something_to_show(
    capsys: pytest.CaptureFixture[str], tmp_path: Path, corpus: Path
) -> None:
    wrong = ["--data.source", str(tmp_path / "nowhere.txt")]
    few = ["--data.source", str(corpus), "--n-train=1000000"]
    for command in (["train"], ["sweep", "--sizes", "8", "16"]):
        for arguments in (wrong, *([few] if command == ["train"] else [])):
            assert main([*command, "--out", str(tmp_path / "x"), *FAST, *arguments]) == 2
            assert capsys.readouterr().out == ""


@pytest.mark.parametrize(
    ("content", "said"),
    [
        ('{"documents": 3}', "its numbers are not documents, duplicates"),
        ('{"documents": "3"}', "its numbers are not"),
        ("[]", "it holds no JSON object"),
        ("{", "is no JSON"),
    ],
)
def test_damaged_counts_are_named(
    content: str, said: str, copied_sweep: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (copied_sweep / "data" / "counts.json").write_text(content)
    for command in (["sweep", "--status", "--out"], ["report"], ["measure"]):
        assert main([*command, str(copied_sweep)]) == 2
        error = capsys.readouterr().err
        assert "counts.json' is damaged" in error
        assert said in error
        assert error.count("\n") == 1


def test_a_number_without_a_place_of_its_own_has_none_in_the_tables(copied_sweep: Path) -> None:
    assert main(["report", str(copied_sweep), "--tables", "csv"]) == 0
    with (copied_sweep / "tables" / "measurements.csv").open() as file:
        rows = list(csv.DictReader(file))
    stored = json.loads((copied_sweep / "measurements.json").read_text())["rows"]
    placed = {row["measurement"] for row in stored if row["at"] is not None}
    assert "recovery_rate" not in placed
    assert placed
    for row in rows:
        assert bool(row["at"]) == (row["measurement"] in placed)
