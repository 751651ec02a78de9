"""Parquet shards as Arrow and Hugging Face write them."""

import io
import os

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from pipeline.failures import BadImage
from pipeline.storage import parquet, parquet_pages
from pipeline.storage.parquet import read_names, read_records
from pipeline.storage.raw_records import BY_CONVENTION, Fields
from tests.pipeline.shard_files import IMAGE, image_column, write_parquet


def read(path, start=0, fields=BY_CONVENTION, reader=read_records):
    with open(path, "rb") as file:
        return list(reader(file, start, fields))


def features(path, **fields):
    return [raw.parse() for raw in read(path, fields=Fields(**fields))]


def brief(path, **fields):
    return [
        (one.key, one.image, one.truth and one.truth.encoded) for one in features(path, **fields)
    ]


IMAGES = [b"image %d " % number * 50 for number in range(25)]
PATHS = [f"d/{number}.jpg" for number in range(25)]


@pytest.mark.parametrize("options", [{}, {"compression": "zstd"}, {"use_dictionary": False}])
@pytest.mark.parametrize("version", ["1.0", "2.0"])
def test_every_row_comes_once_and_in_order(tmp_path, options, version):
    path = tmp_path / "s.parquet"
    columns = {"image": image_column(IMAGES, PATHS), "label": (pa.int64(), list(range(25)))}
    write_parquet(path, columns, group=10, data_page_version=version, data_page_size=100, **options)
    found = read(path)
    assert [raw.parse().image for raw in found] == IMAGES
    assert [raw.parse().key for raw in found] == PATHS
    assert [raw.after for raw in found] == list(range(1, 26))
    assert [n for n, raw in enumerate(found) if raw.is_entry] == [0, 10, 20]
    assert sum(raw.size for raw in found) < path.stat().st_size
    for start in (0, 3, 10, 24, 25):
        rest = read(path, start)
        assert [raw.parse().image for raw in rest] == IMAGES[start:]


def test_plain_columns_of_bytes_are_images_without_names(tmp_path):
    path = tmp_path / "s.parquet"
    for kind in (pa.binary(), pa.large_binary(), pa.binary_view()):
        write_parquet(path, {"jpg": (kind, IMAGES), "n": (pa.int32(), list(range(25)))})
        assert brief(path) == [("", image, None) for image in IMAGES]
    assert [key for key, *_ in brief(path, name="n")] == [str(n) for n in range(25)]


def test_truths_and_names_come_from_their_columns(tmp_path):
    path = tmp_path / "s.parquet"
    columns = {
        "mask": image_column([b"M", None, b""], [None, "there.png", None]),
        "image": image_column([b"A", b"B", b"C"]),
        "id": (pa.string(), ["x", None, "z"]),
        "other": image_column([b"O"] * 3),
    }
    write_parquet(path, columns)
    first, second, third = features(path, name="id")
    assert (first.key, first.image, first.truth.encoded) == ("x", b"A", b"M")
    assert second.key == "" and second.truth.failure.reason == "missing_feature"
    assert third.truth is None or third.truth.encoded == b""
    assert brief(path, image="other", truth="image")[0] == ("", b"O", b"A")


def test_a_column_inside_another_has_a_name_with_a_dot(tmp_path):
    path = tmp_path / "s.parquet"
    kind = pa.struct([("photo", IMAGE), ("id", pa.int64())])
    rows = [{"photo": {"bytes": b"A", "path": "a.jpg"}, "id": 7}, None, {"photo": None, "id": 8}]
    write_parquet(path, {"sample": (kind, rows), "a.b": (pa.binary(), [b"x", b"y", b"z"])})
    first, second, third = features(path, image="sample.photo")
    assert (first.key, first.image) == ("a.jpg", b"A")
    assert second.fault.reason == third.fault.reason == "missing_feature"
    assert [one.key for one in features(path, image="sample.photo", name="sample.id")] == [
        "7",
        "",
        "8",
    ]
    assert [one.image for one in features(path, image="a.b")] == [b"x", b"y", b"z"]
    assert [one.image for one in features(path, image="sample.photo.bytes")] == [b"A", None, None]


