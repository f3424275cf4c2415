"""A fairseq `--user-dir`: `fairseq-hydra-train` trains our adapters in its own wav2vec 2.0 (docs/fairseq.md)."""

import importlib.util
import sys
from pathlib import Path
from types import ModuleType

if __name__ == "fairseq_plugin":  # by this name fairseq imports the folder
    # For that it has put `speech_adapters/` first on the path, where rooms such as `data` would be found as
    # top-level packages; what must be there instead is the root above it.
    _packages = Path(__file__).resolve().parent.parent
    sys.path[:] = [str(_packages.parent), *(entry for entry in sys.path if entry != str(_packages))]
    import speech_adapters.fairseq_plugin.model  # noqa: F401  registers the model

    if importlib.util.find_spec("editdistance") is None:
        # fairseq's CTC criterion imports it at the first validation, but no build of fairseq brings it.
        from rapidfuzz.distance import Levenshtein

        _stand_in = ModuleType("editdistance", "The one function that fairseq calls, by rapidfuzz.")
        _stand_in.eval = Levenshtein.distance  # type: ignore[attr-defined]
        sys.modules["editdistance"] = _stand_in
