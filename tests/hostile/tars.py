"""Hostile tar archives and Parquet files: (kind, suffix, data, keys, whether a rest is lost)."""

import gzip
import io
import tarfile

import pyarrow as pa
import pyarrow.parquet as pq

from tests.hostile.containers import gray_png

TAR, PARQUET = ".tar", ".parquet"


def member(name, content=b"", size=None, kind=tarfile.REGTYPE, link="", pax=None):
    """A header, the content and what fills its last block up; the size is true unless given."""
    info = tarfile.TarInfo(name)
    info.type, info.linkname, info.pax_headers = kind, link, pax or {}
    info.size = len(content) if size is None else size
    head = info.tobuf(tarfile.PAX_FORMAT if pax else tarfile.GNU_FORMAT, errors="surrogateescape")
    return head + content + bytes(-len(content) % 512)


def hostile_tars():
    """Yields every archive."""
    image, end = gray_png(), bytes(1024)
    good = member("good.png", image)
    last = member("last.png", image)
    keys = ("../../up", "/etc/root", "a/../../up", "C:\\x", "n\nl", "x" * 300)
    data = b"".join(member(f"{key}.png", image) for key in keys)
    yield "tar of hostile names", TAR, data + end, keys
    for kind, what in (
        (tarfile.SYMTYPE, "symbolic link"),
        (tarfile.LNKTYPE, "hard link"),
        (tarfile.CHRTYPE, "device"),
        (tarfile.BLKTYPE, "device"),
        (tarfile.FIFOTYPE, "pipe"),
        (b"Z", "member of no known type"),
    ):
        data = good + member("link.png", kind=kind, link="../../../etc/passwd") + last + end
        yield f"tar with a {what}", TAR, data, ("good", "link", "last")
    for size in (1 << 20, 1 << 33, 1 << 42, 1 << 44, (1 << 62) + 1, -1, -512, -(1 << 40)):
        keys = ("good", "lie") if 1 << 30 < size <= 1 << 42 else ("good",)
        data = good + member("lie.png", image, size=size) + end
        yield "tar whose member is shorter than it says", TAR, data, keys, True
    data = good + member("s.png", image * 20, 9)
    yield "tar whose member is longer than it says", TAR, data, ("good", "s"), True
    for cut in (100, 512, 600, 700, len(last)):
        keys = ("good", "last") if cut > 512 else ("good",)
        yield "tar cut short", TAR, good + last[:cut], keys, True
    yield "tar of nothing", TAR, b"", (), True
    yield "tar of zeros", TAR, bytes(10240), (), True
    yield "text as a tar", TAR, b"no archive at all\n" * 99, (), True
    spoilt = bytearray(last)
    spoilt[3] ^= 1
    yield "tar, wrong checksum of a header", TAR, good + bytes(spoilt) + end, ("good",), True
    pax = member("pax.png", image, pax={"comment": "x" * (3 << 20)})
    yield "tar, extended header of megabytes", TAR, good + pax + last + end, ("good", "pax", "last")
    huge = member("././@PaxHeader", size=6 << 30, kind=tarfile.XHDTYPE)
    yield "tar, extended header of gigabytes", TAR, good + huge + last + end, ("good",), True
    for record in (b"99999999999999999999 path=x\n", b"5 path=\n", b"0 a=b\n", b"11 size=-9\n"):
        odd = member("././@PaxHeader", record, kind=tarfile.XHDTYPE)
        yield "tar, extended header that is none", TAR, good + odd + last + end, ("good", "last")
    loop = member("././@LongLink", b"x" * 5000 + b"\0", kind=tarfile.GNUTYPE_LONGNAME)
    yield "tar, a name of 5,000 characters", TAR, loop + last + end, ("x" * 5000,)
    yield "tar, a name given 500 times", TAR, loop * 500 + last + end, ("x" * 5000,)
    yield "tar, a name without a member", TAR, good + loop + end, ("good",), True
    both = member("a.png", image) + member("b.png", image) + member("a.mask.png", image)
    yield "tar, a key that comes again", TAR, both + end, ("a", "b", "")
    yield "tar, one name again and again", TAR, good * 50 + end, ("good", *[""] * 49)
    yield "tar of texts", TAR, member("a.txt", b"a") + member("b.txt", b"b") + end, ("a", "b")
    yield "tar of folders", TAR, member("a", kind=tarfile.DIRTYPE) * 9 + end, (), True
    yield "tar in a tar", TAR, member("in.tar", good + end) + end, ("in",)
    many = b"".join(member(f"k.{number}") for number in range(3000))
    yield "tar of one key with 3,000 suffixes", TAR, many + end, ("k",)
    yield from _packed_tars(good, last + end)


