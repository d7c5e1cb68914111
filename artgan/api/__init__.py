"""The whole way as functions: paths, pictures, plain values and names in, documented objects out.

Each is called as `artgan.NAME`. Pictures come as `PIL.Image`, and may be given as that, as uint8 arrays `[H, W, 3]`, as paths.
"""

from artgan.api.judging import Evaluation, evaluate
from artgan.api.looks import refine
from artgan.api.models import Run, generate, load_model, train
from artgan.api.works import open_collection, prepare

__all__ = [
    "Evaluation",
    "Run",
    "evaluate",
    "generate",
    "load_model",
    "open_collection",
    "prepare",
    "refine",
    "train",
]
