"""Pages: whole, self-contained, and safe with hostile names."""

import re
from dataclasses import replace
from html.parser import HTMLParser

import numpy as np

from artgan.datasets.collection import open_collection
from artgan.datasets.prepare import prepare
from artgan.datasets.recipe import Recipe
from artgan.datasets.synthetic import MANNERS, draw_work
from artgan.evaluation.showcase import Pair, Shown
from artgan.report.collection import collection_page
from artgan.report.evaluation import evaluation_page
from artgan.report.page import curves, picture


class Tags(HTMLParser):
    def __init__(self):
        super().__init__()
        self.seen, self.sources, self.alts = [], [], []

    def handle_starttag(self, tag, attrs):
        self.seen.append(tag)
        values = dict(attrs)
        if tag == "img":
            self.sources.append(values["src"])
            self.alts.append(values.get("alt"))


def parsed(html):
    tags = Tags()
    tags.feed(html)
    return tags


def test_a_collection_page_shows_every_class_and_needs_no_other_file(collection):
    html = collection_page(collection)
    tags = parsed(html)
    assert all(source.startswith("data:image/png;base64,") for source in tags.sources)
    assert all(tags.alts)
    assert all(f"{name}: 8" in html for name in MANNERS)
    assert "36 for training, 4 held out" in html
    assert "same pixels as" in html or "same file as" in html
    assert not re.findall(r'(?:src|href)="(?!data:|#)', html)


def test_a_hostile_class_name_stays_text(collection):
    hostile = replace(collection, classes=("<script>alert(1)</script>", *collection.classes[1:]))
    assert "script" not in parsed(collection_page(hostile)).seen


def test_a_palette_of_two_colors_has_their_shares(tmp_path):
    (tmp_path / "in").mkdir()
    for index, color in enumerate([(255, 0, 0), (0, 0, 255), (250, 0, 0), (245, 0, 0)]):
        image = draw_work("waves", 0, index, side_px=64)
        image.paste(color, (0, 0, 64, 64))
        image.save(tmp_path / "in" / f"{index}.png")
    prepare([tmp_path / "in"], tmp_path / "out", Recipe(32, 32, duplicates="keep", holdout=0))
    html = collection_page(open_collection(tmp_path / "out"))
    shares = [(color, float(share)) for color, share in re.findall(r'title="(#\w{6}), ([\d.]+) %"', html)]
    red = sum(share for color, share in shares if int(color[1:3], 16) > 200)
    blue = sum(share for color, share in shares if int(color[5:7], 16) > 200)
    assert abs(red - 75) < 2
    assert abs(blue - 25) < 2


def metrics_line(name="kid", protocol_hash="h"):
    return {
        "protocol": {"features": "random", "num_reference": 36, "resize": "clean"},
        "protocol_hash": protocol_hash,
        "num_generated": 12,
        "generated": {"from": "folder"},
        "metrics": {name: {"value": 0.5, "low": 0.25, "high": 0.75}, "c_t": {"value": -4.0, "low": None, "high": None}},
        "floor": {name: {"value": 0.125, "of": "hold-out against training split"}},
        "warnings": ["few pictures"],
        "classes": {"rings": {"num_generated": 3, "num_reference": 8, "metrics": {}, "note": "not judged"}},
    }


def test_an_evaluation_page_has_every_number_picture_and_curve(collection):
    shown = [Shown(collection.images[row], f"seed {row}", 1.5 - row) for row in range(3)]
    pairs = [Pair(collection.images[0], collection.images[1], "seed 7", "<b>a</b>.png", "mirrored, middle", 0.25)]
    history = [{"images_seen": 1000 * step, "kind": "metrics"} | metrics_line() for step in (1, 2)]
    history.insert(1, {"images_seen": 1500, "kind": "metrics"} | metrics_line(protocol_hash="another"))
    html = evaluation_page("run", metrics_line(), best=shown, worst=shown[:1], pairs=pairs, history=history)
    tags = parsed(html)
    assert tags.seen.count("img") == 5
    assert all(source.startswith("data:image/png;base64,") for source in tags.sources)
    assert tags.seen.count("svg") == 1  # kid alone has a history
    for text in (
        "kid x 1000",
        "250 to 750",
        "125",
        "hold-out against training split",
        "few pictures",
        "not judged",
        "mirrored, middle",
    ):
        assert text in html
    assert "<b>a</b>" not in html
    assert not re.findall(r'(?:src|href)="(?!data:|#)', html)


def test_an_evaluation_page_without_pictures_has_no_empty_rooms():
    html = evaluation_page("x", metrics_line() | {"classes": {}})
    assert not {"img", "svg"} & set(parsed(html).seen)
    for heading in ("Does it copy", "Most real", "The whole run", "Class by class", "In other spaces"):
        assert heading not in html


def test_an_evaluation_page_has_the_distances_in_other_spaces():
    html = evaluation_page("x", metrics_line() | {"spaces": {"drawn": {"fd": 5.553}}})
    assert re.search(r"In other spaces.*<td>drawn</td><td>fd</td><td class=\"number\">5.55</td>", html, re.DOTALL)


def test_curves_are_inline_and_name_themselves():
    svg = curves({"one": ([0, 1], [2, 3]), "two": ([0, 1], [1, 0])}, "kimg", "loss")
    assert svg.startswith("<svg")
    assert "<script" not in svg


def test_a_picture_keeps_its_pixels():
    pixels = np.arange(48, dtype=np.uint8).reshape(4, 4, 3)
    assert picture(pixels).startswith("data:image/png;base64,")
