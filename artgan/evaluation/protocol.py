"""The protocol: everything that a metric's value depends on besides the pictures that are judged, as one value with a hash.

"FID" is not one number: resize code, normalisation, sample count and estimator move it by more than models differ. So
every line of metrics and every cache key carries the hash of its protocol, and lines of unlike protocols are never compared.
"""

import hashlib
import json
from dataclasses import asdict, dataclass, fields
from typing import Any

from artgan.metrics import joint_estimators


@dataclass(frozen=True)
class FeatureProtocol:
    """How a picture becomes a feature vector.

    Attributes:
        features: the feature space's name.
        network, weights_sha256, layer: what computes it; the layer's maps are averaged over space.
        resize: `clean`, `legacy-torch` or `legacy-tf`.
        size_px: side of the square that pictures are resized to.
        normalization: what is done to pixels after that.
        dtype: of the network's arithmetic.
        tf32: whether matrix products may be shortened to ten bits of mantissa.
    """

    features: str
    network: str
    weights_sha256: str
    layer: str
    resize: str
    size_px: int
    normalization: str
    dtype: str = "float32"
    tf32: str = "off"


@dataclass(frozen=True)
class Protocol(FeatureProtocol):
    """How pictures are compared with a collection.

    Attributes:
        statistics: of the arithmetic after the features.
        estimators: how the metrics of every line are computed; that of others stands beside their values.
        reference: identity of the pictures compared with.
        num_reference, num_generated: how many of each; the Fréchet distance depends on both.
        seed: of the metrics' own draws.
        prepared: of a folder: how its pictures were made alike, and which of them were taken; empty for a model, whose
            protocols and hashes are as they were before folders had this.
    """

    statistics: str = "float64"
    estimators: str = joint_estimators()
    reference: str = ""
    num_reference: int = 0
    num_generated: int = 0
    seed: int = 0
    prepared: str = ""

    def as_dict(self) -> dict[str, Any]:
        """Return the protocol as metrics lines carry it."""
        return {name: value for name, value in asdict(self).items() if name != "prepared" or value}

    @property
    def hash(self) -> str:
        """The sha256 that metrics lines carry."""
        return digest(self.as_dict())


def with_reference(
    features: FeatureProtocol, reference: str, num_reference: int, num_generated: int, prepared: str = ""
) -> Protocol:
    """Return the protocol of a comparison in a feature space."""
    return Protocol(
        **asdict(features),
        reference=reference,
        num_reference=num_reference,
        num_generated=num_generated,
        prepared=prepared,
    )


def digest(content: dict[str, Any]) -> str:
    """Return the sha256 of a JSON object, whatever the order of its keys."""
    return hashlib.sha256(json.dumps(content, sort_keys=True).encode()).hexdigest()


def differences(first: dict[str, Any], second: dict[str, Any]) -> list[str]:
    """Return `field: one, other` for each field in which two protocols differ."""
    known = [field.name for field in fields(Protocol)]
    names = [*known, *sorted((set(first) | set(second)) - set(known))]
    return [
        f"{name}: {first.get(name, 'absent')}, {second.get(name, 'absent')}"
        for name in names
        if first.get(name) != second.get(name)
    ]
