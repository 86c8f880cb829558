"""The Hugging Face Hub: whether it gives something, and why not."""

from __future__ import annotations

from pathlib import Path
from typing import Literal


def first_line(error: Exception) -> str:
    """What an error says, in one line."""
    return (str(error).strip() or type(error).__name__).splitlines()[0]


def why_closed(
    repo: str, revision: str | None = None, kind: Literal["model", "dataset"] = "model"
) -> str | None:
    """Why the Hub does not give a repository, or None if it does.

    It is asked once and for ten seconds at most, where its client would try again for minutes.
    """
    from huggingface_hub import HfApi

    try:
        HfApi().repo_info(repo, revision=revision, repo_type=kind, timeout=10)
    except Exception as error:  # the client raises its own, its HTTP library's and the system's
        return first_line(error)
    return None


def commit_of(
    repo: str, revision: str | None = None, kind: Literal["model", "dataset"] = "model"
) -> str:
    """The commit of a repository that the Hub gives now; empty if it does not answer."""
    from huggingface_hub import HfApi

    try:
        found = HfApi().repo_info(repo, revision=revision, repo_type=kind, timeout=10)
    except Exception:  # as above
        return ""
    return found.sha or ""


def download(repo: str, file: str, revision: str | None = None) -> Path:
    """The path of a file of a model, from the Hub, or from the local cache alone where the Hub does
    not give it.

    Raises:
        ConnectionError: if neither has it; the message says why.
    """
    from huggingface_hub import hf_hub_download

    closed = why_closed(repo, revision)
    try:
        return Path(
            hf_hub_download(repo, file, revision=revision, local_files_only=closed is not None)
        )
    except Exception as error:  # as above
        raise ConnectionError(closed or first_line(error)) from None
