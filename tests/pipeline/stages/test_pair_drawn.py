"""Images and the truths of an annotation file, joined by name."""

import apache_beam as beam
import pytest
from apache_beam.testing.util import assert_that, equal_to

from pipeline.records import Chunk, ListedFile, Note, Source
from pipeline.stages.pair_drawn import PairDrawn, join


def image(key, truth=None):
    return Source(f"/in/{key}", key, f"masks/{key}.png", truth, stamp=f"{key}-1")


def truth(number, name):
    return ListedFile(f"/out/truth/{number}.png", "/out/truth/", 9, f"digest{number}", name)


def test_truths_of_a_name_find_their_images_and_the_rest_is_said():
    sources = [image("a/x.jpg"), image("b/x.jpg"), image("c/x.jpg", "/mine.png")]
    truths = [truth(3, "b/x.jpg"), truth(1, "x.jpg"), truth(2, "d/x.jpg"), truth(4, "b/x.jpg")]
    found = join(sources, truths, scores=False)
    assert [(one.key, one.truth, one.stamp) for one in found.sources] == [
        ("a/x.jpg", None, "a/x.jpg-1"),
        ("b/x.jpg", "/out/truth/3.png", "b/x.jpg-1 digest3"),
        ("c/x.jpg", "/mine.png", "c/x.jpg-1"),
    ]
    assert found.notes == [
        Note("images have no ground truth", "/in/a/x.jpg"),
        Note("ground truths could be of several images of their name", "x.jpg"),
        Note("ground truths have no image", "d/x.jpg"),
        Note("ground truths are not used, as another has their name", "b/x.jpg"),
    ]
    (given,) = join(sources[2:], [truth(5, "c/x.jpg")], scores=False).notes
    assert given == Note("ground truths are not used, as the manifest names another", "c/x.jpg")
    # Of masks, those with a truth are scored.
    assert [one.key for one in join(sources[:2], truths, scores=True).sources] == ["b/x.jpg"]


@pytest.mark.parametrize("scores", [False, True])
def test_names_may_have_other_folders_and_suffixes(scores):
    shard = Source("/in/s.tfrecord", "s", "masks/s", chunk=Chunk())
    with beam.Pipeline(runner="FnApiRunner") as pipeline:
        sources = pipeline | "Images" >> beam.Create([image("c/x.png"), image("y.jpg"), shard])
        truths = pipeline | "Truths" >> beam.Create(
            [truth(0, "gs://bucket/set/c/x.jpg"), truth(1, "lonely.jpg")]
        )
        found = (sources, truths) | PairDrawn(scores=scores)
        expected = [("c/x.png", "/out/truth/0.png"), ("s", None)]
        expected += [] if scores else [("y.jpg", None)]
        shown = found.results | beam.Map(lambda one: (one.key, one.truth))
        assert_that(shown, equal_to(expected), label="sources")
        notes = [
            Note("images have no ground truth", "/in/y.jpg"),
            Note("ground truths have no image", "lonely.jpg"),
        ]
        assert_that(found.notes, equal_to(notes), label="notes")
