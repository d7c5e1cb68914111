"""artgan: train a GAN on a collection of artworks, judge it honestly, sample it, refine what it makes.

The public functions are imported on first use, so that `import artgan` costs nothing.
"""

import importlib
from typing import Any

__version__ = "0.1.0"

_PUBLIC = {
    "prepare": "artgan.datasets.prepare",
    "open_collection": "artgan.datasets.collection",
    "load_config": "artgan.config",
    "train": "artgan.training.loop",
    "load_model": "artgan.generation.model_folder",
    "generate": "artgan.generation.sample",
    "refine": "artgan.refine.run",
}
__all__ = [
    "__version__",
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
