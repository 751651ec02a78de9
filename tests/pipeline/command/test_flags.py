"""What `--help` says."""

import pytest

from pipeline.command.flags import help_text

GROUPS = ("input", "output", "network", "limits", "runner", "examples")


@pytest.mark.parametrize(
    "flag",
    [
        *("input", "input_format", "truth", "masks", "output", "overwrite", "resume", "plan"),
        *("model", "image_size", "batch_size", "tta", "precision", "engine", "threshold"),
        *("read_timeout", "max_failure_rate"),
    ],
)
def test_help_names_every_flag_of_the_command(flag):
    assert f"  --{flag} " in help_text() or f"  --{flag}\n" in help_text()


def test_help_comes_in_groups_with_examples_at_its_end():
    text = help_text()
    places = [text.index(f"\n{name}:\n") for name in GROUPS]
    assert places == sorted(places)
    assert "python run_pipeline.py --input photos --output annotated\n" in text[places[-1] :]


def test_help_names_none_of_beams_options():
    assert "--dataflow_endpoint" not in help_text()
