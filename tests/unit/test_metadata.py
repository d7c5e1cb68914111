"""What pictures say beside their pixels: authors as they are written, metadata of any length."""

import base64
import io

import numpy as np
import pytest
from PIL import ExifTags, Image, PngImagePlugin

from artgan.images import encode_picture
from artgan.metadata import COMPOSITE, read_credits, read_metadata, resolution_of, xmp
from artgan.refined_film.frames import is_moving
from tests.conftest import ROOT

PIXELS = np.full((8, 8, 3), 99, np.uint8)
CREDITS = {"artist": "Jürgen Müller", "copyright": "© 2020 山田", "description": "Rūta"}


def with_exif(path, encoding):
    exif = Image.Exif()
    for name, tag in (("artist", ExifTags.Base.Artist), ("copyright", ExifTags.Base.Copyright)):
        exif[tag] = CREDITS[name].encode(encoding, "ignore")
    Image.fromarray(PIXELS).save(path, exif=exif)


def test_exif_credits_are_utf8_first_and_latin1_else(tmp_path):
    with_exif(tmp_path / "a.jpg", "utf-8")
    assert read_credits(tmp_path / "a.jpg") == {key: CREDITS[key] for key in ("artist", "copyright")}
    with_exif(tmp_path / "b.jpg", "latin-1")
    assert read_credits(tmp_path / "b.jpg") == {"artist": "Jürgen Müller", "copyright": "© 2020"}


@pytest.mark.parametrize("suffix", ["jpg", "png", "webp", "tif"])
def test_credits_come_from_xmp_where_exif_has_none(tmp_path, suffix):
    packet = xmp(COMPOSITE, CREDITS).encode()
    path = tmp_path / f"a.{suffix}"
    options = {"xmp": packet}
    if suffix == "png":
        info = PngImagePlugin.PngInfo()
        info.add_itxt("XML:com.adobe.xmp", packet.decode())
        options = {"pnginfo": info}
    if suffix == "tif":
        options = {"tiffinfo": {700: packet}}
    Image.fromarray(PIXELS).save(path, **options)
    assert read_credits(path) == CREDITS


def test_credits_of_several_authors_and_of_png_text(tmp_path):
    packet = (
        '<x:xmpmeta xmlns:x="adobe:ns:meta/" xmlns:dc="http://purl.org/dc/elements/1.1/" '
        'xmlns:rdf="http://www.w3.org/1999/02/22-rdf-syntax-ns#"><dc:creator><rdf:Seq><rdf:li>A</rdf:li><rdf:li>B</rdf:li>'
        "</rdf:Seq></dc:creator></x:xmpmeta>"
    )
    info = PngImagePlugin.PngInfo()
    info.add_itxt("XML:com.adobe.xmp", packet)
    info.add_text("Author", "not asked")
    info.add_text("Copyright", "the estate", zip=True)
    Image.fromarray(PIXELS).save(tmp_path / "a.png", pnginfo=info)
    assert read_credits(tmp_path / "a.png") == {"artist": "A; B", "copyright": "the estate"}


@pytest.mark.parametrize("packet", [b"<!DOCTYPE a [<!ENTITY b 'c'>]><a>&b;</a>", b"<a", b"\xff\xfe\0", b""])
def test_a_packet_that_is_none_says_nothing(tmp_path, packet):
    Image.fromarray(PIXELS).save(tmp_path / "a.jpg", xmp=packet)
    assert read_credits(tmp_path / "a.jpg") == {}


@pytest.mark.parametrize("image_format", ["png", "jpeg", "webp", "tiff"])
@pytest.mark.parametrize("length", [100, 59_000, 61_000, 200_000])
def test_metadata_of_any_length_is_written_and_read(tmp_path, image_format, length):
    styles = base64.b64encode(np.random.default_rng(0).bytes(length * 3 // 4)).decode()
    metadata = {"kind": "sample", "seed": 3, "point": {"styles": styles}, "artist": "Ü"}
    path = tmp_path / "a"
    path.write_bytes(encode_picture(PIXELS, image_format, metadata))
    assert read_metadata(path) == metadata
    with Image.open(path) as image:
        assert image.size == (8, 8)
        assert image.format == image_format.upper()


def test_a_comment_of_another_program_is_not_taken_for_ours(tmp_path):
    data = encode_picture(PIXELS, "jpeg", {"styles": "x" * 150_000})
    cut = data.replace(b"artgan 2/3 ", b"artgan 9/3 ")
    (tmp_path / "a.jpg").write_bytes(cut)
    assert read_metadata(tmp_path / "a.jpg") is None
    Image.open(io.BytesIO(cut)).load()


@pytest.mark.parametrize("share", [0.5, 0.75])
@pytest.mark.parametrize("read", [read_metadata, read_credits, resolution_of, is_moving])
def test_a_damaged_picture_says_nothing_in_the_librarys_words(read, share, tmp_path):
    """Its warnings would be errors here."""
    data = (ROOT / "tests" / "golden" / "pictures" / "sample.tif").read_bytes()
    (tmp_path / "cut.tif").write_bytes(data[: int(len(data) * share)])
    assert not read(tmp_path / "cut.tif")
