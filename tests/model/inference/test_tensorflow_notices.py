"""Standard error of processes that load TensorFlow."""

import subprocess
import sys
from pathlib import Path

ROOT = Path(__file__).parents[3]


def errors_of(code):
    """What a fresh interpreter writes to standard error, and its status."""
    code = f"import os, sys\nfrom model.inference.tensorflow_notices import without_notices\n{code}"
    done = subprocess.run([sys.executable, "-c", code], cwd=ROOT, capture_output=True, text=True)
    return done.stderr, done.returncode


def test_tensorflow_is_loaded_and_used_without_a_notice():
    code = "    import tensorflow as tf\n    print(tf.constant(1) + 1)"
    quiet, status = errors_of("with without_notices():\n" + code)
    assert (quiet, status) == ("", 0)
    loud, _ = errors_of("if True:\n" + code)
    assert "absl::InitializeLog" in loud, (
        "TensorFlow is quiet by itself: tensorflow_notices.py can go"
    )


def test_other_lines_are_printed_in_order_on_exit():
    told, status = errors_of(
        "with without_notices():\n"
        "    os.write(2, b'one\\nI0000 00:00:1795751393.061409   18291 port.cc:153] on\\n')\n"
        "    os.write(2, b'E0000 00:00:1795751393.061409   18291 port.cc:153] broken\\n')\n"
        "    os.write(2, b'no end')\n"
        "print('. after', file=sys.stderr)"
    )
    assert told.splitlines() == [
        "one",
        "E0000 00:00:1795751393.061409   18291 port.cc:153] broken",
        "no end. after",
    ]
    assert status == 0


def test_what_python_writes_appears_at_once():
    told, status = errors_of(
        "import threading, time\n"
        "def load():\n"
        "    with without_notices():\n"
        "        loading.set()\n"
        "        time.sleep(60)\n"
        "loading = threading.Event()\n"
        "threading.Thread(target=load, daemon=True).start()\n"
        "loading.wait()\n"
        "print('last words', file=sys.stderr)\n"
        "sys.exit(3)"
    )
    assert (told, status) == ("last words\n", 3)


def test_nothing_is_hidden_without_a_temporary_folder_or_stderr():
    nowhere = "import tempfile\ntempfile.tempdir = '/nowhere'\n"
    told, status = errors_of(nowhere + "with without_notices():\n    os.write(2, b'I am here\\n')")
    assert (told, status) == ("I am here\n", 0)
    told, status = errors_of("os.close(2)\nwith without_notices():\n    print(1)")
    assert (told, status) == ("", 0)


def test_an_exception_comes_after_what_was_written_before():
    told, status = errors_of("with without_notices():\n    os.write(2, b'before\\n')\n    1 / 0")
    assert told.startswith("before\n") and told.endswith("ZeroDivisionError: division by zero\n")
    assert status == 1


def test_threads_take_turns_and_restore_stderr():
    told, _ = errors_of(
        "import time\n"
        "from concurrent.futures import ThreadPoolExecutor\n"
        "def hold(seconds):\n"
        "    with without_notices():\n"
        "        time.sleep(seconds)\n"
        "with ThreadPoolExecutor(2) as pool:\n"
        "    list(pool.map(hold, (0.2, 0.4)))\n"
        "print('still there', file=sys.stderr)"
    )
    assert told == "still there\n"
