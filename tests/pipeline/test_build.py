"""The key test: what the pipeline writes equals a plain loop over the same images."""

import collections
import functools
import io
import json
import os
from pathlib import Path

import apache_beam as beam
import keras
import numpy as np
import pytest
import tensorflow as tf
from apache_beam.options.pipeline_options import PipelineOptions
from PIL import Image

from model.metrics.pair import compare, describe_mask
from model.networks.basnet import BASNet
from pipeline.build import build
from pipeline.images.truth import decode_mask
from pipeline.job_settings import Job
from pipeline.storage.journal_files import start

SAMPLE = Path(__file__).parents[2] / "pipeline" / "sample"
SIZE, BATCH = 64, 4


def run(job):
    start(job)
    pipeline = beam.Pipeline(runner="FnApiRunner", options=PipelineOptions([]))
    build(pipeline, job)
    result = pipeline.run()
    result.wait_until_finish()
    return result.metrics()


def rows(output):
    lines = [
        line
        for path in sorted(Path(output).glob("metrics/*.jsonl"))
        for line in path.read_text().splitlines()
    ]
    return {row["key"]: row for row in map(json.loads, lines)}


def counters(metrics):
    found = collections.Counter()
    for counter in metrics.query()["counters"]:  # One for each step.
        name = counter.key.metric
        found[f"{name.namespace}/{name.name}"] += counter.committed
    return found


def annotate(network):
    """Masks and truths of the sample by TensorFlow's own reader, in plain loops.

    Args:
        network: From pixels, float32 (N, S, S, 3), to maps (N, S, S, 1).
    """
    keys, sizes, pixels, truths = [], [], [], []
    for shard in sorted(SAMPLE.glob("*.tfrecord")):
        for record in tf.data.TFRecordDataset(str(shard)).as_numpy_iterator():
            feature = tf.train.Example.FromString(record).features.feature
            keys.append(f"{shard.stem}/{feature['image/filename'].bytes_list.value[0].decode()}")
            sides = (feature[f"image/{side}"].int64_list.value[0] for side in ("width", "height"))
            sizes.append(tuple(sides))
            pixels.append(small_pixels(feature["image/encoded"].bytes_list.value[0], sizes[-1]))
            truths.append([*feature["image/segmentation/class/encoded"].bytes_list.value, None][0])
    expected = {}
    maps = np.asarray(network(np.stack(pixels)))[..., 0]
    for key, size, probability, truth in zip(keys, sizes, maps, truths, strict=True):
        full = Image.fromarray(probability).resize(size, Image.Resampling.BILINEAR)
        expected[key] = (np.rint(np.asarray(full) * 255).astype(np.uint8), truth)
    return expected


def small_pixels(encoded, size):
    """The pixels of a photo, float32 (S, S, 3), whose upright size is checked."""
    image = Image.open(io.BytesIO(encoded))
    turned = image.getexif().get(274) == 6
    assert (image.size[::-1] if turned else image.size) == size
    image.draft(None, (2 * SIZE, 2 * SIZE))
    small = image.convert("RGB").resize((SIZE, SIZE), Image.Resampling.BILINEAR, None, 3.0)
    if turned:
        small = small.transpose(Image.Transpose.ROTATE_270)
    return np.asarray(small, np.float32)


@functools.cache
def loop():
    mini = BASNet.from_preset("basnet_mini")
    return annotate(lambda pixels: mini(pixels, training=False)[0])


@pytest.fixture(scope="module")
def output(tmp_path_factory):
    """The output of the pipeline on the sample, and its Beam metrics."""
    output = str(tmp_path_factory.mktemp("output"))
    job = Job(output, (str(SAMPLE),), image_size=SIZE, batch_size=BATCH)
    return output, run(job)


def assert_masks_equal(folder, expected):
    masks = Path(folder, "masks")
    found = {str(path.relative_to(masks).with_suffix("")) for path in masks.rglob("*.png")}
    assert found == {str(Path(key).with_suffix("")) for key in expected}
    for key, (mask, _) in expected.items():
        written = Image.open(masks / Path(key).with_suffix(".png"))
        assert written.mode == "L"
        # A batch of another size may round the last bit of a float differently.
        difference = np.abs(np.asarray(written).astype(int) - mask)
        assert difference.max() <= 1
        assert (difference > 0).mean() < 0.001


