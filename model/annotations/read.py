"""Annotation files of label tools, whichever of the known formats they have."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import BinaryIO

from model.annotations.coco import read_coco
from model.annotations.cvat import read_cvat
from model.annotations.drawings import Drawing, Remark
from model.annotations.json_items import BYTE_ORDER_MARK
from model.annotations.label_studio import read_label_studio

SUFFIXES = (".json", ".xml")


def is_annotation_file(path: str) -> bool:
    """Whether a path is named like an annotation file."""
    return path.lower().endswith(SUFFIXES)


def reader_of(file: BinaryIO) -> Callable[[BinaryIO], Iterator[Drawing | Remark]]:
    """What reads a file of COCO, Label Studio or CVAT, by how it begins.

    Raises:
        ValueError: It begins like none of them.
    """
    readers = {b"{": read_coco, b"[": read_label_studio, b"<": read_cvat}
    first = file.read(4096).removeprefix(BYTE_ORDER_MARK).lstrip()[:1]
    file.seek(0)
    if first not in readers:
        raise ValueError("it is neither JSON, as of COCO and Label Studio, nor XML, as of CVAT")
    return readers[first]


def read_annotations(file: BinaryIO) -> Iterator[Drawing | Remark]:
    """What a file of COCO, Label Studio or CVAT says of its images, one at a time.

    Args:
        file: A file that can be read from its beginning more than once.

    Raises:
        ValueError: The file is damaged, or of another format.
    """
    # Imported here because few jobs read annotations.
    import ijson

    try:
        yield from reader_of(file)(file)
    except ijson.JSONError as error:
        raise ValueError(f"it is damaged: {' '.join(str(error).split())[:200]}") from error
    except (AttributeError, KeyError, OverflowError, TypeError) as error:
        raise ValueError(f"it does not hold what its format asks for: {error}") from error
