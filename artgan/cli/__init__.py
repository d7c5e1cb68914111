"""The command line: parse, call, print. Everything heavy is imported inside the verb that needs it."""

from artgan.cli import collections, evaluate, importing, refine, sample, tools, train
from artgan.cli.app import app, main

__all__ = ["app", "collections", "evaluate", "importing", "main", "refine", "sample", "tools", "train"]
