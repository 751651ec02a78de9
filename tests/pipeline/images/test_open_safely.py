"""What images may ask for: the corpus of hostile ones, and each bound by itself."""

import concurrent.futures
import io
import multiprocessing
import struct
import zlib

import numpy as np
import pytest
from PIL import Image

from pipeline.images import open_safely as open_image
from pipeline.images.open_safely import opened
from pipeline.records import BadImage
from tests.hostile.attempt import attempt, attempt_all
from tests.hostile.containers import (
    BYTE,
    SHORT,
    UNDEFINED,
    bmp,
    chunk,
    exif,
    gif,
    gray_png,
    gray_tiff,
    png,
    segment,
    with_segments,
)
from tests.hostile.images import hostile_images
from tests.hostile.photos import encode, photo


def load_image(data, least_side=None):
    with opened(data, least_side) as found:
        return found


def in_a_fresh_process(function, *arguments):
    spawn = multiprocessing.get_context("spawn")
    with concurrent.futures.ProcessPoolExecutor(1, mp_context=spawn) as pool:
        return pool.submit(function, *arguments).result()


@pytest.fixture(scope="module")
def attempts():
    return in_a_fresh_process(attempt_all)


def outcomes(attempts, kind):
    found = {one.outcome for one in attempts if one.kind == kind}
    assert found, f"the corpus has no {kind!r}"
    return found


def reason(data):
    with pytest.raises(BadImage) as caught:
        load_image(data)
    return caught.value.reason


# The corpus


def test_the_corpus_is_the_same_every_time():
    assert list(hostile_images()) == list(hostile_images())


def test_every_hostile_image_is_decoded_or_a_bad_image(attempts):
    assert len(attempts) > 3 * 150
    expected = {
        "decoded",
        "empty",
        "not_an_image",
        "broken",
        "too_large",
        "bomb",
        "truth_size",
        "truth_values",
    }
    assert {one.outcome for one in attempts} == expected


def test_no_hostile_image_takes_much_memory_or_time(attempts):
    # Files of 14 MB in all, most of a few kilobytes; the largest that is decoded has 20,000 pixels.
    assert max(one.largest for one in attempts) <= 3 * 20_000
    assert sum(one.growth for one in attempts) < 256
    assert [one for one in attempts if one.seconds > 3] == []


def test_files_that_are_no_listed_image_are_never_opened(attempts):
    kinds = {one.kind for one in attempts}
    inside = {kind for kind in kinds if kind.endswith(" inside")}
    assert len(inside) >= 13
    for kind in {*inside, "text", "html", "json", "svg", "pickle", "elf", "zip", "tar", "pdf"}:
        assert outcomes(attempts, kind) == {"not_an_image"}


@pytest.mark.parametrize(
    ("kind", "expected"),
    [
        ("500 megapixels", {"too_large"}),
        ("2 gigapixels a side", {"too_large"}),
        ("GIF of 4 gigapixels", {"too_large"}),
        ("APNG of 2 gigapixels to be disposed of", {"too_large"}),
        ("APNG, frame beyond its image", {"decoded"}),
        ("BMP of 4 exapixels", {"too_large"}),
        ("TIFF of 10 gigapixels", {"too_large"}),
        ("WebP of 268 megapixels", {"too_large"}),
        ("BMP, runs that jump beyond the image", {"too_large", "decoded", "truth_size"}),
        ("BMP, one pixel of a line of millions", {"too_large"}),
        ("JPEG, thousands of scans", {"bomb", "broken"}),
        ("TIFF, more strips than rows", {"bomb"}),
        ("TIFF, tags that share their bytes", {"bomb"}),
        ("TIFF, 300,000 pixels an inch", {"bomb"}),
        ("TIFF, EXIF of many fractions", {"decoded", "truth_values"}),
        ("MPO, tags that share their bytes", {"decoded", "truth_size"}),
        ("GIF, long comment", {"decoded"}),
        ("zlib bomb in IDAT", {"decoded"}),
        ("zlib bomb in iCCP", {"broken"}),
        ("zlib bomb in zTXt", {"broken"}),
    ],
)
def test_what_is_a_bomb_is_called_one(attempts, kind, expected):
    assert outcomes(attempts, kind) <= expected


