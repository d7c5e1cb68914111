"""What every generator and every discriminator of the tables keeps to."""

import copy

import pytest
import torch

from artgan.backbones.backbone import load_backbone
from artgan.config import config_from_dict
from artgan.errors import ConfigError
from artgan.models import DISCRIMINATORS, GENERATORS
from artgan.models.contract import DiscriminatorSpec
from artgan.models.fastgan_generator import StyledConv
from artgan.models.layers import step_power_iterations
from artgan.training.resolve import resolve_config

SIZES = [(32, 32), (64, 64), (48, 32), (40, 56)]


def wake(network):
    """Move parameters that start at zero: behind a zero, gradients are zero too."""
    with torch.no_grad():
        for parameter in network.parameters():
            if not parameter.any():
                parameter.add_(torch.randn_like(parameter) * 0.1)
    return network


def make_generator(name, height=32, width=32, num_classes=0, mapping_layers=2):
    torch.manual_seed(0)
    build = GENERATORS.load(name)
    sizes = {"height_px": height, "width_px": width, "width": 8, "latent_dim": 16, "mapping_layers": mapping_layers}
    return build(**sizes, num_classes=num_classes)


def make_discriminator(name, height=32, width=32, num_classes=0, input_px=64, rate=0.0):
    torch.manual_seed(0)
    pictures = torch.rand(8, 3, height, width) * 2 - 1
    spec = DiscriminatorSpec(height, width, 8, num_classes, "random", input_px, rate, lambda count: pictures)
    return DISCRIMINATORS.load(name).from_spec(spec).eval()


@pytest.mark.parametrize("name", GENERATORS)
@pytest.mark.parametrize("size", SIZES)
@pytest.mark.parametrize("num_classes", [0, 3])
def test_a_generator_makes_images_of_about_the_range(name, size, num_classes):
    generator = make_generator(name, *size, num_classes=num_classes)
    images = generator(torch.randn(4, 16), torch.tensor([0, 1, 2, 0]))
    assert images.shape == (4, 3, *size)
    assert images.isfinite().all()
    assert 0.05 < images.std() < 4


@pytest.mark.parametrize("name", GENERATORS)
@pytest.mark.parametrize("num_classes", [0, 3])
def test_gradients_reach_every_parameter_of_a_generator(name, num_classes):
    generator = wake(make_generator(name, 64, 64, num_classes=num_classes))
    (generator(torch.randn(3, 16), torch.arange(3)) * torch.randn(3, 3, 64, 64)).sum().backward()
    for key, parameter in generator.named_parameters():
        assert parameter.grad is not None, key
        assert parameter.grad.abs().sum() > 0, key


@pytest.mark.parametrize("name", GENERATORS)
def test_a_sampled_image_does_not_depend_on_its_neighbours(name):
    generator = make_generator(name).double()
    generator(torch.randn(8, 16, dtype=torch.float64))  # running statistics that are not the initial ones
    generator.eval()
    latents = torch.randn(5, 16, dtype=torch.float64)
    whole = generator(latents)
    assert torch.allclose(whole[2:3], generator(latents[2:3]), rtol=0, atol=1e-12)


def test_mirrored_borders_draw_no_frame_where_zeros_do():
    """A map without structure stays without structure up to its borders."""

    def edge_over_inside(mirrored):
        torch.manual_seed(0)
        layer = StyledConv(6, 6, 4, mirrored).eval()
        out = layer(torch.randn(2, 6, 1, 1).expand(-1, -1, 16, 16), torch.randn(2, 4))
        steps = out.diff(dim=-1).abs().mean((0, 1, 2))
        return steps[0] / out.abs().mean()

    assert edge_over_inside(True) < 1e-5
    assert edge_over_inside(False) > 0.1


def test_a_model_of_another_padding_is_refused():
    sizes = {"height_px": 32, "width_px": 32, "width": 8, "latent_dim": 16, "mapping_layers": 1, "num_classes": 0}
    with pytest.raises(ConfigError, match="fastgan has no padding 'circular': choose from mixed, zeros"):
        GENERATORS.load("fastgan")(**sizes, padding="circular")


