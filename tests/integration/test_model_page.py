"""A model's page in a real browser, from a file with the network cut and from a web server: the pictures of `artgan sample`."""

import functools
import http.server
import json
import shutil
import threading
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from artgan import seeding
from artgan.errors import ArtganError, ConfigError, DataError
from artgan.generation.favourites import NAME
from artgan.generation.latents import LATENT_STREAM
from artgan.generation.point import Point
from artgan.generation.sample import picture_metadata, point_of_picture, render
from artgan.metadata import read_metadata
from artgan.modelpage.build import PART_BYTES, Look, write_page
from artgan.modelpage.runtime import BUILDS, load_runtime
from tests.integration.studio_browser import CHROMIUM, until
from tests.integration.test_cli import artgan

playwright = pytest.importorskip("playwright.sync_api")
pytest.importorskip("onnxscript")
ROOM = Path(__file__).parents[2] / "artgan" / "modelpage" / "static"
WAIT = 120_000
needs_browser = pytest.mark.skipif(CHROMIUM is None, reason="needs Chromium: apt-get install chromium")


def runtime(kind="wasm"):
    try:
        return load_runtime(None, kind)
    except ConfigError as error:
        pytest.skip(str(error))


@pytest.fixture(scope="module")
def pages(trained_model, tmp_path_factory) -> Path:
    """A folder whose sub-folder `page` is the page of the small model."""
    folder = tmp_path_factory.mktemp("pages")
    liked = (Point(3, truncation=0.7), Point(5, mixed=Point(8), layers=(0, 2)))
    look = Look("Tides & <waves>", "A. Painter", "CC BY 4.0", seed=2, favourites=liked)
    made = write_page(trained_model, runtime(), folder / "page", look)
    assert made.largest < 25e6
    return folder


@pytest.fixture(scope="module")
def address(pages):
    class Handler(http.server.SimpleHTTPRequestHandler):
        def log_message(self, *arguments):
            pass

    server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), functools.partial(Handler, directory=pages))
    thread = threading.Thread(target=server.serve_forever)
    thread.start()
    yield f"http://127.0.0.1:{server.server_port}"
    server.shutdown()
    server.server_close()
    thread.join()


class Visit:
    def __init__(self, browser, url, offline, ready="[data-ready]"):
        self.context = browser.new_context(offline=offline, accept_downloads=True, viewport={"width": 1100, "height": 720})
        self.page = self.context.new_page()
        self.asked, self.complaints = [], []
        self.page.on("request", lambda request: self.asked.append(request.url))
        self.page.on("console", lambda message: self.complaints.append(message.text) if message.type == "error" else None)
        self.page.on("pageerror", lambda error: self.complaints.append(str(error)))
        self.page.goto(url)
        self.page.locator(f"body{ready}").wait_for(timeout=WAIT)

    def picture(self, point: Point) -> np.ndarray:
        """Return the pixels that the page makes of a point, uint8 `[H, W, 3]`."""
        program = (
            "async (point) => { const image = await page.picture(point); return [image.width, image.height, [...image.data]]; }"
        )
        width, height, data = self.page.evaluate(program, point.as_dict())
        return np.array(data, np.uint8).reshape(height, width, 4)[..., :3]

    def shown(self) -> dict:
        return json.loads(self.page.get_attribute("#picture", "data-point"))

    def until_shown(self, **wanted) -> dict:
        for _ in range(200):
            if all(self.shown().get(key) == value for key, value in wanted.items()):
                return self.shown()
            self.page.wait_for_timeout(50)
        raise AssertionError(f"{self.shown()}, expected {wanted}")


@pytest.fixture(scope="module", params=["file", "server"])
def visit(request, browser, pages):
    """The page opened as a file with the network cut, and from a plain web server."""
    base = f"file://{pages}" if request.param == "file" else request.getfixturevalue("address")
    made = Visit(browser, f"{base}/page/index.html", offline=request.param == "file")
    yield made
    assert [url for url in made.asked if not url.startswith((f"{base}/page/", "blob:"))] == []
    made.context.close()
    assert made.complaints == []


