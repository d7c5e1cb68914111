"""Signed provenance: C2PA manifests in pictures and films, by c2pa-python, with the user's own certificate and key.

A manifest says how a work came to be, by which program, and from what: the models, whose sha256 are ingredients, and for a
refined work its source, with the source's own manifest where it has one. The signature covers all that and every byte of the
file (C2PA technical specification 2.1). Nothing is fetched: no time stamps, no online checks.
"""

import io
import json
import mimetypes
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from PIL import Image

import artgan
from artgan.errors import ArtganError, ConfigError, DataError
from artgan.metadata import SOURCE_TYPES, TRAINED
from artgan.storage import file_sha256, write_whole

MEDIA_TYPES = {
    "png": "image/png",
    "jpeg": "image/jpeg",
    "webp": "image/webp",
    "tiff": "image/tiff",
    "gif": "image/gif",
    "mp4": "video/mp4",
}
_BYTES = "application/octet-stream"
_SOURCE_LABEL = "source"  # by which the actions name the ingredient
_MAX_PEM_BYTES = 1 << 20
_SETTINGS = {
    "verify": {"verify_after_sign": False, "ocsp_fetch": False, "remote_manifest_fetch": False},
    "builder": {"thumbnail": {"enabled": False}},
}


@dataclass(frozen=True)
class Signature:
    """A certificate chain and a private key, PEM, and the algorithm that the key is for."""

    chain: str
    key: str = field(repr=False)
    algorithm: str


def load_signature(certificate: Path, key: Path) -> Signature:
    """Read a certificate chain, the signer's first, and the private key, both PEM, and try them.

    Raises:
        ConfigError: the library is missing, or the key is of a kind that C2PA does not have, or protected by a password.
        DataError: a file cannot be read, or the key is not that of the certificate.
        ArtganError: nothing can be signed with them, as with an expired certificate.
    """
    try:
        import c2pa  # noqa: F401
        from cryptography import x509
        from cryptography.hazmat.primitives import serialization
    except ImportError:
        raise ConfigError("--sign needs its library: pip install 'artgan[c2pa]'") from None
    chain, secret = _pem(certificate), _pem(key)
    try:
        leaf = x509.load_pem_x509_certificates(chain)[0]
    except ValueError as error:
        raise DataError(f"--sign {certificate}: expected certificates in PEM, the signer's first ({error})") from error
    try:
        private = serialization.load_pem_private_key(secret, None)
    except TypeError as error:
        raise ConfigError(f"--sign {key}: is protected by a password; write it without one, readable by you alone") from error
    except ValueError as error:
        raise DataError(f"--sign {key}: expected a private key in PEM") from error
    if private.public_key() != leaf.public_key():
        raise DataError(f"--sign: {key} is not the key of the first certificate in {certificate}")
    pkcs8 = private.private_bytes(serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption())
    signature = Signature(chain.decode(), pkcs8.decode(), _algorithm(key, private))
    trial = io.BytesIO()
    Image.new("RGB", (1, 1)).save(trial, "PNG")
    signed(trial.getvalue(), "png", f"--sign {certificate}: a picture", {}, signature)  # before any work is done
    return signature


def _pem(path: Path) -> bytes:
    try:
        if path.stat().st_size > _MAX_PEM_BYTES:
            raise DataError(f"--sign {path}: {path.stat().st_size / 1e6:.0f} MB, more than any certificate or key")
        return path.read_bytes()
    except OSError as error:
        raise DataError(f"--sign {path}: cannot be read ({error.strerror})") from error


def _algorithm(path: Path, key: Any) -> str:
    from cryptography.hazmat.primitives.asymmetric import ec, ed25519, rsa

    if isinstance(key, ed25519.Ed25519PrivateKey):
        return "ed25519"
    if isinstance(key, rsa.RSAPrivateKey) and key.key_size >= 2048:
        return "ps256"
    curves = {"secp256r1": "es256", "secp384r1": "es384", "secp521r1": "es512"}
    if isinstance(key, ec.EllipticCurvePrivateKey) and key.curve.name in curves:
        return curves[key.curve.name]
    raise ConfigError(f"--sign {path}: C2PA takes ECDSA on P-256, P-384 or P-521, Ed25519, or RSA of 2048 bits and more")


def sign_file(
    path: Path,
    kind: str,
    metadata: Mapping[str, Any],
    signature: Signature,
    source_type: str = TRAINED,
    source: Path | None = None,
) -> None:
    """Put a signed manifest into a file, in one step; see `signed`."""
    write_whole(path, signed(path.read_bytes(), kind, path.name, metadata, signature, source_type, source))