# Each bound


def test_a_jpeg_of_many_scans_is_refused_and_one_of_few_is_not():
    data = encode(photo(), "JPEG", progressive=True)
    scan = data[data.rindex(b"\xff\xda") : -2]
    scans = open_image._scans(data)
    assert 6 <= scans <= 12
    most = open_image.MAX_JPEG_SCANS - scans
    assert load_image(data[:-2] + scan * most + data[-2:])[1] == (48, 40)
    assert reason(data[:-2] + scan * (most + 1) + data[-2:]) == "bomb"
    # What follows the picture, such as another one or a film, is not counted.
    assert load_image(data + scan * 1000)[1] == (48, 40)


def test_scans_in_a_thumbnail_are_not_counted():
    data = encode(photo(), "JPEG", progressive=True)
    thumbnail = segment(0xE1, b"Exif\0\0II*\0\x08\0\0\0" + b"\xff\xda\0\x08" * 1000)
    assert open_image._scans(with_segments(data, thumbnail)) == open_image._scans(data)


def test_exif_of_one_segment_counts_and_what_follows_it_does_not():
    data = encode(photo(), "JPEG")
    turned = segment(0xE1, exif([(274, 3, 1, 6)]))
    other = segment(0xE1, exif([(274, 3, 1, 3)]))
    assert load_image(with_segments(data, turned))[1:] == ((40, 48), Image.Transpose.ROTATE_270)
    assert load_image(with_segments(data, turned, other))[1] == (40, 48)


@pytest.mark.parametrize("suffix", ["PNG", "WEBP"])
def test_monstrous_exif_says_nothing_and_the_image_is_read(suffix):
    for padding, size in ((100_000, (40, 48)), (200_000, (48, 40))):
        block = exif([(274, 3, 1, 6)]) + bytes(padding)
        assert load_image(encode(photo(), suffix, exif=block))[1] == size


def test_tags_may_ask_for_the_bytes_of_their_file_once_and_not_ten_times():
    def with_tags(count):
        shared = [(40000 + tag, UNDEFINED, 60_000, 8) for tag in range(count)]
        return gray_tiff(300, 200, bytes(60_000), extra=shared)

    assert load_image(with_tags(1))[1] == (300, 200)
    # Two readings are free, then there is a megabyte for small files.
    assert load_image(with_tags(8))[1] == (300, 200)
    assert reason(with_tags(30)) == "bomb"


def test_a_tiff_of_one_strip_a_row_is_read_and_one_of_too_many_strips_is_not():
    tall = Image.new("L", (3, 70_000), 9)
    assert load_image(encode(tall, "TIFF", strip_size=3))[1] == (3, 70_000)
    for many in (open_image.MAX_TIFF_NUMBERS + 1, 2**32 - 1):
        changed = (BYTE, many, bytes(100))
        assert reason(gray_tiff(4, 4, bytes(16), STRIP_OFFSETS=changed)) == "bomb"
        changed = (SHORT, many, bytes(100))
        assert reason(gray_tiff(4, 4, bytes(16), BITS=changed)) == "bomb"
    # A profile of colours, or somebody's own notes, may be long.
    notes = [(34675, UNDEFINED, 600_000, bytes(600_000)), (50000, BYTE, 600_000, bytes(600_000))]
    assert load_image(gray_tiff(4, 4, bytes(16), extra=notes))[1] == (4, 4)


def test_the_first_picture_of_several_in_a_jpeg_is_read():
    pictures = [photo(), photo(30, 30)]
    data = encode(pictures[0], "MPO", save_all=True, append_images=pictures[1:])
    assert Image.open(io.BytesIO(data)).n_frames == 2
    image, size, _ = load_image(data)
    assert size == (48, 40)
    np.testing.assert_array_equal(image, Image.open(io.BytesIO(encode(pictures[0], "JPEG"))))


