"""Batching, isolation of failures and the one network of a process."""

import pickle
import threading
from concurrent.futures import ThreadPoolExecutor

import apache_beam as beam
import numpy as np
import pytest
from apache_beam.testing.util import assert_that, equal_to

from pipeline.failures import Attempt, Failure
from pipeline.records import DecodedImage, Item, Truth
from pipeline.stages.load_network import load_network
from pipeline.stages.segment import SegmentImages, _Segment, segment

POISON = 255


def image(number, first=0):
    rng = np.random.default_rng(number)
    pixels = rng.integers(0, 200, (4, 4, 3), dtype=np.uint8)
    pixels[0, 0] = first
    item = Item(f"{number}.jpg", f"masks/{number}.png", "c", Truth(b"truth"))
    return DecodedImage(item, pixels, (number + 1, 2))


class Network:
    """The mean of the channels; refuses the whole batch for one image that starts with white."""

    device = "cpu"
    loaded = 0
    batches: list[int] = []  # noqa: RUF012 - shared by design, so that it is seen from outside
    lock = threading.Lock()

    @classmethod
    def load(cls):
        with cls.lock:
            cls.loaded += 1
        return cls()

    @classmethod
    def reset(cls):
        cls.loaded, cls.batches = 0, []

    def __call__(self, images):
        assert images.dtype == np.uint8 and images.shape[1:] == (4, 4, 3)
        with self.lock:
            self.batches.append(len(images))
        if (images[:, 0, 0] == POISON).any():
            raise RuntimeError("a white pixel")
        return images.mean(axis=3).astype(np.float32) / 255

    def probe(self):
        pass


class Answering(Network):
    """Gives what a function gives, and is not broken."""

    def __init__(self, function):
        self.function = function

    def __call__(self, images):
        return self.function(images)


@pytest.fixture(autouse=True)
def fresh_network():
    Network.reset()


def test_equals_a_loop_over_the_images_in_their_order():
    images = [image(number) for number in range(7)]
    found = list(segment(images, Network()))
    assert Network.batches == [7]
    for one, attempt in zip(images, found, strict=True):
        expected = np.zeros((4, 4), np.float32)
        for y in range(4):
            for x in range(4):
                expected[y, x] = sum(int(value) for value in one.pixels[y, x]) / 3 / 255
        np.testing.assert_allclose(attempt.result.probability, expected, rtol=1e-5)
        assert (attempt.result.item, attempt.result.size) == (one.item, one.size)


@pytest.mark.parametrize("bad", [{0}, {3}, {1, 5}, set(range(6))])
def test_a_batch_that_fails_loses_only_the_images_that_fail_alone(bad):
    images = [image(number, POISON if number in bad else 0) for number in range(6)]
    found = list(segment(images, Network()))
    assert [(one.failure or one.result.item).key for one in found] == [
        one.item.key for one in images
    ]
    for number, one in enumerate(found):
        if number in bad:
            failure = Failure(f"{number}.jpg", "segment", "RuntimeError", "a white pixel")
            assert one == Attempt(failure=failure)
        else:
            alone = images[number].pixels.mean(axis=2) / 255
            np.testing.assert_allclose(one.result.probability, alone, rtol=1e-5)


def test_a_network_that_returns_too_few_maps_fails_each_of_its_images():
    found = segment([image(0), image(1)], Answering(lambda _: np.zeros((0, 4, 4), np.float32)))
    assert [one.failure.message for one in found] == ["the network gave 0 maps for 1 images"] * 2


def with_value(value):
    """A network whose map of the second image of a batch holds a value."""

    def network(images):
        maps = np.full((len(images), 4, 4), 0.5, np.float32)
        maps[1, 2, 3] = value
        return maps

    return Answering(network)


@pytest.mark.parametrize("value", [1.0005, -0.0005])
def test_a_map_that_leaves_zero_to_one_by_rounding_is_taken(value):
    first, second = segment([image(0), image(1)], with_value(value))
    assert first.failure is None
    assert second.result.probability[2, 3] == np.float32(value)


