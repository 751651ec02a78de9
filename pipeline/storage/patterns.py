"""Files by pattern: a file, a folder or a glob, on any Beam filesystem."""

from __future__ import annotations

import contextlib
import functools
import os
import re
import warnings
from dataclasses import dataclass

from apache_beam.io.filesystem import FileMetadata
from apache_beam.io.filesystems import FileSystems

from model.image_formats import IMAGE_SUFFIXES
from pipeline.output_layout import JOURNAL, JOURNAL_HEAD, OUTPUTS
from pipeline.records import ListedFile

# How shards are named, by format.
_SHARDS = {
    "tfrecord": re.compile(r"\.tfrecords?(-\d+-of-\d+)?(\.gz)?$", re.IGNORECASE),
    "webdataset": re.compile(r"\.(tar(-\d+-of-\d+)?(\.gz)?|tgz)$", re.IGNORECASE),
    "parquet": re.compile(r"\.parquet(-\d+-of-\d+)?$", re.IGNORECASE),
}
IMAGES = "images"
FORMATS = ("auto", IMAGES, *_SHARDS)
# How others name TFRecord shards. Such files are shards only if the user says so.
_OTHER_SHARD = re.compile(r"(\.tfrec|\.records?|-\d+-of-\d+)(\.gz)?$", re.IGNORECASE)
# Beam makes regular expressions of patterns, and warns of those with a bracket in a set.
warnings.filterwarnings("ignore", category=FutureWarning, module=r"apache_beam\.io\.filesystem")


@dataclass(frozen=True)
class Listing:
    """The files of a pattern.

    Attributes:
        files: The files to be read, in the order of their names.
        passed_over: Paths of files below a folder that are not read because of their names.
        outputs: Paths of files that an earlier job wrote below a folder or glob. They are not read.
    """

    files: list[ListedFile]
    passed_over: list[str]
    outputs: list[str]


def find_files(pattern: str, input_format: str = "auto") -> list[ListedFile]:
    """The files of a pattern that are read; see ``list_pattern``."""
    return list_pattern(pattern, input_format).files


def list_pattern(pattern: str, input_format: str = "auto", limit: int | None = None) -> Listing:
    """Lists the files of a pattern.

    Args:
        pattern: A file, a folder (with all below it) or a glob, on any Beam filesystem.
        input_format: One of ``FORMATS``. Of a folder, only what is named like that format is read;
            of a file or glob, whatever it matches.
        limit: How many files to look at; None for all.
    """
    pattern = with_folder(pattern)
    literal = pattern.replace("[", "[[]")
    # Try the pattern as a folder first: on object stores a folder is only a prefix of names.
    below = "" if re.search(r"[*?]", pattern) else literal.rstrip("/") + "/**"
    found = _match(below, limit) if below else []
    passed_over: list[str] = []
    if found:
        folder = pattern.rstrip("/") + "/"
        found += _broken_links(folder) if limit is None else []
        passed_over = [file.path for file in found if not _named_like(file.path, input_format)]
    else:
        found, fixed = _match_glob(literal, limit), re.split(r"[*?]", pattern)[0]
        if not found:
            found, fixed = _match_glob(pattern, limit), re.split(r"[*?[]", pattern)[0]
        if below:  # An empty folder matches its own name.
            found = [file for file in found if not os.path.isdir(file.path)]
        folder = fixed[: fixed.rfind("/") + 1]
    outputs = {file.path for file in found if _is_output(file.path, folder)}
    left_out = outputs.union(passed_over)
    files = {file.path: _listed(file, folder) for file in found if file.path not in left_out}
    return Listing(
        [files[path] for path in sorted(files)],
        sorted(set(passed_over) - outputs),
        sorted(outputs),
    )


def with_folder(pattern: str) -> str:
    """A pattern as it is given to Beam, which matches nothing by a glob without a folder."""
    return f"./{pattern}" if re.match(r"[^/]*[*?[]", pattern) else pattern


def suffix_of(path: str) -> str:
    """How a file's name ends, for people: ``*.txt``, ``._*`` for what macOS leaves, or ``*``."""
    name = path.rsplit("/", 1)[-1]
    if name.startswith("._"):
        return "._*"
    return "*" + os.path.splitext(name)[1].lower()


def names_a_shard(path: str) -> bool:
    """Whether ``--input_format tfrecord`` would read a file that is passed over otherwise."""
    return bool(_OTHER_SHARD.search(path))


def format_of(path: str, input_format: str = "auto") -> str:
    """The format of a file, one of ``FORMATS``: by its name, if ``input_format`` is ``"auto"``."""
    if input_format != "auto":
        return input_format
    return next((name for name, shard in _SHARDS.items() if shard.search(path)), IMAGES)


def is_shard(path: str, input_format: str = "auto") -> bool:
    """Whether a file holds records instead of being an image."""
    return format_of(path, input_format) != IMAGES


def real_path(path: str) -> str:
    """The real path of a file, so that two spellings of its folder compare equal."""
    if FileSystems.get_scheme(path) is not None:
        return path
    folder, name = os.path.split(path)
    if not os.path.isabs(folder):  # Remembered by its full path: it may be another one later.
        folder = os.path.join(os.getcwd(), folder)
    return os.path.join(_real_folder(folder), name)


@functools.lru_cache(maxsize=1024)
def _real_folder(folder: str) -> str:
    return os.path.realpath(folder)


def _listed(file: FileMetadata, folder: str) -> ListedFile:
    size, changed = file.size_in_bytes or 0, file.last_updated_in_seconds or 0
    return ListedFile(file.path, folder, size, f"{size}-{changed}" if changed else "")


def _match(pattern: str, limit: int | None) -> list[FileMetadata]:
    return FileSystems.match([pattern], [limit])[0].metadata_list


def _match_glob(pattern: str, limit: int | None) -> list[FileMetadata]:
    """Matches a glob. ``**/`` stands for any number of folders, none included."""
    shallow = pattern.replace("/**/", "/")
    return _match(pattern, limit) + (_match(shallow, limit) if shallow != pattern else [])


def _broken_links(folder: str) -> list[FileMetadata]:
    """Links to nothing below a local folder, which Beam leaves out; to read one is a failure."""
    broken, folders = [], [folder] if FileSystems.get_scheme(folder) is None else []
    for place in folders:
        with contextlib.suppress(OSError), os.scandir(place) as entries:
            for entry in entries:
                if entry.is_dir(follow_symlinks=False):
                    folders.append(entry.path)
                elif entry.is_symlink() and not os.path.exists(entry.path):
                    broken.append(FileMetadata(entry.path, 0))
    return broken


def _is_output(path: str, folder: str) -> bool:
    """Whether an earlier job, whose output folder lies in a folder, wrote a file."""
    below = path[len(folder) :]
    return any(
        _has_journal(folder + below[: found.start()])
        for name in OUTPUTS
        for found in re.finditer(f"/{re.escape(name)}(?=/)", f"/{below}")
    )


@functools.lru_cache(maxsize=1024)
def _has_journal(output: str) -> bool:
    return FileSystems.exists(f"{output.rstrip('/')}/{JOURNAL}/{JOURNAL_HEAD}")


def _named_like(path: str, input_format: str) -> bool:
    if path.rsplit("/", 1)[-1].startswith("._"):  # Metadata that macOS leaves beside a file.
        return False
    if input_format == "tfrecord" and _OTHER_SHARD.search(path):
        return True
    is_image = path.lower().endswith(IMAGE_SUFFIXES)
    found = format_of(path)
    is_known = found != IMAGES or is_image
    return is_known and input_format in ("auto", found)
