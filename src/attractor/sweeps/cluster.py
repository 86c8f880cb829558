"""Runs a plan on a Ray cluster whose nodes see the sweep's folder."""

from __future__ import annotations

import contextlib
import ipaddress
import logging
import os
import re
import socket
from collections.abc import Iterator
from functools import partial
from pathlib import Path
from typing import Any

import torch

from attractor.sweeps.attempt import ATTEMPTS, GRACE, attempt
from attractor.sweeps.executor import Executor
from attractor.sweeps.follow import PAUSE, Ended, Watcher, follow
from attractor.sweeps.plan import PlannedRun
from attractor.types import AttractorError

TIMEOUT = 3.0
"""Seconds to wait for an answer from the cluster's address."""
ADDRESS = re.compile(r"(ray://)?(\[(?P<ipv6>[^\[\]]+)\]|(?P<host>[^\[\]:]+)):(?P<port>[0-9]{1,5})")
SETTINGS = bytes([0, 0, 0, 4, 0, 0, 0, 0, 0])
"""An empty frame of settings: three bytes of length, the kind, which is 4, flags, and four bytes of
a stream's number. With such a frame either side of HTTP/2, and so of gRPC, begins (RFC 9113, 3.4
and 4.1)."""
GREETING = b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n" + SETTINGS
"""What a client says first; a server of HTTP/1 or of anything else does not answer with
settings."""


@contextlib.contextmanager
def ray_executor(
    address: str = "auto", cpus: float = 1.0, gpus: float | None = None
) -> Iterator[Executor]:
    """Connect to a cluster; its executor makes each run a task with these resources.

    Args:
        address: "auto" for the cluster this machine belongs to, host:port of its head, or
            ray://host:port; an IPv6 host in brackets.
        cpus: cores of each run; it computes with as many threads.
        gpus: GPUs of each run; by default 1 if any node has one.

    Raises:
        AttractorError: if there is no cluster at the address, or no node has what a run asks for.
    """
    ray = _connect(address)
    try:
        nodes = [node["Resources"] for node in ray.nodes() if node["Alive"]]
        if gpus is None:
            gpus = float(any(node.get("GPU", 0) >= 1 for node in nodes))
        _require_room(nodes, {"CPU": cpus, "GPU": gpus})
        yield partial(_execute, ray, cpus, gpus)
    finally:
        ray.shutdown()


def _connect(address: str) -> Any:
    try:
        # Ray is to send no usage statistics, unless somebody has asked for that.
        os.environ.setdefault("RAY_USAGE_STATS_ENABLED", "0")
        if address != "auto":
            _require_reachable(address)
        import ray
    except ImportError:
        raise AttractorError("--executor ray needs Ray: pip install 'attractor[cluster]'") from None
    try:
        ray.init(address=address, log_to_driver=False, logging_level=logging.ERROR)
    except Exception as error:
        raise AttractorError(
            f"no Ray cluster at address {address!r}: {str(error).splitlines()[0]}"
        ) from None
    return ray


def _require_reachable(address: str) -> None:
    """Raise AttractorError unless something that may be Ray answers at an address.

    Ray itself would try for minutes, and then say only that it failed.
    """
    found = ADDRESS.fullmatch(address)
    if found is None:
        raise AttractorError(
            f"address = {address!r}: allowed are auto, host:port and ray://host:port, with [ ] "
            "around an IPv6 host"
        )
    host, port = found["host"] or found["ipv6"], found["port"]
    try:
        with socket.create_connection((host, int(port)), TIMEOUT) as peer:
            speaks = _speaks_grpc(peer)
    except (OSError, OverflowError, UnicodeError) as error:
        # The last two are a port above 65535 and a name that no host can have.
        raise AttractorError(f"no Ray cluster at address {address!r}: {error}") from None
    if not speaks:
        raise AttractorError(
            f"no Ray cluster at address {address!r}: what answers there is not Ray"
        )
    if _is_loopback(host):
        # Ray would take the machine's outer address in its place, where a cluster that is private
        # to this machine does not listen. This setting keeps it from doing so.
        os.environ.setdefault("RAY_ENABLE_WINDOWS_OR_OSX_CLUSTER", "0")


def _speaks_grpc(peer: socket.socket) -> bool:
    """Whether a listener greets as a server of gRPC, which all of Ray's are."""
    if os.environ.get("RAY_USE_TLS", "0").lower() in ("1", "true"):
        return True  # it cannot be asked in the clear, and the certificates are Ray's affair
    peer.sendall(GREETING)
    with peer.makefile("rb") as answer:
        return answer.read(len(SETTINGS))[3:4] == SETTINGS[3:4]  # of the first frame, its kind


def _is_loopback(host: str) -> bool:
    with contextlib.suppress(ValueError):
        return ipaddress.ip_address(host).is_loopback
    return host == "localhost"


def _require_room(nodes: list[dict[str, float]], asked: dict[str, float]) -> None:
    """Raise AttractorError unless some node has what a run asks for: Ray would wait for ever for
    such a node to join."""
    for kind, amount in asked.items():
        is_share = 0 <= amount <= 1  # which NaN is not
        is_whole = amount > 1 and amount.is_integer()
        if not (is_share or is_whole) or (kind == "CPU" and amount == 0):
            raise AttractorError(
                f"each run asks for {amount:g} {kind}s: allowed are whole numbers and shares of one"
            )
        most = max((node.get(kind, 0.0) for node in nodes), default=0.0)
        if amount > most:
            raise AttractorError(
                f"each run asks for {amount:g} {kind}s, but the largest node has {most:g}"
            )
    has_all = (
        all(node.get(kind, 0.0) >= amount for kind, amount in asked.items()) for node in nodes
    )
    if not any(has_all):
        raise AttractorError(
            f"no node has {asked['CPU']:g} CPUs and {asked['GPU']:g} GPUs together, as each run "
            "asks for"
        )


def _execute(
    ray: Any,
    cpus: float,
    gpus: float,
    runs: list[PlannedRun],
    data: Path,
    sweep: Path,
    watch: Watcher,
) -> None:
    """Do every run; Ray begins those again whose worker or node died, and they go on from their
    last checkpoint."""
    # Ray retries only when a worker or node dies: an error of the run itself would come again.
    task = ray.remote(num_cpus=cpus, num_gpus=gpus, max_retries=ATTEMPTS)(_task)
    threads = max(1, int(cpus))
    data, sweep = data.resolve(), sweep.resolve()  # a worker starts in another directory
    tasks = {task.options(name=run.title).remote(run, data, sweep, threads): run for run in runs}
    try:
        follow(tasks, partial(_ended, ray), sweep, watch)
    except BaseException:
        for reference in tasks:
            ray.cancel(reference)  # an interrupt, at which training saves a checkpoint
        ray.wait(list(tasks), num_returns=len(tasks), timeout=GRACE)
        raise


def _ended(ray: Any, references: list[Any]) -> list[Ended]:
    done, _ = ray.wait(references, num_returns=len(references), timeout=PAUSE)
    return [Ended(reference, _error(ray, reference)) for reference in done]


def _error(ray: Any, reference: Any) -> str | None:
    try:
        ray.get(reference)
    except ray.exceptions.RayError as error:
        return f"{type(error).__name__}: {error}"
    return None


def _task(run: PlannedRun, data: Path, sweep: Path, threads: int) -> None:
    torch.set_num_threads(threads)
    attempt(run, data, sweep)
