"""Annotation files as tools write them: what is read, what is said, what is refused."""

import contextlib
import io
import json

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from pycocotools import mask as coco

from model.annotations.brush import encode_brush
from model.annotations.drawings import Drawing, Remark, draw
from model.annotations.read import is_annotation_file, read_annotations
from tests.model.annotations.masks import RING

SIZE = RING.shape[::-1]
SQUARE = np.zeros_like(RING)
SQUARE[2:5, 3:7] = True


def read(content):
    """Masks by name, and remarks, of a file with a content."""
    text = content if isinstance(content, str) else json.dumps(content)
    found = list(read_annotations(io.BytesIO(text.encode())))
    masks = {one.name: draw(one, 10**6) for one in found if isinstance(one, Drawing)}
    remarks = [(one.kind, one.example) for one in found if isinstance(one, Remark)]
    assert len(masks) + len(remarks) == len(found)
    return masks, remarks


def assert_masks(found, **expected):
    assert found.keys() == expected.keys()
    for name, mask in expected.items():
        np.testing.assert_array_equal(found[name], mask)


def coco_file(annotations, images="abcd"):
    width, height = SIZE
    return {
        "annotations": [{"category_id": 1, **one} for one in annotations],
        "images": [
            {"id": number, "file_name": name, "width": width, "height": height}
            for number, name in enumerate(images, 7)
        ],
        "categories": [{"id": 1, "name": "thing"}, {"id": 2, "name": "other"}],
    }


def test_coco():
    text = coco.encode(np.asfortranarray(RING.astype(np.uint8)))["counts"].decode()
    runs = coco.decode({"size": [9, 9], "counts": text.encode()})
    counts = np.diff(np.flatnonzero(np.diff(runs.T.ravel(), prepend=0, append=-1)), prepend=0)
    annotations = [
        {"image_id": 9, "segmentation": [[3, 2, 7, 2, 7, 5, 3, 5]], "iscrowd": 0},
        {"image_id": 7, "segmentation": {"size": [9, 9], "counts": text}},
        {"image_id": 8, "segmentation": {"size": [9, 9], "counts": counts.tolist()}, "iscrowd": 1},
        {"image_id": 7, "segmentation": [[0, 0, 1, 0, 1, 1, 0, 1]]},
    ]
    masks, remarks = read(coco_file(annotations))
    with_corner = RING.copy()
    with_corner[0, 0] = True
    # Looked at and without an object.
    assert_masks(masks, a=with_corner, b=RING, c=SQUARE, d=np.zeros_like(RING))
    assert remarks == []


def test_what_cannot_be_used_of_coco_is_said():
    annotations = [
        {"image_id": 7, "bbox": [1, 1, 2, 2], "segmentation": []},
        {"image_id": 8, "bbox": [1, 1, 2, 2]},
        {"image_id": 9, "segmentation": [[3, 2, 7, 2, 7, 5, 3, 5]], "category_id": 2},
        {"image_id": 1, "segmentation": [[3, 2, 7, 2, 7, 5, 3, 5]]},
    ]
    masks, remarks = read(coco_file(annotations, "abc"))
    assert_masks(masks, c=SQUARE)
    no_mask = "annotated images are left out: an annotation has no segmentation; a box alone is"
    assert remarks == [
        (f"{no_mask} no mask", "a"),
        (f"{no_mask} no mask", "b"),
        ("annotations are of no image of their file", "image_id 1"),
        ("labels are taken together, as foreground", "other"),
        ("labels are taken together, as foreground", "thing"),
    ]


def region(kind="brushlabels", **value):
    width, height = SIZE
    if not value:
        stroke = list(encode_brush(RING, (0, 0), SIZE))
        value = {"format": "rle", "rle": stroke, "brushlabels": ["object"]}
    size = {"original_width": width, "original_height": height, "image_rotation": 0}
    return {"type": kind, "value": value, **size}


def task(image, *annotations, **data):
    return {"id": 1, "data": {"image": image, **data}, "annotations": list(annotations)}


def test_label_studio():
    polygon = region(
        "polygonlabels",
        points=[[100 / 3, 200 / 9], [700 / 9, 200 / 9], [700 / 9, 500 / 9], [100 / 3, 500 / 9]],
        polygonlabels=["object"],
    )
    choice = {"type": "choices", "value": {"choices": ["good"]}}
    earlier = {"result": [], "updated_at": "2026-01-01T00:00:00Z", "id": 5}
    later = {"result": [region(), choice], "updated_at": "2026-02-01T00:00:00Z", "id": 4}
    skipped = {"result": [], "updated_at": "2026-03-01", "was_cancelled": True, "id": 6}
    masks, remarks = read([
        task("gs://bucket/a b.jpg", later),
        task("/data/local-files/?d=home/me/%C3%A9%20b.jpg", {"result": [polygon]}),
        task("/data/upload/3/0a1b2c3d-c.jpg", later, earlier, skipped),
        task("whatever", {"result": []}, key="s/a.jpg#1", width=SIZE[0], height=SIZE[1]),
        task("d.jpg", skipped) | {"predictions": [{"result": [region()]}]},
        task("e.jpg"),
    ])  # fmt: skip
    assert_masks(
        masks,
        **{"gs://bucket/a b.jpg": RING, "/home/me/\xe9 b.jpg": SQUARE, "c.jpg": RING},
        **{"s/a.jpg#1": np.zeros_like(RING)},
    )
    assert remarks == [
        ("images have several annotations, of which the last counts", "c.jpg"),
        ("images are not labelled yet", "d.jpg"),
        ("images are not labelled yet", "e.jpg"),
    ]


