"""What errors of storage mean: the same attempt again, the end of the job, or one file's trouble.

One table for reads and writes, on disks and in buckets. ``docs/reliability.md`` says the same in
words.
"""

from __future__ import annotations

import errno
import random
import re
import time
from collections.abc import Callable, Iterator
from typing import TypeVar

from apache_beam.io.filesystem import BeamIOError

from pipeline.failures import EndsJob, OutputLost
from pipeline.tally import add

T = TypeVar("T")

# An errno, a status of HTTP, the code of a service or the name of an exception's class. A class
# stands for those derived from it, too.

# The same attempt may succeed a little later.
TRANSIENT = frozenset(
    {
        *(408, 429, 500, 502, 503, 504),
        *(errno.ECONNRESET, errno.ECONNREFUSED, errno.ECONNABORTED, errno.EPIPE),
        *(errno.ETIMEDOUT, errno.EHOSTUNREACH, errno.ENETUNREACH, errno.ENETDOWN),
        # Codes of Cloud Storage, S3 and HDFS, some of them with status 400 or 403.
        *("rateLimitExceeded", "userRateLimitExceeded", "SlowDown", "RequestTimeout"),
        *("Throttling", "ThrottlingException", "InternalError", "ServiceUnavailable"),
        *("RetriableException", "StandbyException", "SafeModeException"),
        # Exceptions of Python, requests, urllib3, google-auth, botocore and azure-core.
        *("TimeoutError", "ConnectionError", "Timeout", "HTTPException", "ProtocolError"),
        *("TransportError", "HTTPClientError", "ResponseStreamingError", "IncompleteReadError"),
        # Its errno is not that of a system error.
        "SSLError",
        *("ServiceRequestError", "ServiceResponseError", "ChunkedEncodingError", "DataCorruption"),
    }
)

_CREDENTIALS = "the credentials are not accepted"
_NO_CREDENTIALS = "there are no credentials"
_NO_BUCKET = "there is no such bucket"
_DENIED = "permission is denied"
_FULL = "no space is left"
_QUOTA = "the quota is used up"
_GONE = "the mount is gone"
_REFUSALS = (_CREDENTIALS, _NO_CREDENTIALS, _DENIED)
# No other file would fare better: the job ends. What is said of it.
ENDS_JOB = {
    401: _CREDENTIALS,
    403: _DENIED,
    errno.ENODEV: _GONE,
    errno.ENOTCONN: _GONE,
    "NoSuchBucket": _NO_BUCKET,
    "ContainerNotFound": _NO_BUCKET,
    "PermanentRedirect": "the bucket is in another region",
    "ExpiredToken": _CREDENTIALS,
    "InvalidToken": _CREDENTIALS,
    "TokenRefreshRequired": _CREDENTIALS,
    "AccessDenied": _DENIED,
    "AccessControlException": _DENIED,
    "DefaultCredentialsError": _CREDENTIALS,
    "RefreshError": _CREDENTIALS,
    "NoCredentialsError": _NO_CREDENTIALS,
    "PartialCredentialsError": _CREDENTIALS,
    "CredentialRetrievalError": _CREDENTIALS,
    "TokenRetrievalError": _CREDENTIALS,
    "ClientAuthenticationError": _CREDENTIALS,
}
# The same of a write: all files go to one folder, where a read may be of any.
ENDS_JOB_OF_WRITES = ENDS_JOB | {
    404: _NO_BUCKET,
    507: _FULL,
    errno.ENOSPC: _FULL,
    errno.EDQUOT: _QUOTA,
    errno.EROFS: "the file system is read-only",
    errno.EACCES: _DENIED,
    errno.EPERM: _DENIED,
    errno.EIO: "the device fails",
    errno.ESTALE: _GONE,
    "QuotaExceededException": _QUOTA,
    "DSQuotaExceededException": _QUOTA,
    "NSQuotaExceededException": _QUOTA,
}
# The name of a file is at fault, or what is there already: a retry would fail, too.
# Codes of one object that come with the status of a refusal.
_OF_ONE_OBJECT = frozenset({"InvalidObjectState"})
_NAME_AT_FAULT = (errno.ENAMETOOLONG, errno.ENOTDIR, errno.EISDIR, errno.EEXIST, *range(400, 500))
# Seconds before a transient error is tried again, each a little shorter or longer by chance, so
# that workers do not come back all at once.
PAUSES = (0.1, 0.5, 2.0, 6.0, 20.0)
# So often is a write tried again whose error says nothing.
_UNKNOWN = 3


