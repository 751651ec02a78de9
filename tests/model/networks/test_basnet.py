import h5py
import keras
import numpy as np
import pytest

from model.networks.basnet import OUTPUT_NAMES, BASNet
from model.networks.resnet import ResNetBackbone
from model.presets import PRESETS

IMAGES = np.random.default_rng(0).random((2, 64, 96, 3)).astype("float32")


def backbone(style="paper", **kwargs):
    return ResNetBackbone(
        stackwise_filters=(64 if style == "keras_cv" else 4, 6, 8, 8),
        stackwise_blocks=(1, 1, 1, 1),
        style=style,
        **kwargs,
    )


def narrow(**kwargs):
    return BASNet(backbone(), **{"num_classes": 1, "projection_filters": 4, **kwargs})


def outputs(model, images=IMAGES):
    return [np.asarray(output) for output in model(images, training=False)]


@pytest.mark.parametrize(
    ("preset", "parameters"), [("basnet_resnet18", 98780872), ("basnet_resnet34", 108896456)]
)
def test_presets_have_the_documented_parameters(preset, parameters):
    model = BASNet.from_preset(preset)
    assert model.count_params() == parameters
    assert model.input_shape == (None, 288, 288, 3)


def test_paper_preset_has_the_parameters_of_the_checkpoint():
    model = BASNet.from_preset("basnet_paper")
    assert sum(np.prod(weight.shape) for weight in model.trainable_weights) == 87060360


def test_gives_eight_maps_refined_first():
    model = narrow()
    assert model.output_names == list(OUTPUT_NAMES)
    for output in outputs(model):
        assert output.shape == (2, 64, 96, 1)
        assert output.dtype == np.float32
        assert 0 <= output.min() <= output.max() <= 1


def test_backbone_presets_need_the_number_of_classes():
    model = BASNet.from_preset("resnet18", num_classes=2, input_shape=(32, 64, 3))
    assert model.output_shape == [(None, 32, 64, 2)] * 8
    assert BASNet.backbone_presets.keys() == {"resnet18", "resnet34"}


def test_lists_its_presets():
    assert BASNet.presets.keys() == {*BASNet.presets_with_weights, *BASNet.presets_without_weights}
    assert "basnet_mini" in BASNet.presets_with_weights
    assert {"basnet_resnet18", "basnet_resnet34"} <= BASNet.presets_without_weights.keys()


def test_bundled_weights_are_small():
    path = PRESETS["basnet_mini"].weights
    assert path.stat().st_size < 12e6
    with h5py.File(path) as file:
        assert list(file) == ["layers"]
        assert file["layers/conv2d/vars/0"].dtype == np.float16


def test_bundled_weights_are_loaded():
    """Their kernels were rounded to float16; random ones are not."""
    for load_weights, is_rounded in ((None, True), (True, True), (False, False)):
        model = BASNet.from_preset("basnet_mini", load_weights=load_weights)
        kernel = model.get_layer("stem_conv").get_weights()[0]
        assert np.array_equal(kernel, kernel.astype("float16")) == is_rounded


# Not narrower: TensorFlow 2.21's oneDNN kernels corrupt memory training layers a few channels wide.
# Eagerly, because tracing a training step takes half a minute; the command's test traces one.
@pytest.mark.parametrize(
    ("style", "widths"),
    [
        ("paper", (16, 32, 64, 128)),
        pytest.param("keras_cv", (64, 16, 16, 16), marks=pytest.mark.slow),
    ],
)
def test_learns_from_one_mask_for_all_outputs(style, widths):
    keras.utils.set_random_seed(0)
    encoder = ResNetBackbone(stackwise_filters=widths, stackwise_blocks=(1, 1, 1, 1), style=style)
    model = BASNet(encoder, num_classes=1, projection_filters=widths[0])
    model.compile(
        optimizer="adam",
        loss=keras.losses.BinaryCrossentropy(from_logits=False),
        metrics=["accuracy"],
        run_eagerly=True,
    )
    images = IMAGES[:, :32, :32]
    masks = (images.mean(axis=-1, keepdims=True) > 0.5).astype("float32")
    before = model.refinement_head.get_weights()[0]
    history = model.fit(images, masks, epochs=2, verbose=0).history
    assert np.isfinite(history["loss"]).all()
    assert np.abs(model.refinement_head.get_weights()[0] - before).max() > 0
    assert {f"{name}_accuracy" for name in OUTPUT_NAMES} <= history.keys()


