"""The package as workers get it, alone in an environment, and a cluster on one machine."""

import contextlib
import os
import shutil
import signal
import socket
import subprocess
import sys
import sysconfig
import time
from pathlib import Path

from tests.end_to_end.command import ROOT


def install_package(folder):
    """Installs what ``--setup_file`` ships, in a new environment; returns its interpreter.

    Other packages are those of this environment. The checkout is not: its own installation there is
    a ``.pth`` file, which an environment reads for itself only.
    """
    copy = folder / "project"
    copy.mkdir()
    for name in ("model", "pipeline"):
        ignored = shutil.ignore_patterns("__pycache__")
        shutil.copytree(ROOT / name, copy / name, ignore=ignored)
    for name in ("setup.py", "README.md", "LICENSE"):
        shutil.copy(ROOT / name, copy)
    _run([sys.executable, "setup.py", "-q", "sdist"], copy)
    _run([sys.executable, "-m", "venv", folder / "venv"], folder)
    (sdist,) = (copy / "dist").glob("*.tar.gz")
    python = folder / "venv" / "bin" / "python"
    (packages,) = (folder / "venv").glob("lib/python*/site-packages")
    (packages / "others.pth").write_text(sysconfig.get_path("purelib") + "\n")
    offline = ("--no-deps", "--no-build-isolation", "--no-index", "--ignore-installed")
    _run([python, "-m", "pip", "install", "-q", *offline, sdist], folder)
    shutil.rmtree(copy)
    return python


def where_is(package, python, cwd):
    """The folder that an interpreter imports a package from."""
    code = f"import {package}; print({package}.__path__[0])"
    done = subprocess.run(
        [python, "-c", code], cwd=cwd, env=_environment(python), capture_output=True, text=True
    )
    assert done.returncode == 0, done.stderr
    return Path(done.stdout.strip())


# Beam's job service for one machine has no flag for the number of workers.
_SERVICE = """
import sys
from apache_beam.runners.portability import local_job_service as service, local_job_service_main

class Runner(service.fn_runner.FnApiRunner):
    def __init__(self, **options):
        super().__init__(**options)
        self._num_workers = {workers}

service.fn_runner.FnApiRunner = Runner
local_job_service_main.run(sys.argv[1:])
"""


@contextlib.contextmanager
def cluster(python, folder, workers):
    """A job service and a pool of workers of an interpreter; the flags that use them.

    Yields:
        The flags, and the pool, whose children are the workers.
    """
    folder.mkdir()
    with contextlib.ExitStack() as stack:
        port, service = _free_port(), folder / "port"
        command = ["-m", "apache_beam.runners.worker.worker_pool_main", f"--service_port={port}"]
        pool = stack.enter_context(_server(python, command, folder / "pool"))
        command = ["-c", _SERVICE.format(workers=workers), f"--port_file={service}"]
        stack.enter_context(_server(python, command, folder / "service"))
        _wait_for(service.exists)
        yield (
            (
                "--runner=PortableRunner",
                f"--job_endpoint=localhost:{service.read_text()}",
                "--environment_type=EXTERNAL",
                f"--environment_config=localhost:{port}",
                "--shared_disk",
            ),
            pool,
        )


def workers_of(pool):
    """The processes that a pool has started, as numbers; those with a network come first."""
    children = Path(f"/proc/{pool.pid}/task").glob("*/children")
    numbers = [int(number) for path in children for number in path.read_text().split()]
    return sorted(numbers, key=_pages, reverse=True)


def _pages(number):
    """Memory that a process takes."""
    return int(Path(f"/proc/{number}/statm").read_text().split()[1])


@contextlib.contextmanager
def _server(python, command, cwd):
    cwd.mkdir()
    with (cwd / "log").open("w") as log:
        process = subprocess.Popen(
            [python, *command],
            cwd=cwd,
            env=_environment(python),
            stdout=log,
            stderr=log,
            start_new_session=True,
        )
    try:
        yield process
    finally:
        with contextlib.suppress(ProcessLookupError):
            os.killpg(process.pid, signal.SIGKILL)
        process.wait()


def _environment(python):
    """Variables of a shell in which an environment is active: Beam's pool starts ``python``."""
    kept = {name: value for name, value in os.environ.items() if not name.startswith("PYTHON")}
    return {**kept, "PATH": f"{Path(python).parent}{os.pathsep}{os.environ['PATH']}"}


def _run(command, cwd):
    done = subprocess.run(command, cwd=cwd, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr


def _free_port():
    with socket.socket() as listener:
        listener.bind(("localhost", 0))
        return listener.getsockname()[1]


def _wait_for(condition, seconds=60):
    end = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < end
        time.sleep(0.05)
