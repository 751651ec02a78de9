"""What one image may ask for: each bound by itself."""

import io

import numpy as np
import pytest
from PIL import Image

from pipeline.failures import BadImage
from pipeline.images import open_safely
from pipeline.images.lean_files import MAX_TIFF_NUMBERS
from pipeline.images.open_safely import MAX_JPEG_SCANS, opened
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
    segment,
    with_segments,
)
from tests.hostile.photos import encode, photo
from tests.pipeline.fresh_process import in_a_fresh_process


def load_image(data, least_side=None):
    with opened(data, least_side) as found:
        return found


def reason(data):
    with pytest.raises(BadImage) as caught:
        load_image(data)
    return caught.value.reason


def test_a_jpeg_of_many_scans_is_refused_and_one_of_few_is_not():
    data = encode(photo(), "JPEG", progressive=True)
    scan = data[data.rindex(b"\xff\xda") : -2]
    # Within a scan, FF is followed by 0.
    most = MAX_JPEG_SCANS - data.count(b"\xff\xda")
    assert load_image(data[:-2] + scan * most + data[-2:])[1] == (48, 40)
    assert reason(data[:-2] + scan * (most + 1) + data[-2:]) == "bomb"
    # What follows the picture, such as another one or a film, is not counted.
    assert load_image(data + scan * 1000)[1] == (48, 40)


def test_scans_in_a_thumbnail_are_not_counted():
    data = encode(photo(), "JPEG", progressive=True)
    thumbnail = segment(0xE1, b"Exif\0\0II*\0\x08\0\0\0" + b"\xff\xda\0\x08" * 1000)
    assert load_image(with_segments(data, thumbnail))[1] == (48, 40)


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
    for many in (MAX_TIFF_NUMBERS + 1, 2**32 - 1):
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


def test_a_second_exif_and_an_index_of_pictures_leave_the_picture_as_it_is():
    data = encode(photo(), "JPEG", quality=95)
    extra = [segment(0xE2, b"MPF\0" + bytes(40))]
    extra += [segment(0xE1, exif([(274, 3, 1, turned)])) for turned in (6, 3, 8)]
    image, size, turn = load_image(with_segments(data, *extra))
    assert (size, turn) == ((40, 48), Image.Transpose.ROTATE_270)
    np.testing.assert_array_equal(image, Image.open(io.BytesIO(data)))


def test_the_first_picture_of_an_animation_is_read():
    frames = [photo(), photo().rotate(90), photo().rotate(180)]
    buffer = io.BytesIO()
    frames[0].save(buffer, "PNG", save_all=True, append_images=frames[1:], disposal=1)
    data = buffer.getvalue()
    assert Image.open(io.BytesIO(data)).n_frames == 3
    with opened(data) as (image, size, _):
        np.testing.assert_array_equal(np.asarray(image), np.asarray(frames[0]))
        assert getattr(image, "n_frames", 1) == 1
    assert size == frames[0].size
    # A text that names a chunk of animations makes none.
    assert load_image(gray_png(before=chunk(b"tEXt", b"a\0acTL")))[1] == (4, 4)


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
    assert load_image(gray_png(before=chunk(b"RuBb") * 20_000))[1] == (4, 4)
    monkeypatch.setattr(open_safely, "MAX_READS", 10_000)
    assert load_image(gray_png(before=chunk(b"RuBb") * 3000))[1] == (4, 4)
    assert reason(gray_png(before=chunk(b"RuBb") * 6000)) == "bomb"
    # What nobody needs is left out before it is read.
    assert load_image(gray_png(before=chunk(b"ruBb") * 6000))[1] == (4, 4)
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
    monkeypatch.setattr(open_safely, "MAX_MEMORY", 48 * 40 * cost)
    assert load_image(data)[1] == (48, 40)
    monkeypatch.setattr(open_safely, "MAX_MEMORY", 48 * 40 * cost - 1)
    assert reason(data) == "too_large"


def test_a_jpeg_at_reduced_scale_may_be_larger(monkeypatch):
    data = encode(photo(480, 400), "JPEG")
    monkeypatch.setattr(open_safely, "MAX_MEMORY", 480 * 400 * 10 - 1)
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
