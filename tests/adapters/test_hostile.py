"""Malicious and malformed checkpoints: each is one clear error, and nothing else happens."""

from __future__ import annotations

import contextlib
import encodings.cp437  # noqa: F401  zipfile imports it at its first archive
import io
import json
import os
import pickle
import struct
import subprocess
import sys
import zipfile
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
import torch
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from safetensors.torch import save_file
from toy import CONFIGS, hub_folder, weights

import attractor
from attractor import AttractorError
from attractor.adapters.pickle_tree import MAX_STEPS, Placeholder, read_tree
from attractor.adapters.source import Source
from attractor.adapters.torch_file import MAX_PICKLE, TorchFile

FORBIDDEN = (
    "exec",
    "compile",
    "import",
    "os.system",
    "os.exec",
    "subprocess.Popen",
    "socket.connect",
    "pty.spawn",
)
watching: list[tuple[Path, list[str]]] = []


def _audit(event: str, args: tuple[Any, ...]) -> None:
    if watching:
        allowed, seen = watching[-1]
        opened = (
            event == "open"
            and isinstance(args[0], str | bytes)
            and not os.fsdecode(args[0]).startswith(str(allowed))
        )
        if (
            opened
            or event in FORBIDDEN
            or event in ("os.remove", "os.rename", "os.mkdir", "shutil.rmtree")
        ):
            seen.append(f"{event} {args!r:.200}")


sys.addaudithook(_audit)


@contextlib.contextmanager
def nothing_happens(folder: Path) -> Iterator[None]:
    """No code, no import, no file touched outside `folder`, and none made or changed inside."""
    before, modules = contents(folder), set(sys.modules)
    seen: list[str] = []
    watching.append((folder, seen))
    try:
        yield
    finally:
        watching.pop()
    assert not seen
    assert contents(folder) == before
    assert set(sys.modules) == modules


def contents(folder: Path) -> dict[str, int]:
    return {str(path): path.stat().st_size for path in folder.rglob("*")}


def refused(path: Path, **kwargs: Any) -> str:
    """Loading fails with one line, and leaves no trace."""
    with (
        nothing_happens(path if path.is_dir() else path.parent),
        pytest.raises(AttractorError) as caught,
    ):
        attractor.load(path, **kwargs)
    message = str(caught.value)
    assert "\n" not in message
    assert len(message) < 1000
    return message


class Run:
    """Pickles to a call."""

    def __init__(self, call: Callable[..., Any], *args: Any) -> None:
        self.call, self.args = call, args

    def __reduce__(self) -> tuple[Any, ...]:
        return self.call, self.args


class WithState:
    """Pickles to a class that is made and then filled."""

    def __init__(self, state: Any) -> None:
        self.state = state

    def __reduce__(self) -> tuple[Any, ...]:
        return dict, (), self.state


def zipped(path: Path, data: bytes, **entries: bytes) -> Path:
    with zipfile.ZipFile(path, "w") as archive:
        archive.writestr("x/data.pkl", data)
        for name, content in entries.items():
            archive.writestr(f"x/{name.replace('__', '/')}", content)
    return path


