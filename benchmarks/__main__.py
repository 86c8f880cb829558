"""`python -m benchmarks`: a table of ours against the textbook, or one JSON object.

This process imports no torch: every measurement has a process of its own, so that its peak memory is its own.
"""

from __future__ import annotations

import argparse
import json
import platform
import re
import subprocess
import sys
from pathlib import Path
from typing import Any

from benchmarks.sizes import DEMO, QUICK, SMALL, TINY, Size

RESULTS = Path(__file__).parent / "results"
Row = tuple[str, str, str, str, str]


def main() -> None:
    parser = argparse.ArgumentParser(prog="python -m benchmarks", description=__doc__.splitlines()[0])
    parser.add_argument("--quick", action="store_true", help="the paper's tiny model only, in less than 60 s")
    parser.add_argument("--json", action="store_true", help="print one JSON object and nothing else")
    parser.add_argument("--save", action="store_true", help="write benchmarks/results/<device>.json")
    parser.add_argument("--device", default="auto", help="auto, cpu or cuda")
    options = parser.parse_args()
    report = measure((QUICK,) if options.quick else (TINY, SMALL, DEMO), options.device, full=not options.quick)
    if options.save:
        RESULTS.mkdir(exist_ok=True)
        name = re.sub(r"[^a-z0-9]+", "-", report["device"].lower()).strip("-")
        (RESULTS / f"{name}.json").write_text(json.dumps(report, indent=1) + "\n")
    print(json.dumps(report) if options.json else table(report))


def measure(sizes: tuple[Size, ...], device: str, full: bool) -> dict[str, Any]:
    """All measurements; the ratios at the top are those of the first size, ours over the reference."""
    found = {size.name: measure_size(size, device, full) for size in sizes}
    first = next(iter(found.values()))
    report = {"device": device_name(device), "ratios": ratios(first), "measurements": found}
    return {**report, "growth": growth(sizes[0], device)} if full else report


def measure_size(size: Size, device: str, full: bool) -> dict[str, Any]:
    found = {
        "train": case("train_time", size, device, "float32"),
        "memory": case("train_memory", size, device, "ours"),
        "memory_reference": case("train_memory", size, device, "reference"),
        "entropy": case("entropy", size, device),
        "recovery": {str(t): case("recovery", size, device, t) for t in size.times},
    }
    return {**found, "train_bf16": case("train_time", size, device, "bf16")} if full else found


def growth(size: Size, device: str) -> dict[str, float]:
    """How cost grows; 2 is linear, 1 is not at all."""
    base = case("recovery", size, device, 0.05, 2)["seconds"]
    vocabularies = [case("loss_memory", size, device, v)["bytes"] for v in (30_522, 61_044)]
    return {
        "recovery_time_twice_the_sequences": case("recovery", size, device, 0.05, 4)["seconds"] / base,
        "recovery_time_twice_the_steps": case("recovery", size, device, 0.05, 2, 2000)["seconds"] / base,
        "loss_memory_twice_the_vocabulary": vocabularies[1] / vocabularies[0],
    }


def ratios(found: dict[str, Any]) -> dict[str, float]:
    """Ours over the reference, lower is better; `train_peak_share` is of the machine's matrix-product peak."""
    train, entropy = found["train"], found["entropy"]
    values = {
        "train_step_time": train["seconds"] / train["reference_seconds"],
        "train_step_memory": found["memory"]["bytes"] / found["memory_reference"]["bytes"],
        "entropy_over_forward": entropy["seconds"] / entropy["forward_seconds"],
        "train_peak_share": train["peak_share"],
    }
    if "train_bf16" in found:
        values["train_step_time_bf16"] = found["train_bf16"]["seconds"] / found["train_bf16"]["reference_seconds"]
    for t, probe in found["recovery"].items():
        name = "recovery_time" if t == "0.5" else f"recovery_time_{t}"
        values[name] = probe["seconds"] / probe["reference_seconds"]
    return {name: round(value, 4) for name, value in values.items()}


def case(name: str, size: Size, device: str, *arguments: object) -> dict[str, Any]:
    """Run one measurement in a new process."""
    command = [sys.executable, "-m", "benchmarks.cases", name, size.name, device, *map(str, arguments)]
    done = subprocess.run(command, stdout=subprocess.PIPE, text=True, check=True, cwd=Path(__file__).parents[1])
    return json.loads(done.stdout.splitlines()[-1])


def device_name(device: str) -> str:
    """What the numbers were measured on."""
    probe = (
        "import sys, torch, attractor.runtime as r; d = r.pick_device(sys.argv[1]); "
        "print(torch.cuda.get_device_name(d) if d.type == 'cuda' else f'{torch.get_num_threads()} threads')"
    )
    found = subprocess.run([sys.executable, "-c", probe, device], stdout=subprocess.PIPE, text=True, check=True)
    name = found.stdout.strip()
    return f"{processor()}, {name}" if name.endswith("threads") else name


def processor() -> str:
    try:
        lines = Path("/proc/cpuinfo").read_text().splitlines()
    except OSError:
        return platform.processor() or platform.machine()
    return next((line.split(":", 1)[1].strip() for line in lines if line.startswith("model name")), platform.machine())


def table(report: dict[str, Any]) -> str:
    """The measurements as a Markdown table."""
    head: Row = ("size", "measurement", "ours", "reference", "ours / reference")
    rows = [row for size, found in report["measurements"].items() for row in rows_of(size, found)]
    lines = ["| " + " | ".join(row) + " |" for row in (head, ("---",) * 5, *rows)]
    notes = [
        f"{report['device']}; medians. The reference recovery is three of its steps, times the number of steps.",
        *(f"{name.replace('_', ' ')}: {value:.2f}x" for name, value in report.get("growth", {}).items()),
    ]
    return "\n".join([*lines, "", *notes])


def rows_of(size: str, found: dict[str, Any]) -> list[Row]:
    train, memory, base, entropy = (found[k] for k in ("train", "memory", "memory_reference", "entropy"))
    share = f"training step ({train['peak_share']:.0%} of {train['peak_flops'] / 1e9:.0f} GFLOP/s)"
    rows = [seconds_row(size, share, train["seconds"], train["reference_seconds"])]
    if "train_bf16" in found:
        half = found["train_bf16"]
        rows.append(
            seconds_row(size, "training step, bf16 against float32", half["seconds"], half["reference_seconds"])
        )
    mib = [f"{m['bytes'] / 2**20:.0f} MiB" for m in (memory, base)]
    rows.append((size, "training step, peak memory", *mib, f"{memory['bytes'] / base['bytes']:.2f}"))
    rows.append(seconds_row(size, "entropy against forward pass", entropy["seconds"], entropy["forward_seconds"]))
    for t, r in found["recovery"].items():
        done = f"{r['forward_share']:.0%} of forward passes, {r['output_share']:.1%} of output rows"
        name = f"recovery of {r['sequences']} at t = {t}, {r['steps']} steps ({done})"
        rows.append(seconds_row(size, name, r["seconds"], r["reference_seconds"]))
    return rows


def seconds_row(size: str, name: str, ours: float, reference: float) -> Row:
    return size, name, f"{ours:.3g} s", f"{reference:.3g} s", f"{ours / reference:.3f}"


if __name__ == "__main__":
    main()
