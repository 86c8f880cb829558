"""`python -m benchmarks`: a table of ours against the textbook, or one JSON object.

This process imports no torch: every measurement has a process of its own, so that its peak memory
is its own.
"""

from __future__ import annotations

import argparse
import json
import re
import subprocess
import sys
from pathlib import Path
from typing import Any

from benchmarks.sizes import DEMO, QUICK, SMALL, TINY, Size

RESULTS = Path(__file__).parent / "results"
Row = tuple[str, str, str, str, str]


def main() -> None:
    parser = argparse.ArgumentParser(
        prog="python -m benchmarks", description=__doc__.splitlines()[0]
    )
    switches = {
        "--quick": "Measure the paper's tiny model only, in less than 60 s.",
        "--json": "Print one JSON object and nothing else.",
        "--save": "Write the numbers to benchmarks/results/<device>.json, too.",
    }
    for name, text in switches.items():
        parser.add_argument(name, action="store_true", help=text)
    parser.add_argument("--device", default="auto", help="Compute on this: auto, cpu or cuda.")
    options = parser.parse_args()
    sizes = (QUICK,) if options.quick else (TINY, SMALL, DEMO)
    report = measure(sizes, options.device, full=not options.quick)
    if options.save:
        RESULTS.mkdir(exist_ok=True)
        name = re.sub(r"[^a-z0-9]+", "-", report["device"].lower()).strip("-")
        (RESULTS / f"{name}.json").write_text(json.dumps(report, indent=1) + "\n")
    print(json.dumps(report) if options.json else table(report))


def measure(sizes: tuple[Size, ...], device: str, full: bool) -> dict[str, Any]:
    """All measurements; the ratios at the top are those of the first size, ours over the
    reference."""
    found = {size.name: measure_size(size, device, full) for size in sizes}
    first = next(iter(found.values()))
    report = {"device": first["device"], "ratios": ratios(first), "measurements": found}
    return {**report, "growth": growth(sizes[0], device)} if full else report


def measure_size(size: Size, device: str, full: bool) -> dict[str, Any]:
    """Times in one process; peak memory, of which a process has one, in a process each."""
    return {
        **case("times", size, device, "float32,bf16" if full else "float32"),
        "memory": case("train_memory", size, device, "ours"),
        "memory_reference": case("train_memory", size, device, "reference"),
    }


def growth(size: Size, device: str) -> dict[str, float]:
    """How cost grows when something is doubled; 2 is linear, 1 is not at all."""

    def recovery(*arguments: object) -> float:
        return case("recovery", size, device, *arguments)["seconds"]

    few, many = (recovery(0.05, sequences) for sequences in (4, 8))
    coarse, fine = (recovery(1.0, 2, steps) for steps in (1000, 2000))
    once, wide = (case("loss_memory", size, device, v)["bytes"] for v in (30_522, 61_044))
    curriculum = case("curriculum", size, device)
    return {
        "recovery_time_twice_the_sequences": many / few,
        "recovery_time_twice_the_steps": fine / coarse,
        "loss_memory_twice_the_vocabulary": wide / once,
        "train_step_time_with_duo_curriculum": curriculum["seconds"] / curriculum["plain_seconds"],
    }


def ratios(found: dict[str, Any]) -> dict[str, float]:
    """Ours over the reference, lower is better; `train_peak_share` is of the machine's
    matrix-product peak."""
    train, entropy = found["train_float32"], found["entropy"]
    values = {
        "train_step_time": train["seconds"] / train["reference_seconds"],
        "train_step_memory": found["memory"]["bytes"] / found["memory_reference"]["bytes"],
        "entropy_over_forward": entropy["seconds"] / entropy["forward_seconds"],
        "train_peak_share": train["peak_share"],
    }
    if half := found.get("train_bf16"):
        values["train_step_time_bf16"] = half["seconds"] / half["reference_seconds"]
    for t, probe in found["recovery"].items():
        name = "recovery_time" if t == "0.5" else f"recovery_time_{t}"
        values[name] = probe["seconds"] / probe["reference_seconds"]
    for name, probe in found["recovery_kept"].items():
        values[f"recovery_time_kept_{name}"] = probe["seconds"] / probe["reference_seconds"]
    return {name: round(value, 4) for name, value in values.items()}


def case(name: str, size: Size, device: str, *arguments: object) -> dict[str, Any]:
    """Run one measurement in a new process; if it fails it has said why, and this one ends as it
    did."""
    module, root = "benchmarks.cases", Path(__file__).parents[1]
    command = [sys.executable, "-m", module, name, size.name, device, *map(str, arguments)]
    done = subprocess.run(command, stdout=subprocess.PIPE, text=True, check=False, cwd=root)
    if done.returncode:
        sys.exit(done.returncode)
    return json.loads(done.stdout.splitlines()[-1])


def table(report: dict[str, Any]) -> str:
    """The measurements as a Markdown table."""
    head: Row = ("size", "measurement", "ours", "reference", "ours / reference")
    rows = [row for size, found in report["measurements"].items() for row in rows_of(size, found)]
    lines = ["| " + " | ".join(row) + " |" for row in (head, ("---",) * 5, *rows)]
    note = (
        f"{report['device']}; medians. The reference recovery is three of its steps, times the "
        "number of steps."
    )
    ratios = report.get("growth", {})
    grows = [f"{name.replace('_', ' ')}: {value:.2f}x" for name, value in ratios.items()]
    return "\n".join([*lines, "", note, *grows])


def rows_of(size: str, found: dict[str, Any]) -> list[Row]:
    """The rows of one size."""
    train, entropy = found["train_float32"], found["entropy"]
    share = f"training step ({train['peak_share']:.0%} of {train['peak_flops'] / 1e9:.0f} GFLOP/s)"
    rows = [seconds_row(size, share, train["seconds"], train["reference_seconds"])]
    if "train_bf16" in found:
        half, name = found["train_bf16"], "training step, bf16 against float32"
        rows.append(seconds_row(size, name, half["seconds"], half["reference_seconds"]))
    ours, theirs = found["memory"]["bytes"], found["memory_reference"]["bytes"]
    mib = [f"{bytes_ / 2**20:.0f} MiB" for bytes_ in (ours, theirs)]
    rows.append((size, "training step, peak memory", *mib, f"{ours / theirs:.2f}"))
    name = "entropy against forward pass"
    rows.append(seconds_row(size, name, entropy["seconds"], entropy["forward_seconds"]))
    for t, r in found["recovery"].items():
        rows.append(recovery_row(size, t, r))
    for name, r in found["recovery_kept"].items():
        noise, t = name.split("_")
        rows.append(recovery_row(size, f"{t}, {noise} noise, network without time", r))
    return rows


def recovery_row(size: str, t: str, r: dict[str, Any]) -> Row:
    done = f"{r['forward_share']:.0%} of forward passes, {r['output_share']:.1%} of output rows"
    name = f"recovery of {r['sequences']} at t = {t}, {r['steps']} steps ({done})"
    return seconds_row(size, name, r["seconds"], r["reference_seconds"])


def seconds_row(size: str, name: str, ours: float, reference: float) -> Row:
    return size, name, f"{ours:.3g} s", f"{reference:.3g} s", f"{ours / reference:.3f}"


if __name__ == "__main__":
    main()
