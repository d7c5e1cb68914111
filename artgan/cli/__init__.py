"""The command line: parse, call, print. Everything heavy is imported inside the verb that needs it."""

from artgan.cli import collections, evaluate, refine, sample, studio, tools, train
from artgan.cli.app import app, main

__all__ = ["app", "collections", "evaluate", "main", "refine", "sample", "studio", "tools", "train"]