def test_masks_equal_those_of_a_plain_loop(output):
    folder, _ = output
    assert_masks_equal(folder, loop())


def test_masks_of_a_file_with_flip_equal_those_of_a_plain_loop(tmp_path):
    keras.utils.set_random_seed(0)
    layers = [keras.layers.Rescaling(1 / 255), keras.layers.Conv2D(1, 5, padding="same")]
    network = keras.Sequential([keras.Input((SIZE, SIZE, 3)), *layers, keras.layers.ReLU(1.0)])
    network.save(tmp_path / "net.keras")

    def flip(pixels):
        mirrored = np.flip(network(np.flip(pixels, axis=2)), axis=2)
        return np.mean([network(pixels), mirrored], axis=0)

    masks = {}
    for tta, expected in (("none", annotate(network)), ("flip", annotate(flip))):
        output, model = str(tmp_path / tta), str(tmp_path / "net.keras")
        run(Job(output, (str(SAMPLE),), model=model, image_size=SIZE, batch_size=BATCH, tta=tta))
        assert_masks_equal(output, expected)
        masks[tta] = [np.asarray(mask).astype(int) for mask, _ in expected.values()]
    for plain, mean in zip(*masks.values(), strict=True):
        assert np.abs(plain - mean).max() > 10


def test_masks_of_a_file_in_bfloat16_equal_those_of_a_plain_loop(tmp_path):
    def network(dtype):
        """Channels averaged in a type, and its rounding made large."""
        averaged = keras.layers.Conv2D(1, 1, dtype=dtype, kernel_initializer=constant(1 / 4))
        contrast = keras.layers.Conv2D(
            1, 1, kernel_initializer=constant(16), bias_initializer=constant(-6)
        )
        scaled = keras.layers.Rescaling(1 / 255)
        layers = [scaled, averaged, contrast, keras.layers.ReLU(1.0)]
        return keras.Sequential([keras.Input((SIZE, SIZE, 3)), *layers])

    constant = keras.initializers.Constant
    model = str(tmp_path / "net.keras")
    network("float32").save(model)
    masks = {}
    for precision in ("float32", "bfloat16"):
        output, expected = str(tmp_path / precision), annotate(network(precision))
        sizes = {"image_size": SIZE, "batch_size": BATCH}
        run(Job(output, (str(SAMPLE),), model=model, precision=precision, **sizes))
        assert_masks_equal(output, expected)
        masks[precision] = [np.asarray(mask).astype(int) for mask, _ in expected.values()]
    for exact, rounded in zip(*masks.values(), strict=True):
        assert np.abs(exact - rounded).max() > 3


def test_rows_equal_those_of_a_plain_loop(output):
    folder, _ = output
    table = rows(folder)
    assert table.keys() == loop().keys()
    for key, (_, truth) in loop().items():
        row, mask = table[key], np.asarray(Image.open(Path(folder, table[key]["mask"])))
        expected = describe_mask(mask)
        if truth is not None:
            expected |= compare(mask, decode_mask(truth) > 128).values
        assert {name: row[name] for name in expected} == expected
        assert row.keys() == {"key", "status", "mask", "width", "height", *expected}
        assert (row["height"], row["width"]) == mask.shape
        assert row["status"] == "ok"


def test_summary_is_the_mean_of_the_rows(output):
    folder, _ = output
    summary, table = json.loads(Path(folder, "summary.json").read_text()), rows(folder).values()
    assert (summary["images"], summary["masks"], summary["failed"]) == (11, 11, 0)
    assert summary["with_truth"] == 5
    fractions = [row["foreground_fraction"] for row in table]
    assert summary["foreground_fraction"] == pytest.approx(np.mean(fractions), abs=1e-9)
    for name in ("mae", "s_measure", "iou", "weighted_f"):
        values = [row[name] for row in table if "mae" in row]
        assert summary["metrics"][name] == pytest.approx(np.mean(values), abs=1e-9)


