import json
import os
import re
import shlex
import shutil
import subprocess
import sys
from dataclasses import dataclass, field
from importlib import metadata
from pathlib import Path

import pytest

from tests.deploy.dockerfiles import FILES, FOLDER, steps

ROOT = FOLDER.parent
CUDA = "tensorflow[and-cuda]"
KNOWN = {"FROM", "COPY", "RUN", "WORKDIR", "ENV", "ENTRYPOINT"}
parametrize = pytest.mark.parametrize("path", FILES, ids=lambda path: path.stem)


@parametrize
def test_only_instructions_that_these_tests_understand(path):
    assert {step.name for step in steps(path)} <= KNOWN
    assert steps(path)[0].name == "FROM"


@parametrize
def test_the_base_has_an_exact_tag_of_the_versions_that_were_tested(path):
    base = next(step for step in steps(path) if step.name == "FROM").text
    beam, python = metadata.version("apache-beam"), "{}.{}".format(*sys.version_info)
    assert base == f"apache/beam_python{python}_sdk:{beam}"


@parametrize
def test_other_images_have_exact_tags(path):
    for step in steps(path):
        for flag in step.flags if step.name == "COPY" else ():
            assert re.fullmatch(r"--from=\S+:(?!latest)[\w.-]+", flag), flag


@parametrize
def test_what_is_copied_is_in_the_repository(path):
    for step in steps(path):
        if step.name == "COPY" and not step.flags:
            for source in step.words[:-1]:
                assert (ROOT / source).exists(), source


@parametrize
def test_an_entrypoint_and_a_variable_name_what_the_image_holds(path):
    here, held = Path("/"), {Path("/opt/apache/beam/boot")}
    for step in steps(path):
        if step.name == "WORKDIR":
            here = Path(step.text)
        elif step.name == "COPY":
            *sources, target = step.words
            held |= {here / target / Path(source).name for source in sources}
            held.add(here / target)
        elif step.name == "ENTRYPOINT":
            assert Path(json.loads(step.text)[0]) in held
        elif step.name == "ENV" and step.text.startswith("FLEX_TEMPLATE"):
            assert Path(step.text.partition("=")[2]) in held


@dataclass
class Environment:
    """A virtual environment in place of the base image, and what was installed in it."""

    folder: Path
    installed: set[str] = field(default_factory=set)

    def run(self, command, folder):
        variables = {name: value for name, value in os.environ.items() if name != "PYTHONPATH"}
        path = f"{self.folder / 'bin'}{os.pathsep}{variables['PATH']}"
        variables |= {"PATH": path, "VIRTUAL_ENV": str(self.folder)}
        done = subprocess.run(command, shell=True, cwd=folder, env=variables, capture_output=True)
        assert done.returncode == 0, (command, done.stdout[-2000:], done.stderr[-2000:])
        return done.stdout.decode()

    def install(self, command, folder):
        """Installs as an image does; what another image installed as well is there already.

        CUDA's packages are gigabytes. They are only resolved, and TensorFlow is installed without.
        """
        # Not --no-cache-dir: what was downloaded once is enough.
        words = [word for word in shlex.split(command) if word != "--no-cache-dir"]
        assert words[:2] == ["pip", "install"]
        if CUDA in words:
            resolve = ["pip", "install", "--quiet", "--dry-run", "--ignore-installed", *words[2:]]
            self.run(shlex.join(resolve), folder)
            words.remove(CUDA)
        # What is imported is compiled then; the rest need not be.
        without = shlex.join([*words, "--no-compile"])
        if without not in self.installed:
            self.run(without, folder)
            self.installed.add(without)


@pytest.fixture(scope="module")
def clean(tmp_path_factory):
    folder = tmp_path_factory.mktemp("clean") / "venv"
    subprocess.run([sys.executable, "-m", "venv", folder], check=True)
    return Environment(folder)


@pytest.mark.slow
@parametrize
def test_every_step_runs_in_a_clean_environment(path, clean, tmp_path):
    here = image = tmp_path / "image"
    for step in steps(path):
        if step.name == "WORKDIR":
            here = image / step.text.lstrip("/")
            here.mkdir(parents=True, exist_ok=True)
        elif step.name == "COPY" and not step.flags:
            _copy(step.words, here)
        elif step.name == "RUN" and step.text.startswith("pip install"):
            clean.install(step.text, here)
        elif step.name == "RUN":
            clean.run(step.text, here)
    code = "import model, pipeline; print(model.__file__, pipeline.__file__)"
    found = clean.run(f"python -c '{code}'", tmp_path)
    assert all(name.startswith(str(clean.folder)) for name in found.split()), found


def _copy(words: list[str], here: Path) -> None:
    *sources, target = words
    for source in sources:
        found = ROOT / source
        if found.is_dir():
            ignored = shutil.ignore_patterns("__pycache__")
            shutil.copytree(found, here / target, ignore=ignored)
        else:
            (here / target).mkdir(exist_ok=True)
            shutil.copy(found, here / target)
