"""The command line: parse, call, print. Everything heavy is imported inside the verb that needs it."""

from artgan.cli import collections, models, tools
from artgan.cli.app import app, main

__all__ = ["app", "collections", "main", "models", "tools"]
