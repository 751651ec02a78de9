"""Which image a name means."""

import pytest

from model.annotations.names import Image, file_name, images_of

IMAGES = [
    Image("a/x.jpg", "/photos/a/x.jpg"),
    Image("b/x.jpg", "/photos/b/x.jpg"),
    Image("y.jpg", "/photos/y.jpg"),
]


@pytest.mark.parametrize(
    ("name", "image"),
    [
        ("a/x.jpg", 0),
        ("/photos/b/x.jpg", 1),
        ("photos/b/x.jpg", 1),
        ("y.jpg", 2),
        ("a\\x.jpg", 0),
        # The same folder on another machine, or in a bucket.
        ("/home/me/set/a/x.jpg", 0),
        ("gs://bucket/y.jpg", 2),
        # The mask of a photo.
        ("a/x.png", 0),
        ("y.jpg.png", 2),
        ("c/z.jpg", None),
        ("c/x.jpg", None),
        ("", None),
    ],
)
def test_a_name_means_the_image_that_it_is_the_key_or_path_of_or_a_part_of_it(name, image):
    meant = images_of([name], IMAGES)
    assert meant.images == ({} if image is None else {0: image})
    assert meant.ambiguous == meant.doubled == []


def test_a_name_without_folder_is_not_guessed_where_several_have_it():
    meant = images_of(["x.jpg"], IMAGES)
    assert (meant.images, meant.ambiguous) == ({}, [0])
    # Also if the other is taken.
    assert images_of(["x.jpg", "a/x.jpg"], IMAGES).images == {1: 0}


def test_of_names_of_one_image_the_strictest_counts_then_the_first():
    meant = images_of(["c/y.jpg", "y.jpg", "y.jpg"], IMAGES)
    assert (meant.images, meant.doubled) == ({1: 2}, [2, 0])


def test_suffixes_count_where_they_tell_images_apart():
    images = [Image("x.jpg", "/p/x.jpg"), Image("x.png", "/p/x.png")]
    assert images_of(["x.png", "x.jpg"], images).images == {0: 1, 1: 0}
    assert images_of(["x.gif"], images).ambiguous == [0]


def test_names_compare_in_one_unicode_form():
    assert images_of(["e\u0301.jpg"], [Image("\xe9.jpg", "/\xe9.jpg")]).images == {0: 0}
    assert file_name("a/e\u0301.v2.jpg.PNG") == "\xe9.v2"
