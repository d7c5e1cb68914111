"""The command line: parse, call, print. Everything heavy is imported inside the verb that needs it."""

from artgan.cli import collections, evaluate, explore, model, model_mix, model_page, refine, sample, studio, tools, train, video
from artgan.cli.app import app, main

__all__ = [
    "app",
    "collections",
    "evaluate",
    "explore",
    "main",
    "model",
    "model_mix",
    "model_page",
    "refine",
    "sample",
    "studio",
    "tools",
    "train",
    "video",
]
