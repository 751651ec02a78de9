"""The command, from its first moment: what it needs at once is imported before Beam is."""

from __future__ import annotations

import sys
from collections.abc import Sequence

from pipeline.command.flags import help_text
from pipeline.command.interrupts import end_at_interrupt
from pipeline.command.lean_imports import without_pandas
from pipeline.command.logs import without_import_notices
from pipeline.command.progress import Progress


def main(argv: Sequence[str]) -> int:
    """Runs the command and returns its exit status; see the README."""
    if {"-h", "--help"} & set(argv):
        print(help_text(), end="")
        return 0

    last_words = end_at_interrupt("nothing was done yet")
    progress = Progress(quiet=bool({"--quiet", "--plan"} & set(argv)))
    last_words.before = progress.close
    # Imported here because importing Beam takes ten times as long as all of --help.
    with without_import_notices(), without_pandas():
        from pipeline.command.run import annotate

    try:
        return annotate(argv, last_words, progress)
    finally:
        progress.close()


def console() -> int:
    """What the installed command calls."""
    return main(sys.argv[1:])
