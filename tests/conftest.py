"""Shape annotations are checked in every test: jaxtyping and beartype wrap the package as it is
imported."""

from __future__ import annotations

from jaxtyping import install_import_hook

_CHECKED = ["attractor.process", "attractor.model", "attractor.probes", "attractor.theory"]
_hook = install_import_hook(_CHECKED, "typechecker.check")
