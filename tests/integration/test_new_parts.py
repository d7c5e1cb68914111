"""CONTRIBUTING's promise: a generator, a discriminator, a term and a metric are a file and a row each, from any package.

They are written into a package of their own, chosen by YAML, trained, saved, sampled and judged with no other change.
(tests/unit/test_refine_steps.py does the same for a step of refine.)
"""

import sys

import artgan
from artgan.metrics import METRICS, MetricRow
from artgan.models import DISCRIMINATORS, GENERATORS, DiscriminatorRow, GeneratorRow
from artgan.objectives.terms import TERMS, TermRow

FILES = {
    "generator.py": """
from torch import nn
from artgan.models.contract import GeneratorNetwork

class Mapping(nn.Module):
    def forward(self, latents, labels=None):
        return latents

class Generator(GeneratorNetwork):
    def __init__(self, *, height_px, width_px, width, latent_dim, mapping_layers, num_classes):
        super().__init__()
        self.size, self.latent_dim, self.style_dim, self.mapping = (height_px, width_px), latent_dim, latent_dim, Mapping()
        self.to_image = nn.Linear(latent_dim, 3 * height_px * width_px)

    def synthesis(self, styles, noise=None):
        return self.to_image(self.per_layer(styles)[:, 0]).tanh().view(-1, 3, *self.size)

    def level_of(self, tensor):
        return 0
""",
    "discriminator.py": """
from torch import nn
from artgan.models.contract import DiscriminatorNetwork

class Discriminator(DiscriminatorNetwork):
    def __init__(self, *, height_px, width_px, width, num_classes):
        super().__init__()
        self.body, self.head = nn.Conv2d(3, width, 4, 4), nn.Conv2d(width, 1, 1)

    def features(self, images):
        return (self.body(images).relu(),)

    def logits(self, features, labels=None):
        return self.head(features[0]).flatten(1)
""",
    "term.py": """
import torch
from artgan.objectives.terms.contract import GeneratorTerm

class Brightness(GeneratorTerm):
    def __init__(self, share):
        super().__init__(share)
        self.register_buffer("real", torch.zeros(()))

    def sums(self, judged):
        return {"brightness": judged.images.mean((1, 2, 3)).sum()}

    def loss(self, judged):
        return (judged.images.mean((1, 2, 3)) - self.real).square().mean()

    def observe(self, side, sums, count, images_seen):
        if side == "real":
            self.real.copy_(sums["brightness"] / count)
""",
    "metric.py": """
from artgan.metrics.features import Estimate

def width(sides):
    return Estimate(float(sides.generated[:].std()))
""",
}
CONFIG = """
model: {generator: toy, discriminator: toy, width: 4, discriminator_width: 4, latent_dim: 4}
objective: {terms: {brightness: 0.3}}
training: {batch_size: 4, total_kimg: 0.016, log_every_kimg: 0.004, device: cpu}
evaluation: {features: random, num_generated: 8}
"""


def test_a_file_and_a_row_are_enough(collection, tmp_path, monkeypatch):
    (tmp_path / "toys").mkdir()
    for name, text in {"__init__.py": "", **FILES}.items():
        (tmp_path / "toys" / name).write_text(text)
    (tmp_path / "toy.yaml").write_text(CONFIG)
    monkeypatch.syspath_prepend(tmp_path)
    generator = GeneratorRow(
        "toys.generator:Generator", learning_rate=1e-3, styled=False, separable=True, mapping=False, paddings=("zeros",)
    )
    discriminator = DiscriminatorRow(
        "toys.discriminator:Discriminator", learning_rate=1e-3, batch_multiple=1, bounded=True, freezable=False
    )
    metric = MetricRow("toys.metric:width", group="toys", meaning="how wide", better=1, estimator="deviation", floor=None)
    monkeypatch.setitem(GENERATORS, "toy", generator)
    monkeypatch.setitem(DISCRIMINATORS, "toy", discriminator)
    monkeypatch.setitem(TERMS, "brightness", TermRow("toys.term:Brightness", backbone=False))
    monkeypatch.setitem(METRICS, "width", metric)

    run = artgan.train(collection, tmp_path / "run", tmp_path / "toy.yaml")
    pictures = artgan.generate(run.model, range(3))
    evaluation = artgan.evaluate(run.model, collection, features="random", metrics=["toys"], num_generated=8)

    assert (run.outcome, run.images_seen, run.model.card.architecture) == ("finished", 16, "toy")
    assert len({picture.tobytes() for picture in pictures}) == 3
    assert evaluation.values["width"] > 0
    assert '"term/brightness"' in (run.folder / "metrics.jsonl").read_text()
    for name in [name for name in sys.modules if name.partition(".")[0] == "toys"]:
        monkeypatch.delitem(sys.modules, name)
