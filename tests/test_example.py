"""Start here: the whole of artgan in one small example, from a folder of pictures to refined new ones."""

import re

import artgan
from artgan.datasets.synthetic import draw_work, write_collection_sources
from tests.conftest import ROOT

# Networks so small, and so short a training, that this takes seconds. Leave `settings` out for real works.
SMALL = {
    "model.discriminator": "fastgan",
    "model.width": 4,
    "model.discriminator_width": 4,
    "training.batch_size": 4,
    "training.total_kimg": 0.008,
    "evaluation.features": "random",
    "evaluation.num_generated": 8,
}


def test_from_a_folder_of_pictures_to_refined_new_ones(tmp_path):
    write_collection_sources(tmp_path / "paintings", works_per_class=8)

    collection = artgan.prepare(tmp_path / "paintings", tmp_path / "collection", resolution=32, fit="smart")
    run = artgan.train(collection, tmp_path / "run", settings=SMALL)
    evaluation = artgan.evaluate(run.model, collection, features="random", metrics=["distances"], num_generated=8)
    pictures = artgan.generate(run.folder, seeds=range(4), truncation=0.8)
    refined = artgan.refine(
        pictures,
        style=tmp_path / "paintings" / "waves",
        look="quick_cpu",
        settings={"style.backbone": "random", "style.iterations": 2},
    )

    assert (collection.width, collection.height) == (32, 32)
    assert (run.outcome, run.images_seen) == ("finished", 8)
    assert "KID x 1000" in evaluation.verdict
    assert evaluation.values["kid"] == evaluation.line["metrics"]["kid"]["value"]
    assert [picture.size for picture in pictures] == [(32, 32)] * 4
    assert pictures[0].tobytes() == artgan.generate(run.model, 0, truncation=0.8)[0].tobytes() != pictures[1].tobytes()
    assert len(refined) == 4
    assert all(after.tobytes() != before.tobytes() for before, after in zip(pictures, refined, strict=True))


# The README's lines, with less of everything.
SHORTER = {
    "resolution=64": "resolution=32",
    "minutes=30": "minutes=0.001, settings=SMALL",
    "num_generated=1000": "num_generated=8, features='random', metrics=['distances']",
    "range(16)": "range(2)",
    'look="quick_cpu"': "look='quick_cpu', settings={'style.backbone': 'random', 'style.iterations': 2}",
}


def test_the_lines_of_the_readme_run(tmp_path, monkeypatch):
    (program,) = re.findall(r"^```python\n(.*?)^```", (ROOT / "README.md").read_text(), re.MULTILINE | re.DOTALL)
    for words, fewer in SHORTER.items():
        assert program.count(words) == 1
        program = program.replace(words, fewer)
    monkeypatch.chdir(tmp_path)
    write_collection_sources(tmp_path / "paintings", works_per_class=6)
    draw_work("waves", 1, 1, side_px=64).save("starry_night.jpg")
    exec(compile(program, "README.md", "exec"), {"SMALL": SMALL})
    assert len(list(tmp_path.glob("refined-*.png"))) == 2