@pytest.mark.parametrize(
    ("columns", "fields", "message"),
    [
        (
            {"label": (pa.int64(), [1])},
            {},
            "0 columns could hold images; --image_field names one of label (int64)",
        ),
        (
            {"a": (pa.binary(), [b""]), "b": image_column([b""])},
            {},
            "2 columns could hold images; --image_field names one of a (image), b (image)",
        ),
        ({"a": (pa.binary(), [b""])}, {"image": "b"}, "there is no column 'b'"),
        ({"a": (pa.string(), [""])}, {"image": "a"}, "the column 'a' holds string, not encoded"),
        ({"a": (pa.binary(), [b""])}, {"truth": "t"}, "there is no column 't'"),
        ({"a": (pa.binary(), [b""])}, {"name": "a.b"}, "there is no column 'a.b'"),
        (
            {"image": (pa.binary(), [b""]), "n": (pa.float32(), [1])},
            {"name": "n"},
            "the column 'n' holds float, not names",
        ),
    ],
)
def test_a_column_that_is_not_there_is_said_with_those_that_are(tmp_path, columns, fields, message):
    path = tmp_path / "s.parquet"
    write_parquet(path, columns)
    with pytest.raises(BadImage) as caught:
        read(path, fields=Fields(**fields))
    assert caught.value.reason == "missing_column" and message in str(caught.value)


def test_two_columns_of_one_name_are_refused(tmp_path):
    path = tmp_path / "s.parquet"
    table = pa.Table.from_arrays([pa.array([b"a"]), pa.array([b"b"])], names=["image", "image"])
    pq.write_table(table, path)
    with pytest.raises(BadImage, match="several columns are named 'image'"):
        read(path)


def test_names_are_read_without_the_images(tmp_path):
    path = tmp_path / "s.parquet"
    images = [os.urandom(20_000) for _ in range(25)]
    write_parquet(path, {"image": image_column(images, PATHS)}, group=10)
    read_bytes = 0

    class Counted(io.FileIO):
        def read(self, size=-1):
            nonlocal read_bytes
            data = super().read(size)
            read_bytes += len(data)
            return data

    with Counted(path) as file:
        names = list(read_names(file, 0, BY_CONVENTION))
    assert [raw.parse().key for raw in names] == PATHS
    assert read_bytes < path.stat().st_size / 5
    write_parquet(path, {"image": (pa.binary(), IMAGES)})
    assert [raw.parse().key for raw in read(path, reader=read_names)] == [""] * 25


def test_a_path_of_somebody_elses_disk_is_a_name_without_its_folders(tmp_path):
    path = tmp_path / "s.parquet"
    paths = ["/home/me/a.jpg", "C:\\photos\\b.jpg", "d/c.jpg", ""]
    write_parquet(path, {"image": image_column([b"x"] * 4, paths)})
    assert [one.key for one in features(path)] == ["a.jpg", "b.jpg", "d/c.jpg", ""]


def test_a_row_without_bytes_says_what_it_has(tmp_path):
    path = tmp_path / "s.parquet"
    write_parquet(path, {"image": image_column([b"A", None, None], ["a.jpg", "b.jpg", None])})
    first, second, third = features(path)
    assert first.fault is None
    assert str(second.fault) == (
        "the column 'image' holds nothing but the path 'b.jpg'; store the images in it"
    )
    assert (second.key, third.fault.reason) == ("b.jpg", "missing_feature")


def test_an_image_that_is_too_long_is_a_fault_of_its_row(tmp_path, monkeypatch):
    monkeypatch.setattr(parquet, "MAX_RECORD_BYTES", 1000)
    path = tmp_path / "s.parquet"
    write_parquet(path, {"image": (pa.binary(), [bytes(1001), bytes(1000)])})
    long, fits = features(path)
    assert long.fault.reason == "too_large" and len(fits.image) == 1000


def good(data, fields=BY_CONVENTION):
    """Numbers of the rows that are read, of those that are lost, and the reasons."""
    found, lost, number, reasons = [], [], 0, set()
    try:
        for raw in read_records(io.BytesIO(data), 0, fields):
            if raw.lost is None:
                found.append(number)
            else:
                lost += range(number, number + raw.count)
                reasons.add(raw.lost.reason)
            number += raw.count
    except BadImage as error:
        return found, lost, reasons | {error.reason}
    return found, lost, reasons


