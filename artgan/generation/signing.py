"""Signed provenance: C2PA manifests in pictures and films, by c2pa-python, with the user's own certificate and key.

A manifest says that a trained algorithm made the work, by which program, and from which model, whose sha256 is an ingredient;
the signature covers it and every byte of the file (C2PA technical specification 2.1). Nothing is fetched: no time stamps, no
online checks.
"""

import io
import json
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import artgan
from artgan.errors import ArtganError, ConfigError, DataError
from artgan.metadata import SOURCE_TYPES, TRAINED
from artgan.storage import write_whole

MEDIA_TYPES = {
    "png": "image/png",
    "jpeg": "image/jpeg",
    "webp": "image/webp",
    "tiff": "image/tiff",
    "gif": "image/gif",
    "mp4": "video/mp4",
}
_MAX_PEM_BYTES = 1 << 20
_SETTINGS = {
    "verify": {"verify_after_sign": False, "ocsp_fetch": False, "remote_manifest_fetch": False},
    "builder": {"thumbnail": {"enabled": False}},
}


@dataclass(frozen=True)
class Signature:
    """A certificate chain and a private key, PEM, and the algorithm that the key is for."""

    chain: str
    key: str
    algorithm: str


def load_signature(certificate: Path, key: Path) -> Signature:
    """Read a certificate chain, the signer's first, and the private key, both PEM.

    Raises:
        ConfigError: the library is missing, or the key is of a kind that C2PA does not have, or protected by a password.
        DataError: a file cannot be read, or the key is not that of the certificate.
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
    return Signature(chain.decode(), pkcs8.decode(), _algorithm(key, private))


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


def manifest(title: str, media_type: str, metadata: Mapping[str, Any], source_type: str = TRAINED) -> dict[str, Any]:
    """Return what is signed: the action that made the work, the model as an ingredient, and what makes it again."""
    agent = {"name": "artgan", "version": artgan.__version__}
    made = {"action": "c2pa.created", "digitalSourceType": SOURCE_TYPES + source_type, "softwareAgent": agent}
    model = {
        "title": str(metadata["model"]),
        "format": "application/octet-stream",
        "instance_id": f"sha256:{metadata['model_hash']}",
        "relationship": "inputTo",
        "description": f"model.safetensors, sha256 {metadata['model_hash']}",
        "data_types": [{"type": "c2pa.types.model"}],
    }
    return {
        "claim_generator_info": [agent],
        "title": title,
        "format": media_type,
        "ingredients": [model],
        "assertions": [
            {"label": "c2pa.actions.v2", "data": {"actions": [made]}},
            {"label": "org.artgan.made", "data": json.loads(json.dumps(metadata))},
        ],
    }


def sign_file(path: Path, kind: str, metadata: Mapping[str, Any], signature: Signature) -> None:
    """Put a signed manifest into a file, in one step; see `signed`."""
    write_whole(path, signed(path.read_bytes(), kind, path.name, metadata, signature))


def signed(data: bytes, kind: str, title: str, metadata: Mapping[str, Any], signature: Signature) -> bytes:
    """Return the bytes of a file with a signed manifest in it.

    Args:
        data: of the file.
        kind: a key of `MEDIA_TYPES`.
        title: the file's name.
        metadata: with `model` and `model_hash`, and what else makes the work again.
        signature: whose.

    Raises:
        ArtganError: the library refuses: most often the certificate is expired, or not for signing content.
    """
    import c2pa

    source, target = io.BytesIO(data), io.BytesIO()
    try:
        context = c2pa.Context.from_dict(_SETTINGS)
        info = c2pa.C2paSignerInfo(signature.algorithm, signature.chain.encode(), signature.key.encode(), None)
        with c2pa.Signer.from_info(info) as signer:
            builder = c2pa.Builder(manifest(title, MEDIA_TYPES[kind], metadata), context)
            builder.sign(signer, MEDIA_TYPES[kind], source, target)
    except c2pa.C2paError as error:
        line = (str(error).strip().splitlines() or ["no reason given"])[0][:300]
        raise ArtganError(f"{title} cannot be signed with this certificate: {line}") from error
    return target.getvalue()
