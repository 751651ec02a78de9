"""Which columns of a Parquet file hold the images, their truths and their names.

An image is what Hugging Face's ``Image`` feature stores, a struct of ``bytes`` and ``path``, or
plain bytes.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from pipeline.failures import BadImage
from pipeline.storage.raw_records import Fields

if TYPE_CHECKING:
    import pyarrow

IMAGE, TRUTH = "image", "mask"
# Columns that are named in a message.
_MAX_NAMED = 30


@dataclass(frozen=True)
class Columns:
    """Paths of columns: names, each inside the one before.

    Attributes:
        image: Of the image.
        truth: Of the truth, or None.
        name: Of the name, or None: then it is the ``path`` of the image, if it has one.
    """

    image: tuple[str, ...]
    truth: tuple[str, ...] | None = None
    name: tuple[str, ...] | None = None


def columns_of(schema: pyarrow.Schema, fields: Fields) -> Columns:
    """Chooses the columns.

    By convention, images are in the column ``image``, or in the only other one that can hold some;
    truths are in ``mask``.

    Args:
        schema: Of the file.
        fields: The columns that are meant, such as ``photo`` or ``sample.photo``.

    Raises:
        BadImage: A column that is meant is not there or holds something else, or several could be
            meant.
    """
    truth = fields.truth or TRUTH
    candidates = [
        field.name
        for field in schema
        if holds_images(field.type) and field.name not in (truth, fields.name)
    ]
    if fields.image:
        image = _named(schema, "image_field", fields.image)
    elif IMAGE in candidates or len(set(candidates)) == 1:
        image = _named(schema, "image_field", IMAGE if IMAGE in candidates else candidates[0])
    else:
        raise _refused(schema, f"{len(candidates)} columns could hold images", "image_field")
    has_truth = fields.truth or any(
        one.name == TRUTH and holds_images(one.type) for one in schema if image != (TRUTH,)
    )
    return Columns(
        image,
        _named(schema, "truth_field", truth) if has_truth else None,
        _named(schema, "name_field", fields.name) if fields.name else None,
    )


def holds_images(kind: pyarrow.DataType) -> bool:
    """Whether a column of a type can hold encoded images."""
    from pyarrow import types

    if types.is_struct(kind):
        index = kind.get_field_index("bytes")
        return index >= 0 and _is_bytes(kind.field(index).type)
    return _is_bytes(kind)


def has_path(schema: pyarrow.Schema, image: tuple[str, ...]) -> bool:
    """Whether a column of images holds their paths, too."""
    from pyarrow import types

    kind = _type_at(schema, image)
    index = kind.get_field_index("path") if types.is_struct(kind) else -1
    return index >= 0 and _is_text(kind.field(index).type)


def _named(schema: pyarrow.Schema, flag: str, name: str) -> tuple[str, ...]:
    """The path of a column that a flag, or the convention, names."""
    # A dot may be part of a name, or stand between the names of a column and of one inside it.
    path = (name,) if name in schema.names else tuple(name.split("."))
    kind = _type_at(schema, path)
    if kind is None:
        raise _refused(schema, f"there is no column {name!r}", flag)
    if schema.names.count(path[0]) > 1:
        raise _refused(schema, f"several columns are named {path[0]!r}", flag)
    fits = _is_name(kind) if flag == "name_field" else holds_images(kind)
    if not fits:
        wanted = "names" if flag == "name_field" else "encoded images"
        raise _refused(schema, f"the column {name!r} holds {kind}, not {wanted}", flag)
    return path


def _type_at(schema: pyarrow.Schema, path: tuple[str, ...]) -> pyarrow.DataType | None:
    from pyarrow import types

    found = [one.type for one in schema if one.name == path[0]]
    for name in path[1:]:
        inside = found[0] if found and types.is_struct(found[0]) else None
        index = -1 if inside is None else inside.get_field_index(name)
        found = [] if index < 0 else [inside.field(index).type]
    return found[0] if found else None


def _is_bytes(kind: pyarrow.DataType) -> bool:
    from pyarrow import types

    kind = kind.value_type if types.is_dictionary(kind) else kind
    return types.is_binary(kind) or types.is_large_binary(kind) or types.is_binary_view(kind)


def _is_text(kind: pyarrow.DataType) -> bool:
    from pyarrow import types

    kind = kind.value_type if types.is_dictionary(kind) else kind
    return types.is_string(kind) or types.is_large_string(kind) or types.is_string_view(kind)


def _is_name(kind: pyarrow.DataType) -> bool:
    from pyarrow import types

    return _is_text(kind) or types.is_integer(kind)


def _refused(schema: pyarrow.Schema, what: str, flag: str) -> BadImage:
    columns = [f"{one.name} ({_short(one.type)})" for one in schema][:_MAX_NAMED]
    return BadImage(
        "missing_column", f"{what}; --{flag} names one of {', '.join(columns) or 'none'}"
    )


def _short(kind: pyarrow.DataType) -> str:
    """What a column holds, for people."""
    return "image" if holds_images(kind) else str(kind)[:40]
