"""A pseudo terminal, and what it would show."""

import contextlib
import fcntl
import os
import pty
import select
import struct
import termios
import tty

COLUMNS = 100


@contextlib.contextmanager
def pseudo_terminal(columns=COLUMNS):
    """A terminal as a file descriptor to write to, and what reads all that it was sent so far."""
    ours, theirs = pty.openpty()
    tty.setraw(theirs)
    fcntl.ioctl(theirs, termios.TIOCSWINSZ, struct.pack("4H", 10, columns, 0, 0))

    def read():
        sent = b""
        # What is written to a pseudo terminal may take a moment to come out of it.
        while select.select([ours], [], [], 0.2)[0]:
            sent += os.read(ours, 1 << 16)
        return sent.decode()

    try:
        yield theirs, read
    finally:
        os.close(theirs)
        os.close(ours)


def screen(sent):
    """The lines that a terminal shows after it was sent a text of lines and carriage returns."""
    shown = []
    for line in sent.split("\n"):
        shown.append("")
        for piece in line.split("\r"):
            shown[-1] = piece + shown[-1][len(piece) :]
    return [line.rstrip() for line in shown]