@needs_browser
def test_latents_in_the_browser_are_those_of_seeding(browser):
    key = seeding.stream_key(0, LATENT_STREAM)
    words = [f"{key & (2**64 - 1):016x}", f"{key >> 64:016x}"]
    page = browser.new_page()
    page.add_script_tag(path=str(ROOM / "latents.js"))
    seeds = [*range(996), 2**31, 2**32 - 1, 123_456_789, 65_537]
    for width in (5, 64):
        program = "([key, seeds, width]) => seeds.map((seed) => [...latents.normals(key, seed, width)])"
        drawn = np.array(page.evaluate(program, [words, seeds, width]), np.float32)
        expected = np.concatenate([seeding.normal(0, LATENT_STREAM, seed, 1, width) for seed in seeds])
        np.testing.assert_array_equal(drawn, expected)
    page.close()


@needs_browser
def test_a_point_is_the_picture_of_sample(visit, trained_model):
    direction = next(iter(trained_model.space.directions))
    plain = [Point(seed, classes=((seed % 5, 1.0),)) for seed in range(6)]
    others = [
        Point(7, truncation=0.6),
        Point(2**32 - 1, classes=((1, 1.0), (4, 3.0)), truncation=0.5, moves=((direction, 2.0),)),
        Point(3, toward=Point(9, truncation=0.8), amount=0.25),
    ]
    for point, expected in zip(plain + others, render(trained_model.space, plain + others)):
        assert np.abs(visit.picture(point).astype(int) - expected).mean() < 1, point


@needs_browser
def test_the_page_by_keyboard_and_what_it_saves(visit, trained_model, tmp_path):
    page = visit.page
    assert page.inner_text("h1") == "Tides & <waves>"
    assert page.inner_text(".credit") == "A. Painter, CC BY 4.0"
    assert page.locator("#kept canvas").count() == 2  # favourites that came with the page
    visit.until_shown(seed=2)
    page.keyboard.press("ArrowRight")
    visit.until_shown(seed=3, classes=[[3, 1]])
    page.select_option("#class-a", label=trained_model.card.classes[1])
    page.fill("#truncation", "0.5")
    page.locator("#directions summary").click()
    page.locator("#sliders input").first.fill("1.5")
    first = next(iter(trained_model.space.directions))
    visit.until_shown(seed=3, classes=[[1, 1]], truncation=0.5, moves=[[first, 1.5]])
    page.keyboard.press("Escape")
    page.locator("h1").click()
    page.evaluate("document.activeElement.blur()")
    page.keyboard.press("k")
    page.locator("#kept canvas").nth(2).wait_for(timeout=WAIT)
    with page.expect_download() as download:
        page.keyboard.press("s")
    path = tmp_path / download.value.suggested_filename
    download.value.save_as(path)
    metadata = read_metadata(path)
    point = point_of_picture(trained_model, metadata, str(path))
    expected = picture_metadata(trained_model, point)
    assert path.name == "seed-0003.png"
    assert {key: metadata[key] for key in expected if key != "torch"} == {k: v for k, v in expected.items() if k != "torch"}
    assert metadata["artist"] == "A. Painter"
    with Image.open(path) as image:
        image.load()
        assert image.info["parameters"].startswith(f"Seed: 3, Model: {trained_model.name}, Model hash:")
        assert b"trainedAlgorithmicMedia" in image.info["xmp"]
        pixels = np.asarray(image.convert("RGB")).astype(int)
    assert np.abs(pixels - next(render(trained_model.space, [point]))).mean() < 1


@needs_browser
def test_a_walk_between_favourites_and_favourites_for_sample(visit, trained_model, tmp_path):
    page = visit.page
    kept = page.locator("#kept canvas").count()
    page.fill("#pace", "1")
    page.click("#walk")
    page.locator("#status[data-rate]").wait_for(timeout=WAIT)
    assert float(page.get_attribute("#status", "data-rate")) > 0
    until(page, "JSON.parse(document.getElementById('picture').dataset.point).toward")
    page.click("#keep")  # a place between two is kept by its styles
    page.locator("#kept canvas").nth(kept).wait_for(timeout=WAIT)
    page.click("#walk")
    with page.expect_download() as download:
        page.click("#list")
    path = tmp_path / NAME
    download.value.save_as(path)
    entries = json.loads(path.read_text())["favourites"]
    assert len(entries) == kept + 1
    assert "styles" in entries[-1]["point"]
    assert artgan("sample", trained_model.folder, "--liked", "--favourites", path, "--out", tmp_path / "liked") == 0
    assert len(list((tmp_path / "liked").glob("*.png"))) == kept + 2  # and the sheet


