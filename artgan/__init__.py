"""artgan: train a GAN on a collection of artworks, judge it honestly, sample it, refine what it makes.

The public functions are imported on first use, so that `import artgan` costs nothing.
"""

import importlib
from typing import Any

__version__ = "0.1.0"

_PUBLIC = {
    **dict.fromkeys(("prepare", "open_collection", "train", "evaluate", "load_model", "generate", "refine"), "artgan.api"),
    "load_config": "artgan.config",
}
__all__ = [
    "__version__",
    "evaluate",
    "generate",
    "load_config",
    "load_model",
    "open_collection",
    "prepare",
    "refine",
    "train",
]


def __getattr__(name: str) -> Any:
    if name not in _PUBLIC:
        raise AttributeError(f"module 'artgan' has no attribute '{name}'")
    return getattr(importlib.import_module(_PUBLIC[name]), name)
