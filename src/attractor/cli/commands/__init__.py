"""The commands: their options, each default written once, and a call for each.

What a call needs is imported inside it, because the options alone have to be there in an instant:
torch takes seconds to load, and `--help` does not need it.
"""

from attractor.cli.commands.auditing import AuditCommand, ExtractCommand, ReferenceCommand
from attractor.cli.commands.measuring import (
    GenerateCommand,
    MeasureCommand,
    ProbeCommand,
    TwinsCommand,
)
from attractor.cli.commands.showing import ExploreCommand, PushCommand, ReportCommand, TheoryCommand
from attractor.cli.commands.training import DEMO, DemoCommand, SweepCommand, TrainCommand

__all__ = [
    "DEMO",
    "AuditCommand",
    "DemoCommand",
    "ExploreCommand",
    "ExtractCommand",
    "GenerateCommand",
    "MeasureCommand",
    "ProbeCommand",
    "PushCommand",
    "ReferenceCommand",
    "ReportCommand",
    "SweepCommand",
    "TheoryCommand",
    "TrainCommand",
    "TwinsCommand",
]
