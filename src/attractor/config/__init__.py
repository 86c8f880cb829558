"""Every setting: what there is, named sweeps, and the identity of a config."""

from attractor.config.identity import config_hash, run_config_from_dict, sweep_config_from_dict
from attractor.config.presets import PRESETS, preset
from attractor.config.settings import (
    DataConfig,
    ModelConfig,
    MonitorConfig,
    ProbeConfig,
    RunConfig,
    SweepConfig,
    TrainConfig,
)

__all__ = [
    "PRESETS",
    "DataConfig",
    "ModelConfig",
    "MonitorConfig",
    "ProbeConfig",
    "RunConfig",
    "SweepConfig",
    "TrainConfig",
    "config_hash",
    "preset",
    "run_config_from_dict",
    "sweep_config_from_dict",
]
