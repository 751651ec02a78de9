"""The command on Dataflow, against stand-ins for its service and for Google's storage."""

import io
import json
import os
import re
import signal
import tarfile
import time
from types import SimpleNamespace

import numpy as np
import pytest
from PIL import Image

from tests.end_to_end.command import ROOT, run_here, said, start, write_network
from tests.end_to_end.fake_dataflow import (
    fake_dataflow,
    fake_storage,
    graph_of,
    write_credentials,
)
from tests.end_to_end.submitted_graph import between_workers, grouped, hinted, measure, side_inputs

pytestmark = pytest.mark.slow

IMAGE = "europe-docker.pkg.dev/project/images/annotator:1"
CANCEL = "gcloud dataflow jobs cancel {} --region=europe-west1 --project=project"


@pytest.fixture(scope="module")
def services(tmp_path_factory):
    """Both services, and what a user gives to reach them."""
    folder = tmp_path_factory.mktemp("services")
    with fake_dataflow() as service, fake_storage() as (bucket, environment):
        write_credentials(folder / "key.json", service)
        write_network(folder / "net.keras")
        flags = (
            *("--runner=DataflowRunner", "--project=project", "--region=europe-west1"),
            *("--temp_location=gs://bucket/temp", f"--dataflow_endpoint={service.endpoint}"),
            f"--sdk_container_image={IMAGE}",
            *("--input=gs://bucket/in", "--output=gs://bucket/out"),
            *("--model=gs://bucket/net.keras", "--image_size=64"),
        )
        variables = {**environment, "GOOGLE_APPLICATION_CREDENTIALS": str(folder / "key.json")}
        yield SimpleNamespace(
            service=service, bucket=bucket, flags=flags, variables=variables, folder=folder
        )


@pytest.fixture
def cloud(services, tmp_path):
    """A service without jobs, and a bucket that holds three photos and a network."""
    services.service.reset()
    services.bucket.delete_blobs(list(services.bucket.list_blobs()))
    services.bucket.blob("net.keras").upload_from_filename(services.folder / "net.keras")
    upload_photos(services.bucket, 3)
    services.here = {"cwd": tmp_path, **services.variables}
    return services


def upload_photos(bucket, count):
    """Photos of noise, each of over 50,000 bytes."""
    for number in range(count):
        noise = np.random.default_rng(number).integers(0, 256, (120, 160, 3), dtype=np.uint8)
        content = io.BytesIO()
        Image.fromarray(noise).save(content, "png")
        bucket.blob(f"in/{number}.png").upload_from_string(content.getvalue())


def names_in(bucket, prefix):
    return {blob.name.removeprefix(prefix) for blob in bucket.list_blobs(prefix=prefix)}


def launched(cloud, *flags):
    """A launcher that waits for the job, once the service has that job."""
    before = len(cloud.service.jobs)
    process = start(*cloud.flags, *flags, **cloud.here)
    while len(cloud.service.jobs) == before:
        assert process.poll() is None, process.communicate()
        time.sleep(0.05)
    return process, list(cloud.service.jobs)[-1]


def run_submitted(cloud, job, monkeypatch):
    """Does what Dataflow's workers would; returns the graph and what passed its collections."""
    graph = graph_of(cloud.service.jobs[job], cloud.bucket)
    for name, value in cloud.variables.items():
        monkeypatch.setenv(name, value)
    return graph, measure(graph)


def test_a_job_is_submitted_waited_for_and_reported(cloud, monkeypatch):
    process, job = launched(cloud, f"--setup_file={ROOT / 'setup.py'}")
    run_submitted(cloud, job, monkeypatch)
    cloud.service.state = "JOB_STATE_DONE"
    out, err = process.communicate(timeout=120)
    assert process.returncode == 0, err
    address = f"https://console.cloud.google.com/dataflow/jobs/europe-west1/{job}?project=project"
    assert f"job {job} was submitted: {address}\n" in err
    assert out.startswith("3 images, 0 failures") and out.count("\n") == 1
    assert names_in(cloud.bucket, "out/masks/") == {"0.png", "1.png", "2.png"}
    assert "running.json" not in names_in(cloud.bucket, "out/journal/")
    (pool,) = cloud.service.jobs[job]["environment"]["workerPools"]
    assert {image["containerImage"] for image in pool["sdkHarnessContainerImages"]} == {IMAGE}
    packages = {package["name"]: package["location"] for package in pool["packages"]}
    staged = packages["workflow.tar.gz"].removeprefix("storage.googleapis.com/bucket/")
    content = io.BytesIO(cloud.bucket.blob(staged).download_as_bytes())
    with tarfile.open(fileobj=content) as archive:
        files = {name.partition("/")[2] for name in archive.getnames()}
    assert {"model/weights/basnet_mini.weights.h5", "pipeline/build.py", "setup.py"} <= files


