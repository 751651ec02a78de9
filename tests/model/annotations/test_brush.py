"""Label Studio's run lengths, against what Label Studio's own package made."""

import json
import tracemalloc
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from model.annotations.brush import decode_brush, encode_brush
from tests.model.annotations.masks import MASKS, noise

GOLDEN = Path(__file__).parents[2] / "data" / "label_studio_brush.json"


def golden():
    """Masks as label-studio-sdk encodes them, and strokes with levels of alpha."""
    return json.loads(GOLDEN.read_text())


@pytest.mark.parametrize("name", MASKS)
def test_bytes_equal_those_of_label_studio(name):
    mask = MASKS[name]
    encoded = encode_brush(mask, (0, 0), mask.shape[::-1])
    assert encoded.hex() == golden()["masks"][name]
    np.testing.assert_array_equal(decode_brush(encoded, mask.shape[::-1]), mask)


@pytest.mark.parametrize("stroke", golden()["strokes"] if GOLDEN.exists() else [])
def test_strokes_with_colours_and_soft_edges_are_read_by_their_alpha(stroke):
    width, height = stroke["size"]
    alpha = np.array(stroke["alpha"]).reshape(height, width)
    found = decode_brush(bytes.fromhex(stroke["rle"]), (width, height))
    np.testing.assert_array_equal(found, alpha >= 128)


def test_a_part_is_placed_in_its_image():
    mask = np.pad(MASKS["ring"], ((3, 4), (5, 6)))
    part = encode_brush(MASKS["ring"], (5, 3), mask.shape[::-1])
    assert part == encode_brush(mask, (0, 0), mask.shape[::-1])


def test_runs_longer_than_a_length_can_say_are_parted():
    mask = np.zeros((300, 700), bool)
    mask[100:200] = True
    np.testing.assert_array_equal(
        decode_brush(encode_brush(mask, (0, 0), (700, 300)), (700, 300)), mask
    )


def test_a_noisy_mask_takes_little_memory():
    mask = np.random.default_rng(0).random((600, 1000)) < 0.5
    tracemalloc.start()
    encoded = encode_brush(mask, (0, 0), (1000, 600))
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    # 114 bytes a pixel where all runs are unpacked at once.
    assert peak < 40 * mask.size
    np.testing.assert_array_equal(decode_brush(encoded, (1000, 600)), mask)


@given(st.binary(max_size=60), st.tuples(st.integers(1, 9), st.integers(1, 9)))
def test_any_bytes_are_a_mask_or_refused(data, size):
    head = encode_brush(np.ones(size[::-1], bool), (0, 0), size)[:7]
    for damaged in (data, head + data):
        try:
            assert decode_brush(damaged, size).shape == size[::-1]
        except ValueError as error:
            assert "brush stroke" in str(error)


def test_a_stroke_of_another_size_is_refused():
    mask = noise()
    with pytest.raises(ValueError, match="not of the size"):
        decode_brush(encode_brush(mask, (0, 0), mask.shape[::-1]), (31, 41))
