"""A worker that is broken is not an image that is bad, with networks that really fail."""

import functools
import json
import pickle

import apache_beam as beam
import keras
import numpy as np
import pytest
import tensorflow as tf
from apache_beam.options.pipeline_options import PipelineOptions
from PIL import Image

from model.inference.segmenter import Segmenter
from pipeline.build import build
from pipeline.failures import BrokenWorker, ended_by
from pipeline.job_settings import Job
from pipeline.records import DecodedImage, Item
from pipeline.stages.load_network import load_network
from pipeline.stages.segment import SegmentImages, _Segment, segment
from pipeline.storage.journal_files import start
from pipeline.storage.model_file import content_of_model
from tests.pipeline.bundles import begun, given


class Fails(keras.layers.Layer):
    """Passes images on, until it has run ``works`` times; then raises ``error``."""

    works = 0
    error = RuntimeError

    def call(self, images):
        passed = tf.numpy_function(self.run, [images], images.dtype)
        passed.set_shape(images.shape)
        return passed

    def compute_output_shape(self, shape):
        return shape

    def run(self, images):
        if Fails.works <= 0 or (images[:, 0, 0] == 255).all(axis=-1).any():
            raise Fails.error("the device is gone")
        Fails.works -= 1
        return images


def network(works, error=RuntimeError):
    """A segmenter of 32 x 32 in batches of 4, that runs so often and then never again."""
    Fails.works, Fails.error = works, error
    image = keras.Input((32, 32, 3))
    x = keras.layers.Rescaling(1 / 255)(Fails()(image))
    return Segmenter(keras.Model(image, keras.layers.Conv2D(1, 1, activation="sigmoid")(x)), 32, 4)


def image(number, first=0):
    pixels = np.random.default_rng(number).integers(0, 200, (32, 32, 3), dtype=np.uint8)
    pixels[0, 0] = first
    return DecodedImage(Item(f"{number}.jpg", f"masks/{number}.png"), pixels, (40, 30))


IMAGES = [image(number) for number in range(4)]


def test_a_network_that_fails_for_good_breaks_the_bundle_and_no_image_fails():
    one = network(works=1)
    assert [found.failure for found in segment(IMAGES, one)] == [None] * 4
    with pytest.raises(BrokenWorker, match=r"^worker \S+ is broken: .*'0.jpg', .*test image") as e:
        list(segment(IMAGES, one))
    assert "the device is gone" in str(e.value) and "\n" not in str(e.value)


def test_a_network_that_fails_between_two_images_breaks_the_bundle():
    # The batch fails for its last image, the first two images succeed alone, then nothing does.
    images = [*IMAGES[:3], image(3, first=255)]
    with pytest.raises(BrokenWorker):
        list(segment(images, network(works=2)))


def test_a_network_that_works_again_loses_only_the_images_that_fail_alone():
    images = [image(0), image(1, first=255), image(2)]
    found = list(segment(images, network(works=100)))
    assert [one.failure and one.failure.key for one in found] == [None, "1.jpg", None]
    assert found[1].failure.stage == "segment"


def test_out_of_memory_for_good_is_no_failure_of_an_image():
    with pytest.raises(BrokenWorker, match="device is gone"):
        list(segment(IMAGES, network(0, MemoryError)))


def test_a_network_whose_maps_are_no_numbers_is_broken():
    images = keras.Input((32, 32, 3))
    nan = keras.initializers.Constant(np.nan)
    outputs = keras.layers.Conv2D(1, 1, bias_initializer=nan)(images)
    with pytest.raises(BrokenWorker, match="values that are not finite"):
        list(segment(IMAGES, Segmenter(keras.Model(images, outputs), 32, 4)))


def test_a_runner_gets_the_error_and_no_failures():
    with (
        pytest.raises(Exception, match="device is gone") as caught,
        beam.Pipeline(runner="FnApiRunner") as pipeline,
    ):
        load = functools.partial(network, 2)
        segmented = pipeline | beam.Create(range(12)) | beam.Map(image) | SegmentImages(load, 4)
        segmented.failures | beam.Map(lambda failure: pytest.fail(str(failure)))
    assert isinstance(ended_by(caught.value), BrokenWorker)


def save(path, bias=0.0):
    image = keras.Input((32, 32, 3))
    layer = keras.layers.Conv2D(
        1, 1, activation="sigmoid", bias_initializer=keras.initializers.Constant(bias)
    )
    keras.Model(image, layer(keras.layers.Rescaling(1 / 255)(image))).save(path)
    return str(path)


def test_after_a_worker_broke_the_network_is_loaded_anew(tmp_path):
    model = save(tmp_path / "net.keras")
    load = functools.partial(load_network, model, content_of_model(model), 32, 1)
    stage = begun(pickle.loads(pickle.dumps(_Segment(load, 1))))
    first = stage.network
    first._network = None  # As good as gone.
    with pytest.raises(BrokenWorker):
        given(stage, image(0))
    assert load() is not first
    again = begun(pickle.loads(pickle.dumps(_Segment(load, 1))))
    (found,) = given(again, image(0))
    assert found.item.key == "0.jpg"


def broken_job(tmp_path, **settings):
    """Runs a job on a photo; what ends it."""
    (tmp_path / "in").mkdir()
    Image.fromarray(image(0).pixels).save(tmp_path / "in" / "a.png")
    job = Job(f"{tmp_path}/out", (f"{tmp_path}/in",), image_size=32, **settings)
    start(job)
    pipeline = beam.Pipeline(runner="FnApiRunner", options=PipelineOptions([]))
    build(pipeline, job)
    with pytest.raises(Exception, match="broken") as caught:
        pipeline.run().wait_until_finish()
    assert not (tmp_path / "out" / "summary.json").exists()
    assert not list((tmp_path / "out").glob("failures/*"))
    assert json.loads((tmp_path / "out" / "journal" / "job.json").read_text())
    return ended_by(caught.value)


def test_a_model_that_is_gone_when_a_worker_starts_ends_the_job(tmp_path):
    error = broken_job(tmp_path, model=f"{tmp_path}/gone.keras")
    assert isinstance(error, BrokenWorker)
    assert str(error).endswith(
        f"is broken: it has no network: there is no file '{tmp_path}/gone.keras'"
    )


def test_weights_of_another_version_of_the_package_end_the_job(tmp_path):
    error = broken_job(tmp_path, model_content="0" * 32)
    assert "the weights of 'basnet_mini' are others here" in str(error)


@pytest.mark.skipif(bool(tf.config.list_physical_devices("GPU")), reason="there is a GPU")
def test_without_a_gpu_a_job_that_requires_one_ends(tmp_path):
    error = broken_job(tmp_path, require_gpu=True)
    assert str(error).endswith("--require_gpu: TensorFlow finds no GPU that it can use")