@pytest.fixture
def whole(tmp_path):
    path = tmp_path / "whole.parquet"
    images = [os.urandom(3000) for _ in range(30)]
    columns = {"image": image_column(images, [f"{n}.jpg" for n in range(30)])}
    write_parquet(path, columns, group=10, write_page_checksum=True, compression="none")
    return path.read_bytes()


def test_a_damaged_row_group_is_lost_and_the_others_are_read(whole):
    column = pq.ParquetFile(io.BytesIO(whole)).metadata.row_group(1).column(0)
    for place in (column.dictionary_page_offset + 500, column.dictionary_page_offset + 1):
        data = bytearray(whole)
        data[place] ^= 0x55
        found, lost, reasons = good(bytes(data))
        assert found == [*range(10), *range(20, 30)] and lost == list(range(10, 20))
        assert reasons == {"broken_shard"}


def test_a_file_cut_short_is_said(whole):
    for size in (0, 3, 4, 8, 11, len(whole) // 2, len(whole) - 1):
        found, lost, reasons = good(whole[:size])
        assert found == lost == [] and reasons <= {"truncated_shard", "broken_shard"}


def test_a_damaged_footer_is_said(whole):
    length = int.from_bytes(whole[-8:-4], "little")
    for footer in (2**32 - 1, length + 1, length - 1, 0, 90 << 20):
        data = whole[:-8] + footer.to_bytes(4, "little") + b"PAR1"
        _, _, reasons = good(data)
        assert reasons <= {"broken_shard", "too_large"} and reasons
    data = bytearray(whole)
    for place in range(len(whole) - 8 - length, len(whole) - 8, 3):
        data[place] ^= 0xFF
        good(bytes(data))  # Records or a BadImage, whatever is said.
        data[place] ^= 0xFF


def test_an_encrypted_file_is_said():
    for data in (b"PARE" + bytes(100) + b"PARE", b"PAR1" + bytes(100) + b"PARE"):
        assert good(data)[2] == {"unsupported"}


def test_files_of_no_rows_have_no_records(tmp_path):
    path = tmp_path / "s.parquet"
    write_parquet(path, {"image": image_column([])})
    assert read(path) == []


@pytest.mark.parametrize("codec", ["zstd", "gzip", "brotli", "snappy"])
def test_a_page_that_is_a_bomb_is_refused_before_it_is_unpacked(tmp_path, codec, monkeypatch):
    monkeypatch.setattr(parquet_pages, "MAX_PAGE_BYTES", 1 << 20)
    path = tmp_path / "s.parquet"
    images = [b"small"] * 10 + [bytes(8 << 20)] + [b"small"] * 10
    columns = {"image": (pa.binary(), images)}
    write_parquet(path, columns, group=10, compression=codec, use_dictionary=False)
    found, lost, reasons = good(path.read_bytes())
    assert (found, lost) == ([*range(10), 20], list(range(10, 20)))
    assert reasons == {"too_large"}


def test_storage_that_fails_is_no_fault_of_the_file(whole):
    class Failing(io.BytesIO):
        def read(self, size=-1):
            if 20_000 < self.tell() < len(whole) - 20_000:
                raise ConnectionResetError("gone")
            return super().read(size)

    found = []
    with pytest.raises(ConnectionResetError, match="gone"):
        found.extend(read_records(Failing(whole), 0, BY_CONVENTION))


def test_what_hugging_face_writes_is_read(tmp_path):
    datasets = pytest.importorskip("datasets")
    from PIL import Image

    photos = [Image.new("RGB", (8, 6), (n, 0, 0)) for n in range(5)]
    for n, photo in enumerate(photos):
        photo.save(tmp_path / f"{n}.png")
    kinds = datasets.Features({"image": datasets.Image(), "mask": datasets.Image()})
    rows = {
        "image": [
            {"bytes": (tmp_path / f"{n}.png").read_bytes(), "path": f"d/{n}.png"} for n in range(5)
        ],
        "mask": [photo.convert("L") for photo in photos],
    }
    path = tmp_path / "s.parquet"
    datasets.Dataset.from_dict(rows, features=kinds).to_parquet(str(path))
    found = features(path)
    assert [one.key for one in found] == [f"d/{n}.png" for n in range(5)]
    for n, one in enumerate(found):
        assert one.image == (tmp_path / f"{n}.png").read_bytes()
        assert Image.open(io.BytesIO(one.truth.encoded)).mode == "L"
