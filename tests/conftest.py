"""Shape annotations are checked in every test: jaxtyping and beartype wrap the package as it is imported."""

from __future__ import annotations

from jaxtyping import install_import_hook

_hook = install_import_hook(["attractor.process", "attractor.model", "attractor.probes"], "beartype.beartype")
