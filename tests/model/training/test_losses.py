import keras
import numpy as np
import pytest
from keras import ops

from model.training.losses import HybridLoss, binary_crossentropy, soft_iou, structural_similarity


@pytest.fixture(scope="module")
def tf():
    return pytest.importorskip("tensorflow")


def _disc(shape, center, radius):
    rows, columns = np.ogrid[: shape[0], : shape[1]]
    inside = (rows - center[0]) ** 2 + (columns - center[1]) ** 2 < radius**2
    return inside.astype("float32")[..., None]


def _maps():
    """Pairs of maps (2, 37, 50, 1): noise, and discs that overlap; none is square or even."""
    rng = np.random.default_rng(0)
    shape = (37, 50)
    noise = rng.random((2, 2, *shape, 1), dtype="float32")
    truth = np.stack([_disc(shape, (18, 20), 12), _disc(shape, (5, 5), 4)])
    guess = np.clip(np.stack([_disc(shape, (18, 24), 12), _disc(shape, (9, 5), 4)]), 0.1, 0.9)
    return {
        "noise": (noise[0], noise[1]),
        "discs": (truth, guess),
        "empty truth": (np.zeros_like(truth), guess),
        "nearly equal": (truth, truth * 0.999),
    }


# If x and y are nearly equal, variances cancel: TensorFlow's own float32 is off by 3e-5.
@pytest.mark.parametrize(
    ("kind", "tolerance"),
    [("noise", 1e-5), ("discs", 1e-5), ("empty truth", 1e-5), ("nearly equal", 1e-4)],
)
def test_ssim_equals_that_of_tensorflow(tf, kind, tolerance):
    x, y = _maps()[kind]
    expected = tf.image.ssim(x, y, max_val=1).numpy()
    actual = ops.convert_to_numpy(structural_similarity(x, y))
    assert actual.shape == (2,)
    np.testing.assert_allclose(actual, expected, atol=tolerance)
    np.testing.assert_allclose(structural_similarity(y, x), expected, atol=tolerance)


def test_ssim_of_the_smallest_map(tf):
    x, y = (maps[:, :11, :11] for maps in _maps()["noise"])
    expected = tf.image.ssim(x, y, max_val=1).numpy()
    np.testing.assert_allclose(structural_similarity(x, y), expected, atol=1e-5)


@pytest.mark.parametrize("shape", [(1, 10, 11, 1), (1, 11, 10, 1)])
def test_ssim_needs_a_window(shape):
    with pytest.raises(ValueError, match="at least 11 x 11 pixels, got"):
        HybridLoss()(np.zeros(shape), np.zeros(shape))


@pytest.mark.parametrize("shape", [(20, 20, 1), (1, 20, 20, 3)])
def test_ssim_needs_maps(shape):
    with pytest.raises(ValueError, match=r"shape \(N, H, W, 1\), got"):
        structural_similarity(np.zeros(shape), np.zeros(shape))


def test_ssim_of_maps_whose_size_is_not_known_when_traced(tf):
    x, y = _maps()["noise"]
    spec = tf.TensorSpec((None, None, None, 1), "float32")
    traced = tf.function(structural_similarity, input_signature=[spec, spec])
    np.testing.assert_allclose(traced(x, y), structural_similarity(x, y), atol=1e-6)


@pytest.mark.parametrize("kind", list(_maps()))
def test_bce_equals_that_of_keras(kind):
    truth, guess = _maps()[kind]
    expected = keras.losses.BinaryCrossentropy()(truth, guess)
    actual = np.mean(binary_crossentropy(truth, guess))
    np.testing.assert_allclose(actual, expected, rtol=1e-5)


def test_iou_equals_its_formula():
    truth, guess = _maps()["discs"]
    intersection = (truth * guess).sum(axis=(1, 2, 3), dtype="float64")
    union = (truth + guess - truth * guess).sum(axis=(1, 2, 3), dtype="float64")
    np.testing.assert_allclose(soft_iou(truth, guess), intersection / union, rtol=1e-5)


def test_iou_of_two_empty_maps_is_one():
    empty = np.zeros((1, 12, 12, 1))
    assert float(soft_iou(empty, empty)[0]) == 1


def test_a_perfect_map_costs_nothing_and_a_wrong_one_a_lot():
    truth, _ = _maps()["discs"]
    assert abs(float(HybridLoss()(truth, truth))) < 1e-5
    assert float(HybridLoss()(truth, 1 - truth)) > 10


def test_the_loss_is_the_sum_of_its_parts_averaged_over_images():
    truth, guess = _maps()["discs"]
    parts = (
        binary_crossentropy(truth, guess)
        + (1 - structural_similarity(truth, guess))
        + (1 - soft_iou(truth, guess))
    )
    each = HybridLoss(reduction="none")(truth, guess)
    np.testing.assert_allclose(each, parts, rtol=1e-6)
    np.testing.assert_allclose(HybridLoss()(truth, guess), np.mean(parts), rtol=1e-6)
    without = HybridLoss(ssim=0.0)(truth, guess)
    half = HybridLoss(ssim=0.5)(truth, guess)
    np.testing.assert_allclose(2 * half - without, HybridLoss()(truth, guess), rtol=1e-5)
    assert without < half


@pytest.mark.parametrize("dtype", ["float16", "bfloat16"])
def test_the_loss_is_computed_in_float32(dtype):
    truth, guess = _maps()["discs"]
    rounded = ops.cast(guess, dtype)
    loss = HybridLoss()(ops.cast(truth, dtype), rounded)
    assert keras.backend.standardize_dtype(loss.dtype) == "float32"
    for part in (binary_crossentropy, structural_similarity, soft_iou):
        values = part(ops.cast(truth, dtype), rounded)
        assert keras.backend.standardize_dtype(values.dtype) == "float32"
    np.testing.assert_allclose(loss, HybridLoss()(truth, ops.cast(rounded, "float32")), rtol=1e-6)


@pytest.mark.parametrize("value", [0.0, 1.0, 0.5])
def test_gradients_are_finite_for_saturated_maps(tf, value):
    truth, _ = _maps()["discs"]
    truth[1] = 0
    guess = tf.fill(truth.shape, value)
    with tf.GradientTape() as tape:
        tape.watch(guess)
        loss = HybridLoss()(truth, guess)
    assert np.isfinite(loss)
    assert np.isfinite(tape.gradient(loss, guess)).all()


def test_a_step_against_the_gradient_lowers_the_loss(tf):
    truth, guess = _maps()["discs"]
    guess = tf.constant(guess)
    with tf.GradientTape() as tape:
        tape.watch(guess)
        loss = HybridLoss()(truth, guess)
    better = tf.clip_by_value(guess - 1e-2 * tf.sign(tape.gradient(loss, guess)), 0, 1)
    assert HybridLoss()(truth, better) < loss


def test_the_loss_is_serialised_and_built_again():
    loss = HybridLoss(ssim=0.3, name="mine", reduction="sum")
    again = keras.saving.deserialize_keras_object(keras.saving.serialize_keras_object(loss))
    assert isinstance(again, HybridLoss)
    assert again.get_config() == loss.get_config()
    truth, guess = _maps()["discs"]
    assert float(again(truth, guess)) == float(loss(truth, guess))
