"""Where a checkpoint comes from: a file, a folder in the layout of the Hub, or the Hub itself."""

from __future__ import annotations

import copy
import functools
import json
import re
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import torch
from safetensors import SafetensorError, safe_open
from torch import Tensor

from attractor.adapters.pickle_tree import Placeholder
from attractor.adapters.sweep_folder import require_no_sweep, resolved
from attractor.adapters.torch_file import TensorRef, TorchFile
from attractor.machine.hub import download, first_line
from attractor.machine.paths import nearest_name, require_not_meant_here
from attractor.types import AttractorError

CONFIG = "config.json"
SAFE, INDEX, PICKLED = "model.safetensors", "model.safetensors.index.json", "pytorch_model.bin"
MAX_JSON = 2**24
"""Bytes of a JSON file beside weights."""
DTYPES = {
    "F64": torch.float64, "F32": torch.float32, "F16": torch.float16, "BF16": torch.bfloat16,
    "I64": torch.int64, "I32": torch.int32, "I16": torch.int16, "I8": torch.int8,
    "U8": torch.uint8, "BOOL": torch.bool,
    "F8_E4M3": torch.float8_e4m3fn, "F8_E5M2": torch.float8_e5m2,
}  # fmt: skip
"""What safetensors calls types of numbers."""
WRAPPER = re.compile(r"(?<![^.])(_orig_mod|module)\.")
"""What torch.compile and DistributedDataParallel put into the names of weights they wrap; no family
uses such names."""
HUB_ID = re.compile(r"(?P<repo>\w[\w.-]*/\w[\w.-]*)(?P<file>(/\w[\w.-]*)+)?")


