"""A fairseq `--user-dir`: `fairseq-hydra-train` trains our adapters in its own wav2vec 2.0 (docs/fairseq.md)."""

import sys
from pathlib import Path

if __name__ == "fairseq_plugin":
    # fairseq imports this folder by its last name, for which it has put `speech_adapters/` first on the path. There
    # its modules (`text`, `sources`) would be found as top-level ones; the repository's root is what must be there.
    _packages = Path(__file__).resolve().parent.parent
    sys.path[:] = [str(_packages.parent), *(entry for entry in sys.path if entry != str(_packages))]
    import speech_adapters.fairseq_plugin.model  # noqa: F401  registers the model
