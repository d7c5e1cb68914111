"""Signed provenance: manifests that a reader trusts by a local CA, that name the model, and that break when a byte changes."""

import contextlib
import datetime
import hashlib
import io

import numpy as np
import pytest
from PIL import Image

from artgan.generation.video import encode_video
from artgan.metadata import read_metadata
from artgan.overview import save_sheet
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


def test_an_expired_certificate_is_refused_before_the_work(trained_model, signer, tmp_path, capsys):
    out, key = tmp_path / "out", signer(days=-1)
    for verb in (("sample", trained_model.folder, "--seeds", "1"), ("refine", drawn(tmp_path / "a.png"), "--engine", "none")):
        assert artgan(*verb, "--out", out, "--sign", *key) == 1
        (line,) = capsys.readouterr().err.strip().splitlines()
        assert "cannot be signed with this certificate" in line
        assert str(key[0]) in line
        assert not list(out.glob("*"))


def made_of(manifest):
    return {assertion["label"]: assertion["data"] for assertion in manifest["assertions"]}


def flipped(data: bytes, place: int) -> bytes:
    place %= len(data)
    return data[:place] + bytes([data[place] ^ 1]) + data[place + 1 :]


PIXELS_AT = {"image/png": -40, "image/tiff": 60, "image/gif": -20, "image/webp": 90}  # apart from the manifest


def ingredients_of(manifest):
    return {each["relationship"]: each for each in manifest["ingredients"]}


def drawn(path, seed=0):
    pixels = np.random.default_rng(seed).integers(0, 256, (8, 8, 3)).astype(np.uint8).repeat(8, 0).repeat(8, 1)
    Image.fromarray(pixels).save(path)
    return path


@pytest.mark.parametrize(
    ("image_format", "suffix", "media_type"), [("png16", ".png", "image/png"), ("tiff16", ".tif", "image/tiff")]
)
def test_refined_pictures_are_signed_with_their_source(image_format, suffix, media_type, signer, authority, tmp_path):
    sources, out = tmp_path / "photographs", tmp_path / "out"
    sources.mkdir()
    drawn(sources / "a.png")
    drawn(sources / "b.tif", 1)
    (sources / "c.png").write_bytes(drawn(tmp_path / "c.webp", 2).read_bytes())  # under a false name
    look = ["--contrast", 1, "--format", image_format, "--engine", "none"]
    assert artgan("refine", sources, "--out", out, *look, "--sign", *signer()) == 0
    for source in sources.iterdir():
        path = out / f"{source.stem}{suffix}"
        state, manifest = read(path.read_bytes(), media_type, authority)
        assert state == "Trusted"
        assert manifest["title"] == path.name
        parent = ingredients_of(manifest)["parentOf"]
        assert parent["title"] == source.name
        assert hashlib.sha256(source.read_bytes()).hexdigest() in parent["description"]
        opened, edited = made_of(manifest)["c2pa.actions.v2"]["actions"]
        assert (opened["action"], edited["action"]) == ("c2pa.opened", "c2pa.edited")
        assert edited["digitalSourceType"].endswith("/compositeWithTrainedAlgorithmicMedia")
        assert made_of(manifest)["org.artgan.made"]["refine"]["recipe"]["color"]["contrast"] == 1
        assert read_metadata(path)["source"] == source.name
        whole = path.read_bytes()
        with contextlib.suppress(c2pa.C2paError):
            assert read(flipped(whole, PIXELS_AT[media_type]), media_type, authority)[0] == "Invalid"
    for path in (out / "sheet.png", sources / "a.png"):  # an overview is no work, and originals stay as they were
        unsigned(path)
    assert not list(out.glob(".unfinished"))


def unsigned(path):
    with path.open("rb") as file:
        assert c2pa.Reader.try_create("image/png", file) is None


