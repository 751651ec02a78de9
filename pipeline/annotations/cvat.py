"""The format "CVAT for images 1.1".

https://docs.cvat.ai/docs/dataset_management/formats/format-cvat/
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator
from xml.sax.saxutils import escape, quoteattr

from model.annotations.runs import run_lengths
from pipeline.annotations.objects import Annotated, Marked

# What XML 1.0 cannot hold, not even escaped.
_NOT_IN_XML = re.compile("[^\t\n\r\x20-\ud7ff\ue000-\ufffd\U00010000-\U0010ffff]")


def entry(image: Annotated) -> dict:
    """What an image's element holds, without its number."""
    width, height = image.size
    attributes = f'name={_quoted(image.key)} width="{width}" height="{height}"'
    return {"attributes": attributes, "masks": [_mask(m, image.category) for m in image.objects]}


def document(entries: Callable[[], Iterator[dict]], category: str) -> Iterator[str]:
    """The text of a file, piece by piece.

    Args:
        entries: What ``entry`` has made of each image.
        category: What the objects are called.
    """
    label = f"<name>{escape(printable(category))}</name><type>mask</type><attributes/>"
    yield '<?xml version="1.0" encoding="utf-8"?>\n<annotations>\n<version>1.1</version>\n'
    yield f"<meta><task><labels><label>{label}</label></labels></task></meta>\n"
    for number, one in enumerate(entries()):
        masks = "".join(f"\n{mask}" for mask in one["masks"])
        yield f'<image id="{number}" {one["attributes"]}>{masks}\n</image>\n'
    yield "</annotations>\n"


def printable(text: str) -> str:
    """A text with U+FFFD for the characters that XML cannot hold."""
    return _NOT_IN_XML.sub("\ufffd", text)


def _mask(marked: Marked, category: str) -> str:
    left, top, width, height = marked.box
    runs = ", ".join(map(str, run_lengths(marked.mask).tolist()))
    return (
        f'<mask label={_quoted(category)} source="auto" occluded="0" rle="{runs}" '
        f'left="{left}" top="{top}" width="{width}" height="{height}" z_order="0"/>'
    )


def _quoted(text: str) -> str:
    return quoteattr(printable(text))
