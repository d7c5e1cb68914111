"""The errors a user can meet, each with the exit code that the command line returns for it.

A message says what went wrong, where, what was expected, what was got and what to do, in one or two lines.
`assert` is for what our own code guarantees; everything a user or a file can cause is one of these.
"""


class ArtganError(Exception):
    """An error with a message for the user; subclasses carry the exit code."""

    exit_code = 1


class ConfigError(ArtganError, ValueError):
    """Wrong usage or a wrong configuration value."""

    exit_code = 2


class DataError(ArtganError):
    """A picture, a folder or a collection cannot be used."""

    exit_code = 3


class CheckpointError(ArtganError):
    """A checkpoint or a model folder is damaged, foreign or does not fit."""

    exit_code = 4


class WeightsError(ArtganError):
    """Pretrained weights are missing, damaged or lack a layer."""

    exit_code = 4


class StorageError(ArtganError):
    """There is no space, or a place is not writable."""

    exit_code = 5
