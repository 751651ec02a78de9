"""What a flex template starts: `run_pipeline.py`, with the parameters of a form as flags.

A form gives every parameter a value, also one that is a switch on the command line: `resume=true`
is `--resume`, and `resume=false` nothing. A parameter that was left empty is as if not given.
"""

import argparse
import sys
from collections.abc import Sequence

from pipeline.command.flags import add_flags
from run_pipeline import main


def flags_of(argv: Sequence[str]) -> list[str]:
    """Turns `--name=value` as a template gives it into the command's flags.

    Args:
        argv: What the launcher of the template passes, Beam's own flags among it.
    """
    flags = []
    for argument in argv:
        name, has_value, value = argument.partition("=")
        if has_value and not value:
            continue
        if name not in _switches() or not has_value:
            flags.append(argument)
        elif value.lower() == "true":
            flags.append(name)
        elif value.lower() != "false":
            # The command refuses it, and names it.
            flags.append(argument)
    return flags


def _switches() -> set[str]:
    parser = argparse.ArgumentParser(add_help=False)
    add_flags(parser)
    return {name for each in parser._actions if each.nargs == 0 for name in each.option_strings}


if __name__ == "__main__":
    sys.exit(main(flags_of(sys.argv[1:])))
