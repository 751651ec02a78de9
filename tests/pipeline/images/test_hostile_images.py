"""The corpus of hostile images: what becomes of each, in which time and memory."""

import pytest

from tests.hostile.attempt import attempt_all
from tests.hostile.images import hostile_images
from tests.pipeline.fresh_process import in_a_fresh_process


@pytest.fixture(scope="module")
def attempts():
    return in_a_fresh_process(attempt_all)


def outcomes(attempts, kind):
    found = {one.outcome for one in attempts if one.kind == kind}
    assert found, f"the corpus has no {kind!r}"
    return found


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
        "unsupported",
        "mask_values",
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
    for kind in {"text", "json", "pickle", "elf", "XBM inside"}:
        assert outcomes(attempts, kind) == {"not_an_image"}
    others = {"PSD inside", "EPS inside", "TGA inside", "FITS inside"}
    for kind in others | {"html", "svg", "zip", "tar", "gzip", "pdf", "video"}:
        assert outcomes(attempts, kind) == {"unsupported"}
    for kind in inside:
        assert outcomes(attempts, kind) <= {"not_an_image", "unsupported"}


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
        (
            "BMP, runs that jump beyond the image",
            {"too_large", "decoded", "truth_size", "mask_values"},
        ),
        ("BMP, one pixel of a line of millions", {"too_large"}),
        ("JPEG, thousands of scans", {"bomb", "broken"}),
        ("TIFF, more strips than rows", {"bomb"}),
        ("TIFF, tags that share their bytes", {"bomb"}),
        ("TIFF, 300,000 pixels an inch", {"decoded", "truth_values"}),
        ("TIFF, EXIF of many fractions", {"decoded", "truth_values"}),
        ("MPO, tags that share their bytes", {"decoded", "truth_size", "mask_values"}),
        ("GIF, long comment", {"decoded"}),
        ("zlib bomb in IDAT", {"decoded"}),
        ("zlib bomb in iCCP", {"decoded"}),
        ("zlib bomb in zTXt", {"decoded"}),
        ("zlib bomb in iTXt", {"decoded"}),
        ("many zTXt below the limit of one", {"decoded"}),
    ],
)
def test_what_is_a_bomb_is_called_one(attempts, kind, expected):
    assert outcomes(attempts, kind) <= expected