def signed(
    data: bytes,
    kind: str,
    title: str,
    metadata: Mapping[str, Any],
    signature: Signature,
    source_type: str = TRAINED,
    source: Path | None = None,
) -> bytes:
    """Return the bytes of a file with a signed manifest in it.

    Args:
        data: of the file.
        kind: a key of `MEDIA_TYPES`.
        title: the file's name.
        metadata: what makes the work again, with the hashes of the models that made it.
        signature: whose.
        source_type: how the work came to be, a term of IPTC's `digitalsourcetype`.
        source: the picture or film that the work is a refined version of; None where there is none. What it says about its
            own origin is kept, and whether that is valid.

    Raises:
        ArtganError: the library refuses: most often the certificate is expired, or not for signing content.
    """
    import c2pa

    written, target = io.BytesIO(data), io.BytesIO()
    content = _manifest(title, MEDIA_TYPES[kind], metadata, source_type, is_edit=source is not None)
    try:
        context = c2pa.Context.from_dict(_SETTINGS)
        info = c2pa.C2paSignerInfo(signature.algorithm, signature.chain.encode(), signature.key.encode(), None)
        with c2pa.Signer.from_info(info) as signer:
            builder = c2pa.Builder(content, context)
            if source is not None:
                _add_source(builder, source)
            builder.sign(signer, MEDIA_TYPES[kind], written, target)
    except c2pa.C2paError as error:
        line = (str(error).strip().splitlines() or ["no reason given"])[0][:300]
        raise ArtganError(f"{title} cannot be signed with this certificate: {line}") from error
    return target.getvalue()


def _manifest(title: str, media_type: str, metadata: Mapping[str, Any], source_type: str, *, is_edit: bool) -> dict[str, Any]:
    """Return what is signed: the actions that made the work, the models as ingredients, and what makes it again."""
    agent = {"name": "artgan", "version": artgan.__version__}
    way = {"digitalSourceType": SOURCE_TYPES + source_type, "softwareAgent": agent}
    opened = {"action": "c2pa.opened", "parameters": {"ingredientIds": [_SOURCE_LABEL]}}
    actions = [opened, {"action": "c2pa.edited"} | way] if is_edit else [{"action": "c2pa.created"} | way]
    return {
        "claim_generator_info": [agent],
        "title": title,
        "format": media_type,
        "ingredients": [_model(name, sha256) for name, sha256 in _models(metadata)],
        "assertions": [
            {"label": "c2pa.actions.v2", "data": {"actions": actions}},
            {"label": "org.artgan.made", "data": json.loads(json.dumps(metadata))},
        ],
    }


def _models(metadata: Mapping[str, Any]) -> list[tuple[str, str]]:
    """Return the name and sha256 of every model that had a part in a work."""
    refined = metadata.get("refine", {})
    known = {
        str(metadata.get("model")): metadata.get("model_hash"),
        "fitted network": refined.get("network_sha256"),
        "fitted enlarger": refined.get("enlarger_sha256"),
    }
    return [(name, str(sha256)) for name, sha256 in known.items() if sha256 is not None]


def _model(name: str, sha256: str) -> dict[str, Any]:
    return {
        "title": name,
        "format": _BYTES,
        "instance_id": f"sha256:{sha256}",
        "relationship": "inputTo",
        "description": f"model, sha256 {sha256}",
        "data_types": [{"type": "c2pa.types.model"}],
    }


def _add_source(builder: Any, source: Path) -> None:
    """Make a file the parent of the work, with the manifest that it has."""
    import c2pa

    media_type, sha256 = _media_type(source), file_sha256(source)
    parent = {
        "title": source.name,
        "format": media_type,
        "instance_id": f"sha256:{sha256}",
        "relationship": "parentOf",
        "label": _SOURCE_LABEL,
        "description": f"source, sha256 {sha256}",
    }
    try:
        with source.open("rb") as stream:
            builder.add_ingredient(parent, media_type, stream)
    except c2pa.C2paError:  # it cannot be read as what it says it is, and stands by its hash
        builder.add_ingredient(parent, _BYTES, io.BytesIO())


def _media_type(path: Path) -> str:
    try:
        with Image.open(path) as image:
            found = image.get_format_mimetype()
    except (OSError, ValueError, SyntaxError, Image.DecompressionBombError):
        found = None
    return found or mimetypes.guess_type(path.name)[0] or _BYTES
