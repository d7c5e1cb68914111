"""Signed provenance: manifests that a reader trusts by a local CA, that name the model, and that break when a byte changes."""

import contextlib
import datetime
import io
import json

import pytest

from artgan.metadata import read_metadata
from tests.integration.test_cli import artgan

c2pa = pytest.importorskip("c2pa")
x509 = pytest.importorskip("cryptography.x509")
from cryptography.hazmat.primitives import hashes, serialization  # noqa: E402
from cryptography.hazmat.primitives.asymmetric import ec, ed25519, rsa  # noqa: E402

KEYS = {
    "p256": lambda: ec.generate_private_key(ec.SECP256R1()),
    "ed25519": ed25519.Ed25519PrivateKey.generate,
    "rsa": lambda: rsa.generate_private_key(65537, 2048),
    "k1": lambda: ec.generate_private_key(ec.SECP256K1()),
}
DAY = datetime.timedelta(days=1)


def name(text):
    attributes = [(x509.NameOID.ORGANIZATION_NAME, "A. Painter"), (x509.NameOID.COMMON_NAME, text)]
    return x509.Name([x509.NameAttribute(*attribute) for attribute in attributes])


def pem(certificate) -> bytes:
    return certificate.public_bytes(serialization.Encoding.PEM)


def certificate(subject, issuer, key, issuer_key, *, authority=False, days=30):
    now = datetime.datetime.now(datetime.UTC)
    usage = dict.fromkeys(("content_commitment", "key_encipherment", "data_encipherment", "key_agreement"), False)
    usage |= {"digital_signature": not authority, "key_cert_sign": authority, "crl_sign": authority}
    built = (
        x509.CertificateBuilder()
        .subject_name(name(subject))
        .issuer_name(name(issuer))
        .public_key(key.public_key())
        .serial_number(x509.random_serial_number())
        .not_valid_before(now - 60 * DAY)
        .not_valid_after(now + days * DAY)
        .add_extension(x509.BasicConstraints(authority, None), True)
        .add_extension(x509.KeyUsage(**usage, encipher_only=False, decipher_only=False), True)
        .add_extension(x509.SubjectKeyIdentifier.from_public_key(key.public_key()), False)
        .add_extension(x509.AuthorityKeyIdentifier.from_issuer_public_key(issuer_key.public_key()), False)
    )
    if not authority:
        built = built.add_extension(x509.ExtendedKeyUsage([x509.ExtendedKeyUsageOID.EMAIL_PROTECTION]), False)
    return built.sign(issuer_key, hashes.SHA256())


@pytest.fixture(scope="module")
def authority():
    key = KEYS["p256"]()
    return certificate("Local CA", "Local CA", key, key, authority=True), key


@pytest.fixture
def signer(authority, tmp_path):
    """Return a function that writes a certificate chain and a key, and returns their paths."""

    def write(kind="p256", days=30, password=None):
        key, (root, root_key) = KEYS[kind](), authority
        chain, secret = tmp_path / f"{kind}{days}.pem", tmp_path / f"{kind}{days}.key"
        chain.write_bytes(pem(certificate("signer", "Local CA", key, root_key, days=days)) + pem(root))
        way = serialization.BestAvailableEncryption(password) if password else serialization.NoEncryption()
        secret.write_bytes(key.private_bytes(serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, way))
        return chain, secret

    return write


def read(data: bytes, media_type: str, authority) -> tuple[str, dict]:
    """Return what a reader that trusts the CA alone says of a file, and its manifest."""
    trusting = {"trust": {"trust_anchors": pem(authority[0]).decode()}, "verify": {"verify_trust": True}}
    with c2pa.Reader(media_type, io.BytesIO(data), context=c2pa.Context.from_dict(trusting)) as reader:
        return reader.get_validation_state(), reader.get_active_manifest()


@pytest.mark.parametrize(
    ("kind", "suffix", "image_format", "media_type"),
    [
        ("p256", ".png", "png", "image/png"),
        ("ed25519", ".jpg", "jpeg", "image/jpeg"),
        ("rsa", ".webp", "webp", "image/webp"),
        ("p256", ".tif", "tiff", "image/tiff"),
    ],
)
def test_samples_are_signed(kind, suffix, image_format, media_type, trained_model, signer, authority, tmp_path):
    out, folder = tmp_path / "out", trained_model.folder
    arguments = ["--seeds", "3,4", "--format", image_format, "--sign", *signer(kind)]
    assert artgan("sample", folder, "--out", out, *arguments) == 0
    path = out / f"seed-0003{suffix}"
    state, manifest = read(path.read_bytes(), media_type, authority)
    assert state == "Trusted"
    assert manifest["title"] == path.name
    assert manifest["signature_info"]["issuer"] == "A. Painter"
    (model,) = manifest["ingredients"]
    assert trained_model.sha256 in model["description"]
    assert model["relationship"] == "inputTo"
    made = {assertion["label"]: assertion["data"] for assertion in manifest["assertions"]}
    (action,) = made["c2pa.actions.v2"]["actions"]
    assert action["action"] == "c2pa.created"
    assert action["digitalSourceType"].endswith("/trainedAlgorithmicMedia")
    assert made["org.artgan.made"]["seed"] == 3
    assert read_metadata(path)["seed"] == 3  # what artgan wrote is still there
    changed = bytearray(path.read_bytes())
    place = len(changed) // 2 if image_format == "jpeg" else len(changed) - 40
    changed[place] ^= 1
    with contextlib.suppress(c2pa.C2paError):  # or it can no longer be read at all
        assert read(bytes(changed), media_type, authority)[0] == "Invalid"


def test_a_film_is_signed(trained_model, signer, authority, tmp_path):
    pytest.importorskip("av")
    film = tmp_path / "film.mp4"
    arguments = ["--seeds", "1,2", "--steps", "3", "--size", "32", "--sign", *signer()]
    assert artgan("video", trained_model.folder, "--out", film, *arguments) == 0
    state, manifest = read(film.read_bytes(), "video/mp4", authority)
    assert state == "Trusted"
    assert trained_model.sha256 in manifest["ingredients"][0]["description"]
    assert artgan("video", trained_model.folder, "--out", tmp_path / "film.webm", *arguments) == 2


def test_what_cannot_sign_is_one_line(trained_model, signer, tmp_path, capsys):
    chain, key = signer()
    _, other = signer("ed25519")
    text = tmp_path / "text.pem"
    text.write_text("no certificate")
    for given, code, said in (
        ((chain, other), 3, "is not the key of the first certificate"),
        ((text, key), 3, "expected certificates in PEM"),
        ((chain, text), 3, "expected a private key in PEM"),
        ((tmp_path / "none.pem", key), 3, "cannot be read"),
        (signer("k1"), 2, "C2PA takes ECDSA on P-256"),
        (signer(password=b"secret"), 2, "protected by a password"),
    ):
        assert artgan("sample", trained_model.folder, "--out", tmp_path / "out", "--seeds", "1", "--sign", *given) == code
        lines = capsys.readouterr().err.strip().splitlines()
        assert len(lines) == 1
        assert said in lines[0]
    assert not list((tmp_path / "out").glob("*"))


def test_an_expired_certificate_signs_nothing(trained_model, signer, tmp_path, capsys):
    out = tmp_path / "out"
    code = artgan("sample", trained_model.folder, "--out", out, "--seeds", "1", "--sign", *signer(days=-1))
    assert code != 0
    assert "seed-0001.png cannot be signed with this certificate" in capsys.readouterr().err
    assert json.dumps(read_metadata(out / "seed-0001.png"))  # the picture is there, unsigned
