from deploy.launch import flags_of
from pipeline.command.options import AnnotateOptions, parse


def test_switches_of_a_form_become_switches_of_the_command():
    given = ["--input=gs://a/b", "--resume=true", "--overwrite=False", "--truth="]
    assert flags_of(given) == ["--input=gs://a/b", "--resume"]


def test_what_is_no_switch_stays_as_it_is():
    given = ["--runner=DataflowRunner", "--experiments=a=b", "--resume", "gs://x"]
    assert flags_of(given) == given


def test_a_switch_that_is_neither_true_nor_false_is_left_to_the_command():
    assert flags_of(["--resume=perhaps"]) == ["--resume=perhaps"]


def test_the_command_reads_what_a_template_passes():
    options = parse(
        flags_of(["--input=gs://a/b c", "--output=gs://a/c", "--resume=true", "--image_size=288"])
    ).view_as(AnnotateOptions)
    assert (options.input, options.resume, options.image_size) == (["gs://a/b c"], True, 288)
