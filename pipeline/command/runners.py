"""What a runner means for a job: where its workers are, and whether the command outlives it."""

from __future__ import annotations

from apache_beam.options.pipeline_options import (
    DebugOptions,
    DirectOptions,
    FlinkRunnerOptions,
    GoogleCloudOptions,
    PipelineOptions,
    PortableOptions,
    SetupOptions,
    SparkRunnerOptions,
    StandardOptions,
    TestOptions,
    WorkerOptions,
)

from pipeline.command.options import UsageError

DATAFLOW = "dataflowrunner"
DATAFLOW_WORKERS = "Dataflow's workers"
# Their workers are processes of this machine.
_LOCAL = (
    "directrunner",
    "fnapirunner",
    "bundlebaseddirectrunner",
    "switchingdirectrunner",
    "testdirectrunner",
    "interactiverunner",
    "prismrunner",
)


def runner_name(options: PipelineOptions) -> str:
    """The runner's name in one form: Beam takes ``dataflow``, ``DataflowRunner`` and its path."""
    given = options.view_as(StandardOptions).runner or "DirectRunner"
    name = given.rpartition(".")[2].lower()
    return name if name.endswith("runner") else f"{name}runner"


def workers_elsewhere(options: PipelineOptions) -> str | None:
    """Names the workers where they may be on another machine or in a container, else None.

    Only what runs in this process, or is started by it, is known to be here: an address such as
    ``localhost`` is the one of a cluster's machine when it is the cluster that uses it.
    """
    name = runner_name(options)
    if name == DATAFLOW:
        return DATAFLOW_WORKERS
    environment = options.view_as(PortableOptions).environment_type
    if environment is None:
        # Beam's own defaults, else containers.
        flink = options.view_as(FlinkRunnerOptions).flink_master in ("[local]", "[auto]")
        spark = options.view_as(SparkRunnerOptions).spark_master_url.startswith("local")
        local = (name == "flinkrunner" and flink) or (name == "sparkrunner" and spark)
        environment = "LOOPBACK" if local or name in _LOCAL else "DOCKER"
    here = environment.upper() == "LOOPBACK" or (name in _LOCAL and environment != "DOCKER")
    return None if here else "the runner's workers"


def runs_on(options: PipelineOptions) -> bool:
    """Whether a job goes on when this command ends, in the care of a service that knows it."""
    endpoint = options.view_as(PortableOptions).job_endpoint
    return runner_name(options) == DATAFLOW or (may_run_on(options) and endpoint is not None)


def may_run_on(options: PipelineOptions) -> bool:
    """Whether a job may go on when this command ends, as its workers do not end with it."""
    is_here = runner_name(options) in _LOCAL or workers_elsewhere(options) is None
    return not is_here and options.view_as(PortableOptions).job_endpoint != "embed"


def only_built(options: PipelineOptions) -> str | None:
    """Where a job is written to instead of being run: a template or an executable; or None."""
    return (
        options.view_as(GoogleCloudOptions).template_location
        or options.view_as(PortableOptions).output_executable_path
    )


def is_dry_run(options: PipelineOptions) -> bool:
    """Whether the job is neither run nor written anywhere."""
    return bool(options.view_as(TestOptions).dry_run)


def does_not_wait(options: PipelineOptions) -> bool:
    """Whether the command ends once the job is submitted."""
    return options.view_as(StandardOptions).no_wait_until_finish


def processes(options: PipelineOptions) -> int:
    """Worker processes that share a machine's cores, as in ``Job``."""
    direct = options.view_as(DirectOptions)
    name = runner_name(options)
    if name == DATAFLOW:
        # Unless told otherwise, Dataflow runs one process on each core.
        experiments = options.view_as(DebugOptions).experiments or []
        return 1 if "no_use_multiple_sdk_containers" in experiments else 0
    if name not in _LOCAL:
        # 0 leaves the number to the runner, which goes by the cores.
        return int(options.view_as(PortableOptions).sdk_worker_parallelism)
    if direct.direct_running_mode != "multi_processing":
        return 1
    return direct.direct_num_workers  # 0 is one on each core here, too.


def check_runner(options: PipelineOptions) -> None:
    """Checks what is asked of the runner.

    Raises:
        UsageError: It would be ignored, or the workers would lack this package.
    """
    dataflow = runner_name(options) == DATAFLOW
    if is_dry_run(options) and not dataflow:
        raise UsageError("--dry_run is known to DataflowRunner only; --plan does nothing anywhere")
    if options.view_as(GoogleCloudOptions).template_location and not dataflow:
        raise UsageError("--template_location is known to DataflowRunner only")
    if does_not_wait(options) and not (runs_on(options) or only_built(options)):
        raise UsageError(
            "--no_wait_until_finish: this job would end with the command; it needs DataflowRunner, "
            "or a --job_endpoint whose workers are not in this process"
        )
    setup, image = options.view_as(SetupOptions), options.view_as(WorkerOptions).sdk_container_image
    if dataflow and not (
        setup.setup_file or setup.extra_packages or setup.requirements_file or image
    ):
        raise UsageError(
            "Dataflow's workers would lack this package; add --setup_file=./setup.py, or "
            "--sdk_container_image of an image that holds it"
        )
