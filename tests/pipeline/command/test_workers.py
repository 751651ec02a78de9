"""What workers are given: processes beside a GPU, and resource hints."""

import pytest
from apache_beam.options.pipeline_options import DebugOptions, StandardOptions

from pipeline.command.options import UsageError, parse
from pipeline.command.runners import processes
from pipeline.command.workers import needed_memory, one_process_with_accelerator, take_hints
from pipeline.job_settings import Job

GPU = "--dataflow_service_options=worker_accelerator=type:nvidia-l4;count:1;install-nvidia-driver"
ONE = "no_use_multiple_sdk_containers"


@pytest.mark.parametrize(
    "flags",
    [
        (GPU,),
        ("--dataflow_service_options=enable_prime," + GPU.partition("=")[2],),
        ("--experiments=worker_accelerator=type:nvidia-tesla-t4;count:1",),
        ("--resource_hint=accelerator=type:nvidia-l4;count:1;install-nvidia-driver",),
        (GPU, "--experiments=another"),
    ],
)
def test_with_an_accelerator_dataflow_runs_one_process_on_a_machine(flags):
    options = parse(["--runner=dataflow", *flags])
    assert processes(options) == 0
    assert f"--experiments={ONE}" in one_process_with_accelerator(options)
    assert ONE in options.view_as(DebugOptions).experiments
    assert processes(options) == 1


@pytest.mark.parametrize(
    "flags",
    [
        ("--runner=dataflow",),
        ("--runner=dataflow", "--resource_hint=min_ram=4GB"),
        ("--runner=dataflow", GPU, "--experiments=use_multiple_sdk_containers"),
        ("--runner=dataflow", GPU, f"--experiments={ONE}"),
        ("--runner=FlinkRunner", "--resource_hint=accelerator=type:nvidia-l4;count:1"),
    ],
)
def test_without_an_accelerator_or_told_otherwise_nothing_changes(flags):
    options = parse(flags)
    before = list(options.view_as(DebugOptions).experiments or [])
    assert one_process_with_accelerator(options) is None
    assert list(options.view_as(DebugOptions).experiments or []) == before


def test_hints_are_taken_from_beam_which_would_give_them_to_every_step():
    options = parse(
        ["--resource_hint=accelerator=type:nvidia-l4;count:1", "--resource_hint=min_ram=3GB"]
    )
    hints = take_hints(options, Job("out"))
    assert hints == ("accelerator=type:nvidia-l4;count:1", "min_ram=3GB")
    assert options.view_as(StandardOptions).resource_hints == []
    assert take_hints(parse([]), Job("out")) == ("min_ram=2560MiB",)
    assert take_hints(parse([]), Job("out", mask_format="parquet")) == ("min_ram=2656MiB",)
    assert take_hints(parse([]), Job("out", cutouts="webp")) == ("min_ram=4838MiB",)
    # Dataflow refuses hints beside an accelerator for every worker.
    assert take_hints(parse([GPU]), Job("out")) == ()


@pytest.mark.parametrize("hint", ["min_ram=much", "min_rom=4GB", "min_ram"])
def test_hints_that_are_none_are_refused(hint):
    with pytest.raises(UsageError, match="--resource_hint: .*min_r"):
        take_hints(parse([f"--resource_hint={hint}"]), Job("out"))


def test_memory_is_that_of_the_largest_image_in_each_process():
    small, usual, scoring = (
        needed_memory(job)
        for job in (Job("", max_megapixels=20), Job(""), Job("", truth="t", max_megapixels=100))
    )
    # Peaks of processes that were measured: 0.9 GB with small photos, 1.9 with 100 megapixels.
    assert 0.9e9 + 20e6 * 4 < small < 1.5e9
    assert 1.9e9 < usual < 3e9
    assert scoring > 0.9e9 + 100e6 * 40
    assert needed_memory(Job("", annotations=("yolo",))) > 200e6 * 32
    assert needed_memory(Job("", processes=4)) == 4 * usual
    assert needed_memory(Job("", processes=0)) == usual
