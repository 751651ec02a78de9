"""WebDataset shards against Python's tarfile, GNU tar and the library webdataset."""

import gzip
import io
import os
import subprocess
import tarfile

import pytest

from pipeline.failures import BadImage
from pipeline.storage import webdataset
from pipeline.storage.raw_records import BY_CONVENTION, Fields
from pipeline.storage.webdataset import key_and_suffix, read_names, read_records
from tests.pipeline.shard_files import write_tar


def read(path, start=0, fields=BY_CONVENTION, reader=read_records):
    """The features of a shard, and where each record ends."""
    packed = str(path).endswith("gz")
    with gzip.open(path) if packed else open(path, "rb") as file:
        return [(raw.parse(), raw.after) for raw in reader(file, start, fields)]


def features(path, **fields):
    return [one for one, _ in read(path, fields=Fields(**fields))]


def brief(path, **fields):
    """(key, image, truth) of each record."""
    return [
        (one.key, one.image, one.truth and one.truth.encoded) for one in features(path, **fields)
    ]


MEMBERS = [
    ("a.jpg", b"A"),
    ("a.mask.png", b"truth of a"),
    ("a.json", b"{}"),
    ("d/b.c.txt", b"words"),
    ("d/b.png", b"B" * 1000),
    ("d.e/c.JPEG", b"C"),
]


@pytest.mark.parametrize("suffix", [".tar", ".tar.gz", ".tgz"])
def test_members_of_one_key_are_one_record(tmp_path, suffix):
    path = tmp_path / f"s{suffix}"
    write_tar(path, MEMBERS)
    assert brief(path) == [
        ("a", b"A", b"truth of a"),
        ("d/b", b"B" * 1000, None),
        ("d.e/c", b"C", None),
    ]


@pytest.mark.parametrize("form", [tarfile.USTAR_FORMAT, tarfile.GNU_FORMAT, tarfile.PAX_FORMAT])
def test_reading_begins_at_any_record(tmp_path, form):
    path = tmp_path / "s.tar"
    long = "folder/" * 30 + "\N{GREEK SMALL LETTER ALPHA}"
    names = ["a", "b" * 95, *([] if form == tarfile.USTAR_FORMAT else [long, "x" * 200]), "z"]
    write_tar(path, [(f"{n}.jpg", n.encode() * 99) for n in names], format=form)
    whole = read(path)
    assert [one.key for one, _ in whole] == names
    assert [one.image for one, _ in whole] == [name.encode() * 99 for name in names]
    for number, (_, after) in enumerate(whole[:-1]):
        assert read(path, after) == whole[number + 1 :]


def test_what_gnu_tar_writes_is_read(tmp_path):
    folder = tmp_path / "folder"
    for name, content in [*MEMBERS, ("n" * 120 + "/x.jpg", b"X"), (".hidden.jpg", b"H")]:
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        (folder / name).write_bytes(content)
    for number, form in enumerate(("gnu", "pax", "v7", "ustar")):
        path = tmp_path / f"{number}.tar"
        long = form in ("gnu", "pax")
        names = sorted(name for name, _ in MEMBERS) + (["n" * 120] if long else [])
        command = ["tar", f"--format={form}", "-cf", path, "-C", folder, *names]
        subprocess.run(command, check=True)
        found = {key: (image, truth) for key, image, truth in brief(path)}
        assert found["a"] == (b"A", b"truth of a") and found["d/b"] == (b"B" * 1000, None)
        assert ("n" * 120 + "/x" in found) == long
    subprocess.run(["tar", "-cf", path, "-C", folder, "."], check=True)
    assert {key for key, *_ in brief(path)} == {"a", "d/b", "d.e/c", "n" * 120 + "/x"}


def test_names_are_read_without_the_images(tmp_path):
    path = tmp_path / "s.tar"
    write_tar(path, MEMBERS)
    whole, names = read(path), read(path, reader=read_names)
    assert [(one.key, after) for one, after in names] == [(one.key, end) for one, end in whole]
    assert [one.image for one, _ in names] == [None] * 3


@pytest.mark.parametrize(
    ("name", "expected"),
    [
        ("x.jpg", ("x", "jpg")),
        ("./d/x.Mask.PNG", ("d/x", "mask.png")),
        ("a.b/c", ("a.b/c", "")),
        ("../../x.jpg", ("../../x", "jpg")),
        ("/x.jpg", ("/x", "jpg")),
        ("d/.x.jpg", None),
        ("._x.jpg", None),
    ],
)
def test_a_key_ends_at_the_first_dot_of_the_name(name, expected):
    assert key_and_suffix(name) == expected