def test_mixed_padding_tells_coarse_maps_where_they_are():
    """A base grid without structure: borders of zeros give some, and with every map mirrored there is none."""
    sizes = {"height_px": 64, "width_px": 64, "width": 8, "latent_dim": 16, "mapping_layers": 1, "num_classes": 0}
    generator = GENERATORS.load("fastgan")(**sizes, padding="mixed").double()
    with torch.no_grad():
        grid = generator.base.weight.view(-1, 16, 16)  # [channels, 4 x 4 px, latents]
        grid.copy_(grid[:, :1].expand_as(grid).clone())

    def structure():
        images = generator(torch.randn(8, 16, dtype=torch.float64))
        return (images - images[:, :, :1, :1]).detach().abs().mean().item()

    assert structure() > 0.01
    for module in generator.modules():
        if isinstance(module, torch.nn.Conv2d) and module.padding == (1, 1):
            module.padding_mode = "reflect"
    assert structure() < 1e-9


def test_every_layer_heeds_its_styles_from_the_start():
    """A scale is 1 + A w with w from N(0, 1) and rows of A of length 0.3: its spread over styles is 0.3."""
    generator = make_generator("fastgan").double()
    styles = generator.mapping(torch.randn(500, 16, dtype=torch.float64))
    for module in generator.modules():
        if isinstance(module, StyledConv):
            assert 0.2 < module.scale(styles).std(0).mean() < 0.4


@pytest.mark.parametrize("name", GENERATORS)
def test_a_row_says_what_paddings_a_generator_takes(name):
    paddings = GENERATORS.row(name).paddings
    build = GENERATORS.load(name)
    sizes = {"height_px": 32, "width_px": 32, "width": 8, "latent_dim": 16, "mapping_layers": 1, "num_classes": 0}
    modes = {"mixed": {"zeros", "reflect"}, "zeros": {"zeros"}}
    for padding in paddings if len(paddings) > 1 else ():
        built = build(**sizes, padding=padding)
        assert {module.padding_mode for module in built.modules() if getattr(module, "padding", 0) == (1, 1)} == modes[padding]


@pytest.mark.parametrize("name", GENERATORS)
def test_classes_and_latents_both_matter(name):
    generator = make_generator(name, num_classes=3)
    latents = torch.randn(1, 16).expand(3, -1)
    by_class = generator(latents, torch.arange(3))
    assert not torch.allclose(by_class[0], by_class[1])
    by_latent = generator(torch.randn(2, 16), torch.zeros(2, dtype=torch.long))
    assert not torch.allclose(by_latent[0], by_latent[1])


@pytest.mark.parametrize("name", GENERATORS)
def test_a_size_without_a_base_grid_is_refused(name):
    with pytest.raises(ConfigError, match="no generator of artgan can make 100x100 px"):
        make_generator(name, 100, 100)


@pytest.mark.parametrize("name", GENERATORS)
def test_a_generator_has_mapping_and_synthesis(name):
    generator = make_generator(name)
    latents = torch.randn(2, 16)
    styles = generator.mapping(latents, None)
    assert styles.shape == (2, generator.style_dim)
    assert torch.equal(generator.synthesis(styles), generator(latents))


@pytest.mark.parametrize("name", GENERATORS)
def test_every_layer_takes_a_style_of_its_own(name):
    generator = make_generator(name, 64, 64).eval()
    styles = generator.mapping(torch.randn(2, 16), None)
    layers = generator.per_layer(styles)
    assert layers.shape == (2, generator.num_styles, generator.style_dim)
    whole = generator.synthesis(styles)
    assert torch.equal(generator.synthesis(layers), whole)
    for layer in range(generator.num_styles):
        mixed = layers.clone()
        mixed[0, layer] = styles[1]
        changed = generator.synthesis(mixed)
        assert not torch.allclose(changed[0], whole[0])
        assert torch.allclose(changed[1], whole[1], atol=1e-6)


@pytest.mark.parametrize("name", GENERATORS)
def test_noise_is_the_keys_and_none_is_fixed(name):
    generator = wake(make_generator(name)).eval()
    styles = generator.mapping(torch.randn(1, 16), None).expand(3, -1)
    fixed = generator.synthesis(styles)
    assert torch.allclose(fixed[0], fixed[1], atol=1e-6)
    keyed = generator.synthesis(styles, torch.tensor([5, 6, 5]))
    assert torch.allclose(keyed[0], keyed[2], atol=1e-6)
    if name == "stylegan2":
        assert not torch.allclose(keyed[0], keyed[1], atol=1e-3)


@pytest.mark.parametrize("name", GENERATORS)
def test_a_row_says_what_the_generator_is(name):
    generator, row = make_generator(name, 64, 64), GENERATORS[name]
    assert (generator.num_styles > 1) == row.styled
    assert generator.couples_batch != row.separable
    deeper = make_generator(name, 64, 64, mapping_layers=3)
    assert (len(list(deeper.parameters())) > len(list(generator.parameters()))) == row.mapping


