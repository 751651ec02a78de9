"""A job that goes on without this command: its address, its state, and how to cancel it."""

from __future__ import annotations

from dataclasses import dataclass

from apache_beam.options.pipeline_options import (
    GoogleCloudOptions,
    PipelineOptions,
    PortableOptions,
)
from apache_beam.runners.runner import PipelineResult, PipelineState

from pipeline.command.runners import DATAFLOW, may_run_on, runner_name

# Seconds for an answer about a job's state.
_TIMEOUT = 30.0


@dataclass(frozen=True)
class RemoteJob:
    """What finds a job again.

    Attributes:
        id: The job's identifier.
        endpoint: Address of the service that knows the job; empty if that service ends with the
            command that started the job, as Beam's own for a cluster of Flink or Spark.
        project: Project of a job on Dataflow, else empty.
        region: Region of a job on Dataflow, else empty.
    """

    id: str
    endpoint: str
    project: str = ""
    region: str = ""

    @property
    def is_on_dataflow(self) -> bool:
        """Whether it runs on Dataflow; else a job service of Beam knows it."""
        return bool(self.project)

    @property
    def outlook(self) -> str:
        """What becomes of it when the command ends."""
        return f"job {self.id} {'goes on' if self.endpoint else 'may go on'} without this command"

    @property
    def address(self) -> str:
        """Where to look at it."""
        if not self.is_on_dataflow:
            return self.endpoint or "on the machines of its runner"
        jobs = "https://console.cloud.google.com/dataflow/jobs"
        return f"{jobs}/{self.region}/{self.id}?project={self.project}"

    @property
    def how_to_cancel(self) -> str:
        """What ends it."""
        if not self.is_on_dataflow:
            return "cancel it where its runner shows it"
        place = f"--region={self.region} --project={self.project}"
        return f"cancel it with: gcloud dataflow jobs cancel {self.id} {place}"


def service_of(options: PipelineOptions) -> str | None:
    """Name of the runner that may keep a job, or None if the job ends with this command.

    To be asked before the job is run, as Beam changes its flags then.
    """
    return runner_name(options) if may_run_on(options) else None


def remote_job(service: str, result: PipelineResult, options: PipelineOptions) -> RemoteJob:
    """The job that was submitted to a service."""
    if service == DATAFLOW:
        cloud = options.view_as(GoogleCloudOptions)
        return RemoteJob(result.job_id(), cloud.dataflow_endpoint, cloud.project, cloud.region)
    # Beam has no public name for it, and a runner that is not Beam's may not have it.
    name = str(getattr(result, "_job_id", "?"))
    return RemoteJob(name, options.view_as(PortableOptions).job_endpoint or "")


def state_of(job: RemoteJob, options: PipelineOptions) -> str:
    """Asks its service for a job's state, one of Beam's ``PipelineState``.

    Args:
        job: A job.
        options: Beam's flags; of them, how to authenticate is used.

    Raises:
        Exception: There is no answer.
    """
    if not job.endpoint:
        raise LookupError("its job service ended with the command that started it")
    return (_on_dataflow if job.is_on_dataflow else _of_job_service)(job, options)


def has_ended(state: str) -> bool:
    """Whether a job of this state will write no more."""
    return PipelineState.is_terminal(state)


def is_over(job: RemoteJob, result: PipelineResult, options: PipelineOptions) -> bool:
    """Whether it is known that a job of this command has ended."""
    try:
        # A job service that ends with this command is found by the result alone.
        return has_ended(state_of(job, options) if job.endpoint else result.state)
    except Exception:
        return False


def _on_dataflow(job: RemoteJob, options: PipelineOptions) -> str:
    # Imported here because they need the extra gcp.
    from apache_beam.internal.gcp.auth import get_service_credentials
    from apache_beam.runners.dataflow.dataflow_runner import DataflowPipelineResult
    from google.api_core.client_options import ClientOptions
    from google.auth.credentials import AnonymousCredentials
    from google.cloud import dataflow_v1beta3 as dataflow

    no_auth = options.view_as(GoogleCloudOptions).no_auth
    credentials = None if no_auth else get_service_credentials(options)
    client = dataflow.JobsV1Beta3Client(
        credentials=credentials or AnonymousCredentials(),
        # An address with a scheme, as of Dataflow itself and of a service on this machine.
        client_options=ClientOptions(api_endpoint=job.endpoint.rstrip("/")),
        transport="rest",
    )
    found = client.get_job(
        dataflow.GetJobRequest(project_id=job.project, location=job.region, job_id=job.id),
        timeout=_TIMEOUT,
    )
    return DataflowPipelineResult.api_jobstate_to_pipeline_state(found.current_state)


def _of_job_service(job: RemoteJob, _) -> str:
    # Imported here because gRPC takes long to import.
    import grpc
    from apache_beam.portability.api import beam_job_api_pb2 as api
    from apache_beam.portability.api import beam_job_api_pb2_grpc as services

    with grpc.insecure_channel(job.endpoint) as channel:
        request = api.GetJobStateRequest(job_id=job.id)
        state = services.JobServiceStub(channel).GetState(request, timeout=_TIMEOUT).state
    return api.JobState.Enum.Name(state)
