"""A config file that is wrong is told so in the words of the file, whatever is wrong with it."""

from __future__ import annotations

import copy
import json
from pathlib import Path
from typing import Any

import pytest

import tiny
from attractor.config.identity import (
    probe_config_from_dict,
    run_config_from_dict,
    sweep_config_from_dict,
    to_dict,
    to_json,
)
from attractor.config.presets import preset
from attractor.config.settings import RunConfig
from attractor.types import AttractorError

RUN = to_dict(RunConfig())


def changed(place: str, value: Any) -> dict[str, Any]:
    content = copy.deepcopy(RUN)
    *above, name = place.split(".")
    inner = content
    for key in above:
        inner = inner[key]
    inner[name] = value
    return content


def test_what_is_written_is_read_again() -> None:
    assert run_config_from_dict(json.loads(to_json(RunConfig()))) == RunConfig()
    for name in ("demo", "tiny", "paper"):
        config = preset(name)
        assert sweep_config_from_dict(json.loads(to_json(config))) == config
    made = tiny.config(Path("x"))
    assert sweep_config_from_dict(to_dict(made)) == made
    assert (
        run_config_from_dict({key: v for key, v in RUN.items() if key != "monitor"}) == RunConfig()
    )
    assert run_config_from_dict(changed("train.lr", 1)).train.lr == 1


@pytest.mark.parametrize(
    ("place", "value", "said"),
    [
        ("train", "abc", 'train = "abc" is no JSON object'),
        ("data", None, "data = null is no JSON object"),
        ("monitor", [], "monitor = [] is no JSON object"),
        ("model", 3, "model = 3 is no JSON object"),
        ("train.steps", "many", 'train.steps = "many" is not a whole number'),
        ("train.steps", 1.5, "train.steps = 1.5 is not a whole number"),
        ("train.steps", True, "train.steps = true is not a whole number"),
        ("train.steps", None, "train.steps = null is not a whole number"),
        ("train.curriculum_steps", "x", "is not a whole number or null"),
        ("train.lr", {}, "train.lr = {} is not a number"),
        ("train.betas", [0.9], "train.betas = [0.9] is not a list of 2, each of it a number"),
        ("train.betas", [0.9, "x"], 'train.betas = "x" is not a number'),
        ("train.optimizer", "sgd", 'train.optimizer = "sgd" is not one of adamw, muon'),
        ("train.optimizer", ["adamw"], "is not one of adamw, muon"),
        ("train.compile", "yes", "is not true or false"),
        ("process", "fog", 'process = "fog" is not one of uniform, absorbing, hybrid'),
        ("probe.t", 0.5, "probe.t = 0.5 is not a list, each of it a number"),
        ("probe.measure", [1], "probe.measure = 1 is not text"),
        ("n_train", "8", 'n_train = "8" is not a whole number'),
        ("seed", -1, "seed = -1 must be at least 0"),
        ("colour", 3, "there is no setting colour"),
        ("train.colour", 3, "there is no setting train.colour"),
        ("schema", 0, "is of schema 0, which no attractor has written"),
        ("schema", -1, "is of schema -1, which no attractor has written"),
        ("schema", None, "is of schema None, which no attractor has written"),
        ("schema", True, "is of schema True, which no attractor has written"),
        ("schema", "1", "is of schema '1', which no attractor has written"),
        ("schema", 9, "is of schema 9, made by a newer attractor; this one reads 1"),
    ],
)
def test_a_wrong_value_is_named_as_the_file_names_it(place: str, value: Any, said: str) -> None:
    with pytest.raises(AttractorError) as error:
        run_config_from_dict(changed(place, value))
    assert said in str(error.value)
    for word in ("instance", "argument", "NoneType", "object has", "dict", "__"):
        assert word not in str(error.value)


@pytest.mark.parametrize("part", ["data", "model", "train", "probe"])
def test_a_missing_part_is_named(part: str) -> None:
    values = {key: value for key, value in RUN.items() if key != part}
    with pytest.raises(AttractorError, match=f"does not describe a run: {part} is missing"):
        run_config_from_dict(values)


@pytest.mark.parametrize("values", [None, [], "x", {"rows": "x"}, {"colour": 1}])
def test_settings_of_measurements_likewise(values: Any) -> None:
    with pytest.raises(AttractorError, match="'here' does not describe measurements: ") as error:
        probe_config_from_dict(values, "here")
    assert " it = " not in str(error.value)
