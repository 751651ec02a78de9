"""Flags: which are known, and what is said of the others."""

import argparse

import pytest
from apache_beam.options.pipeline_options import (
    DirectOptions,
    GoogleCloudOptions,
    StandardOptions,
)

from pipeline.command.flags import add_flags
from pipeline.command.options import UsageError, parse


def refused(*argv):
    with pytest.raises(UsageError) as caught:
        parse(list(argv))
    return str(caught.value)


def test_beams_own_flags_pass():
    options = parse(
        ["--runner=DataflowRunner", "--direct_num_workers", "2", "--project=p", "--temp_location=t"]
    )
    assert options.view_as(StandardOptions).runner == "DataflowRunner"
    assert options.view_as(DirectOptions).direct_num_workers == 2
    assert options.view_as(GoogleCloudOptions).project == "p"


@pytest.mark.parametrize(
    ("argument", "nearest"),
    [
        ("--treshold=0.5", "--threshold"),
        ("--imput", "--input"),
        ("--batchsize", "--batch_size"),
        ("--runer=DirectRunner", "--runner"),
        ("--direct_num_worker=2", "--direct_num_workers"),
        ("--max_failure_rat=1", "--max_failure_rate"),
    ],
)
def test_an_unknown_flag_names_the_nearest(argument, nearest):
    message = refused(argument)
    assert repr(argument) in message and message.endswith(f"did you mean {nearest}?")


def test_each_flag_of_the_command_is_found_without_its_last_letter():
    parser = argparse.ArgumentParser()
    add_flags(parser)
    flags = [action.option_strings[0] for action in parser._actions if action.dest != "help"]
    assert {"--quiet", "--plan", "--input"} <= {*flags}
    for flag in flags:
        assert refused(flag[:-1]).endswith(f"did you mean {flag}?")


def test_what_is_like_no_flag_points_to_the_help():
    for argument in ("--qqqqzzzz", "stray"):
        assert refused(argument) == f"unknown argument {argument!r}; see --help"


def test_flags_are_not_abbreviated():
    assert "--batch" in refused("--batch=3")


@pytest.mark.parametrize(
    "argv",
    [
        *(["--batch_size=many"], ["--input_format=zip"], ["--tta=rotate"]),
        *(["--precision=double"], ["--threshold"], ["--input"]),
    ],
)
def test_values_of_the_wrong_kind_are_refused_briefly(argv, capsys):
    message = refused(*argv)
    assert argv[0].split("=")[0] in message and len(message) < 200
    assert capsys.readouterr().err == ""