def test_what_is_hidden_from_pillow_leaves_the_picture_as_it_is():
    data = encode(photo(), "JPEG", quality=95)
    extra = [segment(0xE2, b"MPF\0" + bytes(40))]
    extra += [segment(0xE1, exif([(274, 3, 1, 6)])) for _ in range(3)]
    hidden = open_image._plain_jpeg(with_segments(data, *extra))
    assert len(hidden) == len(with_segments(data, *extra))
    assert hidden.endswith(data[2:])
    assert hidden.count(b"MPF\0") == 0 and hidden.count(b"Exif\0\0") == 1
    assert open_image._plain_jpeg(data) is data


def test_the_first_picture_of_an_animation_is_read():
    frames = [photo(), photo().rotate(90), photo().rotate(180)]
    buffer = io.BytesIO()
    frames[0].save(buffer, "PNG", save_all=True, append_images=frames[1:], disposal=1)
    data = buffer.getvalue()
    assert Image.open(io.BytesIO(data)).n_frames == 3
    still = open_image._still_png(data)
    assert Image.open(io.BytesIO(still)).n_frames == 1 and len(still) < len(data) / 2
    with opened(data) as (image, size, _):
        np.testing.assert_array_equal(np.asarray(image), np.asarray(frames[0]))
    assert size == frames[0].size
    # What is no animation is not touched, whatever its pixels and texts say.
    plain = gray_png(before=chunk(b"tEXt", b"a\0acTL"))
    assert open_image._still_png(plain) == plain
    assert load_image(plain)[1] == (4, 4)


def test_run_lengths_are_decoded_in_small_images_only():
    palette = bytes(value for level in range(256) for value in (level, 0, 255 - level, 0))
    rows = b"\x05\x01\0\0" * 4 + b"\0\1"
    data = bmp(5, 4, rows, bits=8, compression=1, palette=palette)
    assert np.asarray(load_image(data)[0]).tolist() == [[1] * 5] * 4
    for size in ((5000, 4000), (70_000, 1)):
        data = bmp(*size, rows, bits=8, compression=1, palette=palette)
        assert reason(data) == "too_large"