def test_loss_is_the_sum_over_all_outputs():
    model = narrow()
    error = keras.metrics.MeanAbsoluteError()
    # Eagerly, because tracing takes longer than the rest.
    loss = keras.losses.BinaryCrossentropy()
    model.compile(loss=loss, metrics=[error], run_eagerly=True)
    masks = np.zeros((2, 64, 96, 1), "float32")
    maps = outputs(model)
    total = sum(-np.log(1 - output).mean() for output in maps)
    found = model.evaluate(IMAGES, masks, verbose=0, return_dict=True)
    assert found["loss"] == pytest.approx(total, rel=1e-4)
    for name, output in zip(OUTPUT_NAMES, maps, strict=True):
        assert found[f"{name}_mean_absolute_error"] == pytest.approx(output.mean(), rel=1e-4)


@pytest.mark.parametrize("suffix", [".keras", pytest.param(".weights.h5", marks=pytest.mark.slow)])
def test_saves_and_loads(tmp_path, suffix):
    keras.utils.set_random_seed(1)
    model, path = narrow(include_rescaling=True, name="mine"), tmp_path / f"model{suffix}"
    if suffix == ".keras":
        model.save(path)
        again = keras.saving.load_model(path)
        assert isinstance(again, BASNet)
        assert again.name == "mine"
        assert again.include_rescaling
    else:
        model.save_weights(path)
        again = narrow(include_rescaling=True)
        again.load_weights(path)
    for one, other in zip(outputs(model), outputs(again), strict=True):
        np.testing.assert_array_equal(one, other)


def test_config_builds_the_same_network():
    model = narrow(num_classes=3, input_shape=(64, 96, 3))
    again = BASNet.from_config(model.get_config())
    again.set_weights(model.get_weights())
    for one, other in zip(outputs(model), outputs(again), strict=True):
        assert one.shape == (2, 64, 96, 3)
        np.testing.assert_array_equal(one, other)


def test_takes_custom_heads(tmp_path):
    def head(size):
        conv = keras.layers.Conv2D(1, 1, bias_initializer="ones", kernel_initializer="zeros")
        return keras.Sequential([conv, keras.layers.UpSampling2D(size)])

    model = narrow(
        prediction_heads=[head(size) for size in (1, 2, 4, 8, 16, 32, 32)],
        refinement_head=keras.layers.Conv2D(1, 1, kernel_initializer="zeros"),
    )
    model.save(tmp_path / "model.keras")
    for network in (model, keras.saving.load_model(tmp_path / "model.keras")):
        for output in outputs(network):  # sigmoid(1): heads without weights give their bias.
            np.testing.assert_allclose(output, 1 / (1 + np.exp(-1)), rtol=1e-6)


def test_takes_an_input_tensor():
    tensor = keras.Input((64, 96, 3), name="photo")
    model = narrow(input_tensor=tensor)
    assert model.input is tensor
    assert outputs(model)[0].shape == (2, 64, 96, 1)


def test_include_rescaling_divides_by_255():
    plain, rescaling = narrow(), narrow(include_rescaling=True)
    rescaling.set_weights(plain.get_weights())
    for one, other in zip(outputs(plain), outputs(rescaling, IMAGES * 255), strict=True):
        np.testing.assert_allclose(one, other, atol=1e-5)


def test_the_network_shares_the_weights_of_its_backbone():
    encoder = backbone()
    model = BASNet(encoder, num_classes=1, projection_filters=4)
    before = outputs(model)[0]
    encoder.get_layer("encoder1_block1_conv1").kernel.assign(np.ones((3, 3, 4, 4)))
    assert np.abs(outputs(model)[0] - before).max() > 1e-6


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"backbone": "resnet34"}, "must be a ResNetBackbone, such as .* got 'resnet34'"),
        ({"backbone": keras.layers.Conv2D(1, 1)}, "must be a ResNetBackbone"),
        (
            {"backbone": backbone(input_shape=(64, 64, 3))},
            r"give input_shape.* to BASNet.*input shape \(64, 64, 3\)",
        ),
        ({"backbone": backbone(include_rescaling=True)}, "include_rescaling=True"),
        ({"projection_filters": 8}, "width of the backbone's first stage, 4; got 8"),
        ({"input_shape": (64, 100, 3)}, "multiples of 32; got 64 x 100; .* 64 x 96"),
    ],
)
def test_refuses_what_it_cannot_build(arguments, message):
    with pytest.raises(ValueError, match=message):
        BASNet(**{"backbone": backbone(), "num_classes": 1, "projection_filters": 4, **arguments})


def test_refuses_images_of_other_sizes():
    with pytest.raises(ValueError, match="multiples of 32; got 50 x 70; .* 64 x 64"):
        narrow()(np.zeros((1, 50, 70, 3)))


def test_refuses_unknown_presets():
    with pytest.raises(ValueError, match="unknown preset 'basnet'; there are .*basnet_mini"):
        BASNet.from_preset("basnet")
    with pytest.raises(ValueError, match="'basnet_resnet34' has no weights; .* basnet_mini"):
        BASNet.from_preset("basnet_resnet34", load_weights=True)