def test_a_job_that_is_done_is_done_although_its_counters_cannot_be_read(cloud, monkeypatch):
    assert run_here(*cloud.flags, "--runner=DirectRunner", **cloud.here)[0] == 0
    process, job = launched(cloud, "--resume")
    run_submitted(cloud, job, monkeypatch)
    cloud.service.state, cloud.service.tells_metrics = "JOB_STATE_DONE", False
    out, err = process.communicate(timeout=120)
    assert process.returncode == 0, err
    assert "the job is done, but its counters could not be read: " in err
    assert out.startswith("3 images (some may be of an earlier run), 0 failures, ")


def test_nothing_large_is_shuffled_and_no_side_input_grows_with_the_images(cloud, monkeypatch):
    sides = {}
    for count in (3, 12):
        upload_photos(cloud.bucket, count)
        status, _, err = run_here(
            *cloud.flags, f"--output=gs://bucket/{count}", "--no_wait_until_finish", **cloud.here
        )
        assert status == 0, err
        graph, measured = run_submitted(cloud, list(cloud.service.jobs)[-1], monkeypatch)
        assert max(of["largest"] for of in measured.values()) > 50_000  # Photos were measured.
        for collection, step in (grouped(graph) | between_workers(graph)).items():
            assert measured[collection]["largest"] < 10_000, step
        names = graph.components.pcollections
        sides[count] = {
            f"{step} {names[name].unique_name}": measured[name]
            for name, step in side_inputs(graph).items()
        }
    assert sides[3].keys() == sides[12].keys()
    with_hints, without = hinted(graph)
    assert {name.partition("/")[0] for name in with_hints} == {"Annotate"}
    assert not any(name.startswith("Annotate/") for name in without)
    assert "beam:resources:min_ram_bytes:v1" in next(iter(with_hints.values()))
    for step, of in sides[3].items():
        assert sides[12][step]["elements"] == of["elements"], step
        # Numbers may get longer.
        assert sides[12][step]["largest"] < of["largest"] + 100, step


def test_a_job_that_is_not_waited_for_bars_a_second_one_until_it_has_ended(cloud):
    status, out, err = run_here(*cloud.flags, "--no_wait_until_finish", **cloud.here)
    assert status == 0, err
    (job,) = cloud.service.jobs
    assert out.count("\n") == 1 and out.startswith(f"job {job} goes on without this command: https")
    assert "it is done when gs://bucket/out/summary.json is there" in out
    assert CANCEL.format(job) in out and "--resume" in out
    before = names_in(cloud.bucket, "out/")
    for flag in ("--resume", "--overwrite"):
        status, out, err = run_here(*cloud.flags, flag, **cloud.here)
        assert status == 2 and len(cloud.service.jobs) == 1
        (line,) = said(err)
        assert f"is being written to by job {job} (RUNNING, https://" in line
        assert CANCEL.format(job) in line
    # Also from a command that does not itself use Dataflow.
    local = [*cloud.flags, "--runner=DirectRunner", "--resume"]
    status, _, err = run_here(*local, **cloud.here)
    assert status == 2 and f"by job {job} (RUNNING" in err
    assert names_in(cloud.bucket, "out/") == before
    cloud.service.state = "JOB_STATE_CANCELLED"
    status, out, err = run_here(*local, **cloud.here)
    assert status == 0 and out.startswith("3 images, 0 failures"), err


