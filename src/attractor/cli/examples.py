"""What stands at the end of a command's help: lines that can be copied."""

from __future__ import annotations

EXAMPLES: dict[str, tuple[str, ...]] = {
    "demo": (
        "attractor demo",
        "attractor demo --out runs/another --workers 1",
        "attractor demo --dry-run",
    ),
    "sweep": (
        "attractor sweep --out runs/mine --data.source my.txt --sizes 32 128 512 0.5",
        "attractor sweep --out runs/mine --data.source my.txt --adaptive --dry-run",
        "attractor sweep --out runs/mine --status",
    ),
    "train": (
        "attractor train --out runs/one --n-train 256",
        "attractor train --out runs/one --data.source my.txt --n-train 64 --train.steps 500",
        "attractor train --out runs/one --n-train 256 --dry-run",
    ),
    "probe": (
        "attractor probe runs/demo:n=32 --measure recovery ablation",
        "attractor probe runs/demo:n=32 --t 0.05 0.5 --seed 1",
        "attractor probe runs/one --text never_seen.txt",
    ),
    "measure": (
        "attractor measure runs/demo --measure ablation",
        "attractor measure runs/demo --t 0.5",
        "attractor measure runs/demo --measure all --seed 1",
    ),
    "generate": (
        "attractor generate runs/demo:n=32",
        "attractor generate reference:n=2048 --n 3 --steps 250",
        "attractor generate runs/demo:n=119480 --temperature 0.8 --top-p 0.9",
    ),
    "audit": (
        "attractor audit s-sahoo/duo",
        "attractor audit runs/demo:n=32 --own-data",
        "attractor audit model.ckpt --train seen.txt --test unseen.txt --gate",
    ),
    "extract": (
        "attractor extract runs/demo:n=32 --own-data",
        "attractor extract model.ckpt --train seen.txt --test unseen.txt --given 0.5 0.1",
        "attractor extract model.ckpt --train seen.txt --spans addresses.txt",
    ),
    "reference": (
        "attractor reference runs/demo --out curves.json --name 'six models of the demo'",
        "attractor reference runs/mine --out curves.json --name mine --n 2000",
        "attractor audit runs/one --reference curves.json",
    ),
    "push": (
        "attractor push runs/demo:n=119480 owner/name --dry-run published",
        "attractor push runs/demo:n=119480 owner/name --private",
        "attractor push runs/one owner/name --weights raw",
    ),
    "report": (
        "attractor report runs/demo",
        "attractor report runs/demo --figures pdf --tables tex",
        "attractor report runs/demo --beside runs/masks",
    ),
    "explore": (
        "attractor explore",
        "attractor explore runs/demo",
        "attractor explore runs/demo -o falls.html",
    ),
    "twins": (
        "attractor twins runs/demo",
        "attractor sweep --out runs/mine --status",
        "attractor report runs/demo",
    ),
    "theory": (
        "attractor theory",
        "attractor theory --n 1000 --loads 0.05 0.1 0.2",
        "attractor theory --markov --out runs/theory-markov",
    ),
}
"""Three for each command."""


def epilogue(command: str | None, hidden: int) -> str:
    """The end of a help: of a command, or of the whole without one.

    Args:
        command: whose help it is.
        hidden: settings that it did not list.
    """
    lines = ["examples:"]
    if command is None:
        lines += [f"  {EXAMPLES[name][0]}" for name in ("demo", "sweep", "audit")]
    else:
        lines += [f"  {line}" for line in EXAMPLES[command]]
    if hidden:
        lines.append(f"\n{hidden} more settings: attractor {command} --help-all")
    return "\n".join(lines)