def payloads(canary: Path) -> dict[str, bytes]:
    command = f"touch {canary}"
    nested = b"cos\nsystem\n(S'" + command.encode() + b"'\ntR."
    getattr_chain = Run(getattr, Run(__import__, "os"), "system")
    return {
        "os.system": pickle.dumps(Run(os.system, command)),
        "exec": pickle.dumps(Run(exec, f"open({str(canary)!r}, 'w')")),
        "eval in a state dict": pickle.dumps(
            {"state_dict": {"backbone.x": Run(eval, f"open({str(canary)!r}, 'w')")}}
        ),
        "open": pickle.dumps(Run(open, str(canary), "w")),
        "subprocess": pickle.dumps(Run(subprocess.call, ["touch", str(canary)])),
        "import": pickle.dumps(Run(__import__, "antigravity")),
        "nested globals": pickle.dumps({"state_dict": [Run(Run, getattr_chain, command)]}),
        "a dotted name": b"\x80\x04\x8c\x08builtins\x8c\x12__import__.__call__\x93\x8c\x02os\x85R.",
        "protocol 0": nested,
        "inst": b"(S'" + command.encode() + b"'\nios\nsystem\n.",
        "obj": b"(cos\nsystem\nS'" + command.encode() + b"'\no.",
        "torch.load inside": pickle.dumps(Run(torch.load, str(canary), None)),
        "a tensor that calls": b"ctorch._utils\n_rebuild_tensor_v2\n(" + nested[:-1] + b"tR.",
        "an extension code": b"\x80\x02\x82\x01.",
        "build with slots": pickle.dumps(WithState((None, {"__class__": int}))),
        "persistent id with a call": nested[:-1] + b"Q.",
    }


NAMES = list(payloads(Path("canary")))


@pytest.mark.parametrize("name", NAMES)
@pytest.mark.parametrize("layout", ["zip", "legacy", "bare", "bin"])
def test_no_pickle_runs(name: str, layout: str, tmp_path: Path) -> None:
    canary, data = tmp_path / "canary", payloads(tmp_path / "canary")[name]
    path = tmp_path / "model.ckpt"
    if layout == "zip":
        zipped(path, data)
    elif layout == "legacy":
        head = b"".join(
            pickle.dumps(x, 2) for x in (0x1950A86A20F9469CFC6C, 1001, {"little_endian": True})
        )
        path.write_bytes(head + data + pickle.dumps([], 2))
    elif layout == "bare":
        path.write_bytes(data)
    else:
        path = tmp_path / "hub"
        path.mkdir()
        (path / "config.json").write_text(json.dumps(CONFIGS["duo"]))
        zipped(path / "pytorch_model.bin", data)
    refused(path)
    assert not canary.exists()


def test_a_good_checkpoint_with_a_bomb_in_an_unused_corner_loads_and_nothing_goes_off(
    tmp_path: Path,
) -> None:
    """The bomb is only a name and its arguments."""
    content = {
        "state_dict": {f"backbone.{name}": value for name, value in weights().items()},
        "callbacks": Run(os.system, f"touch {tmp_path / 'canary'}"),
    }
    torch.save(content, tmp_path / "a.ckpt")
    said = {"algo": "duo", "time_conditioning": True, "eps": 1e-3, "seq_len": 12}
    with nothing_happens(tmp_path):
        attractor.load(tmp_path / "a.ckpt", "raw", **said)
        bomb = TorchFile(tmp_path / "a.ckpt").content["callbacks"]
    assert isinstance(bomb, Placeholder)
    assert str(bomb.kind) == f"{os.system.__module__}.system"


def good(path: Path) -> bytes:
    torch.save(
        {"state_dict": {f"backbone.{name}": value for name, value in weights().items()}}, path
    )
    return path.read_bytes()


@pytest.mark.parametrize("share", [0.0, 0.001, 0.3, 0.9, 0.99, 0.9999])
def test_truncated_files(share: float, tmp_path: Path) -> None:
    content = good(tmp_path / "a.ckpt")
    (tmp_path / "a.ckpt").write_bytes(content[: int(share * len(content))])
    refused(tmp_path / "a.ckpt")
    hub_folder(tmp_path / "hub", "duo")
    file = tmp_path / "hub" / "model.safetensors"
    content = file.read_bytes()
    file.write_bytes(content[: int(share * len(content))])
    refused(tmp_path / "hub")


