"""The contract of a term of the generator's loss: exact in pieces, over a resume and after a skipped step; its share holds."""

import sys

import pytest
import torch

from artgan.config import RunConfig, with_values
from artgan.errors import ConfigError
from artgan.objectives.terms import TERMS, TermRow
from artgan.objectives.terms.contract import GeneratorTerm, Judged
from artgan.training.context import build_context
from artgan.training.run_log import read_metrics
from artgan.training.session import open_session
from artgan.training.state import state_tensors
from artgan.training.steps import discriminator_step, generator_step
from artgan.training.terms import StepTerms
from artgan.world import World
from tests.integration.test_resume import assert_same, run, stop_after, tiny


class MeanFeature(GeneratorTerm):
    """Pulls the mean of the coarsest features to the running mean of the real ones."""

    def __init__(self, share):
        super().__init__(share)
        self.register_buffer("real", torch.zeros(()))
        self.register_buffer("updates", torch.zeros(()))

    def sums(self, judged):
        return {"total": judged.features[-1].float().mean((1, 2, 3)).sum()}

    def loss(self, judged):
        return (judged.features[-1].float().mean((1, 2, 3)) - self.real).square().mean()

    def observe(self, side, sums, count, images_seen):
        if side == "real":
            moved = self.real + 0.1 * (sums["total"] / count - self.real)
            self.real.copy_(torch.where(moved.isfinite(), moved, self.real))
            self.updates.add_(1)


@pytest.fixture(autouse=True)
def toy_term(monkeypatch):
    monkeypatch.setitem(TERMS, "mean_feature", TermRow(f"{__name__}:MeanFeature", backbone=True))
    monkeypatch.setitem(sys.modules, __name__, sys.modules[__name__])


def with_term(**values):
    return with_values(tiny(**values), {"objective.terms": {"mean_feature": 0.5}})


def test_a_run_with_a_term_resumes_exactly_and_logs_its_share(collection, tmp_path):
    whole, _ = run(with_term(), collection, tmp_path / "whole")
    run(with_term(), collection, tmp_path / "cut", stop_requested=stop_after(5))
    resumed, _ = run(with_term(), collection, tmp_path / "cut")
    assert_same(state_tensors(whole), state_tensors(resumed))
    assert "terms.mean_feature.real" in state_tensors(whole)
    assert whole.terms["mean_feature"].updates == 12
    lines = read_metrics(tmp_path / "whole")
    assert any("term/mean_feature" in line for line in lines)
    assert any("gradient_share/mean_feature" in line for line in lines)


def assert_pieces_change_nothing_but_rounding(terms, collection, folder, rtol, atol):
    found = []
    for micro_batch in (4, 1):
        config = tiny(training__precision="float64", model__generator="r3gan", training__micro_batch=micro_batch)
        session = open_session(with_values(config, {"objective.terms": terms}), collection, folder / str(micro_batch))
        context = build_context(session)
        images = torch.from_numpy(collection.images[:4]).permute(0, 3, 1, 2).double() / 127.5 - 1
        labels = torch.zeros(4, dtype=torch.long)
        for place in range(10):
            session.state.images_seen = 4 * place
            discriminator_step(session.state, context, images, labels)
            generator_step(session.state, context, None, labels)
        found.append(state_tensors(session.state))
    whole, pieces = found
    assert all(whole[f"terms.{name}.squares"].min() > 0 for name in terms)
    for key, tensor in whole.items():
        assert torch.allclose(tensor.double(), pieces[key].double(), rtol=rtol, atol=atol), key


def test_pieces_change_nothing_but_rounding(collection, tmp_path):
    assert_pieces_change_nothing_but_rounding({"mean_feature": 0.5}, collection, tmp_path, 1e-9, 1e-12)


@pytest.fixture
def eager_terms(monkeypatch):
    """All shipped terms together, at work from the first steps on, as a configuration has them."""
    names = sorted(set(TERMS) - {"mean_feature"})
    for name in names:
        module = sys.modules[TERMS.load(name).__module__]
        monkeypatch.setattr(module, "_FEWEST", 4)
        monkeypatch.setattr(module, "_REFRESH_EVERY", 2)
    return dict.fromkeys(names, 0.5)


def test_shipped_terms_resume_exactly(collection, tmp_path, eager_terms):
    config = with_values(tiny(), {"objective.terms": eager_terms})
    whole, _ = run(config, collection, tmp_path / "whole")
    run(config, collection, tmp_path / "cut", stop_requested=stop_after(5))
    resumed, _ = run(config, collection, tmp_path / "cut")
    assert_same(state_tensors(whole), state_tensors(resumed))
    assert all(whole.terms[name].ready == 1 for name in eager_terms)


def test_pieces_change_nothing_of_shipped_terms_but_rounding(collection, tmp_path, eager_terms):
    # A map of forty pictures has few directions: rounding is larger along the others.
    assert_pieces_change_nothing_but_rounding(eager_terms, collection, tmp_path, 1e-4, 1e-5)


def test_the_weight_gives_the_terms_gradient_its_share():
    term = MeanFeature(0.5).double()
    images = torch.randn(4, 3, 8, 8, dtype=torch.float64, requires_grad=True)
    scale = torch.randn(3, 8, 8, dtype=torch.float64)

    def gradients():
        judged = Judged(images, images, (100 * images * scale,), torch.zeros(4, dtype=torch.long))
        steps = StepTerms({"mean": term}, World(), 4, 0, measured=True)
        loss = images.square().mean()
        both, _ = steps.added_to(loss, judged, images, 1.0)
        steps.observe("fake")
        return torch.autograd.grad(both, images, retain_graph=True)[0], torch.autograd.grad(loss, images)[0]

    first, adversarial = gradients()
    assert torch.allclose(first, adversarial)  # nothing is known of the lengths yet
    both, adversarial = gradients()
    assert (both - adversarial).norm() == pytest.approx(0.5 * adversarial.norm().item(), rel=1e-6)


def test_a_skipped_step_leaves_a_terms_buffers_as_they_were(collection, tmp_path, monkeypatch):
    from artgan.training.passes import Passes
    from tests.integration.test_breakdown import poison

    config = with_term(training__log_every_kimg=0.012, training__evaluate_every_kimg=0.048,
                       training__sample_every_kimg=0.048, training__checkpoint_every_kimg=0.048)  # fmt: skip
    monkeypatch.setattr(Passes, "judge", poison(open_session(config, collection, tmp_path / "x"), {2}))
    state, _ = run(config, collection, tmp_path / "run")
    assert state.terms["mean_feature"].updates == 11
    assert state.terms["mean_feature"].real.isfinite()


def test_terms_are_checked_before_training(collection, tmp_path):
    with pytest.raises(ConfigError, match=r"unknown term 'monje'"):
        with_values(RunConfig(), {"objective.terms": {"monje": 0.3}})
    with pytest.raises(ConfigError, match=r"objective\.terms\.mean_feature compares features of a pretrained network"):
        with_values(RunConfig(), {"objective.terms": {"mean_feature": 0.3}, "model.discriminator": "r3gan"})
    run(with_term(), collection, tmp_path, stop_requested=stop_after(1))
    with pytest.raises(Exception, match=r"objective\.terms\.mean_feature was 0\.5, is None"):
        open_session(with_values(tiny(), {"objective.terms": {}}), collection, tmp_path)
