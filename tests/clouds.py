"""Emulators of the storage of Google and Amazon, behind a proxy that adds faults."""

import http.client
import json
import random
import re
import threading
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import NamedTuple

import boto3
import requests
from apache_beam.internal.gcp import auth
from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric import rsa
from gcp_storage_emulator.server import create_server
from google.auth.credentials import AnonymousCredentials
from google.cloud import storage
from moto.server import ThreadedMotoServer

BUCKET = "photos"
_KEY = {"aws_access_key_id": "key", "aws_secret_access_key": "secret"}
TOKENS = "/token"
# Google's library asks for the bucket in the background, once for every client; no result depends
# on it.
ABOUT_BUCKET = re.compile(r"/storage/v1/b/[^/]+\?projection=")
# In place of a status: the connection ends without an answer.
BREAK = 0


class Request(NamedTuple):
    """A request that came.

    Attributes:
        method: Its method.
        path: Its path, with the query.
        status: Of the fault that was answered, or None.
        upload: Name of the object that Google is to write, or None.
    """

    method: str
    path: str
    status: int | None
    upload: str | None


def written(path, body):
    """The name of the object that an upload to Google is for."""
    if not path.startswith("/upload/"):
        return None
    name = re.search(rb'"name": ?"([^"]+)"', body)
    return name[1].decode() if name else "unnamed"


class Proxy(BaseHTTPRequestHandler):
    """Passes requests on to an emulator, notes them, and answers some of them itself."""

    protocol_version = "HTTP/1.1"

    def answer(self):
        body = self.rfile.read(int(self.headers.get("Content-Length") or 0))
        if self.path == TOKENS:
            token = {"access_token": "token", "expires_in": 3600, "token_type": "Bearer"}
            self.reply(200, {"Content-Type": "application/json"}, json.dumps(token).encode())
            return
        cloud = self.server.cloud
        status = None
        if not ABOUT_BUCKET.match(self.path):
            status = cloud.fault(self.command, self.path)
            upload = written(self.path, body)
            cloud.requests.append(Request(self.command, self.path, status, upload))
        if status == BREAK:
            self.close_connection = True
            return
        if status is not None:
            self.reply(status, {}, b"")
            return
        connection = http.client.HTTPConnection(*self.server.emulator)
        connection.putrequest(self.command, self.path, skip_host=True, skip_accept_encoding=True)
        for name, value in self.headers.items():
            connection.putheader(name, value)
        connection.endheaders(body)
        response = connection.getresponse()
        self.reply(response.status, dict(response.getheaders()), response.read())
        connection.close()

    do_GET = do_HEAD = do_POST = do_PUT = do_DELETE = answer

    def reply(self, status, headers, data):
        self.send_response_only(status)
        length = headers.get("Content-Length", "0") if self.command == "HEAD" else str(len(data))
        for name, value in headers.items():
            if name.lower() not in ("content-length", "transfer-encoding", "connection"):
                self.send_header(name, value)
        self.send_header("Content-Length", length)
        self.end_headers()
        self.wfile.write(data)

    def log_message(self, *_):
        """Says nothing."""


class Cloud:
    """A bucket of an emulator.

    Attributes:
        root: The bucket as Beam names it.
        flags: What the command needs to find the emulator.
        environment: Likewise.
        requests: What came.
        fault: From method and path to the status that is answered in place of the emulator.
    """

    def __init__(self, folder):
        self.requests, self.fault = [], lambda *_: None
        self.start()
        self.server = ThreadingHTTPServer(("127.0.0.1", 0), Proxy)
        self.server.daemon_threads = True
        self.server.cloud, self.server.emulator = self, ("127.0.0.1", self.port)
        threading.Thread(target=self.server.serve_forever, daemon=True).start()
        self.url = f"http://127.0.0.1:{self.server.server_port}"
        self.prepare(folder)

    def close(self):
        self.server.shutdown()
        self.server.server_close()
        self.stop()


class Google(Cloud):
    root = f"gs://{BUCKET}"

    def start(self):
        self.emulator = create_server("127.0.0.1", 0, in_memory=True)
        self.emulator.start()
        self.port = self.emulator._api._httpd.server_port

    def prepare(self, folder):
        key = rsa.generate_private_key(public_exponent=65537, key_size=2048).private_bytes(
            serialization.Encoding.PEM,
            serialization.PrivateFormat.PKCS8,
            serialization.NoEncryption(),
        )
        account = {
            "type": "service_account",
            "project_id": "project",
            "private_key": key.decode(),
            "client_email": "somebody@example.com",
            "token_uri": self.url + TOKENS,
        }
        (folder / "account.json").write_text(json.dumps(account))
        # Beam keeps the first credentials of a process, which ask an earlier server for tokens.
        auth._Credentials._credentials_init = False
        self.flags = ()
        self.environment = {
            "STORAGE_EMULATOR_HOST": self.url,
            "GOOGLE_APPLICATION_CREDENTIALS": str(folder / "account.json"),
        }
        self.client = storage.Client(
            "project",
            AnonymousCredentials(),
            client_options={"api_endpoint": f"http://127.0.0.1:{self.port}"},
        )
        self.bucket = self.client.create_bucket(BUCKET)

    def put(self, name, data):
        self.bucket.blob(name).upload_from_string(data)

    def names(self):
        return sorted(blob.name for blob in self.client.list_blobs(BUCKET))

    def empty(self):
        self.bucket.delete_blobs(list(self.bucket.list_blobs()))

    def get(self, name):
        return self.bucket.blob(name).download_as_bytes()

    def writes(self):
        """The name of an object for every request that writes one."""
        return [request.upload for request in self.requests if request.upload]

    def stop(self):
        self.emulator.stop()


class Amazon(Cloud):
    root = f"s3://{BUCKET}"

    def start(self):
        self.emulator = ThreadedMotoServer("127.0.0.1", 0, verbose=False)
        self.emulator.start()
        self.port = self.emulator.get_host_and_port()[1]
        # All of moto's servers in a process share what they hold.
        requests.post(f"http://127.0.0.1:{self.port}/moto-api/reset", timeout=10)

    def prepare(self, _):
        self.flags = (f"--s3_endpoint_url={self.url}", "--s3_region_name=us-east-1")
        self.environment = {name.upper(): value for name, value in _KEY.items()}
        self.client = boto3.client(
            "s3",
            endpoint_url=f"http://127.0.0.1:{self.port}",
            region_name="us-east-1",
            **_KEY,
        )
        self.client.create_bucket(Bucket=BUCKET)

    def put(self, name, data):
        self.client.put_object(Bucket=BUCKET, Key=name, Body=data)

    def names(self):
        pages = self.client.get_paginator("list_objects_v2").paginate(Bucket=BUCKET)
        return sorted(one["Key"] for page in pages for one in page.get("Contents", ()))

    def empty(self):
        for name in self.names():
            self.client.delete_object(Bucket=BUCKET, Key=name)

    def get(self, name):
        return self.client.get_object(Bucket=BUCKET, Key=name)["Body"].read()

    def writes(self):
        """The name of an object for every request that writes one, also in parts."""
        start = f"/{BUCKET}/"
        return [
            request.path.partition("?")[0].removeprefix(start)
            for request in self.requests
            if request.method == "PUT" or "upload" in request.path.partition("?")[2]
        ]

    def stop(self):
        self.emulator.stop()


def one_in_twenty():
    """A fault of 5 % of all requests, the same ones every time."""
    chance, lock = random.Random(0), threading.Lock()

    def fault(*_):
        with lock:
            return 503 if chance.random() < 0.05 else None

    return fault


CLOUDS = (Google, Amazon)
