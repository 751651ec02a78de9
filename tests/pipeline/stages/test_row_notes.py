"""What is said of images that are done."""

from pipeline.records import Item, MetricsRow, Note, Origin, Stored
from pipeline.stages.row_notes import notes_of_row
from pipeline.storage.raw_records import MAX_RECORD_BYTES


def notes(truth="", counts=None, status="ok", stored=None):
    item = Item("a.jpg", "masks/a.png", origin=Origin(path="in/a.jpg", truth=truth), stored=stored)
    return list(notes_of_row(MetricsRow(item, (3, 2), status, {}, counts)))


def test_an_image_that_was_paired_with_an_empty_record_has_no_truth():
    assert notes("t.tar#webdataset:0") == [Note("images have no ground truth", "in/a.jpg")]
    assert notes() == notes("t.png", b"counts") == notes("t.png", status="bad_truth") == []


def test_images_that_the_next_job_would_not_read_are_said():
    assert notes(stored=Stored("masks/m.tar", 0, 9, MAX_RECORD_BYTES)) == []
    (note,) = notes(stored=Stored("masks/m.tar", 0, 9, MAX_RECORD_BYTES + 1))
    assert note.example == "a.jpg" and "larger than 64 MiB" in note.kind
