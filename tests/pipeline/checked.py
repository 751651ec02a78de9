"""Flags through the checks of the command, in a folder with one file of each kind."""

import pytest

from pipeline.command.options import UsageError, parse
from pipeline.command.validate import validate
from tests.pipeline.shard_files import lay


def enter_folder(folder, monkeypatch):
    """Lays an image, a truth, a mask and model files that are none, and goes there."""
    lay(folder, "in/a.jpg", "truth/a.png", "masks/a.png", "net.keras", "net.weights.h5")
    monkeypatch.chdir(folder)
    monkeypatch.setenv("XDG_CACHE_HOME", str(folder / "cache"))


def job(*argv):
    """The job of these flags."""
    return validate(parse(list(argv)))


def refused(*argv):
    """Why these flags are refused."""
    with pytest.raises(UsageError) as caught:
        job(*argv)
    return str(caught.value)
