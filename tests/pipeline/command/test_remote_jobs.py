"""Jobs that go on without the command: their addresses, and what Beam's own job service says."""

import apache_beam as beam
import pytest
from apache_beam.options.pipeline_options import PipelineOptions
from apache_beam.runners.portability.local_job_service import LocalJobServicer

from pipeline.command.remote_jobs import RemoteJob, has_ended, is_over, remote_job, state_of

OPTIONS = PipelineOptions([])


@pytest.fixture
def endpoint():
    service = LocalJobServicer()
    yield f"localhost:{service.start_grpc_server()}"
    service.stop()


def test_a_job_service_is_asked_for_the_state_of_a_job(endpoint):
    flags = ["--runner=PortableRunner", f"--job_endpoint={endpoint}", "--environment_type=LOOPBACK"]
    pipeline = beam.Pipeline(options=PipelineOptions(flags))
    pipeline | beam.Create([1])
    result = pipeline.run()
    job = remote_job("portablerunner", result, pipeline.options)
    assert job == RemoteJob(result._job_id, endpoint) and job.address == endpoint
    result.wait_until_finish()
    assert state_of(job, OPTIONS) == "DONE"
    assert is_over(job, result, OPTIONS)
    # The same of a service that nobody else can ask.
    own = RemoteJob(result._job_id, "")
    assert is_over(own, result, OPTIONS)
    assert own.outlook == f"job {own.id} may go on without this command"
    with pytest.raises(LookupError, match="ended with the command"):
        state_of(own, OPTIONS)


def test_what_nothing_is_known_of_is_not_over(endpoint):
    assert not is_over(RemoteJob("another", endpoint), None, OPTIONS)
    assert not is_over(RemoteJob("job", "localhost:1"), None, OPTIONS)
    assert not is_over(RemoteJob("job", ""), None, OPTIONS)


@pytest.mark.parametrize(
    ("state", "ended"),
    [("DONE", True), ("FAILED", True), ("CANCELLED", True), ("DRAINED", True)]
    + [(state, False) for state in ("PENDING", "RUNNING", "DRAINING", "CANCELLING", "UNKNOWN")],
)
def test_a_job_that_is_about_to_end_has_not_ended(state, ended):
    assert has_ended(state) is ended


def test_a_job_on_dataflow_has_a_page_and_a_command():
    job = RemoteJob("2026-1", "https://dataflow.googleapis.com", "mine", "europe-west1")
    jobs = "https://console.cloud.google.com/dataflow/jobs"
    assert job.address == f"{jobs}/europe-west1/2026-1?project=mine"
    command = "gcloud dataflow jobs cancel 2026-1 --region=europe-west1 --project=mine"
    assert job.how_to_cancel.endswith(command)
