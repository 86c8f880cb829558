"""What holds in every test: one thread a process, and shape annotations that are checked."""

from __future__ import annotations

import os

# Tests run side by side, one process a core: more threads would only wait for each other. The
# processes that tests start inherit it. It must be said before torch is imported.
os.environ.setdefault("OMP_NUM_THREADS", "1")

from jaxtyping import install_import_hook

# jaxtyping and beartype wrap these as they are imported.
_CHECKED = ["attractor.process", "attractor.model", "attractor.probes", "attractor.theory"]
_hook = install_import_hook(_CHECKED, "typechecker.check")