def test_a_map_that_leaves_zero_to_one_is_a_failure_that_says_how_far():
    first, second = segment([image(0), image(1)], with_value(1.01))
    assert first.failure is None and second.failure.reason == "no_probability"
    assert second.failure.message.startswith("the network's map goes from 0.5 to 1.01;")


def test_a_map_that_is_not_finite_is_a_failure_of_its_image_alone():
    found = list(segment([image(0), image(1), image(2)], with_value(np.nan)))
    assert [one.failure and one.failure.reason for one in found] == [None, "not_finite", None]
    assert found[1].failure.key == "1.jpg"


@pytest.mark.parametrize("noise", [0, 2])
@pytest.mark.parametrize("level", [0, 128, 253])
def test_a_photo_of_one_colour_is_empty_and_the_network_is_not_asked(level, noise):
    def none(_):
        raise AssertionError("the network was asked")

    page = image(0)
    page.pixels[:] = level + np.random.default_rng(1).integers(0, noise + 1, page.pixels.shape)
    (found,) = segment([page], none)
    assert found.result.probability.tolist() == [[0] * 4] * 4
    assert (found.result.item, found.result.size) == (page.item, page.size)


def test_among_others_a_photo_of_one_colour_leaves_the_batch_and_no_other_does():
    images = [image(number) for number in range(3)]
    images[1].pixels[:] = 200, 90, 7
    # Not one colour: a single pixel of a single channel differs.
    images[2].pixels[:] = 200, 90, 7
    images[2].pixels[3, 2, 1] = 93
    found = {one.result.item.key: one.result for one in segment(images, Network())}
    assert Network.batches == [2]
    assert set(found) == {"0.jpg", "1.jpg", "2.jpg"}
    assert found["1.jpg"].probability.max() == 0 < found["2.jpg"].probability.min()


@pytest.mark.parametrize(("count", "batch_size"), [(1, 1), (3, 8), (8, 8), (21, 4)])
def test_every_image_comes_out_once_and_no_batch_is_too_large(count, batch_size):
    # Every fifth is poisoned: in full batches and in what is left at a bundle's end.
    numbers = range(count)
    bad = {number for number in numbers if number % 5 == 0}
    with beam.Pipeline(runner="FnApiRunner") as pipeline:
        segmented = (
            pipeline
            | beam.Create(list(numbers))
            | beam.Map(lambda number: image(number, POISON if number in bad else 0))
            | SegmentImages(Network.load, batch_size)
        )
        good = segmented.results | "Good" >> beam.Map(
            lambda one: (one.item.key, float(one.probability.sum().round(3)))
        )
        sums = [
            (f"{number}.jpg", float((image(number).pixels.sum() / 3 / 255).round(3)))
            for number in numbers
            if number not in bad
        ]

        def check(found):
            assert sorted(key for key, _ in found) == sorted(key for key, _ in sums)
            assert dict(found) == pytest.approx(dict(sums), abs=0.01)

        assert_that(good, check, label="good")
        failed = segmented.failures | "Failed" >> beam.Map(lambda one: (one.key, one.reason))
        expected = [(f"{number}.jpg", "RuntimeError") for number in sorted(bad)]
        assert_that(failed, equal_to(expected), label="failed")
    assert 0 < max(Network.batches) <= batch_size


def test_the_network_is_loaded_once_per_process():
    """Runners unpickle a DoFn many times and set up each copy, in several threads."""
    pickled = pickle.dumps(_Segment(Network.load, 2))
    copies = [pickle.loads(pickled) for _ in range(4)]
    with ThreadPoolExecutor(4) as threads:
        list(threads.map(_Segment.setup, copies))
    assert Network.loaded == 1
    assert all(copy.network is copies[0].network for copy in copies)


def test_a_model_that_is_not_there_is_refused_by_name(tmp_path):
    with pytest.raises(ValueError, match="no file '.*none.keras'"):
        load_network(str(tmp_path / "none.keras"), "", 32, 1)
