"""Networks of others, and ours with the same random weights; the operations of a network."""

from __future__ import annotations

import importlib.util
import math
import sys
from collections.abc import Callable
from pathlib import Path
from types import ModuleType, SimpleNamespace

import keras
import numpy as np
import tensorflow as tf

from model.networks.basnet import BASNet
from model.published.assign import from_keras_hub, from_paper

# Takes images (N, S, S, 3) and returns the maps (N, S, S) of the first output.
Network = Callable[[np.ndarray], np.ndarray]


def paper_network() -> BASNet:
    """Returns the paper's network with random weights; it takes pixels in [0, 255]."""
    model = BASNet.from_preset("basnet_paper", include_rescaling=True)
    randomize(model)
    return model


def keras_hub_network() -> tuple[Network, BASNet]:
    """Makes KerasHub's BASNet around a ResNet-34, in float32, and ours with its weights.

    Returns:
        Theirs, by ``predict``, which takes pixels in [0, 1], float32, and ours, which takes
        pixels in [0, 255].
    """
    import keras_hub

    encoder = keras_hub.models.ResNetBackbone(
        input_conv_filters=[64],
        input_conv_kernel_sizes=[7],
        stackwise_num_filters=[64, 128, 256, 512],
        stackwise_num_blocks=[3, 4, 6, 3],
        stackwise_num_strides=[1, 2, 2, 2],
        block_type="basic_block",
    )
    backbone = keras_hub.models.BASNetBackbone(image_encoder=encoder, num_classes=1)
    randomize(backbone)
    segmenter = keras_hub.models.BASNetImageSegmenter(backbone=backbone, preprocessor=None)

    def predict(pixels: np.ndarray) -> np.ndarray:
        return segmenter.predict(pixels, verbose=0)[..., 0]

    return predict, from_keras_hub(backbone, include_rescaling=True)


def authors_network(checkout: Path) -> tuple[dict[str, Network], BASNet]:
    """Makes the authors' PyTorch network, and ours with its weights.

    Args:
        checkout: A checkout of github.com/xuebinqin/BASNet, whose code is run.

    Returns:
        Theirs by precision, which takes pixels in [0, 1], float32, and ours, which takes pixels
        in [0, 255].
    """
    import torch

    torch.manual_seed(0)
    network = _authors_module(checkout).BASNet(3, 1).eval()
    for module in network.modules():
        if isinstance(module, torch.nn.Conv2d):
            torch.nn.init.kaiming_normal_(module.weight)
        elif isinstance(module, torch.nn.BatchNorm2d):
            torch.nn.init.uniform_(module.weight, 0.5, 1.0)
    state = {name: tensor.numpy() for name, tensor in network.state_dict().items()}

    def of_precision(dtype: torch.dtype) -> Network:
        def run(pixels: np.ndarray) -> np.ndarray:
            images = torch.from_numpy(np.ascontiguousarray(pixels.transpose(0, 3, 1, 2)))
            enabled = dtype != torch.float32
            with torch.inference_mode(), torch.autocast("cpu", dtype, enabled=enabled):
                return network(images)[0][:, 0].float().numpy()

        return run

    theirs = {name: of_precision(getattr(torch, name)) for name in ("float32", "bfloat16")}
    return theirs, from_paper(state, include_rescaling=True)


def randomize(model: keras.Model) -> None:
    """Gives a network random weights that keep the scale of its features from layer to layer."""
    rng = np.random.default_rng(0)
    for weight in model.weights:
        kind, shape = weight.path.rsplit("/", 1)[-1], weight.shape
        if kind == "kernel":
            inputs = shape[:2] if "depthwise" in weight.path else shape[:3]
            weight.assign(rng.standard_normal(shape) * math.sqrt(2 / math.prod(inputs)))
        elif kind == "gamma":
            weight.assign(rng.uniform(0.5, 1.0, shape))


def operations(model: keras.Model, size: int) -> int:
    """Counts the operations, 2 x multiply-adds, of the convolutions behind the first output.

    Args:
        model: A functional model.
        size: Side of the one image, in pixels.
    """
    first = keras.Model(model.inputs, model.outputs[0])
    image = tf.TensorSpec((1, size, size, 3))
    graph = tf.function(first.call, autograph=False).get_concrete_function(image).graph
    # A dilated convolution runs as one of several small images, so the output's first axis counts.
    return sum(
        2 * math.prod(operation.inputs[1].shape) * math.prod(operation.outputs[0].shape[:3])
        for operation in graph.get_operations()
        if operation.type in ("Conv2D", "DepthwiseConv2dNative")
    )


def _authors_module(checkout: Path) -> ModuleType:
    """Imports their ``model/BASNet.py`` under another name, because ``model`` is our package."""
    folder = checkout / "model"
    # A package, so that its relative imports find what lies beside it.
    spec = importlib.util.spec_from_file_location(
        "authors_basnet", folder / "BASNet.py", submodule_search_locations=[str(folder)]
    )
    module = importlib.util.module_from_spec(spec)
    # They take a ResNet-34 from torchvision, which needs a certain version of PyTorch and downloads
    # weights. Four stages of their own blocks are the same network.
    stand_in = ModuleType("torchvision")
    stand_in.models = SimpleNamespace(resnet34=lambda pretrained: _resnet34(module.BasicBlock))
    before = sys.modules.get("torchvision")
    sys.modules |= {spec.name: module, "torchvision": stand_in}
    try:
        spec.loader.exec_module(module)
    finally:
        del sys.modules["torchvision"]
        if before is not None:
            sys.modules["torchvision"] = before
    return module


def _resnet34(block: type) -> SimpleNamespace:
    from torch import nn

    def stage(before: int, width: int, blocks: int, stride: int) -> nn.Sequential:
        shortcut = None
        if stride != 1:
            convolution = nn.Conv2d(before, width, 1, stride, bias=False)
            shortcut = nn.Sequential(convolution, nn.BatchNorm2d(width))
        rest = [block(width, width) for _ in range(blocks - 1)]
        return nn.Sequential(block(before, width, stride, shortcut), *rest)

    stages = map(stage, (64, 64, 128, 256), (64, 128, 256, 512), (3, 4, 6, 3), (1, 2, 2, 2))
    return SimpleNamespace(**{f"layer{number}": each for number, each in enumerate(stages, 1)})
