"""From pictures to a finished series: style, then color. Every step takes a strength; 0 returns its input, bit for bit."""

import importlib
import sys
from types import ModuleType
from typing import Any


class _Room(ModuleType):
    """The room as a function: once it is imported, Python puts it in the place of the public function `artgan.refine`."""

    def __call__(self, *positional: Any, **named: Any) -> Any:
        return importlib.import_module("artgan.api").refine(*positional, **named)


sys.modules[__name__].__class__ = _Room