def test_zip_bombs(tmp_path: Path) -> None:
    path = tmp_path / "a.ckpt"
    with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as archive:
        archive.writestr("x/data.pkl", b"\0" * 2**24)
    assert "compressed" in refused(path)
    with zipfile.ZipFile(path, "w") as archive:
        archive.writestr("x/data.pkl", pickle.dumps({}))
    # A directory that claims one small entry to be 2 GiB
    content = bytearray(path.read_bytes())
    at = content.index(b"PK\x01\x02") + 20
    content[at : at + 8] = struct.pack("<II", 2**31 - 1, 2**31 - 1)
    path.write_bytes(content)
    assert "larger than the file" in refused(path)


def test_pickles_that_ask_for_far_more_than_they_are(tmp_path: Path) -> None:
    lengths = (
        b"\x8e" + struct.pack("<Q", 2**60) + b"x.",
        b"\x8d" + struct.pack("<Q", 2**62),
        b"\x8b\xff\xff\xff\x7f1",
    )
    for data in lengths:
        refused(zipped(tmp_path / "a.ckpt", data))
        head = b"".join(
            pickle.dumps(x, 2) for x in (0x1950A86A20F9469CFC6C, 1001, {"little_endian": True})
        )
        (tmp_path / "b.ckpt").write_bytes(head + data)
        refused(tmp_path / "b.ckpt")
    deep = b"(" * 200_000 + b"t" * 200_000 + b"."
    refused(zipped(tmp_path / "a.ckpt", deep))
    laughs = b"]q\x00" + b"".join(b"](h%ch%ce0q%c" % (i, i, i + 1) for i in range(60)) + b"."
    refused(zipped(tmp_path / "a.ckpt", laughs))
    with zipfile.ZipFile(tmp_path / "a.ckpt", "w") as archive:
        archive.writestr("x/data.pkl", b"N" * (MAX_PICKLE + 1))
    assert "larger than" in refused(tmp_path / "a.ckpt")


def tensor_pickle(
    kind: str, numel: int, offset: int, shape: tuple[int, ...], stride: tuple[int, ...]
) -> bytes:
    """A state dict of one tensor, as torch.save writes it, with these numbers."""

    class Pickler(pickle._Pickler):  # type: ignore[name-defined, misc]
        def persistent_id(self, value: Any) -> Any:
            return ("storage", getattr(torch, kind), "0", "cpu", numel) if value == "here" else None

    buffer = io.BytesIO()
    tensor = Run(torch._utils._rebuild_tensor_v2, "here", offset, shape, stride, False, {})
    Pickler(buffer, 2).dump({"state_dict": {"backbone.vocab_embed.embedding": tensor}})
    return buffer.getvalue()


@pytest.mark.parametrize(
    ("numbers", "message"),
    [
        (("FloatStorage", 4, 0, (2, 4), (4, 1)), "beyond its storage"),
        (("FloatStorage", 4, 3, (2, 1), (1, 1)), "beyond its storage"),
        (("FloatStorage", 4, 0, (2**40,), (0,)), "beyond its storage"),
        (("FloatStorage", 4, -1, (2, 1), (1, 1)), "no proper shape"),
        (("FloatStorage", 4, 0, (-2, -2), (1, 1)), "no proper shape"),
        (("FloatStorage", 4, 0, (2,), (1, 1)), "no proper shape"),
        (("FloatStorage", 4, 0, (2**40, 2**40, 0), (1, 1, 1)), "overflow"),
        (("FloatStorage", 4, 0, (1,) * 40, (1,) * 40), "no proper shape"),
        (("FloatStorage", 2**50, 0, (2**50,), (1,)), "where 4503599627370496 are needed"),
        (("FloatStorage", -4, 0, (0,), (1,)), "storage is damaged"),
        (
            ("QInt8Storage", 4, 0, (2, 2), (2, 1)),
            "storage of kind torch.QInt8Storage is not supported",
        ),
    ],
)
def test_tensors_that_are_not_in_their_storage(
    numbers: tuple[Any, ...], message: str, tmp_path: Path
) -> None:
    path = zipped(tmp_path / "a.ckpt", tensor_pickle(*numbers), data__0=b"\0" * 16)
    assert message in refused(path)