class Source:
    """A checkpoint as it lies on disk, whatever its family; nothing is read before it is asked for.

    Args:
        path: a file, or a folder.
        headers_only: whether tensors of safetensors files have shapes and no numbers.
    """

    def __init__(self, path: Path, headers_only: bool = False) -> None:
        self.path, self.headers_only = path, headers_only
        self._torch_file: TorchFile | None = None

    @functools.cached_property
    def config(self) -> dict[str, Any]:
        """The JSON settings beside the weights; empty if there are none.

        Raises:
            AttractorError: if the file is damaged.
        """
        # A config.json beside a file of any other name may well belong to something else.
        file = (self.path if self.path.is_dir() else self.path.parent) / CONFIG
        beside = self.path.is_dir() or self.path.name in (SAFE, PICKLED)
        return read_json(file) if beside and file.is_file() else {}

    @property
    def has_weights(self) -> bool:
        """Whether there is a file of weights at all."""
        names = (SAFE, PICKLED, INDEX)
        return self.path.is_file() or any((self.path / name).is_file() for name in names)

    @property
    def config_dtype(self) -> torch.dtype:
        """The precision that the configuration names; float32 where it names none."""
        told = self.config.get("dtype") or self.config.get("torch_dtype")
        by_name = {str(dtype).removeprefix("torch."): dtype for dtype in DTYPES.values()}
        return by_name.get(str(told), torch.float32)

    @functools.cached_property
    def content(self) -> dict[str, Any]:
        """What the weights file holds: tensors by name, or the tree of a pickled checkpoint; see
        `WRAPPER`.

        Raises:
            AttractorError: if there is no such file, or it is damaged.
        """
        found = _without_wrappers(self._content(), self.path)
        if isinstance(state := found.get("state_dict"), dict):
            found["state_dict"] = _without_wrappers(state, self.path)
        return found

    def _content(self) -> dict[str, Any]:
        if self.path.is_file():
            return self._read(self.path)
        for name in (SAFE, PICKLED):
            if (self.path / name).is_file():
                return self._read(self.path / name)
        if (self.path / INDEX).is_file():
            return self._shards(self.path / INDEX)
        raise AttractorError(
            f"'{self.path}' holds no weights: neither {SAFE} nor {PICKLED}, nor a checkpoint/step-*"
        )

    def holding(self, content: Mapping[str, Any]) -> Source:
        """The same source with other content, such as tensors under other names."""
        other = copy.copy(self)
        other.__dict__["content"] = dict(content)
        return other

    def tensors(self, group: Mapping[str, Any], prefix: str = "") -> dict[str, Tensor]:
        """The tensors of a part of `content` whose names start with `prefix`, without it.

        Raises:
            AttractorError: if one of them is no tensor.
        """
        return {
            name.removeprefix(prefix): self.tensor(group[name], name)
            for name in _names(group, prefix)
        }

    def tensor(self, value: Any, name: str) -> Tensor:
        """One tensor, read from the file if it has not been.

        Raises:
            AttractorError: if `value` is no tensor, or its numbers cannot be read.
        """
        if isinstance(value, TensorRef) and self._torch_file is not None:
            return self._torch_file.tensor(value)
        if not isinstance(value, Tensor):
            raise AttractorError(f"'{name:.100}' in '{self.path}' is no tensor that can be read")
        return value

    def _read(self, file: Path) -> dict[str, Any]:
        if file.suffix == ".safetensors":
            return dict(self._safetensors(file))
        self._torch_file = TorchFile(file)
        if not isinstance(self._torch_file.content, dict):
            raise AttractorError(f"'{file}' holds no dictionary of tensors")
        return self._torch_file.content

    def _safetensors(self, file: Path) -> dict[str, Tensor]:
        return _read_headers(file) if self.headers_only else _read_safetensors(file)

    def _shards(self, index: Path) -> dict[str, Any]:
        """Tensors from several files; their names must be plain, so that they can only be beside
        the index."""
        found = read_json(index).get("weight_map")
        if not isinstance(found, dict) or not all(isinstance(name, str) for name in found.values()):
            raise AttractorError(f"'{index}' is damaged: it has no weight_map of names")
        tensors: dict[str, Any] = {}
        for name in sorted(set(found.values())):
            # No "/" and no leading dot: an index must not make us read ../../something.
            if not re.fullmatch(r"\w[\w.-]*\.safetensors", name):
                raise AttractorError(
                    f"'{index}' names the shard {name[:100]!r}: it must be a plain *.safetensors"
                )
            shard = self._safetensors(index.parent / name)
            if twice := tensors.keys() & shard.keys():
                raise AttractorError(
                    f"'{index.parent}' holds '{min(twice):.100}' twice, in '{name:.100}' and in "
                    "another shard"
                )
            tensors |= shard
        missing = sorted(str(name) for name in found.keys() - tensors.keys())
        if missing:
            raise AttractorError(
                f"'{index}' promises '{missing[0]:.100}', which its shards do not hold"
            )
        return tensors


def find_source(
    where: str | Path, revision: str | None = None, headers_only: bool = False
) -> Source:
    """The source at a path, or from the Hub where there is no such path.

    Args:
        where: a file or folder; a run of a sweep, such as `runs/demo:n=32`; or a Hub id
            `owner/name`, or one of its files, `owner/name/folder/file.ckpt`.
        revision: branch, tag or commit on the Hub.
        headers_only: see `Source`.

    Raises:
        AttractorError: if it is none of these, or a whole sweep, or the Hub cannot be reached.
    """
    path = resolved(where)
    if path.exists():
        require_no_sweep(path)
        return Source(path, headers_only)
    hub_id = HUB_ID.fullmatch(str(where))
    if hub_id is None:
        raise AttractorError(
            f"'{where}' is neither a file or folder here nor a Hub id 'owner/name'"
            f"{nearest_name(path)}"
        )
    if revision is None:  # which only a model of the Hub has
        require_not_meant_here(str(where))
    path = _from_hub(hub_id["repo"], (hub_id["file"] or "").removeprefix("/"), revision)
    return Source(path, headers_only)


def told(tree: Any, path: str) -> Any:
    """A number, text or flag at a dotted path of a pickled tree, through the placeholders of
    OmegaConf; else None.

    Lightning pickles settings as OmegaConf objects. What they hold is in their state: "_content" of
    a dictionary, "_val" of a single value.
    """
    for key in path.split("."):
        tree = _unwrapped(tree)
        tree = tree.get(key) if isinstance(tree, dict) else None
    tree = _unwrapped(tree)
    return tree if isinstance(tree, str | int | float) else None


