import keras
import pytest

from model.networks.efficientnet import EfficientNetLite0
from model.networks.predict_module import predict_module
from model.networks.resnet import ResNetBackbone


def narrow():
    return ResNetBackbone(
        stackwise_filters=(4, 6, 8, 8), stackwise_blocks=(1, 1, 1, 1), style="paper"
    )


@pytest.mark.parametrize("backbone", [narrow, EfficientNetLite0])
def test_features_halve_from_stage_to_stage(backbone):
    """The bridge, the last of the seven, has the size of stage 6."""
    features = predict_module(keras.Input((64, 96, 3)), backbone(), 4)
    sizes = [feature.shape[1:3] for feature in features]
    assert sizes == [(64, 96), (32, 48), (16, 24), (8, 12), (4, 6), (2, 3), (2, 3)]