def test_a_gif_may_tell_a_story_but_no_saga():
    def with_comment(size):
        return gif(4, 4, b"!\xfe" + (b"\xff" + b"c" * 255) * (size // 256) + b"\0")

    assert load_image(with_comment(500_000))[1] == (4, 4)
    assert reason(with_comment(1_100_000)) == "bomb"


def test_a_file_of_too_many_parts_is_refused(monkeypatch):
    assert load_image(gray_png(before=chunk(b"ruBb") * 20_000))[1] == (4, 4)
    monkeypatch.setattr(open_image, "MAX_READS", 10_000)
    assert load_image(gray_png(before=chunk(b"ruBb") * 4000))[1] == (4, 4)
    assert reason(gray_png(before=chunk(b"ruBb") * 6000)) == "bomb"
    assert reason(with_segments(encode(photo(), "JPEG"), segment(0xEB, b"") * 6000)) == "bomb"
    assert reason(gif(4, 4, b"!\xfe\x01c\0" * 6000)) == "bomb"


@pytest.mark.parametrize(
    ("suffix", "options", "cost"),
    [
        ("PNG", {}, 4),
        ("BMP", {}, 4),
        ("GIF", {}, 4),
        ("TIFF", {}, 12),
        ("WEBP", {}, 16),
        ("JPEG", {}, 4 + 6),
    ],
)
def test_each_format_has_its_bound_of_memory(monkeypatch, suffix, options, cost):
    data = encode(photo(), suffix, **options)
    monkeypatch.setattr(open_image, "MAX_MEMORY", 48 * 40 * cost)
    assert load_image(data)[1] == (48, 40)
    monkeypatch.setattr(open_image, "MAX_MEMORY", 48 * 40 * cost - 1)
    assert reason(data) == "too_large"


def test_a_jpeg_at_reduced_scale_may_be_larger(monkeypatch):
    data = encode(photo(480, 400), "JPEG")
    monkeypatch.setattr(open_image, "MAX_MEMORY", 480 * 400 * 10 - 1)
    assert reason(data) == "too_large"
    image, size, turn = load_image(data, 100)
    assert (image.size, size, turn) == ((120, 100), (480, 400), None)


def remembered_warnings():
    from PIL import TiffImagePlugin

    data = encode(photo(), "JPEG")
    for count in range(20):
        block = exif([(282, 5, 1 + count, bytes(8 + 8 * count)), (270, 2, 99 + count, 2**31)])
        load_image(with_segments(data, segment(0xE1, block)))
    return set(getattr(TiffImagePlugin, "__warningregistry__", {})) - {"version"}


def test_warnings_of_broken_metadata_are_not_gathered():
    """Each has words of its own, and Python would remember those of a million files."""
    assert not in_a_fresh_process(remembered_warnings)


# The largest


def zeros_png(width, height, bits, colour, **options):
    """A PNG of zeros in pieces, so that it is never whole in memory."""
    channels = {0: 1, 2: 3, 4: 2, 6: 4}[colour]
    row, packer = bytes(1 + width * channels * bits // 8), zlib.compressobj(1)
    packed = b"".join(packer.compress(row) for _ in range(height)) + packer.flush()
    return png(width, height, packed, bits=bits, colour=colour, **options)


def zeros_tiff(width, height, bits, kind, samples=1):
    row, packer = bytes(width * bits // 8 * samples), zlib.compressobj(1)
    packed = b"".join(packer.compress(row) for _ in range(height)) + packer.flush()
    every = (3, samples, struct.pack(f"<{samples}H", *[bits] * samples)) if samples > 2 else bits
    return gray_tiff(
        width,
        height,
        packed,
        COMPRESSION=8,
        BITS=every,
        SAMPLES=samples,
        PHOTOMETRIC=2 if samples > 1 else 1,
        extra=[(339, 3, 1, kind), (274, 3, 1, 6)],
    )


def largest():
    yield "gray PNG", zeros_png(20_000, 10_000, 8, 0)
    frames = chunk(b"acTL", struct.pack(">II", 2, 0))
    control = chunk(b"fcTL", struct.pack(">IIIIIHHBB", 0, 20_000, 10_000, 0, 0, 1, 10, 1, 0))
    yield "animated PNG", zeros_png(20_000, 10_000, 8, 6, before=frames + control)
    yield "RGBA PNG of 16 bits", zeros_png(20_000, 10_000, 16, 6)
    yield "gray and alpha PNG", zeros_png(20_000, 10_000, 8, 4)
    yield "PNG of one row", zeros_png(100_000_000, 1, 8, 4)
    yield "TIFF of floats, turned", zeros_tiff(13_000, 10_000, 32, 3)
    yield "TIFF of RGB, turned", zeros_tiff(13_000, 10_000, 8, 1, samples=3)
    buffer = io.BytesIO()
    Image.new("RGB", (10_000, 10_000)).save(buffer, "WEBP", method=0, quality=10)
    yield "WebP", buffer.getvalue()
    buffer = io.BytesIO()
    Image.new("RGB", (16_000, 10_000)).save(buffer, "JPEG", progressive=True, subsampling=0)
    yield "progressive JPEG", buffer.getvalue()
    yield "GIF", encode(Image.new("P", (20_000, 10_000)), "GIF")


def attempt_largest(kind, data):
    from pipeline.images.photo import decode_image
    from pipeline.images.truth import decode_mask

    return [
        attempt(kind, data, decode_image, (256,)),
        attempt(kind, data, decode_mask, ()),
    ]


@pytest.mark.slow
def test_the_largest_images_of_each_format_stay_within_the_memory_that_is_promised():
    for kind, data in largest():
        found = in_a_fresh_process(attempt_largest, kind, data)
        print(f"{kind}: {sum(one.growth for one in found):.0f} MiB,", end=" ")
        print(", ".join(f"{one.function} {one.seconds:.1f} s" for one in found))
        assert [one.outcome for one in found] == ["decoded", "decoded"]
        assert sum(one.growth for one in found) <= open_image.MAX_MEMORY / 2**20 * 1.1
        assert max(one.seconds for one in found) < 60