def _packed_tars(good, last):
    bomb = member("bomb.png", size=300 << 20)
    packed = gzip.compress(good + bomb) + gzip.compress(bytes(1 << 20)) * 300 + gzip.compress(last)
    yield "gzip tar, a member of 300 MiB", ".tar.gz", packed, ("good", "bomb", "last")
    packed = gzip.compress(good + member("bomb.png", size=1 << 40)) + gzip.compress(bytes(9 << 20))
    yield "gzip tar, a member of terabytes", ".tgz", packed, ("good", "bomb"), True
    yield "gzip tar of zeros", ".tgz", gzip.compress(good + bytes(99 << 20)), ("good",), True
    whole = gzip.compress(good + last, mtime=0)
    yield "gzip tar cut short", ".tar.gz", whole[:-9], ("good", "last"), True
    yield "gzip tar, wrong checksum", ".tar.gz", whole[:-8] + bytes(8), ("good", "last"), True


def hostile_parquets():
    """Yields every file."""
    image = gray_png()
    names = [
        "../../up.png",
        "/etc/root.png",
        "n\nl.png",
        "x" * 5000,
        "",
        None,
        "same.png",
        "same.png",
    ]
    whole = table(image, names)
    keys = (names[0], "root.png", *names[2:4], "", "", "same.png", "same.png")
    yield "Parquet of hostile names", PARQUET, whole, keys
    for size in (0, 4, 11, len(whole) // 2, len(whole) - 4):
        yield "Parquet cut short", PARQUET, whole[:size], (), True
    for length in (0, 1, len(whole), 2**31, 2**32 - 1):
        data = whole[:-8] + length.to_bytes(4, "little") + b"PAR1"
        yield "Parquet, length of the footer a lie", PARQUET, data, (), True
    yield "Parquet, encrypted", PARQUET, b"PARE" + bytes(99) + b"PARE", (), True
    yield "text as Parquet", PARQUET, b"id,image\n" * 99, (), True
    yield "gzip as Parquet", PARQUET, gzip.compress(whole, mtime=0), (), True
    yield "Parquet of no rows", PARQUET, table(image, []), ()
    keys = [f"{number}.png" for number in range(9)]
    whole = table(image, keys, group=3)
    start = pq.ParquetFile(io.BytesIO(whole)).metadata.row_group(1).column(0).dictionary_page_offset
    for offset in (0, 1, 3, 60):
        data = bytearray(whole)
        data[start + offset] ^= 0x7F
        kind = "Parquet, damaged row group"
        yield kind, PARQUET, bytes(data), (*keys[:3], *keys[6:]), True
    for columns in (
        {"label": pa.array([1, 2])},
        {"image": pa.array(["a.png"])},
        {"image": pa.array([[b"a"]])},
        {"image": pa.array([{"path": "a.png"}])},
        {"a": pa.array([b""]), "b": pa.array([b""])},
    ):
        yield "Parquet without images", PARQUET, written(columns), (), True
    nulls = pa.array([None, {"bytes": None, "path": None}, {"bytes": b"", "path": "e.png"}], IMAGE)
    yield "Parquet of nulls", PARQUET, written({"image": nulls}), ("", "", "e.png")
    again = pa.array([bytes(4 << 20)] * 40, pa.binary())
    data = written({"image": again}, compression="zstd")
    yield "Parquet, 160 MiB of one value", PARQUET, data, ("",) * 40


IMAGE = pa.struct([("bytes", pa.binary()), ("path", pa.string())])


def table(image, names, group=100):
    """A file of one image under many names."""
    column = pa.array([{"bytes": image, "path": name} for name in names], IMAGE)
    return written({"image": column}, row_group_size=group, write_page_checksum=True)


def written(columns, **options):
    """A file of columns."""
    buffer = io.BytesIO()
    pq.write_table(pa.table(columns), buffer, **options)
    return buffer.getvalue()
