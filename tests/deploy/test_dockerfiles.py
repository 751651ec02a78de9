import json
import os
import re
import shlex
import shutil
import subprocess
import sys
from importlib import metadata
from pathlib import Path

import pytest

from tests.deploy.dockerfiles import FILES, FOLDER, steps

ROOT = FOLDER.parent
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


@pytest.mark.slow
@parametrize
def test_every_step_runs_in_a_clean_environment(path, tmp_path):
    """In a virtual environment instead of the base image.

    CUDA's packages are gigabytes: their step is only resolved, and the CPU's takes its place.
    """
    venv = tmp_path / "venv"
    subprocess.run([sys.executable, "-m", "venv", venv], check=True)
    environment = {
        **{name: value for name, value in os.environ.items() if name != "PYTHONPATH"},
        "PATH": f"{venv / 'bin'}{os.pathsep}{os.environ['PATH']}",
        "VIRTUAL_ENV": str(venv),
    }
    image = tmp_path / "image"
    here = image
    for step in steps(path):
        if step.name == "WORKDIR":
            here = image / step.text.lstrip("/")
            here.mkdir(parents=True, exist_ok=True)
        elif step.name == "COPY" and not step.flags:
            _copy(step.words, here)
        elif step.name == "RUN":
            for command in _without_gigabytes(step.text):
                # Not --no-cache-dir: what the test downloads once is enough.
                command = command.replace("--no-cache-dir", "--quiet")
                subprocess.run(command, shell=True, cwd=here, env=environment, check=True)
    assert not (venv / "lib").is_symlink()
    code = "import model, pipeline; print(model.__file__, pipeline.__file__)"
    command = [venv / "bin/python", "-c", code]
    found = subprocess.run(command, cwd=tmp_path, env=environment, capture_output=True, text=True)
    assert all(name.startswith(str(venv)) for name in found.stdout.split()), found


def _without_gigabytes(command: str) -> list[str]:
    if "and-cuda" not in command:
        return [command]
    words = shlex.split(command)
    assert words[:2] == ["pip", "install"]
    resolved = shlex.join(["pip", "install", "--dry-run", *words[2:]])
    return [resolved, command.replace("tensorflow[and-cuda]", "tensorflow")]


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
