# SPDX-License-Identifier: MIT
"""
The driver's errors in our own words: what happened, never a document or the URI.

One question decides what the core does next: may the write have landed although its
acknowledgement did not come? Then it repeats the verb, and looks for its own operation.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

from bson.errors import InvalidBSON, InvalidDocument
from pymongo.errors import (
    AutoReconnect,
    BulkWriteError,
    ConfigurationError,
    ConnectionFailure,
    ExecutionTimeout,
    InvalidName,
    InvalidURI,
    OperationFailure,
    PyMongoError,
    ServerSelectionTimeoutError,
    WriteConcernError,
    WTimeoutError,
)

from frappe_enroll_sdk.errors import (
    EnrollError,
    SettingsError,
    StorageUnavailableError,
    UnclearWriteError,
    ValidationError,
)


#: Server error codes that an operator can act on (MongoDB, "Error Codes").
_WORDS = {
    13: "the user may not do this (it needs readWrite, and dbAdmin for setup)",
    18: "authentication failed",
    50: "the operation timed out",
    64: "a majority of the replica set did not acknowledge in time",
    121: "a document does not fit the collection's validator",
    8000: "authentication failed",
    10107: "the server is not primary",
    13435: "the server is not primary",
    189: "the primary stepped down",
    91: "the server is shutting down",
    11600: "the server is shutting down",
    11602: "the primary stepped down",
}
_DUPLICATE = 11000


def is_unclear(error: Exception) -> bool:
    """
    Tell whether the write may have landed, or may land if it is sent again.

    True for a broken connection, an election, a time limit, or a write that a majority
    has not acknowledged yet; finding no server at all is plain unavailability.
    """
    if isinstance(error, ServerSelectionTimeoutError):
        return False
    kinds = (AutoReconnect, ExecutionTimeout, WriteConcernError, WTimeoutError)
    if isinstance(error, kinds):
        return True
    if isinstance(error, BulkWriteError):
        return bool((error.details or {}).get("writeConcernErrors"))
    return isinstance(error, PyMongoError) and error.has_error_label(
        "RetryableWriteError"
    )


def only_duplicates(error: BulkWriteError) -> bool:
    """Tell whether only duplicate keys kept an unordered bulk from completing."""
    details: Any = error.details or {}
    codes = {problem.get("code") for problem in details.get("writeErrors", ())}
    return codes == {_DUPLICATE} and not details.get("writeConcernErrors")


@contextmanager
def our_errors(*, writes: bool = False) -> Iterator[None]:
    """Turn any error of the driver into one of ours."""
    try:
        yield
    except EnrollError:
        raise
    except (OverflowError, InvalidDocument, UnicodeError) as error:
        raise ValidationError(
            f"a value can't be stored ({type(error).__name__})", field="document"
        ) from error
    except InvalidName as error:
        raise SettingsError("MONGODB_DATABASE: is not a valid database name") from error
    except (ConfigurationError, InvalidURI) as error:
        if _is_silence(error):
            raise StorageUnavailableError("MONGODB_URI: DNS does not answer") from error
        raise SettingsError(
            f"MONGODB_URI: is not usable ({type(error).__name__})"
        ) from error
    except (PyMongoError, InvalidBSON) as error:
        lost = writes and is_unclear(error)
        kind = UnclearWriteError if lost else StorageUnavailableError
        raise kind(f"MONGODB_URI: {_words(error)}") from error


def _is_silence(error: Exception) -> bool:
    """
    Tell whether DNS gave no answer for a ``mongodb+srv`` name.

    The driver reports this as a wrong configuration, which only an answer that there is
    no such name would be.
    """
    cause = error.__cause__ or error.__context__
    kind = type(cause)
    return kind.__module__.startswith("dns.") and kind.__name__ != "NXDOMAIN"


def _words(error: Exception) -> str:
    if isinstance(error, OperationFailure) and error.code in _WORDS:
        return _WORDS[error.code]
    if isinstance(error, ServerSelectionTimeoutError):
        return "no server that accepts writes can be reached"
    if isinstance(error, ConnectionFailure):
        return f"the connection failed ({type(error).__name__})"
    if isinstance(error, OperationFailure):
        return f"the server refused the operation (code {error.code})"
    return type(error).__name__
