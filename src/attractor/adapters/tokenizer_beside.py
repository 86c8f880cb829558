"""What the tokenizer beside a checkpoint tells: the mask, which ids are text, and the frame."""

from __future__ import annotations

import functools
from pathlib import Path
from typing import Any

import tokenizers

from attractor.adapters.source import Source, read_json
from attractor.model.denoiser import Frame
from attractor.types import AttractorError

FILE, VOCABULARY = "tokenizer.json", "vocab.txt"
TOLD = ("tokenizer_config.json", "special_tokens_map.json")


class TokenizerBeside:
    """The tokenizer of a source, where one lies beside it; else it tells nothing."""

    def __init__(self, source: Source) -> None:
        path = source.path
        self.folder = path if path.is_dir() else path.parent
        # Beside a single file of any name lies whatever lies there.
        self.there = path.is_dir()

    @functools.cached_property
    def tokenizer(self) -> tokenizers.Tokenizer | None:
        """The tokenizer itself.

        Raises:
            AttractorError: if its file is damaged.
        """
        file = self.folder / FILE
        if not (self.there and file.is_file()):
            return None
        try:
            found = tokenizers.Tokenizer.from_file(str(file))
        except Exception as error:  # the library raises bare ones
            raise AttractorError(f"'{file}' is no tokenizer: {error!s:.100}") from None
        found.no_padding()
        found.no_truncation()
        return found

    @functools.cached_property
    def ids(self) -> dict[str, int] | None:
        """Every token and its id."""
        if self.tokenizer is not None:
            return self.tokenizer.get_vocab(with_added_tokens=True)
        file = self.folder / VOCABULARY
        if not (self.there and file.is_file()):
            return None
        lines = Path(file).read_text(encoding="utf-8", errors="replace").splitlines()
        return {line.rstrip("\n"): i for i, line in enumerate(lines)}

    @property
    def mask_id(self) -> int | None:
        """The mask, if it tells one."""
        return None if self.ids is None else self.ids.get(self._named("mask_token") or "")

    def checked_mask(self, mask_id: int, vocab_size: int) -> int:
        """The mask that was told, if the tokenizer does not contradict it.

        Raises:
            AttractorError: if it does, or has ids that the network lacks, or the mask is outside
                the vocabulary.
        """
        if not 0 <= mask_id < vocab_size:
            raise AttractorError(f"mask_id = {mask_id} is outside the vocabulary of {vocab_size}")
        self._require_fits(vocab_size)
        if self.mask_id not in (None, mask_id):
            raise AttractorError(
                f"mask_id = {mask_id}, but the tokenizer in '{self.folder}' says {self.mask_id}"
            )
        return mask_id

    def mask_of(self, mask_id: int | None, vocab_size: int) -> int:
        """The mask that was told, or else the tokenizer's, or else the last id.

        Raises:
            AttractorError: if what was told and the tokenizer contradict each other, or the mask is
                outside the vocabulary.
        """
        told = self.mask_id if mask_id is None else mask_id
        return self.checked_mask(vocab_size - 1 if told is None else told, vocab_size)

    def text_ids(self, vocab_size: int, special: bool = True) -> list[int] | None:
        """Ids that the tokenizer has, of a vocabulary that may be larger; None without a tokenizer.

        Args:
            vocab_size: of the network.
            special: whether special tokens are text too, as they are where a text has no frame.

        Raises:
            AttractorError: if the tokenizer has ids that the network lacks, or no text is left.
        """
        if self.ids is None:
            return None
        self._require_fits(vocab_size)
        left = set(self.ids.values()) - (set() if special else self.special_ids)
        if not left:
            raise AttractorError(f"the tokenizer in '{self.folder}' leaves no text id")
        return sorted(left)

    def _require_fits(self, vocab_size: int) -> None:
        largest = max((self.ids or {}).values(), default=-1)
        if largest >= vocab_size:
            raise AttractorError(
                f"the tokenizer in '{self.folder}' has the id {largest:,}, and the network knows "
                f"{vocab_size:,}: it is not the network's"
            )

    @property
    def special_ids(self) -> set[int]:
        """Ids that are no text: markers, padding, the unknown token and the mask."""
        ids = self.ids or {}
        named = {
            self._named(f"{name}_token")
            for name in ("bos", "eos", "cls", "sep", "pad", "unk", "mask")
        }
        found = {ids[name] for name in named if name in ids}
        if self.tokenizer is not None:
            added = self.tokenizer.get_added_tokens_decoder()
            found |= {i for i, token in added.items() if token.special}
        return found

    @property
    def frame(self) -> Frame:
        """What its template puts at both ends of a text."""
        if self.tokenizer is None:
            return self._named_frame()
        inside, framed = (
            self.tokenizer.encode("a", add_special_tokens=add).ids for add in (False, True)
        )
        for start in range(len(framed) - len(inside) + 1):
            if framed[start : start + len(inside)] == inside:
                end = start + len(inside)
                return Frame(tuple(framed[:start]), tuple(framed[end:]))
        return Frame()

    def _named_frame(self) -> Frame:
        ids = self.ids or {}
        if "[CLS]" in ids and "[SEP]" in ids:  # a vocab.txt is BERT's
            return Frame((ids["[CLS]"],), (ids["[SEP]"],))
        return Frame()

    @functools.cached_property
    def _told(self) -> dict[str, Any]:
        found: dict[str, Any] = {}
        for name in TOLD:
            if self.there and (self.folder / name).is_file():
                found |= read_json(self.folder / name)
        return found

    def _named(self, role: str) -> str | None:
        """The token of a role, such as "mask_token"."""
        told = self._told.get(role)
        token = told.get("content") if isinstance(told, dict) else told
        if token is None and self.ids is not None:
            usual = {
                "mask_token": ("[MASK]", "<mask>", "<|mask|>", "<|mdm_mask|>"),
                "pad_token": ("[PAD]", "<pad>"), "unk_token": ("[UNK]", "<unk>"),
                "cls_token": ("[CLS]", "<cls>"), "sep_token": ("[SEP]",),
                "bos_token": ("<s>", "[BOS]"), "eos_token": ("</s>", "<eos>", "[EOS]"),
            }  # fmt: skip
            token = next((name for name in usual[role] if name in self.ids), None)
        return token if isinstance(token, str) else None