def test_what_is_refined_twice_tells_its_whole_way_and_where_it_broke(trained_model, signer, authority, tmp_path):
    key, folder = signer(), trained_model.folder
    assert artgan("sample", folder, "--out", tmp_path / "made", "--seeds", "3", "--sign", *key) == 0
    sample = tmp_path / "made" / "seed-0003.png"
    look = ["--contrast", 1, "--engine", "none", "--sign", *key]
    assert artgan("refine", sample, "--out", tmp_path / "once", *look) == 0
    refined = tmp_path / "once" / "seed-0003.png"
    state, manifest = read(refined.read_bytes(), "image/png", authority)
    assert state == "Trusted"
    found = ingredients_of(manifest)
    assert trained_model.sha256 in found["inputTo"]["description"]
    assert made_of(manifest)["c2pa.actions.v2"]["actions"][1]["digitalSourceType"].endswith("/trainedAlgorithmicMedia")
    assert found["parentOf"]["active_manifest"] == read(sample.read_bytes(), "image/png", authority)[1]["label"]
    assert {each["code"] for each in found["parentOf"]["validation_results"]["activeManifest"]["failure"]} == {UNTRUSTED}
    sample.write_bytes(sample.read_bytes() + b"more")
    assert artgan("refine", sample, "--out", tmp_path / "again", *look) == 0
    _, manifest = read((tmp_path / "again" / "seed-0003.png").read_bytes(), "image/png", authority)
    failures = ingredients_of(manifest)["parentOf"]["validation_results"]["activeManifest"]["failure"]
    assert "assertion.dataHash.mismatch" in {each["code"] for each in failures}


UNTRUSTED = "signingCredential.untrusted"  # the signer's CA is known to this test alone


def test_refined_films_time_lapses_and_projections_are_signed(trained_model, signer, authority, tmp_path, capsys, monkeypatch):
    pytest.importorskip("av")
    monkeypatch.setattr("artgan.generation.projection._NUM_STARTS", 8)
    key = signer()
    buffer = tmp_path / "moving.gif"
    frames = [Image.open(drawn(tmp_path / f"{seed}.png", seed)) for seed in range(3)]
    frames[0].save(buffer, save_all=True, append_images=frames[1:])
    (tmp_path / "film.webm").write_bytes(encode_video([np.zeros((32, 32, 3), np.uint8)] * 2, "webm", 25))
    look = ["--contrast", 1, "--engine", "none", "--sign", *key]
    assert artgan("refine", buffer, "--out", tmp_path / "films", *look) == 0
    assert artgan("refine", tmp_path / "film.webm", "--out", tmp_path / "none", *look) == 2
    assert "--sign: WebM has no place for a manifest" in capsys.readouterr().err
    assert not (tmp_path / "none").exists()
    (tmp_path / "run" / "samples").mkdir(parents=True)
    for images in (100, 200):
        save_sheet(
            tmp_path / "run" / "samples" / f"images-{images:012d}.png", np.full((64, 64, 3), images, np.uint8), "samples"
        )
    assert artgan("video", tmp_path / "run", "--time-lapse", "--out", tmp_path / "lapse.webp", "--sign", *key) == 0
    search = ["--steps", 2, "--backbone", "random", "--video", "webp", "--out", tmp_path / "found", "--sign", *key]
    assert artgan("project", trained_model.folder, tmp_path / "0.png", *search) == 0
    expected = {
        "films/moving.gif": ("image/gif", {"moving.gif"}),
        "lapse.webp": ("image/webp", set()),
        "found/projection.png": ("image/png", {trained_model.name}),
        "found/search.webp": ("image/webp", {trained_model.name}),
    }
    for place, (media_type, titles) in expected.items():
        data = (tmp_path / place).read_bytes()
        state, manifest = read(data, media_type, authority)
        assert state == "Trusted", place
        assert {each["title"] for each in manifest.get("ingredients", [])} == titles
        with contextlib.suppress(c2pa.C2paError):
            assert read(flipped(data, PIXELS_AT[media_type]), media_type, authority)[0] == "Invalid"
    assert (
        artgan("sample", trained_model.folder, "--out", tmp_path / "more", "--from", tmp_path / "found" / "projection.png") == 0
    )


def test_a_run_that_goes_on_signs_what_it_wrote_unsigned(signer, authority, tmp_path, monkeypatch):
    from artgan.refine import run

    source, out, look = drawn(tmp_path / "a.png"), tmp_path / "out", ["--contrast", 1, "--engine", "none"]
    with monkeypatch.context() as patch:
        patch.setattr(run, "write_report", lambda *_: (_ for _ in ()).throw(KeyboardInterrupt))
        assert artgan("refine", source, "--out", out, *look) == 130
    unsigned(out / "a.png")
    assert artgan("refine", source, "--out", out, *look, "--sign", *signer()) == 0
    assert read((out / "a.png").read_bytes(), "image/png", authority)[0] == "Trusted"
