"""A model or a folder of pictures against a collection: features once, then every metric, as one metrics line."""

from artgan.evaluation.judge import Judge, backbone_and_layer, check_independent, check_independent_of
from artgan.evaluation.measure import evaluate_generator
from artgan.evaluation.words import describe

__all__ = ["Judge", "backbone_and_layer", "check_independent", "check_independent_of", "describe", "evaluate_generator"]
