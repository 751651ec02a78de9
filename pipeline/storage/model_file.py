"""Model files on any Beam filesystem: their digest, and a local copy; an ONNX file has a card."""

from __future__ import annotations

import functools
import hashlib
import os
import tempfile
from pathlib import Path

from apache_beam.io.filesystems import FileSystems

from model.inference.onnx_card import card_of
from model.presets import ONNX_SUFFIX, PRESETS
from pipeline.failures import InputLost
from pipeline.storage.errors import persistently

_PIECE = 1 << 20


def content_of_model(model: str) -> str:
    """The digest of a preset's weights or of a file, with its card, as 32 hex digits.

    Args:
        model: A preset with weights, or a file on any Beam filesystem.

    Raises:
        OSError: The file cannot be read.
    """
    if model in PRESETS:
        return _digest(PRESETS[model].weights)
    if FileSystems.get_scheme(model) is None:
        return _digest(model)
    return _download(model).parent.name


def local_copy(model: str, content: str) -> str:
    """Path of a model file on this machine; a remote one is downloaded once a machine.

    Args:
        model: A file on any Beam filesystem.
        content: What ``content_of_model`` said of it when the job began.

    Raises:
        ValueError: It is another file by now.
        InputLost: Storage refuses it.
        OSError: It cannot be read.
    """
    if FileSystems.get_scheme(model) is None:
        if content and _digest(model) != content:
            raise ValueError(f"{model!r} is not what it was when the job began")
        return model
    cached = _cache() / content / _name(model)
    # The digest is computed again because others may write to the cache.
    if all(Path(part).is_file() for part in _files(str(cached))) and _digest(cached) == content:
        return str(cached)
    downloaded = _download(model)
    if content and downloaded.parent.name != content:
        raise ValueError(f"{model!r} is not what it was when the job began")
    return str(downloaded)


def _download(model: str) -> Path:
    """Downloads a file to the cache, into a folder that is named by the file's digest."""
    return persistently(functools.partial(_download_once, model), InputLost, model)


def _download_once(model: str) -> Path:
    cache = _cache()
    cache.mkdir(parents=True, exist_ok=True)
    digest = hashlib.blake2b(digest_size=16)
    with tempfile.TemporaryDirectory(dir=cache) as unfinished:
        for remote in _files(model):
            with (
                FileSystems.open(remote, compression_type="uncompressed") as source,
                Path(unfinished, _name(remote)).open("wb") as target,
            ):
                while piece := source.read(_PIECE):
                    digest.update(piece)
                    target.write(piece)
        folder = cache / digest.hexdigest()
        folder.mkdir(exist_ok=True)
        for part in Path(unfinished).iterdir():
            os.replace(part, folder / part.name)
    return folder / _name(model)


def _digest(path: str | Path) -> str:
    digest = hashlib.blake2b(digest_size=16)
    for part in _files(str(path)):
        with open(part, "rb") as file:
            while piece := file.read(_PIECE):
                digest.update(piece)
    return digest.hexdigest()


def _files(model: str) -> tuple[str, ...]:
    """A model file, and the card of an ONNX file."""
    return (model, card_of(model)) if model.endswith(ONNX_SUFFIX) else (model,)


def _cache() -> Path:
    home = os.environ.get("XDG_CACHE_HOME") or os.path.expanduser("~/.cache")
    return Path(home) / "basnet-annotator"


def _name(model: str) -> str:
    return model.rsplit("/", 1)[-1]