@pytest.mark.parametrize("legacy", [False, True])
def test_tensors_that_share_their_storage_too_often(legacy: bool, tmp_path: Path) -> None:
    """A file of 64 kB is not to become 64 MB."""
    shared = torch.zeros(2**14)
    content = {"state_dict": {f"backbone.{i}": shared for i in range(1000)}}
    torch.save(content, tmp_path / "a.ckpt", _use_new_zipfile_serialization=not legacy)
    assert "more than 2 times as large as the file" in refused(tmp_path / "a.ckpt")


def test_pickles_of_too_many_instructions(tmp_path: Path) -> None:
    """An instruction of one byte makes an object of a hundred."""
    assert "instructions" in refused(zipped(tmp_path / "a.ckpt", b"}" * (MAX_STEPS + 1)))


@pytest.mark.parametrize("value", [float("nan"), float("inf")])
def test_weights_that_are_not_finite(value: float, tmp_path: Path) -> None:
    tensors = hub_folder(tmp_path, "duo")
    tensors["blocks.1.mlp.0.bias"][3] = value
    save_file({f"backbone.{k}": v for k, v in tensors.items()}, tmp_path / "model.safetensors")
    assert "'blocks.1.mlp.0.bias'" in refused(tmp_path)


def test_weights_of_the_wrong_type_shape_or_name(tmp_path: Path) -> None:
    def saved(**changes: torch.Tensor | None) -> str:
        tensors = {
            k: v for k, v in {**hub_folder(tmp_path, "duo"), **changes}.items() if v is not None
        }
        save_file({f"backbone.{k}": v for k, v in tensors.items()}, tmp_path / "model.safetensors")
        return refused(tmp_path)

    assert "torch.int64" in saved(**{"blocks.0.mlp.0.bias": torch.zeros(64, dtype=torch.int64)})
    assert "float32 (3,)" in saved(**{"blocks.0.mlp.0.bias": torch.zeros(3)})
    assert "lacks 'blocks.0.mlp.0.bias'" in saved(**{"blocks.0.mlp.0.bias": None})
    assert "has an unknown 'blocks.0.extra'" in saved(**{"blocks.0.extra": torch.zeros(1)})
    assert "some of them are missing" in saved(**{"blocks.999999.x": torch.zeros(1)})
    assert "has no matrix 'vocab_embed.embedding'" in saved(
        **{"vocab_embed.embedding": torch.zeros(2, 2, 2)}
    )


@pytest.mark.parametrize(
    "name", ["../secret.safetensors", "/etc/passwd", "a/../../b.safetensors", "x\0.safetensors", ""]
)
def test_shards_outside_the_folder(name: str, tmp_path: Path) -> None:
    save_file({"stolen": torch.zeros(1)}, tmp_path / "secret.safetensors")
    folder = tmp_path / "hub"
    folder.mkdir()
    (folder / "config.json").write_text(json.dumps(CONFIGS["duo"]))
    (folder / "model.safetensors.index.json").write_text(
        json.dumps({"weight_map": {"stolen": name}})
    )
    assert "it must be a plain *.safetensors" in refused(folder)


@pytest.mark.parametrize(
    "header",
    [
        struct.pack("<Q", 2**63),
        struct.pack("<Q", 2**40) + b"{}",
        struct.pack("<Q", 8) + b"not json",
        struct.pack("<Q", 60) + b'{"a":{"dtype":"F32","shape":[4],"data_offsets":[0,99999999]}}',
        struct.pack("<Q", 55)
        + b'{"a":{"dtype":"F99","shape":[4],"data_offsets":[0,16]}}'
        + b"\0" * 16,
    ],
)
def test_headers_of_safetensors(header: bytes, tmp_path: Path) -> None:
    (tmp_path / "config.json").write_text(json.dumps(CONFIGS["duo"]))
    (tmp_path / "model.safetensors").write_bytes(header)
    assert "cannot be read as safetensors" in refused(tmp_path)


