"""Manifests: what they name, and what they cannot."""

import gzip
import json

import pytest

from pipeline.failures import BadImage, InputLost
from pipeline.records import ListedFile
from pipeline.storage.manifest import check_manifest, manifest_of, read_manifest


def write(tmp_path, name, text):
    path = tmp_path / name
    path.write_bytes(text if isinstance(text, bytes) else text.encode())
    return str(path)


def read(path):
    return [one.result or (one.failure.key, one.failure.reason) for one in read_manifest(path)]


def test_a_pattern_behind_an_at_is_a_manifest():
    assert manifest_of("@gs://b/list.csv") == "gs://b/list.csv"
    assert manifest_of("photos/@home") is None


def test_one_path_a_line_from_the_manifests_folder_or_from_anywhere(tmp_path):
    path = write(tmp_path, "list.txt", "a b.jpg\n\nc/d.jpg\r\n/abs/e.jpg\ngs://bucket/f/g.jpg")
    folder = f"{tmp_path}/"
    found = read(path)
    assert found == [
        ListedFile(f"{folder}a b.jpg", folder),
        ListedFile(f"{folder}c/d.jpg", folder),
        ListedFile("/abs/e.jpg", "/"),
        ListedFile("gs://bucket/f/g.jpg", "gs://"),
    ]
    assert [one.key for one in found] == ["a b.jpg", "c/d.jpg", "abs/e.jpg", "bucket/f/g.jpg"]


@pytest.mark.parametrize("suffix", [".csv", ".csv.gz", ".jsonl", ".JSONL"])
def test_tables_give_truths_and_names(tmp_path, suffix):
    folder = f"{tmp_path}/"
    rows = [{"path": "x.jpg", "truth": "t/x.png", "name": "one, two.jpg"}, {"path": "/y.jpg"}]
    if "csv" in suffix:
        text = 'name,path,other,truth\n"one, two.jpg",x.jpg,9,t/x.png\n,/y.jpg,,\n'
    else:
        text = "".join(json.dumps(row) + "\n" for row in rows)
    data = gzip.compress(text.encode()) if suffix.endswith(".gz") else text
    assert read(write(tmp_path, f"list{suffix}", data)) == [
        ListedFile(f"{folder}x.jpg", folder, name="one, two.jpg", truth=f"{folder}t/x.png"),
        ListedFile("/y.jpg", "/"),
    ]


def test_a_line_that_cannot_be_used_is_a_failure_among_good_ones(tmp_path):
    lines = ['{"path": "a.jpg"}', "{", "[]", '{"path": 7}', '{"name": "b"}', '{"path": "b.jpg"}']
    path = write(tmp_path, "list.jsonl", "\n".join(lines))
    first, *bad, last = read(path)
    assert (first.key, last.key) == ("a.jpg", "b.jpg")
    assert bad == [(f"{path}:{number}", "bad_manifest") for number in (2, 3, 4, 5)]
    path = write(tmp_path, "list.txt", b"a.jpg\ncaf\xe9.jpg\n")
    assert read(path)[1] == (f"{path}:2", "bad_name")


def test_a_manifest_is_read_line_by_line(tmp_path):
    path = write(tmp_path, "list.csv", "path\n" + "a.jpg\n" * 5)
    entries = read_manifest(path)
    assert next(entries).result.key == "a.jpg"
    assert sum(1 for _ in entries) == 4


@pytest.mark.parametrize(
    ("name", "text", "message"),
    [
        ("list.csv", "file,mask\na,b\n", "no column path"),
        ("list.csv", "path\n", "names no file"),
        ("list.txt", "\n", "names no file"),
        ("list.jsonl", "a.jpg\n", "no JSON"),
    ],
)
def test_a_manifest_that_begins_wrong_is_refused(tmp_path, name, text, message):
    with pytest.raises(BadImage, match=message):
        check_manifest(write(tmp_path, name, text))


def test_a_quote_that_is_never_closed_swallows_no_file(tmp_path):
    path = write(tmp_path, "list.csv", 'path\na.jpg\n"b.jpg\nc.jpg\n')
    with pytest.raises(InputLost, match="cannot read .*list.csv"):
        read(path)
