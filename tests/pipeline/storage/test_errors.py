"""What errors of storage mean, in every form in which Beam and the libraries hand them over."""

import errno
import http.client
import ssl

import botocore.exceptions
import pytest
import requests
from apache_beam.io.aws.clients.s3.messages import S3ClientError
from apache_beam.io.filesystem import BeamIOError
from google.api_core import exceptions as google
from google.auth.exceptions import RefreshError

from pipeline.failures import InputLost, OutputLost
from pipeline.storage import errors
from pipeline.storage.errors import in_words, is_transient, persistently, why_job_ends


def botocore_error(code, status):
    response = {"Error": {"Code": code}, "ResponseMetadata": {"HTTPStatusCode": status}}
    return botocore.exceptions.ClientError(response, "GetObject")


def of_batch(detail):
    return BeamIOError("Rename operation failed", {("a", "b"): detail})


def caused_by(error):
    try:
        raise ValueError("this happened on the way") from error
    except ValueError as outer:
        return outer


TRANSIENT = [
    *(google.from_http_status(status, "x") for status in (408, 429, 500, 502, 503, 504)),
    google.Forbidden("slow down", errors=[{"reason": "rateLimitExceeded"}]),
    *(botocore_error("SlowDown", 503), botocore_error("RequestTimeout", 400)),
    *(S3ClientError("x", 500), of_batch(503), of_batch("503"), of_batch(S3ClientError("x", 429))),
    *(of_batch("SlowDown: reduce your rate"), S3ClientError("x", "InternalError")),
    *(TimeoutError(), ConnectionResetError(), requests.exceptions.ReadTimeout()),
    *(requests.ConnectionError(), http.client.IncompleteRead(b"")),
    *(botocore.exceptions.EndpointConnectionError(endpoint_url="x"), OSError(errno.ETIMEDOUT, "x")),
]
ENDS = [
    (google.Unauthorized("x"), "credentials are not accepted"),
    (google.Forbidden("x"), "permission is denied"),
    (google.NotFound("The specified bucket does not exist."), "no such bucket"),
    (botocore_error("NoSuchBucket", 404), "no such bucket"),
    (botocore_error("ExpiredToken", 400), "credentials are not accepted"),
    (botocore_error("AccessDenied", 403), "permission is denied"),
    (botocore.exceptions.NoCredentialsError(), "there are no credentials"),
    (RefreshError("x"), "credentials are not accepted"),
    (S3ClientError("x", 403), "permission is denied"),
    (S3ClientError("x", "AccessDenied"), "permission is denied"),
    *((of_batch(detail), "permission is denied") for detail in (403, "403", google.Forbidden("x"))),
]
ENDS_WRITES = [
    (google.NotFound("x"), "no such bucket"),
    (OSError(errno.ENOSPC, "x"), "no space is left"),
    (of_batch(OSError(errno.EDQUOT, "x")), "quota is used up"),
    (OSError(OSError(errno.EACCES, "x")), "permission is denied"),
]


@pytest.mark.parametrize("error", TRANSIENT, ids=repr)
def test_what_is_transient_is_told_however_it_comes(error):
    for one in (error, caused_by(error)):
        assert is_transient(one)
        assert why_job_ends(one, writes=False) is None
        assert why_job_ends(one, writes=True) is None


@pytest.mark.parametrize(("error", "reason"), ENDS, ids=repr)
def test_what_ends_the_job_is_told_however_it_comes(error, reason):
    for one in (error, caused_by(error)):
        assert reason in why_job_ends(one, writes=False)
        assert reason in why_job_ends(one, writes=True)
        assert not is_transient(one)
        assert reason in in_words(one)


@pytest.mark.parametrize(("error", "reason"), ENDS_WRITES, ids=repr)
def test_what_ends_the_job_of_a_write_is_one_images_failure_of_a_read(error, reason):
    assert reason in why_job_ends(error, writes=True)
    assert why_job_ends(error, writes=False) is None
    assert not is_transient(error)


@pytest.mark.parametrize(
    "error",
    [ValueError("x"), FileNotFoundError(errno.ENOENT, "x"), BeamIOError("x"), of_batch(None)],
    ids=repr,
)
def test_what_nobody_knows_is_one_files_trouble(error):
    assert not is_transient(error)
    assert why_job_ends(error, writes=False) is why_job_ends(error, writes=True) is None


def calls(monkeypatch, error, lost, times=99):
    """How often something was called that fails so many times."""
    count, pauses = 0, []

    def fails():
        nonlocal count
        count += 1
        if count <= times:
            raise error
        return "done"

    monkeypatch.setattr(errors.time, "sleep", pauses.append)
    try:
        assert persistently(fails, lost, "there") == "done"
    except type(error) as raised:
        assert raised is error
    return count, pauses


def test_pauses_grow_and_are_not_all_alike(monkeypatch):
    count, pauses = calls(monkeypatch, google.ServiceUnavailable("x"), InputLost)
    assert count == 6 and pauses == sorted(pauses) and sum(pauses) > 14
    assert calls(monkeypatch, google.ServiceUnavailable("x"), InputLost)[1] != pauses
    assert calls(monkeypatch, google.ServiceUnavailable("x"), InputLost, times=2)[0] == 3


def test_what_is_not_there_is_asked_for_once_and_written_once(monkeypatch):
    assert calls(monkeypatch, FileNotFoundError(errno.ENOENT, "x"), InputLost)[0] == 1
    assert calls(monkeypatch, OSError(errno.ENAMETOOLONG, "x"), OutputLost)[0] == 1
    assert calls(monkeypatch, google.BadRequest("x"), OutputLost)[0] == 1


def test_a_write_that_fails_for_an_unknown_reason_is_tried_four_times(monkeypatch):
    assert calls(monkeypatch, OSError("?"), OutputLost)[0] == 4


def test_the_place_is_named_that_is_lost():
    def denied():
        raise google.Forbidden("x")

    with pytest.raises(InputLost, match="^cannot read there: permission is denied$"):
        persistently(denied, InputLost, "there")
    with pytest.raises(OutputLost, match="^cannot write to there: permission is denied$"):
        persistently(denied, OutputLost, "there")


def test_an_archived_object_is_the_trouble_of_one_file():
    assert why_job_ends(botocore_error("InvalidObjectState", 403), writes=False) is None
    assert why_job_ends(botocore_error("AccessDenied", 403), writes=False) is not None


def test_a_number_of_ssl_is_not_that_of_a_system_error():
    error = ssl.SSLError(errno.EPERM, "bad record")
    assert is_transient(error) and why_job_ends(error, writes=True) is None