@pytest.mark.parametrize("text", ["", "[1]", "{", "[" * 100_000, '{"a": 1e999999', b"\xed\xa0\x80"])
def test_settings_that_are_no_json_object(text: str | bytes, tmp_path: Path) -> None:
    hub_folder(tmp_path, "duo")
    (tmp_path / "config.json").write_bytes(text if isinstance(text, bytes) else text.encode())
    assert "config.json" in refused(tmp_path)


@pytest.mark.parametrize(
    "changes",
    [
        {"n_heads": 3}, {"n_heads": "2"}, {"n_heads": 0}, {"n_heads": 2.5}, {"n_heads": [2]},
        {"vocab_size": {}},
        {"n_blocks": "x" * 10**5}, {"cfg": [1]}, {"model_length": "long"}, {"model_length": 0},
        {"time_conditioning": 3},
    ],
)  # fmt: skip
def test_settings_of_the_wrong_kind(changes: dict[str, Any], tmp_path: Path) -> None:
    hub_folder(tmp_path, "duo", **changes)
    refused(tmp_path)


def test_remote_code_beside_the_weights_is_not_looked_at(tmp_path: Path) -> None:
    hub_folder(tmp_path, "duo", auto_map={"AutoModelForMaskedLM": "model.DUO"})
    (tmp_path / "model.py").write_text(f"open({str(tmp_path / 'canary')!r}, 'w')")
    with nothing_happens(tmp_path):
        attractor.load(tmp_path)


QUICK = settings(
    max_examples=150, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture]
)


@QUICK
@given(data=st.binary(max_size=300))
def test_any_bytes_are_a_tree_or_a_value_error(data: bytes) -> None:
    with contextlib.suppress(ValueError):
        read_tree(io.BytesIO(data))


OPCODES = st.sampled_from([op.code.encode("latin1") for op in __import__("pickletools").opcodes])


@QUICK
@given(
    program=st.lists(
        st.one_of(OPCODES, OPCODES, OPCODES, st.binary(min_size=1, max_size=4)), max_size=60
    )
)
def test_any_program_is_a_tree_or_a_value_error(program: list[bytes]) -> None:
    with contextlib.suppress(ValueError):
        read_tree(io.BytesIO(b"".join(program) + b"."))


@QUICK
@given(value=st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False) | st.text()
    | st.binary(),
    lambda inner: st.lists(inner) | st.tuples(inner,
    inner) | st.dictionaries(st.text() | st.integers(), inner),
    max_leaves=20,
), protocol=st.integers(1, 5))  # fmt: skip
def test_plain_values_come_back(value: Any, protocol: int) -> None:
    data = pickle.dumps(value, protocol)
    if protocol > 2 or (
        b"_codecs" not in data and b"bytes" not in data
    ):  # older ones write bytes as a call
        assert read_tree(io.BytesIO(data)) == value


@QUICK
@given(
    where=st.floats(0, 1, exclude_max=True),
    new=st.binary(min_size=1, max_size=6),
    legacy=st.booleans(),
)
def test_a_damaged_checkpoint_is_read_or_refused(
    where: float, new: bytes, legacy: bool, tmp_path: Path
) -> None:
    path = tmp_path / "a.ckpt"
    content = {"state_dict": {"a": torch.ones(3), "b": torch.zeros(2, 2)}}
    torch.save(content, path, _use_new_zipfile_serialization=not legacy)
    data = bytearray(path.read_bytes())
    at = int(where * len(data))
    data[at : at + len(new)] = new
    path.write_bytes(data)
    with contextlib.suppress(AttractorError):
        source = Source(path)
        state = source.content.get("state_dict")
        for value in source.tensors(state if isinstance(state, dict) else {}).values():
            assert value.numel() <= 4