def persistently(function: Callable[[], T], lost: type[EndsJob], place: str) -> T:
    """Calls a function that reads or writes, and again after a transient error.

    Args:
        function: Can be called again after it has failed.
        lost: ``InputLost`` of a read, ``OutputLost`` of a write.
        place: What is read or written to, for the message.

    Raises:
        EndsJob: The error is not of one file. It is a ``lost``.
        Exception: What the function raised at last.
    """
    tries = 0
    while True:
        try:
            return function()
        except Exception as error:
            tries += 1
            pause_or_raise(error, tries, lost, place)


def pause_or_raise(error: Exception, tries: int, lost: type[EndsJob], place: str) -> None:
    """Pauses before the next attempt, if the error is worth one.

    Args:
        error: What the last attempt raised.
        tries: How many attempts there were.
        lost: As for ``persistently``.
        place: As for ``persistently``.

    Raises:
        EndsJob: The error is not of one file. It is a ``lost``.
        Exception: The error, if another attempt is not worth it.
    """
    if isinstance(error, EndsJob):
        raise error
    reason = why_job_ends(error, writes=lost is OutputLost)
    if reason is not None:
        verb = "write to" if lost is OutputLost else "read"
        raise lost(f"cannot {verb} {place}: {reason}") from error
    if tries > len(PAUSES) or not _is_worth_another(error, tries, lost is OutputLost):
        raise error
    add("retries", 1)
    time.sleep(PAUSES[tries - 1] * random.uniform(0.5, 1.5))


def why_job_ends(error: BaseException, writes: bool) -> str | None:
    """Why an error is not of one file, in words; None if it may be."""
    table = ENDS_JOB_OF_WRITES if writes else ENDS_JOB
    known = _first_known(error, TRANSIENT | table.keys() | _OF_ONE_OBJECT)
    return table.get(known) if known not in TRANSIENT else None


def is_transient(error: BaseException) -> bool:
    """Whether the same attempt may succeed a little later."""
    return _first_known(error, TRANSIENT | ENDS_JOB.keys()) in TRANSIENT


def in_words(error: BaseException) -> str:
    """One line for people about an error of storage, which may hold errors as long as a page."""
    lines = str(error).strip().splitlines() or [type(error).__name__]
    return why_job_ends(error, writes=False) or lines[0]


def is_of_the_service(error: BaseException) -> bool:
    """Whether storage refuses or fails, so that a name was not mistyped."""
    return is_transient(error) or why_job_ends(error, writes=False) in _REFUSALS


def _is_worth_another(error: Exception, tries: int, writes: bool) -> bool:
    if is_transient(error):
        return True
    at_fault = any(fact in _NAME_AT_FAULT for fact in _facts(error))
    return writes and not at_fault and tries <= _UNKNOWN


def _first_known(error: BaseException, known: frozenset | set) -> int | str | None:
    """The fact about an error that says most: a name before a number, an outer before an inner."""
    facts = [fact for fact in _facts(error) if fact in known]
    return next((fact for fact in facts if isinstance(fact, str)), next(iter(facts), None))


def _facts(error: object) -> Iterator[int | str]:
    """Numbers and names that an error, and what is behind it, goes by; the outermost first."""
    seen: set[int] = set()
    queue = [error]
    while queue:
        one = queue.pop(0)
        if id(one) in seen:
            continue
        seen.add(id(one))
        if isinstance(one, int):
            yield int(one)
        elif isinstance(one, str):
            # Beam tells of what failed in a batch by numbers, errors or words.
            yield from (int(one),) if re.fullmatch(r"[45]\d\d", one) else re.findall(r"\w+", one)
        elif isinstance(one, BaseException):
            yield from (cls.__name__ for cls in type(one).__mro__)
            queue += _said_by(one)


def _said_by(error: BaseException) -> list:
    """Numbers, codes and errors that an exception holds."""
    response = getattr(error, "response", None)
    said = [getattr(error, name, None) for name in ("errno", "code", "status_code", "error_code")]
    said.append(getattr(response, "status_code", None))
    if isinstance(response, dict):  # botocore
        said.append(response.get("Error", {}).get("Code"))
        said.append(response.get("ResponseMetadata", {}).get("HTTPStatusCode"))
    reasons = getattr(error, "errors", None)  # Google
    said += [one.get("reason") for one in reasons or () if isinstance(one, dict)]
    if "bucket does not exist" in str(error):
        said.append("NoSuchBucket")
    said.append(getattr(error, "exception", None))  # HDFS
    if isinstance(error, BeamIOError) and isinstance(error.exception_details, dict):
        said += error.exception_details.values()
    said += [one for one in error.args if isinstance(one, BaseException)]
    said.append(error.__cause__ or (None if error.__suppress_context__ else error.__context__))
    return [one for one in said if isinstance(one, int | str | BaseException)]
