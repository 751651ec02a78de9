"""Stand-ins for Dataflow's service and Google's storage, which Beam itself talks to.

The service takes jobs, tells their state, and runs nothing: a test says what becomes of them.
"""

import contextlib
import http.server
import json
import re
import threading

from apache_beam.portability.api import beam_runner_api_pb2
from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric import rsa
from gcp_storage_emulator.server import create_server
from google.cloud import storage

BUCKET = "bucket"


class FakeDataflow(http.server.ThreadingHTTPServer):
    """Dataflow's REST interface, as far as a launcher uses it.

    Attributes:
        jobs: What was submitted, by identifier, as JSON.
        state: What every job's state is; None where the launcher may not ask any more.
        error: The last message of every job, or None.
        tells_metrics: Whether it tells what jobs have counted.
    """

    def __init__(self):
        super().__init__(("localhost", 0), _Handler)
        self.reset()

    def reset(self):
        """Forgets all jobs."""
        self.jobs, self.state, self.error = {}, "JOB_STATE_RUNNING", None
        self.tells_metrics = True

    @property
    def endpoint(self):
        return f"http://localhost:{self.server_port}"


class _Handler(http.server.BaseHTTPRequestHandler):
    def do_POST(self):
        if self._path() == "/token":
            self._answer({"access_token": "token", "expires_in": 3600, "token_type": "Bearer"})
            return
        assert re.fullmatch(r"/v1b3/projects/[^/]+/locations/[^/]+/jobs", self._path())
        length = int(self.headers["Content-Length"])
        job, found = json.loads(self.rfile.read(length)), f"2026-11-28_{len(self.server.jobs)}"
        self.server.jobs[found] = job
        self._answer({"id": found, "name": job["name"], "currentState": "JOB_STATE_PENDING"})

    def do_GET(self):
        path = self._path()
        found = path.rpartition("/")[2]
        if self.server.state is None or (found == "metrics" and not self.server.tells_metrics):
            self._answer({"error": {"code": 403, "message": "no permission"}}, 403)
        elif found == "metrics":
            self._answer({})
        elif found == "messages":
            message = {
                "id": "1",
                "time": "2026-11-28T00:00:00Z",
                "messageText": self.server.error,
                "messageImportance": "JOB_MESSAGE_ERROR",
            }
            self._answer({"jobMessages": [message] if self.server.error else []})
        elif found in self.server.jobs:
            self._answer({"id": found, "currentState": self.server.state})
        else:
            self._answer({"error": {"code": 404, "message": f"no job {found}"}}, 404)

    def _path(self):
        return self.path.partition("?")[0]

    def _answer(self, values, status=200):
        content = json.dumps(values).encode()
        self.send_response(status)
        self.send_header("Content-Type", "application/json")
        self.send_header("Content-Length", str(len(content)))
        self.end_headers()
        self.wfile.write(content)

    def log_message(self, *_):
        pass


@contextlib.contextmanager
def fake_dataflow():
    """A service that listens."""
    with FakeDataflow() as service:
        threading.Thread(target=service.serve_forever, daemon=True).start()
        yield service
        service.shutdown()


def write_credentials(path, service):
    """Writes a service account's key, for which the service gives tokens."""
    key = rsa.generate_private_key(public_exponent=65537, key_size=2048)
    text = key.private_bytes(
        serialization.Encoding.PEM,
        serialization.PrivateFormat.PKCS8,
        serialization.NoEncryption(),
    ).decode()
    account = {
        "type": "service_account",
        "project_id": "project",
        "private_key": text,
        "client_email": "launcher@project.iam.gserviceaccount.com",
        "token_uri": f"{service.endpoint}/token",
    }
    path.write_text(json.dumps(account))


@contextlib.contextmanager
def fake_storage():
    """A bucket, and the variables of the environment by which a process finds it."""
    server = create_server("localhost", 0, in_memory=True, default_bucket=BUCKET)
    server.start()
    address = f"http://localhost:{server._api._httpd.server_port}"
    environment = {"STORAGE_EMULATOR_HOST": address}
    with contextlib.closing(storage.Client.create_anonymous_client()) as client:
        client._connection.API_BASE_URL = address
        client.project = "project"
        yield client.bucket(BUCKET), environment
    server.stop()


def graph_of(job, bucket):
    """The graph that a submitted job names, as Dataflow would read it."""
    options = job["environment"]["sdkPipelineOptions"]["options"]
    name = options["pipelineUrl"].removeprefix(f"gs://{bucket.name}/")
    return beam_runner_api_pb2.Pipeline.FromString(bucket.blob(name).download_as_bytes())