@needs_browser
def test_a_damaged_or_missing_part_is_a_line_on_the_page(browser, pages, tmp_path):
    shutil.copytree(pages / "page", tmp_path / "page")
    part = tmp_path / "page" / "data" / "synthesis-00.js"
    text = part.read_text()
    part.write_text(text[:2000] + "A" * 200 + text[2200:])
    visit = Visit(browser, f"file://{tmp_path}/page/index.html", offline=True, ready=":has(#status.warning)")
    assert visit.page.inner_text("#status") == "data/synthesis-00.js is damaged: copy the folder again"
    visit.context.close()
    part.unlink()
    visit = Visit(browser, f"file://{tmp_path}/page/index.html", offline=True, ready=":has(#status.warning)")
    assert visit.page.inner_text("#status") == "data/synthesis-00.js is missing: copy the whole folder"
    visit.context.close()


@needs_browser
def test_a_gpu_that_fails_in_the_middle_gives_way_to_the_processor(browser, trained_model, tmp_path):
    write_page(trained_model, runtime("webgpu"), tmp_path / "page", Look(engine="webgpu"))
    assert max(path.stat().st_size for path in (tmp_path / "page").rglob("*.js")) <= PART_BYTES + 100
    visit = Visit(browser, f"file://{tmp_path}/page/index.html", offline=True)
    assert "WebAssembly, which is slower" in visit.page.inner_text("#status")  # this browser has no GPU
    visit.page.evaluate("""() => {  // what a device that is lost does to a run
      page.model().engine = "webgpu";
      page.model().synthesis = { run: () => Promise.reject(new Error("the device was lost")) };
    }""")
    expected = next(render(trained_model.space, [Point(4)]))
    assert np.abs(visit.picture(Point(4)).astype(int) - expected).mean() < 1
    assert "WebGPU failed (the device was lost)" in visit.page.inner_text("#status")
    visit.context.close()


def test_the_runtime_is_found_and_checked(tmp_path, monkeypatch):
    monkeypatch.delenv("ARTGAN_ORT_WEB", raising=False)
    monkeypatch.chdir(tmp_path)
    with pytest.raises(ConfigError, match=r"npm install onnxruntime-web@[\d.]+, and run again here"):
        load_runtime(None, "wasm")
    dist = tmp_path / "node_modules" / "onnxruntime-web" / "dist"
    dist.mkdir(parents=True)
    for name in (BUILDS["wasm"].script, BUILDS["wasm"].glue, BUILDS["wasm"].wasm):
        (dist / name).write_bytes(b"something else")
    with pytest.raises(DataError, match="sha256 differs"):
        load_runtime(None, "wasm")
    (dist.parent / "package.json").write_text('{"version": "1.2.3"}')
    with pytest.raises(ConfigError, match=r"is of onnxruntime-web 1\.2\.3"):
        load_runtime(None, "wasm")


def test_a_graph_that_the_runtime_cannot_run_is_one_line():
    from artgan.modelpage import graphs

    onnx = pytest.importorskip("onnx")
    node = onnx.helper.make_node("NoSuchOperator", ["x"], ["y"], domain="elsewhere")
    value = [onnx.helper.make_tensor_value_info(name, onnx.TensorProto.FLOAT, [1]) for name in ("x", "y")]
    graph = onnx.helper.make_graph([node], "g", value[:1], value[1:])
    opsets = [onnx.helper.make_opsetid("", 18), onnx.helper.make_opsetid("elsewhere", 1)]
    content = onnx.helper.make_model(graph, opset_imports=opsets, ir_version=10)
    with pytest.raises(ArtganError, match=r"cannot run this model: .*NoSuchOperator") as caught:
        graphs.open_graph(content.SerializeToString())
    assert "\n" not in str(caught.value)
