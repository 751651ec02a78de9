"""An annotation file to truths on storage."""

import json

import apache_beam as beam
import numpy as np
import pytest
from apache_beam.testing.util import assert_that, equal_to

from pipeline.failures import InputLost
from pipeline.images.truth import decode_truth
from pipeline.job_settings import Job
from pipeline.records import Note
from pipeline.stages.draw_truths import DrawTruths, draw_truth, read_drawings
from pipeline.storage.files import read_file

SQUARE = [[1, 1, 3, 1, 3, 3, 1, 3]]


def write_coco(path, **segmentations):
    """A COCO file of images of 6 x 4 pixels."""
    names = list(segmentations)
    images = [
        {"id": n, "file_name": f"{name}.jpg", "width": 6, "height": 4}
        for n, name in enumerate(names)
    ]
    annotations = [
        {"image_id": n, "category_id": 1, "segmentation": segmentations[name]}
        for n, name in enumerate(names)
        if segmentations[name] is not None
    ]
    path.write_text(json.dumps({"images": images, "annotations": annotations, "categories": []}))
    return str(path)


def test_each_image_has_a_truth_or_is_said(tmp_path):
    path = write_coco(tmp_path / "coco.json", a=SQUARE, b=None, c=[], d={"counts": [99]})
    with beam.Pipeline(runner="FnApiRunner") as pipeline:
        drawn = pipeline | DrawTruths(Job(str(tmp_path), truth=path))
        names = drawn.results | beam.Map(lambda one: (one.name, one.path[len(str(tmp_path)) :]))
        expected = [
            ("a.jpg", "/temporary/truth/00000/00000000.png"),
            ("b.jpg", "/temporary/truth/00000/00000001.png"),
        ]
        assert_that(names, equal_to(expected), label="files")
        said = "annotated images are left out: "
        notes = [
            Note(f"{said}an annotation has no segmentation; a box alone is no mask", "c.jpg"),
            Note(f"{said}run lengths are more than the pixels of the image", "d.jpg"),
        ]
        assert_that(drawn.notes, equal_to(notes), label="notes")
    truths = [decode_truth(read_file(f"{tmp_path}{name}"), (6, 4)) for _, name in expected]
    square = np.zeros((4, 6), bool)
    square[1:3, 1:3] = True
    np.testing.assert_array_equal(truths, [square, square & False])


def test_the_stamp_is_that_of_what_was_drawn(tmp_path):
    def stamps(**segmentations):
        path = write_coco(tmp_path / "coco.json", **segmentations)
        attempts = [draw_truth(one, str(tmp_path), 100) for one in read_drawings(path)]
        return [one.result.stamp for one in attempts]

    before = stamps(a=SQUARE, b=SQUARE)
    assert before[0] == before[1]
    after = stamps(a=SQUARE, b=None)
    assert after[0] == before[0] and after[1] != before[1]


def test_a_file_that_is_damaged_ends_the_job(tmp_path):
    path = write_coco(tmp_path / "coco.json", a=SQUARE)
    text = (tmp_path / "coco.json").read_text()
    (tmp_path / "coco.json").write_text(text[:-9])
    with pytest.raises(InputLost, match=r"--truth .*coco.json cannot be read: it is damaged"):
        list(read_drawings(path))
