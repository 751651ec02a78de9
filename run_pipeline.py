"""Segments the salient objects of photos: python run_pipeline.py --runner=DirectRunner."""

import sys
from collections.abc import Sequence

from pipeline.command.flags import help_text
from pipeline.command.interrupts import end_at_interrupt
from pipeline.command.logs import without_import_notices


def main(argv: Sequence[str]) -> int:
    """Runs the command and returns its exit status; see the README."""
    if {"-h", "--help"} & set(argv):
        print(help_text(), end="")
        return 0

    last_words = end_at_interrupt("nothing was done yet")
    # Imported here because importing Beam takes ten times as long as all of --help.
    with without_import_notices():
        from pipeline.command.run import annotate

    return annotate(argv, last_words)


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