@pytest.mark.parametrize(
    ("result", "message"),
    [
        ([], "nothing was drawn, and the task does not say the width and height of its image"),
        ([region("rectanglelabels", x=1)], "type rectanglelabels is not read"),
        ([region(format="png")], "not in the format rle"),
        ([region(format="rle", rle=[256])], "does not consist of bytes"),
        ([region("polygonlabels", x=1)], "a polygon has no points"),
        ([region() | {"image_rotation": 90}], "the image was turned"),
        ([region(), region() | {"original_width": 3}], "images of several sizes"),
    ],
)
def test_what_cannot_be_used_of_label_studio_is_said(result, message):
    masks, ((kind, example),) = read([task("a.jpg", {"result": result})])
    assert (masks, example) == ({}, "a.jpg") and message in kind


def test_cvat():
    masks, remarks = read("""<?xml version="1.0" encoding="utf-8"?>
<annotations>
  <version>1.1</version>
  <meta><task><labels><label><name>thing</name></label></labels></task></meta>
  <image id="0" name="c/&lt;a&gt;&#10;.jpg" width="9" height="9">
    <polygon label="thing" occluded="0" points="3.00,2.00;7.00,2.00;7.00,5.00;3.00,5.00"/>
    <tag label="sharp" source="manual"/>
  </image>
  <image id="1" name="b.jpg" width="9" height="9">
    <mask label="thing" occluded="0" rle="0, 4, 0, 8" left="3" top="2" width="4" height="3"/>
  </image>
  <image id="2" name="c.jpg" width="9" height="9"></image>
  <image id="3" name="d.jpg" width="9" height="9"><box label="thing" xtl="1" ytl="1"/></image>
</annotations>
""")
    assert_masks(masks, **{"c/<a>\n.jpg": SQUARE, "b.jpg": SQUARE, "c.jpg": SQUARE & False})
    assert remarks == [
        ("annotated images are left out: a box is no mask; a mask or a polygon would be", "d.jpg")
    ]


@pytest.mark.parametrize(
    ("content", "message"),
    [
        ("", "neither JSON"),
        ("mask", "neither JSON"),
        ("{}", "no images, as a COCO file"),
        ('{"images": [1]}', "not those of a COCO file"),
        ('{"images": [{"id": 1}, {"id"', "it is damaged"),
        ('[{"image": "a.jpg", "tag": []}]', "of the formats in which Label Studio exports, JSON"),
        ("[1, 2", "have no data"),
        ('[{"data": {}},', "it is damaged"),
        ("<html></html>", "begins with <html>"),
        ("<annotations><track/></annotations>", "for video"),
        ("<annotations>", "it is no XML"),
    ],
)
def test_files_of_other_formats_are_refused(content, message):
    with pytest.raises(ValueError, match=message):
        read(content)


@pytest.mark.parametrize("start", ["{", "[", "<"])
def test_a_byte_order_mark_is_passed_over(start):
    content = {
        "{": json.dumps(coco_file([], "a")),
        "[": json.dumps([task("a", {"result": [region()]})]),
        "<": '<annotations><image name="a" width="9" height="9"/></annotations>',
    }[start]
    (drawing,) = read_annotations(io.BytesIO(b"\xef\xbb\xbf" + content.encode()))
    assert drawing.name == "a"


WORDS = [
    "images",
    "annotations",
    "categories",
    "id",
    "image_id",
    "file_name",
    "width",
    "height",
    "segmentation",
    "counts",
]
WORDS += [
    "data",
    "image",
    "result",
    "value",
    "type",
    "rle",
    "points",
    "brushlabels",
    "polygonlabels",
    "original_width",
]
ANY = st.recursive(
    st.sampled_from([None, True, -1, 3, 10**30, 0.5, "a", "rle", "brushlabels", "polygonlabels"]),
    lambda one: st.lists(one, max_size=3) | st.dictionaries(st.sampled_from(WORDS), one),
    max_leaves=20,
)


@given(ANY, ANY)
def test_any_json_is_drawings_or_remarks_or_refused(one, other):
    coco = {"images": [one], "annotations": [other, {"image_id": one, "segmentation": other}]}
    task = {"data": {"image": "a", "width": one}, "annotations": [{"result": [other]}]}
    for content in (one, coco, [task], [{"data": one, "annotations": other}]):
        with contextlib.suppress(ValueError):
            for found in read_annotations(io.BytesIO(json.dumps(content).encode())):
                assert isinstance(found, Remark) or draw(found, 100).dtype == bool


def test_annotation_files_are_known_by_their_names():
    assert all(map(is_annotation_file, ("a.json", "b/c.XML", "gs://bucket/coco.json")))
    assert not any(map(is_annotation_file, ("a.png", "masks", "json/*.png")))