@pytest.mark.parametrize("name", DISCRIMINATORS)
@pytest.mark.parametrize("size", SIZES)
@pytest.mark.parametrize("num_classes", [0, 3])
def test_a_discriminator_gives_logits(name, size, num_classes):
    network = make_discriminator(name, *size, num_classes=num_classes)
    images = torch.rand(4, 3, *size) * 2 - 1
    features = network.features(images)
    logits = network.logits(features, torch.tensor([0, 1, 2, 0]))
    assert logits.shape[0] == 4
    assert logits.ndim == 2
    assert torch.isfinite(logits).all()
    assert network.auxiliary_loss(features, images) >= 0


@pytest.mark.parametrize("name", DISCRIMINATORS)
@pytest.mark.parametrize("num_classes", [0, 3])
def test_gradients_reach_every_parameter_and_the_images(name, num_classes):
    network = wake(make_discriminator(name, 64, 64, num_classes=num_classes))
    images = (torch.rand(4, 3, 64, 64) * 2 - 1).requires_grad_()
    features = network.features(images)
    logits = network.logits(features, torch.tensor([0, 1, 2, 0]))
    ((logits * torch.randn_like(logits)).sum() + network.auxiliary_loss(features, images)).backward()
    for key, parameter in network.named_parameters():
        assert parameter.grad is not None, key
        assert parameter.grad.abs().sum() > 0, key
    assert images.grad.abs().sum() > 0


@pytest.mark.parametrize("name", DISCRIMINATORS)
@pytest.mark.parametrize("side", [64, 512])
def test_a_discriminator_sees_every_pixel_and_the_finest_pattern(name, side):
    """As training sets it up: what it does not see, nothing punishes."""
    config = resolve_config(config_from_dict({"model": {"discriminator": name}}, "test"), side, side)
    network = wake(make_discriminator(name, side, side, input_px=config.model.backbone_input_px))
    images = (torch.rand(1, 3, side, side) * 2 - 1).requires_grad_()
    network(images).sum().backward()
    assert (images.grad != 0).all()
    rows, columns = torch.arange(side)[:, None], torch.arange(side)
    patterns = {"checkers": (rows + columns) % 2, "stripes": (rows % 2).expand(side, side)}
    gray = torch.zeros(1, 3, side, side)
    with torch.no_grad():
        flat = (network(gray + 0.05) - network(gray)).abs().mean()
        for pattern, places in patterns.items():
            changed = (network(gray + places - 0.5) - network(gray)).abs().mean()
            assert changed > 0.01 * flat, pattern


@pytest.mark.parametrize("name", DISCRIMINATORS)
def test_classes_matter_to_a_discriminator(name):
    network = make_discriminator(name, num_classes=3)
    images = (torch.rand(1, 3, 32, 32) * 2 - 1).expand(4, -1, -1, -1)
    features = network.features(images)
    logits = network.logits(features, torch.tensor([0, 1, 2, 0]))
    assert torch.allclose(logits[0], logits[3])
    assert not torch.allclose(logits[0], logits[1])


@pytest.mark.parametrize("name", DISCRIMINATORS)
def test_a_forward_pass_changes_nothing(name):
    """Spectral norms advance in `step_power_iterations` alone."""
    network = make_discriminator(name)
    before = copy.deepcopy(network.state_dict())
    images = torch.rand(4, 3, 32, 32) * 2 - 1
    first = network.logits(network.features(images))
    assert torch.equal(first, network.logits(network.features(images)))
    assert all(torch.equal(before[key], value) for key, value in network.state_dict().items())
    if any("parametrizations" in key for key in before):
        step_power_iterations(network)
        assert any(not torch.equal(before[key], value) for key, value in network.state_dict().items())


@pytest.mark.parametrize("name", DISCRIMINATORS)
def test_an_images_logits_depend_on_its_group_alone(name):
    network = wake(make_discriminator(name)).double()
    images = torch.rand(8, 3, 32, 32, dtype=torch.float64) * 2 - 1
    whole = network(images)
    parts = torch.cat([network(part) for part in images.split(network.batch_multiple)])
    assert torch.allclose(whole, parts, rtol=0, atol=1e-12)
    assert network.batch_multiple == DISCRIMINATORS[name].batch_multiple


@pytest.mark.parametrize("name", DISCRIMINATORS)
def test_the_stages_that_can_be_frozen_come_from_the_image_side(name):
    network = make_discriminator(name, 64, 64)
    assert bool(network.stages()) == DISCRIMINATORS[name].freezable
    for stage in network.stages()[:2]:
        stage.requires_grad_(False)
    frozen = [key for key, parameter in network.named_parameters() if not parameter.requires_grad]
    assert bool(frozen) == DISCRIMINATORS[name].freezable


