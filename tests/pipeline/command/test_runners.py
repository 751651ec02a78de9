"""What each runner means: where its workers are, how many share a machine, what it cannot do."""

import pytest

from pipeline.command.options import parse
from pipeline.command.runners import may_run_on, processes, runs_on, workers_elsewhere
from pipeline.job_settings import Job
from tests.pipeline.checked import enter_folder, job, refused
from tests.pipeline.object_store import ObjectStore

REMOTE = {"--input": "store://bucket/in", "--output": "store://bucket/out"}
PACKAGE = "--setup_file=./setup.py"
PORTABLE = ("--runner=PortableRunner", "--job_endpoint=localhost:1")
CLUSTER = "--flink_master=cluster:8081"


@pytest.fixture(autouse=True)
def folder(tmp_path, monkeypatch):
    """A folder with one file of each kind, to run the command in, and the same in a store."""
    enter_folder(tmp_path, monkeypatch)
    below = {f"store://bucket/{name}": b"x" for name in ("in/a.jpg", "truth/a.png")}
    monkeypatch.setattr(ObjectStore, "files", below)
    return tmp_path


def flags(values):
    return [text for pair in values.items() for text in pair]


@pytest.mark.parametrize(
    ("given", "count"),
    [
        ((), 1),
        (("--runner=DirectRunner", "--direct_num_workers=4"), 1),
        (("--direct_running_mode=multi_threading", "--direct_num_workers=4"), 1),
        (("--direct_running_mode=multi_processing", "--direct_num_workers=4"), 4),
        # 0 is one on each core.
        (("--direct_running_mode=multi_processing", "--direct_num_workers=0"), 0),
        (("--runner=DataflowRunner",), 0),
        (("--runner=dataflow",), 0),
        (("--runner=dataflow", "--experiments=no_use_multiple_sdk_containers"), 1),
        (("--runner=dataflow", "--experiments=another"), 0),
        (PORTABLE, 1),
        ((*PORTABLE, "--sdk_worker_parallelism=3"), 3),
        (("--runner=flink", "--sdk_worker_parallelism=0"), 0),
    ],
)
def test_the_job_knows_how_many_processes_share_a_machine(given, count):
    assert processes(parse(given)) == count


def test_a_checked_job_has_that_number():
    given = flags(REMOTE)
    assert job("--runner=dataflow", PACKAGE, *given).processes == 0


@pytest.mark.parametrize(
    ("given", "elsewhere"),
    [
        ((), False),
        (("--runner=DirectRunner",), False),
        (("--runner=direct", "--direct_running_mode=multi_processing"), False),
        (("--runner=PrismRunner",), False),
        (("--runner=PrismRunner", "--environment_type=DOCKER"), True),
        (("--runner=DataflowRunner",), True),
        (("--runner=dataflow",), True),
        (("--runner=apache_beam.runners.dataflow.dataflow_runner.DataflowRunner",), True),
        # A container on this machine has files of its own.
        (PORTABLE, True),
        ((*PORTABLE, "--environment_type=DOCKER"), True),
        ((*PORTABLE, "--environment_type=EXTERNAL", "--environment_config=localhost:2"), True),
        ((*PORTABLE, "--environment_type=LOOPBACK"), False),
        # Beam starts a cluster of its own here, with workers in this process.
        (("--runner=FlinkRunner",), False),
        (("--runner=flink", "--flink_master=[local]"), False),
        (("--runner=flink", "--environment_type=DOCKER"), True),
        (("--runner=flink", CLUSTER), True),
        (("--runner=flink", CLUSTER, "--environment_type=LOOPBACK"), False),
        (("--runner=SparkRunner",), False),
        (("--runner=spark", "--spark_master_url=local[2]"), False),
        (("--runner=spark", "--spark_master_url=spark://host:7077"), True),
        (("--runner=KafkaStreamsRunner",), True),
        (("--runner=somebody.elses.Runner",), True),
    ],
    ids=str,
)
def test_workers_are_here_only_where_that_is_known(given, elsewhere):
    assert (workers_elsewhere(parse(given)) is not None) is elsewhere