def test_a_job_that_the_service_does_not_know_bars_nobody_for_good(cloud):
    assert run_here(*cloud.flags, "--no_wait_until_finish", **cloud.here)[0] == 0
    cloud.service.jobs.clear()
    status, _, err = run_here(*cloud.flags, "--resume", **cloud.here)
    (line,) = said(err)
    assert status == 2 and "whose state is not known" in line and "no job 2026" in line
    path = re.search(r"if you know that none does any more, delete gs://bucket/(\S+)", line)[1]
    cloud.bucket.blob(path).delete()
    assert run_here(*cloud.flags, "--resume", "--no_wait_until_finish", **cloud.here)[0] == 0


def test_an_interrupt_says_that_the_job_goes_on_and_how_to_cancel_it(cloud):
    process, job = launched(cloud)
    while f"{job} was submitted" not in process.stderr.readline():
        assert process.poll() is None
    os.killpg(process.pid, signal.SIGINT)
    out, err = process.communicate(timeout=30)
    assert process.returncode == 130 and out == ""
    assert err.startswith(f"run_pipeline.py: interrupted; job {job} goes on"), err
    assert CANCEL.format(job) in err and err.count("\n") == 1
    assert "running.json" in names_in(cloud.bucket, "out/journal/")


@pytest.mark.parametrize(
    ("state", "error", "said_of_it"),
    [
        (
            "FAILED",
            "Traceback (most recent call last):\n  x\nValueError: no luck",
            "ValueError: no luck",
        ),
        ("CANCELLED", None, "the job ended as CANCELLED"),
    ],
)
def test_a_job_that_fails_is_one_line_and_status_1(cloud, state, error, said_of_it):
    cloud.service.error, cloud.service.state = error, f"JOB_STATE_{state}"
    status, out, err = run_here(*cloud.flags, **cloud.here)
    assert (status, out) == (1, "")
    (line,) = said(err)
    assert said_of_it in line and "goes on without" not in line
    assert "running.json" not in names_in(cloud.bucket, "out/journal/")


def test_a_launcher_that_loses_touch_says_that_the_job_may_go_on(cloud):
    process, job = launched(cloud)
    while f"{job} was submitted" not in process.stderr.readline():
        assert process.poll() is None
    cloud.service.state = None
    out, err = process.communicate(timeout=60)
    assert (process.returncode, out) == (1, "")
    (line,) = said(err)
    assert "lost touch with the job" in line and CANCEL.format(job) in line
    assert "running.json" in names_in(cloud.bucket, "out/journal/")


def test_a_template_is_written_and_nothing_is_waited_for(cloud, monkeypatch):
    where = "gs://bucket/templates/annotate"
    status, out, err = run_here(*cloud.flags, f"--template_location={where}", **cloud.here)
    assert status == 0, err
    assert (
        out == f"the job is in {where} and was not run; when it is, it writes to gs://bucket/out\n"
    )
    assert not cloud.service.jobs
    job = json.loads(cloud.bucket.blob("templates/annotate").download_as_text())
    assert graph_of(job, cloud.bucket).root_transform_ids
    # Nobody knows whether a job of it goes on, until that job says that it does not.
    status, _, err = run_here(*cloud.flags, "--resume", **cloud.here)
    (line,) = said(err)
    assert status == 2 and f"may be written to by a job of the template {where}; if" in line
    cloud.service.jobs["made"] = job
    run_submitted(cloud, "made", monkeypatch)
    assert names_in(cloud.bucket, "out/masks/") == {"0.png", "1.png", "2.png"}
    assert "running.json" not in names_in(cloud.bucket, "out/journal/")


def test_a_dry_run_writes_nothing(cloud):
    status, out, err = run_here(*cloud.flags, "--dry_run=True", **cloud.here)
    assert status == 0 and out.startswith("the job was built"), err
    assert not cloud.service.jobs
    assert names_in(cloud.bucket, "out/") == names_in(cloud.bucket, "temp/") == set()


def test_flags_that_dataflow_lacks_are_wrong_usage(cloud):
    # Beam checks the flags for its own endpoint only, and before it talks to it.
    left_out = ("--project", "--dataflow_endpoint")
    without = [flag for flag in cloud.flags if not flag.startswith(left_out)]
    status, _, err = run_here(*without, **cloud.here)
    assert status == 2, err
    (line,) = said(err)
    assert "Missing required option: project" in line
    assert names_in(cloud.bucket, "out/") == set()
