import keras
import numpy as np
import pytest

from model.networks.resnet import ResNetBackbone


def narrow(**kwargs):
    return ResNetBackbone(stackwise_filters=(4, 6, 8, 8), stackwise_blocks=(1, 2, 1, 1), **kwargs)


@pytest.mark.parametrize(("preset", "parameters"), [("resnet18", 11186112), ("resnet34", 21301696)])
def test_presets_have_the_documented_parameters(preset, parameters):
    assert ResNetBackbone.from_preset(preset).count_params() == parameters


def test_sizes_halve_from_stage_to_stage():
    backbone = narrow(style="paper")
    assert backbone.output_shape == (None, None, None, 8)
    assert backbone(np.zeros((1, 64, 96, 3))).shape == (1, 8, 12, 8)
    assert narrow()(np.zeros((1, 64, 96, 3))).shape == (1, 2, 3, 8)


def test_include_rescaling_divides_by_255():
    plain, rescaling = narrow(), narrow(include_rescaling=True)
    rescaling.set_weights(plain.get_weights())
    pixels = np.random.default_rng(0).integers(0, 256, (1, 64, 64, 3)).astype("float32")
    np.testing.assert_allclose(rescaling(pixels), plain(pixels / 255), rtol=1e-4, atol=1e-6)


def test_block_is_two_convolutions_and_a_shortcut():
    """A block of the paper's style against the same arithmetic written with keras.ops."""
    backbone = narrow(style="paper")
    block = backbone.stages[1][0]
    rng = np.random.default_rng(1)
    for layer in [*block.main, *block.shortcut]:
        layer.set_weights([rng.uniform(0.5, 1, w.shape) for w in layer.get_weights()])
    x = rng.standard_normal((1, 8, 8, 4)).astype("float32")

    def norm(x, layer):
        gamma, beta, mean, variance = layer.get_weights()
        return (x - mean) / np.sqrt(variance + 1e-5) * gamma + beta

    _, conv1, bn1, _, conv2, bn2 = block.main
    shortcut_conv, shortcut_bn = block.shortcut
    conv = keras.ops.conv
    padded = np.pad(x, ((0, 0), (1, 1), (1, 1), (0, 0)))
    main = np.maximum(norm(conv(padded, conv1.kernel, 2, "valid"), bn1), 0)
    main = norm(conv(main, conv2.kernel, 1, "same"), bn2)
    shortcut = norm(conv(x, shortcut_conv.kernel, 2, "valid"), shortcut_bn)
    np.testing.assert_allclose(block(x), np.maximum(main + shortcut, 0), rtol=1e-4)


def test_equals_the_backbone_of_keras_hub():
    keras_hub = pytest.importorskip("keras_hub")
    theirs = keras_hub.models.ResNetBackbone(
        input_conv_filters=[64],
        input_conv_kernel_sizes=[7],
        stackwise_num_filters=[64, 8, 8, 8],
        stackwise_num_blocks=[1, 2, 1, 1],
        stackwise_num_strides=[1, 2, 2, 2],
        block_type="basic_block",
    )
    ours = ResNetBackbone(
        stackwise_filters=(64, 8, 8, 8), stackwise_blocks=(1, 2, 1, 1), style="keras_hub"
    )
    rng = np.random.default_rng(2)
    for one, other in zip(ours.weights, theirs.weights, strict=True):
        value = rng.uniform(0.5, 1, one.shape)
        one.assign(value / np.prod(one.shape[:3]) if len(one.shape) == 4 else value)
        other.assign(one)
    image = rng.random((1, 64, 96, 3))
    np.testing.assert_allclose(ours(image), theirs(image), rtol=1e-5)


def test_config_builds_the_same_network():
    backbone = narrow(style="paper", name="encoder")
    again = ResNetBackbone.from_config(backbone.get_config())
    again.set_weights(backbone.get_weights())
    image = np.random.default_rng(0).random((1, 32, 32, 3))
    np.testing.assert_array_equal(again(image), backbone(image))
    assert again.name == "encoder"


def test_refuses_what_it_cannot_build():
    with pytest.raises(ValueError, match="unknown preset 'resnet50'; there are resnet18, resnet34"):
        ResNetBackbone.from_preset("resnet50")
    with pytest.raises(ValueError, match="style must be one of keras_cv, keras_hub, paper; got"):
        narrow(style="torch")
    with pytest.raises(ValueError, match=r"one entry a stage each; got \(4, 8\), \(1,\)"):
        ResNetBackbone(stackwise_filters=(4, 8), stackwise_blocks=(1,), stackwise_strides=(1, 2))