@pytest.mark.parametrize(
    "given",
    [
        {"--output": "output"},
        {"--input": "in"},
        {"--truth": "truth"},
        {"--masks": "masks", "--truth": "store://bucket/truth"},
        {"--model": "net.keras"},
    ],
    ids=str,
)
@pytest.mark.parametrize(
    "runner", [("--runner=dataflow", PACKAGE), PORTABLE, ("--runner=flink", CLUSTER)]
)
def test_paths_of_this_machine_are_refused_where_workers_may_not_see_them(given, runner):
    remote = {**REMOTE, **given}
    if "--masks" in given:
        del remote["--input"]
    message = refused(*runner, *flags(remote))
    flag, path = next(iter(given.items()))
    assert f"{flag} {path!r} is on this machine, where " in message
    assert "gs://bucket/folder" in message
    assert ("--shared_disk" in message) is ("dataflow" not in runner[0])


def test_the_bundled_sample_is_no_input_for_other_machines():
    message = refused(*PORTABLE, "--output=store://bucket/out")
    assert "sample" in message and "is on this machine" in message


def test_a_disk_that_all_workers_share_is_used_by_full_paths(folder):
    found = job(*PORTABLE, "--shared_disk", "--input=in", "--truth=truth/*", "--output=out")
    assert (found.inputs, found.truth) == ((f"{folder}/in",), f"{folder}/truth/*")
    assert (found.output, found.model) == (f"{folder}/out", Job.model)
    # There, nothing is shared.
    message = refused("--runner=dataflow", PACKAGE, "--shared_disk", "--input=in", "--output=out")
    assert "Dataflow's workers may not see it" in message
    # Here, it says nothing new.
    assert job("--shared_disk", "--input=in", "--output=out").output == "out"


@pytest.mark.parametrize(
    ("given", "part"),
    [
        (("--dry_run=True",), "--plan"),
        (("--template_location=gs://bucket/t",), "--template_location"),
        (("--no_wait_until_finish",), "would end with the command"),
        (("--no_wait_until_finish", "--runner=flink"), "would end with the command"),
        (
            ("--no_wait_until_finish", *PORTABLE, "--environment_type=LOOPBACK"),
            "would end with the command",
        ),
        (("--runner=dataflow", *flags(REMOTE)), "add --setup_file=./setup.py"),
    ],
    ids=str,
)
def test_what_a_runner_cannot_do_is_refused(given, part):
    assert part in refused(*given)


@pytest.mark.parametrize(
    "given", [PACKAGE, "--sdk_container_image=image", "--extra_package=x", "--requirements_file=x"]
)
def test_dataflows_workers_get_the_package_in_one_of_four_ways(given):
    assert job("--runner=dataflow", given, *flags(REMOTE))


@pytest.mark.parametrize(
    ("given", "may_go_on", "is_kept"),
    [
        ((), False, False),
        (("--runner=PrismRunner", "--environment_type=DOCKER"), False, False),
        (("--runner=flink",), False, False),
        (("--runner=dataflow",), True, True),
        (PORTABLE, True, True),
        ((*PORTABLE, "--environment_type=LOOPBACK"), False, False),
        (("--runner=PortableRunner", "--job_endpoint=embed"), False, False),
        (("--runner=flink", CLUSTER), True, False),
        (("--runner=flink", CLUSTER, "--job_endpoint=host:8099"), True, True),
        (("--runner=spark", "--spark_master_url=spark://host:7077"), True, False),
    ],
    ids=str,
)
def test_a_job_may_go_on_where_its_workers_do_and_is_kept_by_a_service(given, may_go_on, is_kept):
    options = parse(given)
    assert (may_run_on(options), runs_on(options)) == (may_go_on, is_kept)