def test_flags_say_which_member_is_which(tmp_path):
    path = tmp_path / "s.tar"
    members = [("a.left.png", b"L"), ("a.right.png", b"R"), ("a.seg.png", b"T"), ("a.id", b"7\n")]
    write_tar(path, members)
    found = brief(path, image="right.png", truth=".SEG.png", name="id")
    assert found == [("7", b"R", b"T")]
    (one,) = features(path)
    assert one.fault.reason == "missing_feature"
    assert str(one.fault) == (
        "no member .jpg or the like; there is .id, .left.png, .right.png, .seg.png; "
        "--image_field names another"
    )


def test_a_key_that_comes_again_is_a_record_of_its_own(tmp_path):
    path = tmp_path / "s.tar"
    members = [("a.jpg", b"1"), ("b.jpg", b"2"), ("a.mask.png", b"T"), ("b.jpg", b"3")]
    write_tar(path, [*members, ("b.jpg", b"4")])
    found = features(path)
    assert [(one.key, one.image) for one in found] == [
        ("a", b"1"),
        ("b", b"2"),
        ("a", None),
        ("b", b"3"),
        ("b", b"4"),
    ]
    assert found[2].fault.reason == "missing_feature" and "there is .mask.png" in str(
        found[2].fault
    )


def test_what_is_no_plain_file_is_a_fault_of_its_record(tmp_path):
    path = tmp_path / "s.tar"
    with tarfile.open(path, "w") as archive:
        for number, kind in enumerate(
            (tarfile.SYMTYPE, tarfile.LNKTYPE, tarfile.CHRTYPE, tarfile.FIFOTYPE, b"V")
        ):
            info = tarfile.TarInfo(f"{number}.jpg")
            info.type, info.linkname = kind, "/etc/passwd"
            archive.addfile(info)
        info = tarfile.TarInfo("good.jpg")
        info.size = 4
        archive.addfile(info, io.BytesIO(b"good"))
        info = tarfile.TarInfo("good.mask.png")
        info.type, info.linkname = tarfile.SYMTYPE, "good.jpg"
        archive.addfile(info)
    *bad, good = features(path)
    assert [one.fault.reason for one in bad] == ["unsupported"] * 5
    assert str(bad[0].fault).startswith("0.jpg is a symbolic link, which is not followed")
    assert good.image == b"good" and good.truth.failure.reason == "unsupported"


def test_sparse_files_are_refused_and_what_follows_is_read(tmp_path):
    with open(tmp_path / "a.jpg", "wb") as file:
        for part in range(60):
            file.seek(part << 16)
            file.write(b"x" * 4096)
    (tmp_path / "b.jpg").write_bytes(b"B")
    for form in ("gnu", "pax"):
        path = tmp_path / f"{form}.tar"
        command = ["tar", f"--format={form}", "-S", "-cf", path, "-C", tmp_path, "a.jpg", "b.jpg"]
        subprocess.run(command, check=True)
        assert path.stat().st_size < 1 << 20
        sparse, good = features(path)
        assert sparse.key == "a" and str(sparse.fault).startswith("a.jpg is a sparse file")
        assert good.image == b"B"


@pytest.mark.parametrize("suffix", [".tar", ".tar.gz"])
def test_a_member_that_is_too_long_is_passed_over(tmp_path, suffix, monkeypatch):
    monkeypatch.setattr(webdataset, "MAX_RECORD_BYTES", 1000)
    path = tmp_path / f"s{suffix}"
    write_tar(path, [("a.jpg", bytes(1001)), ("b.jpg", bytes(1000)), ("c.mask.png", bytes(2000))])
    long, fits, _ = features(path)
    assert long.fault.reason == "too_large" and len(fits.image) == 1000


def good(data, packed=False):
    """The records before an error, and the error's reason."""
    found = []
    file = gzip.GzipFile(fileobj=io.BytesIO(data)) if packed else io.BytesIO(data)
    try:
        for raw in read_records(file, 0, BY_CONVENTION):
            one = raw.parse()
            found += [one.image] if one.fault is None else []
    except BadImage as error:
        return found, error.reason
    except (EOFError, OSError) as error:
        return found, type(error).__name__
    return found, None


def test_a_tar_cut_anywhere_gives_the_whole_records_first(tmp_path):
    path = tmp_path / "s.tar"
    write_tar(path, [(f"{n}.jpg", b"%d" % n * 300) for n in range(4)])
    data, images = path.read_bytes(), [b"%d" % n * 300 for n in range(4)]
    for size in [*range(0, 4 * 1024 + 512, 100), 1024, 4 * 1024]:
        whole = sum(n * 1024 + 512 + 300 <= size for n in range(4))
        assert good(data[:size]) == (images[:whole], "truncated_shard")
    assert good(data[: 4 * 1024 + 512]) == (images, None)