def read_json(file: Path) -> dict[str, Any]:
    """A JSON object that somebody else wrote.

    Raises:
        AttractorError: if it is none, or far too large.
    """
    try:
        if file.stat().st_size > MAX_JSON:
            raise AttractorError(f"'{file}' is larger than {MAX_JSON} bytes")
        content = json.loads(file.read_text(encoding="utf-8"))
    except (OSError, ValueError, RecursionError) as error:
        if isinstance(error, AttractorError):  # a ValueError too
            raise
        raise AttractorError(f"'{file}' cannot be read: {error!s:.200}") from None
    if not isinstance(content, dict):
        raise AttractorError(f"'{file}' holds no JSON object")
    return content


def _without_wrappers(group: dict[str, Any], where: Path) -> dict[str, Any]:
    """The group by the names before wrapping, in the same order.

    Raises:
        AttractorError: if two names become one.
    """
    plain: dict[str, Any] = {}
    for name, value in group.items():
        bare = WRAPPER.sub("", name) if isinstance(name, str) else name
        if bare in plain:
            raise AttractorError(f"'{where}' holds '{bare:.100}' twice, wrapped and bare")
        plain[bare] = value
    return plain


def _names(group: Mapping[str, Any], prefix: str) -> list[str]:
    return [name for name in group if isinstance(name, str) and name.startswith(prefix)]


def _unwrapped(tree: Any) -> Any:
    """What an OmegaConf node holds; anything else as it is."""
    if isinstance(tree, Placeholder) and isinstance(tree.state, dict):
        return tree.state.get("_content", tree.state.get("_val"))
    return tree


def _read_headers(file: Path) -> dict[str, Tensor]:
    """Tensors without numbers: 8 bytes tell how long the JSON is that describes them."""
    try:
        with file.open("rb") as handle:
            length = int.from_bytes(handle.read(8), "little")
            if length > MAX_JSON:
                raise ValueError(f"its header has {length} bytes")
            header = json.loads(handle.read(length))
        return {
            name: torch.empty(told["shape"], dtype=DTYPES[told["dtype"]], device="meta")
            for name, told in header.items()
            if name != "__metadata__"
        }
    except (OSError, ValueError, RuntimeError, KeyError, TypeError, AttributeError) as error:
        raise AttractorError(f"'{file}' cannot be read as safetensors: {error!s:.200}") from None


def _read_safetensors(file: Path) -> dict[str, Tensor]:
    # The numbers stay in the file until somebody looks at them: it is mapped, not read.
    try:
        with safe_open(file, "pt") as opened:
            return {name: opened.get_tensor(name) for name in opened.keys()}  # noqa: SIM118
    except (
        OSError,
        SafetensorError,
        RuntimeError,
        ValueError,
        KeyError,
        TypeError,
        AttributeError,
    ) as error:
        raise AttractorError(f"'{file}' cannot be read as safetensors: {error!s:.200}") from None


def _from_hub(repo: str, file: str, revision: str | None) -> Path:
    """A file of the Hub, or a snapshot of all that a model needs but its code, from the cache where
    it is there."""
    from huggingface_hub import snapshot_download

    try:
        if file:
            return download(repo, file, revision)
        # Python files of a repository are never fetched. Pickled weights are only where there are
        # no others: most repositories that have both have the same ones twice.
        wanted = ["*.json", "*.txt", "*.safetensors"]
        folder = Path(snapshot_download(repo, revision=revision, allow_patterns=wanted))
        if not any(folder.glob("*.safetensors")):
            wanted = ["*.json", "*.txt", PICKLED]
            folder = Path(snapshot_download(repo, revision=revision, allow_patterns=wanted))
        return folder
    except Exception as error:  # the client raises its own, its HTTP library's and the system's
        raise AttractorError(
            f"'{repo}' cannot be fetched from the Hub ({first_line(error):.200}); download it "
            f"where there is a network and give the path of the {'file' if file else 'folder'}, "
            "which does not lie here under this name"
        ) from None
