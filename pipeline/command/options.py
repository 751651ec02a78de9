"""Parses the flags, beside those of Beam."""

from __future__ import annotations

import argparse
import difflib
from collections.abc import Sequence

from apache_beam.options.pipeline_options import PipelineOptions

from pipeline.command.flags import add_flags
from pipeline.storage.errors import in_words, is_of_the_service


class UsageError(ValueError):
    """The command cannot be run as it was given."""


class StorageRefuses(UsageError):
    """Storage refuses or fails; what was given may be right."""


def unusable(what: str, error: Exception) -> UsageError:
    """What to raise when storage that the flags name cannot be used.

    Args:
        what: What cannot be done with what, in words.
        error: Why.
    """
    kind = StorageRefuses if is_of_the_service(error) else UsageError
    return kind(f"{what}: {in_words(error)}")


class AnnotateOptions(PipelineOptions):
    """The flags of ``run_pipeline.py``, as a view of Beam's options."""

    def view_as(self, cls: type[PipelineOptions]) -> PipelineOptions:
        """The same options as another class shows them.

        Beam asks a thousand times while a graph is built, and would make a parser each time. All
        views share their values, so one of each class does.
        """
        # Set past Beam, for which an attribute is an option.
        views = self.__dict__.setdefault("_views", {})
        if cls not in views:
            views[cls] = super().view_as(cls)
        return views[cls]

    @classmethod
    def _add_argparse_args(cls, parser: argparse.ArgumentParser) -> None:
        add_flags(parser)


def parse(argv: Sequence[str]) -> AnnotateOptions:
    """Reads the flags.

    Raises:
        UsageError: Neither this command nor Beam knows a flag; the message names the nearest.
    """
    parser = _parser()
    _, unknown = parser.parse_known_args(argv)
    if unknown:
        flag = unknown[0].split("=")[0]
        known = [name for action in parser._actions for name in action.option_strings]
        near = difflib.get_close_matches(flag, known, n=1)
        hint = f"; did you mean {near[0]}?" if near else "; see --help"
        raise UsageError(f"unknown argument {unknown[0]!r}{hint}")
    return PipelineOptions(list(argv)).view_as(AnnotateOptions)


class _Parser(argparse.ArgumentParser):
    def error(self, message: str):
        raise UsageError(message)


def _parser() -> argparse.ArgumentParser:
    parser = _Parser(add_help=False, allow_abbrev=False)
    for cls in PipelineOptions.__subclasses__():
        cls._add_argparse_args(parser)
    return parser