def test_a_damaged_header_ends_the_shard_and_is_said(tmp_path):
    path = tmp_path / "s.tar"
    write_tar(path, [(f"{n}.jpg", b"x") for n in range(4)])
    data = bytearray(path.read_bytes())
    data[2 * 1024 + 7] ^= 1
    assert good(bytes(data)) == ([b"x"] * 2, "broken_shard")
    assert good(b"plain text " * 99) == ([], "broken_shard")
    assert good(b"") == ([], "truncated_shard")
    assert good(bytes(1024)) == ([], "no_images")


def test_archives_that_were_put_together_are_read_to_the_last(tmp_path):
    for name in "ab":
        write_tar(tmp_path / f"{name}.tar", [(f"{name}.jpg", name.encode())])
    data = (tmp_path / "a.tar").read_bytes() + (tmp_path / "b.tar").read_bytes()
    assert good(data) == ([b"a", b"b"], None)


def test_sizes_that_lie_end_the_shard(tmp_path):
    path = tmp_path / "s.tar"
    write_tar(path, [("a.jpg", b"A"), ("b.jpg", b"B" * 600)])
    data = path.read_bytes()
    for size in (1 << 20, 1 << 40, (1 << 63) - 1, 1 << 90, -1, -512, 3):
        info = tarfile.TarInfo.frombuf(data[1024:1536], "utf-8", "strict")
        info.size = size
        head = info.create_pax_header(info.get_info(), "utf-8") if 0 <= size < 8**11 else None
        if head is None:
            try:
                head = info.tobuf(tarfile.GNU_FORMAT)
            except (ValueError, OverflowError):
                continue
        found, reason = good(data[:1024] + head + data[1536:])
        assert found == ([b"A", b"BBB"] if size == 3 else [b"A"])
        assert reason in ("truncated_shard", "broken_shard"), size


def test_a_monstrous_header_is_skipped_and_harms_its_member_only(tmp_path):
    path = tmp_path / "s.tar"
    with tarfile.open(path, "w", format=tarfile.PAX_FORMAT) as archive:
        for name in ("a.jpg", "b.jpg", "c.jpg"):
            info = tarfile.TarInfo(name)
            info.size = 1
            info.pax_headers = {"comment": "x" * (2 << 20 if name == "b.jpg" else 10)}
            archive.addfile(info, io.BytesIO(b"1"))
    first, second, third = features(path)
    assert (first.image, third.image) == (b"1", b"1")
    assert (second.key, second.fault.reason) == ("b", "bomb")


def test_a_bomb_of_zeros_ends_soon(tmp_path):
    bomb = gzip.compress(bytes(64 << 20))
    assert good(bomb, packed=True) == ([], "broken_shard")
    path = tmp_path / "s.tar"
    write_tar(path, [("a.jpg", b"A")])
    info = tarfile.TarInfo("bomb.jpg")
    info.size = 1 << 40
    head = info.tobuf(tarfile.GNU_FORMAT)
    packed = gzip.compress(path.read_bytes()[:1024] + head) + gzip.compress(bytes(1 << 20))
    assert good(packed, packed=True) == ([b"A"], "broken_shard")


def test_a_gzip_file_cut_short_gives_its_whole_records(tmp_path):
    path = tmp_path / "s.tar.gz"
    write_tar(path, [(f"{n}.jpg", os.urandom(3000)) for n in range(10)])
    found, reason = good(path.read_bytes()[:15_000], packed=True)
    assert len(found) == 4 and reason == "EOFError"


def test_what_webdataset_writes_is_read_and_grouped_as_it_does(tmp_path):
    wds = pytest.importorskip("webdataset")
    with wds.ShardWriter(str(tmp_path / "s-%06d.tar"), maxcount=3, verbose=0) as sink:
        for n in range(5):
            sample = {"__key__": f"d/{n}", "jpg": b"J%d" % n, "mask.png": b"M%d" % n, "cls": n}
            sink.write(sample)
    paths = sorted(tmp_path.glob("*.tar"))
    assert len(paths) == 2
    expected = [(f"d/{n}", b"J%d" % n, b"M%d" % n) for n in range(5)]
    assert [one for path in paths for one in brief(path)] == expected
    dataset = wds.WebDataset([str(path) for path in paths], shardshuffle=False)
    assert [(one["__key__"], one["jpg"], one["mask.png"]) for one in dataset] == expected
