"""The run configuration: one schema with every default, strict YAML, `--set key=value`, one error for all mistakes.

Nothing here imports torch: a wrong key is answered in a fraction of a second. Config stops at the front door of training;
networks take plain numbers.
"""

from artgan.config.resolved import ResolvedConfig
from artgan.config.run_config import (
    RunConfig,
    check_overrides,
    config_from_dict,
    dump_config,
    json_schema,
    load_config,
    with_values,
)
from artgan.config.together import FORMER_DEFAULTS

__all__ = [
    "FORMER_DEFAULTS",
    "ResolvedConfig",
    "RunConfig",
    "check_overrides",
    "config_from_dict",
    "dump_config",
    "json_schema",
    "load_config",
    "with_values",
]