@pytest.mark.parametrize("name", DISCRIMINATORS.where("freezable"))
@pytest.mark.parametrize("side", [64, 128, 256])
def test_a_layer_has_one_name_at_every_resolution(name, side):
    """A run at twice the resolution takes over all but what meets the image, at a width where no two sides look alike."""
    build = DISCRIMINATORS.load(name)
    with torch.device("meta"):
        smaller, larger = (build(height_px=px, width_px=px, width=64, num_classes=0).state_dict() for px in (side, 2 * side))
    lost = [key for key, tensor in smaller.items() if key not in larger or larger[key].shape != tensor.shape]
    assert not [key for key in lost if "rgb" not in key]


@pytest.mark.parametrize(
    ("name", "side", "width", "mapping_layers", "generator_millions", "discriminator_millions"),
    [
        # Karras et al. 2020 (2006.06676), with two mapping layers; 1912.04958 with eight
        ("stylegan2", 256, 128, 2, 23.2, 24.0),
        ("stylegan2", 512, 256, 2, 28.7, 29.0),
        ("stylegan2", 1024, 256, 8, 30.4, 29.0),
        # Huang et al. 2024 (2501.05441)
        ("r3gan", 256, 192, 1, 23.06, 23.01),
        ("r3gan", 64, 192, 1, 22.4, 22.4),
    ],
)
def test_parameter_counts_are_the_papers(name, side, width, mapping_layers, generator_millions, discriminator_millions):
    sizes = {"height_px": side, "width_px": side, "width": width, "num_classes": 0}
    with torch.device("meta"):
        latent_dim = 64 if name == "r3gan" else 512
        generator = GENERATORS.load(name)(**sizes, latent_dim=latent_dim, mapping_layers=mapping_layers)
        discriminator = DISCRIMINATORS.load(name)(**sizes)
    for network, millions in ((generator, generator_millions), (discriminator, discriminator_millions)):
        count = sum(parameter.numel() for parameter in network.parameters()) / 1e6
        assert count == pytest.approx(millions, rel=0.02)


@pytest.mark.parametrize("name", GENERATORS)
def test_a_large_rectangle_can_be_built(name):
    with torch.device("meta"):
        build = GENERATORS.load(name)
        generator = build(height_px=256, width_px=320, width=8, latent_dim=16, mapping_layers=2, num_classes=0).eval()
        assert generator(torch.empty(2, 16)).shape == (2, 3, 256, 320)


def test_an_input_that_a_backbone_shrinks_to_nothing_is_refused():
    build = DISCRIMINATORS.load("projected")
    with pytest.raises(ConfigError, match=r"model\.backbone_input_px = 8 is too small for random, .*: give 64 or more"):
        build(backbone=load_backbone("random", build.taps("random")), input_px=8, width=8, num_classes=0)


@pytest.mark.parametrize("name", DISCRIMINATORS)
def test_the_backbone_is_neither_saved_nor_trained(name):
    network = make_discriminator(name)
    assert not any("backbone" in key for key in network.state_dict())
    assert not any("backbone" in key for key, _ in network.named_parameters())


def test_calibration_standardizes_the_features_of_its_pictures():
    network = make_discriminator("projected")
    images = torch.rand(20, 3, 32, 32) * 2 - 1  # not a whole number of the pieces that it is done in
    network.calibrate(images)
    for x in network.features(images):
        deviation, mean = torch.std_mean(x.double(), (0, 2, 3))
        assert torch.allclose(mean, torch.zeros_like(mean), atol=1e-4)
        assert torch.allclose(deviation, torch.ones_like(mean), atol=1e-4)


def test_a_state_dict_restores_a_projected_discriminator_with_its_calibration():
    network = make_discriminator("projected")
    fresh = DISCRIMINATORS.load("projected")(backbone=network.backbone, input_px=64, width=8, num_classes=0).eval()
    fresh.load_state_dict(network.state_dict())
    images = torch.rand(4, 3, 32, 32) * 2 - 1
    assert torch.equal(network.logits(network.features(images)), fresh.logits(fresh.features(images)))


def test_spectral_norm_bounds_the_gain():
    network = make_discriminator("projected")
    for _ in range(30):
        step_power_iterations(network)
    weight = network.heads[0].layers[0].weight.detach().flatten(1)
    assert torch.linalg.matrix_norm(weight, 2) == pytest.approx(1, abs=0.01)