def test_counts_what_it_did(output):
    folder, metrics = output
    table, shards = rows(folder), list(SAMPLE.glob("*.tfrecord"))
    stages = ("read", "decoded", "segmented", "written")
    found = counters(metrics)
    device = "gpu" if tf.config.list_physical_devices("GPU") else "cpu"
    written = sum(path.stat().st_size for path in Path(folder, "masks").rglob("*.png"))
    assert found.pop("images/bytes_written") >= written
    # What is read twice counts twice.
    assert found.pop("images/bytes_read") >= sum(path.stat().st_size for path in shards)
    assert found.pop("images/pixels") == sum(row["width"] * row["height"] for row in table.values())
    assert found == {f"images/{stage}": 11 for stage in (*stages, f"segmented_on_{device}")}
    distributions = {d.key.metric.name: d.committed for d in metrics.query()["distributions"]}
    assert distributions["load_microseconds"].count == 1
    assert distributions["load_microseconds"].sum > 100_000
    for stage in ("decode", "write"):
        assert distributions[f"{stage}_waited_microseconds"].count == 11
    assert distributions["read_waited_microseconds"].count > 0
    assert distributions["decode_microseconds"].count == 11
    assert distributions["write_microseconds"].count == 11
    assert distributions["batch_size"].sum == 11
    assert distributions["batch_size"].max <= BATCH
    assert distributions["inference_microseconds"].count == distributions["batch_size"].count


def test_scoring_the_written_masks_gives_the_same_rows(output, tmp_path):
    folder, _ = output
    truths = tmp_path / "truth"
    truths.mkdir()
    for key, (_, truth) in loop().items():
        if truth is not None:
            path = truths / Path(key).with_suffix(".png")
            path.parent.mkdir(exist_ok=True)
            path.write_bytes(truth)
    scored = tmp_path / "scored"
    run(Job(str(scored), masks=f"{folder}/masks/*/*.png", truth=str(truths)))
    annotated = {Path(key).stem: row for key, row in rows(folder).items()}
    table = rows(scored)
    assert len(table) == 5
    for key, row in table.items():
        expected = annotated[Path(key).stem]
        assert {n: v for n, v in row.items() if n not in ("key", "mask")} == {
            n: v for n, v in expected.items() if n not in ("key", "mask")
        }
    ours, theirs = (json.loads(Path(f, "summary.json").read_text()) for f in (folder, scored))
    assert ours["metrics"] == theirs["metrics"]
    # The six masks without a truth are failures, not rows.
    assert theirs["failures"] == {"missing_truth": 6}


def test_one_bad_image_harms_no_other(tmp_path):
    photos, output = tmp_path / "photos", tmp_path / "output"
    photos.mkdir()
    good = np.random.default_rng(0).integers(0, 256, (40, 50, 3), dtype=np.uint8)
    for number in range(5):
        Image.fromarray(good).save(photos / f"good{number}.jpg")
    (photos / "text.jpg").write_text("not an image")
    Path(os.fsdecode(os.fsencode(photos) + b"/caf\xe9.jpg")).write_bytes(b"a name in Latin-1")
    (photos / "empty.png").write_bytes(b"")
    whole = (photos / "good0.jpg").read_bytes()
    (photos / "cut.jpg").write_bytes(whole[: len(whole) // 2])
    model = str(tmp_path / "net.keras")
    layers = [keras.layers.Rescaling(1 / 255), keras.layers.Conv2D(1, 1, activation="sigmoid")]
    keras.Sequential([keras.Input((SIZE, SIZE, 3)), *layers]).save(model)
    sizes = {"image_size": SIZE, "batch_size": BATCH}
    metrics = run(Job(str(output), (str(photos),), model=model, **sizes))
    assert rows(output).keys() == {f"good{number}.jpg" for number in range(5)}
    failures = [
        json.loads(line)
        for path in output.glob("failures/*.jsonl")
        for line in path.read_text().splitlines()
    ]
    assert {(f["key"], f["stage"], f["reason"]) for f in failures} == {
        ("text.jpg", "decode", "not_an_image"),
        ("empty.png", "decode", "empty"),
        ("cut.jpg", "decode", "broken"),
        (f"{photos}/caf\\udce9.jpg", "read", "bad_name"),
    }
    assert counters(metrics)["failures/not_an_image"] == 1
    summary = json.loads((output / "summary.json").read_text())
    assert (summary["images"], summary["masks"], summary["failed"]) == (9, 5, 4)
    assert summary["failures"] == {"bad_name": 1, "broken": 1, "empty": 1, "not_an_image": 1}
