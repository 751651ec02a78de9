"""Photos and truths of rows, read back from where the job found them."""

from dataclasses import replace

import pytest

from pipeline.job_settings import Job
from pipeline.records import ListedFile, Source
from pipeline.report.read_back import read_stored
from pipeline.stages.load import read_source
from pipeline.storage.raw_records import fields_of
from pipeline.storage.truth_shards import list_truths
from tests.pipeline.journal_rows import row
from tests.pipeline.shard_files import example, image_column, write_parquet, write_shard, write_tar


@pytest.mark.parametrize("suffix", ["png", "tfrecord", "tar", "parquet"])
def test_a_truth_is_read_back_from_a_file_or_a_shard(tmp_path, suffix):
    (tmp_path / "a.jpg").write_bytes(b"photo")
    path = tmp_path / f"a.{suffix}"
    if suffix == "png":
        path.write_bytes(b"truth")
    elif suffix == "tfrecord":
        write_shard(path, [example(b"a.jpg", None, b"truth")])
    elif suffix == "tar":
        write_tar(path, [("a.mask.png", b"truth")])
    else:
        write_parquet(path, {"name": (None, ["a.jpg"]), "seg": image_column([b"truth"])})
    job = Job(str(tmp_path / "out"), truth_field="seg" if suffix == "parquet" else "")
    truth = str(path)
    if suffix != "png":
        fields = fields_of(job)
        (found,) = list_truths(ListedFile(str(path), ""), fields)
        truth = found.result.path
    source = Source(str(tmp_path / "a.jpg"), "a.jpg", "masks/a.png", truth)
    (read,) = read_source(source, fields=fields_of(job))
    ((_, stored),) = read_stored([replace(row(0), item=read.result.item.without_truth())], job)
    assert stored == (b"photo", b"truth")
