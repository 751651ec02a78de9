import argparse
import json
import re

import pytest

from pipeline.command.flags import add_flags
from pipeline.command.options import _parser
from tests.deploy.dockerfiles import FOLDER

METADATA = json.loads((FOLDER / "template.json").read_text())
PARAMETERS = {each["name"]: each for each in METADATA["parameters"]}
# What the fields of the service's TemplateMetadata and ParameterMetadata are called in JSON.
FIELDS = {"name", "description", "streaming", "parameters"}
PARAMETER_FIELDS = {"name", "label", "helpText", "isOptional", "regexes", "paramType"}
# Values that a user would give, and one or several that the regex has to refuse.
EXAMPLES = {
    # Each worker would decide.
    "precision": (["float32", "bfloat16", "float16"], "auto"),
    "input": (["gs://photos/2026/*.jpg", "gs://photos/all", "@gs://photos/list.txt"], "photos"),
    "output": (["gs://masks/2026"], "gs://masks"),
    "sdk_container_image": (["europe-docker.pkg.dev/p/annotator/cpu:1"], "cpu"),
    "truth": (["gs://photos/masks/*.png"], "masks"),
    "model": (["basnet_mini", "gs://models/own.keras"], "./own.keras"),
    "image_size": (["224"], "0"),
    "batch_size": (["8"], "eight"),
    "threshold": (["0.5", ".25", "0.05", "1", "1.0"], ["1.5", ".0", "0.00", "0"]),
    "max_megapixels": (["200", "0.5"], "-1"),
    "experiments": (["no_use_multiple_sdk_containers"], "two words"),
    "resource_hints": (
        [
            "accelerator=type:nvidia-l4;count:1;machine_type:g2-standard-8;install-nvidia-driver:5xx",
            "accelerator=type:nvidia-tesla-t4;count:1;machine_type:n1-standard-8;install-nvidia-driver",
        ],
        "two words",
    ),
    "number_of_worker_harness_threads": (["2"], "0"),
    "image_field": (["image/encoded", "jpg", "sample.photo"], "two\nlines"),
    "truth_field": (["image/segmentation/class/encoded", "mask.png"], ""),
    "name_field": (["image/filename", "json"], ""),
    "category": (["cat", "a big dog"], " "),
    "min_area": (["64"], "0"),
    "review": (["0", "100"], "-1"),
    "read_timeout": (["60", "0.5"], "-1"),
}
# Flags that a form does not have.
LEFT_OUT = {
    "help",
    "engine",  # The images of workers have Keras alone.
    "report",  # It is on; no_report turns it off.
    "masks",  # The form has to have an input.
    # Of the command that starts a job, which no form shows.
    "plan",
    "quiet",
    "shared_disk",
    "max_failure_rate",
    "allow_lost_shards",
}


def flags():
    return {name: each for each in _parser()._actions for name in each.option_strings}


def test_fields_are_those_that_the_service_documents():
    assert METADATA.keys() == FIELDS
    for each in PARAMETERS.values():
        assert {"name", "label", "helpText"} <= each.keys() <= PARAMETER_FIELDS


def test_the_service_s_own_messages_take_it():
    client = pytest.importorskip("google.cloud.dataflow_v1beta3")
    read = client.TemplateMetadata.from_json(json.dumps(METADATA), ignore_unknown_fields=False)
    assert [each.name for each in read.parameters] == list(PARAMETERS)


def test_the_form_has_every_flag_but_those_that_are_left_out():
    parser = argparse.ArgumentParser()
    add_flags(parser)
    own = {each.option_strings[-1].removeprefix("--") for each in parser._actions}
    assert own - PARAMETERS.keys() == LEFT_OUT


@pytest.mark.parametrize("name", PARAMETERS)
def test_every_parameter_is_a_flag_that_the_command_knows(name):
    assert f"--{name}" in flags()


@pytest.mark.parametrize("name", PARAMETERS)
def test_a_regex_takes_what_the_flag_takes(name):
    (regex,) = PARAMETERS[name]["regexes"]
    flag = flags()[f"--{name}"]
    if flag.nargs == 0:
        taken, refused = ["true", "false"], "yes"
    elif flag.choices and name not in EXAMPLES:
        taken, refused = list(flag.choices), "no such choice"
    else:
        taken, refused = EXAMPLES[name]
    assert all(re.fullmatch(regex, value) for value in taken)
    refused = [refused] if isinstance(refused, str) else refused
    assert not any(re.fullmatch(regex, value) for value in refused)
