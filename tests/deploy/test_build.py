import re
from pathlib import Path

import pytest

from pipeline.command.options import parse
from tests.deploy.dockerfiles import FILES, FOLDER

GUIDE = (FOLDER.parent / "docs/dataflow.md").read_text()


def commands(start):
    """The commands of the guide that begin so, each on one line."""
    blocks = "".join(re.findall(r"```sh\n(.*?)```", GUIDE, re.DOTALL)).replace("\\\n", " ")
    return [line.strip() for line in blocks.splitlines() if line.strip().startswith(start)]


def words(command):
    # Shell variables and comments: neither is the command's.
    without = re.sub(r"\s#.*", "", command)
    return [word.strip("\"'") for word in without.split()]


@pytest.mark.parametrize("command", commands("python run_pipeline.py"))
def test_the_command_knows_every_flag_of_the_guide(command):
    assert "--output" in words(command)
    parse(words(command)[2:])


def test_every_image_is_built_in_the_guide():
    built = {
        name
        for command in commands("gcloud builds")
        for name in re.findall(r"_FILE=(\w+)", command)
    }
    assert built == {path.name.partition(".")[0] for path in FILES}


def test_the_variables_of_the_build_are_set_in_the_guide():
    used = set(re.findall(r"\$\{(_\w+)\}", Path(FOLDER, "build.yaml").read_text()))
    for command in commands("gcloud builds"):
        assert set(re.findall(r"\b(_\w+)=", command)) == used
