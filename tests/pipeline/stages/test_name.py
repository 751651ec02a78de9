"""Names of image files and shards, as a pipeline gives them."""

import apache_beam as beam
from apache_beam.testing.util import assert_that, equal_to

from pipeline.records import Chunk, ListedFile, Source
from pipeline.stages.name import NameSources, name_group


def below(folder, *names):
    return [ListedFile(f"{folder}{name}", folder) for name in names]


def named(files, input_format="auto"):
    """The key, the mask and whether it is a shard, of each file by its path."""
    with beam.Pipeline(runner="FnApiRunner") as pipeline:
        sources = pipeline | beam.Create(files) | NameSources(input_format)
        found = sources | beam.Map(lambda one: (one.path, one.key, one.mask, one.chunk is not None))
        yield found


def check(files, expected, input_format="auto"):
    for found in named(files, input_format):
        assert_that(found, equal_to(expected))


def test_all_that_is_known_of_a_file_goes_on():
    file = ListedFile("/in/c/a.jpg", "/in/", 7, "7-1.5", truth="/t/a.png")
    expected = Source("/in/c/a.jpg", "c/a.jpg", "masks/c/a.png", "/t/a.png", 7, "7-1.5", "/in/")
    assert list(name_group("c/a", [file])) == [expected]
    shard = ListedFile("/in/s.tfrecord", "/in/", 7, "7-1.5")
    expected = Source(shard.path, "s", "masks/s", None, 7, "7-1.5", "/in/", Chunk())
    assert list(name_group("s/", [shard])) == [expected]


def test_image_files_and_shards_are_told_apart_across_folders():
    files = below("/one/", "a.jpg", "b.jpg", "b.png", "s.tfrecord", "t.tfrecord", "t/x.jpg")
    files += below("/two/", "a.jpg")

    def right(found):
        by_path = {path: rest for path, *rest in found}
        assert by_path["/one/b.jpg"] == ["b.jpg", "masks/b.jpg.png", False]
        assert by_path["/one/b.png"] == ["b.png", "masks/b.png.png", False]
        assert by_path["/one/t/x.jpg"] == ["t/x.jpg", "masks/t/x.png", False]
        assert by_path["/one/s.tfrecord"] == ["s", "masks/s", True]
        # The whole path is the key of what shares its key.
        assert by_path["/one/a.jpg"][0] == "/one/a.jpg"
        assert by_path["/two/a.jpg"][0] == "/two/a.jpg"
        key, folder, _ = by_path["/one/t.tfrecord"]
        assert key == "/one/t.tfrecord" and folder.startswith("masks/~")
        assert len({mask for _, mask, _ in by_path.values()}) == len(by_path) == 7

    for found in named(files):
        assert_that(found, right)


def test_a_format_makes_shards_of_all_files():
    files = below("/in/", "a", "b.record")
    expected = [("/in/a", "a", "masks/a", True), ("/in/b.record", "b", "masks/b", True)]
    check(files, expected, "tfrecord")


def test_a_name_from_a_manifest_is_the_key():
    files = [ListedFile("/x/1.jpg", "/", name="cats/tom.jpg")]
    check(files, [("/x/1.jpg", "cats/tom.jpg", "masks/cats/tom.png", False)])
