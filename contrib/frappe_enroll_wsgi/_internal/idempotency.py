# SPDX-License-Identifier: MIT
"""
Idempotency-Key: the same request with the same key gets the same answer for 24 hours.

Records live in the events store under a hash of the key. The stored answer is encrypted
with the key itself, which is stored nowhere, so nobody can read tokens from the store.
If the process dies, its lease expires, and the next request resumes the work under the
same inner key.
"""

from __future__ import annotations

import base64
import hashlib
import json
from collections.abc import Callable, Mapping
from datetime import timedelta
from typing import TYPE_CHECKING, Any

from werkzeug.wrappers import Response

from frappe_enroll_sdk.errors import (
    EnrollError,
    IdempotencyMismatchError,
    InProgressError,
    RejectedError,
    ValidationError,
)
from frappe_enroll_sdk.models import Job, JobState
from frappe_enroll_sdk.states import FINISHED
from frappe_enroll_sdk.stores.queue import REQUEST_KIND, REQUEST_LIFE

from . import problems


if TYPE_CHECKING:
    from frappe_enroll_sdk import EnrollSDK

    from .routing import Route

_MAX_KEY = 255
_ATTEMPTS = 8
#: Seconds after which a caller may retry while the first request is running.
_AGAIN_S = 2
#: Name under which requests claim their records.
_OWNER = "http"
#: Longest wait, in seconds, for a worker that has claimed a record to let go of it.
_WAIT_S = 0.4


class Idempotency:
    """The records of one SDK. Thread-safe: of concurrent callers, one does the work."""

    def __init__(self, sdk: EnrollSDK) -> None:
        self._sdk = sdk

    def run(
        self,
        route: Route,
        key: str,
        fields: Mapping[str, Any],
        work: Callable[[str], Response],
    ) -> Response:
        """
        Do the work once per key, or return the stored answer.

        Args:
            route: The route; keys of different routes are independent.
            key: The caller's key.
            fields: The request's fields.
            work: Takes the inner key and returns the answer.

        Raises:
            IdempotencyMismatchError: The key was used for another request.
            InProgressError: The first request is still running.
        """
        record = _Record(self._sdk, route, _checked(key), fields)
        for n in range(_ATTEMPTS):
            job = record.open()
            answer = record.answer(job)
            if answer is not None:
                return answer
            if job.state is JobState.RUNNING and job.due_at > self._sdk.clock.now():
                if job.owner == _OWNER:
                    break
                # A worker has claimed it, as it does with lapsed ones, before us. It
                # has nothing to do there: nobody is processing the request.
                self._sdk.ambient.sleep(min(_WAIT_S, 0.02 * 2**n))
                continue
            claim = record.claim()
            if claim is not None:
                return record.keep(claim, _worked(work, record.inner_key(claim)))
        raise InProgressError(retry_after_s=_AGAIN_S)


def _worked(work: Callable[[str], Response], key: str) -> Response | EnrollError:
    try:
        return work(key)
    except EnrollError as error:
        return error


class _Record:
    """The record of one key."""

    def __init__(
        self, sdk: EnrollSDK, route: Route, key: str, fields: Mapping[str, Any]
    ) -> None:
        self._sdk, self._key, self._route = sdk, key, route.name
        self._events = sdk.storage.events
        self._name = f"http:{route.name}:{_digest(route.name, key)[:40]}"
        request = json.dumps(fields, sort_keys=True, separators=(",", ":"))
        self._fingerprint = _digest("request", key, request)

    def open(self) -> Job:
        """Create the record, or return the existing one unless it is too old."""
        now = self._sdk.clock.now()
        fresh = {
            "type": REQUEST_KIND,
            "object_id": self._route,
            "fingerprint": self._fingerprint,
            "nonce": self._sdk.ambient.token_hex(16),
            "at": now.timestamp(),
        }
        job = self._events.enqueue(
            self._name, REQUEST_KIND, fresh, now, now=now, once=True
        )
        stored = job.payload or {}
        age = now.timestamp() - float(stored.get("at", 0))
        if timedelta(seconds=age) >= REQUEST_LIFE:
            return self._events.enqueue(self._name, REQUEST_KIND, fresh, now, now=now)
        if stored.get("fingerprint") != self._fingerprint:
            raise IdempotencyMismatchError(field="idempotency_key")
        if job.state in FINISHED and "answer" not in stored:
            # The first attempt ended without an answer to keep: it may run again.
            return self._events.enqueue(self._name, REQUEST_KIND, stored, now, now=now)
        return job

    def claim(self) -> Job | None:
        """Claim the record, unless another request holds it."""
        now, lease_s = self._sdk.clock.now(), self._sdk.settings.lease_s
        return self._events.claim_key(self._name, _OWNER, now, lease_s)

    def inner_key(self, job: Job) -> str:
        """Return the SDK's idempotency key: the same for every attempt."""
        return _digest(self._route, self._key, str((job.payload or {}).get("nonce")))

    def keep(self, claim: Job, done: Response | EnrollError) -> Response:
        """Store the answer if it is final, and return it."""
        now = self._sdk.clock.now()
        refused = isinstance(done, RejectedError) and not done.retryable
        if isinstance(done, EnrollError) and not refused:
            self._events.complete(claim.token or "", claim.seq, now, outcome="released")
            raise done
        answer = problems.of_error(done) if isinstance(done, EnrollError) else done
        kept = {
            "status": answer.status_code,
            "type": answer.content_type,
            "body": self._seal(answer.get_data(), claim.payload or {}),
        }
        payload = {**(claim.payload or {}), "answer": kept}
        job = self._events.enqueue(self._name, REQUEST_KIND, payload, now, now=now)
        self._events.complete(claim.token or "", job.seq, now, outcome="answered")
        if isinstance(done, EnrollError):
            raise done
        return answer

    def answer(self, job: Job) -> Response | None:
        """Return the stored answer, or None."""
        stored = job.payload or {}
        kept = stored.get("answer")
        if kept is None:
            return None
        body = self._unseal(kept["body"], stored)
        response = Response(body, kept["status"], content_type=kept["type"])
        response.headers["Idempotent-Replayed"] = "true"
        return response

    def _seal(self, body: bytes, stored: Mapping[str, Any]) -> str:
        return base64.b64encode(self._pad(body, stored)).decode()

    def _unseal(self, text: str, stored: Mapping[str, Any]) -> bytes:
        return self._pad(base64.b64decode(text), stored)

    def _pad(self, body: bytes, stored: Mapping[str, Any]) -> bytes:
        """Apply a one-time pad made from the caller's key and the record's nonce."""
        seed = f"seal\x1f{stored.get('nonce')}\x1f{self._key}".encode()
        pad = hashlib.shake_256(seed).digest(len(body))
        return bytes(a ^ b for a, b in zip(body, pad, strict=True))


def _digest(*parts: str) -> str:
    return hashlib.sha256("\x1f".join(parts).encode()).hexdigest()


def _checked(key: str) -> str:
    key = key.strip()
    if not key or len(key) > _MAX_KEY or not key.isprintable():
        raise ValidationError(
            f"idempotency_key: must be 1 to {_MAX_KEY} printable characters",
            field="idempotency_key",
        )
    return key
