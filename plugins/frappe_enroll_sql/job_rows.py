# SPDX-License-Identifier: MIT
"""A job as a row, and back. JSON is decoded when read, encoded only when changed."""

from __future__ import annotations

import json
from typing import Any

import attrs
from sqlalchemy import Row

from frappe_enroll_sdk.codec import dump, load
from frappe_enroll_sdk.errors import ValidationError
from frappe_enroll_sdk.models import Job, JobState, TryError
from frappe_enroll_sdk.stores import queue

from .times import to_moment, to_ms


_CLAIMABLE = frozenset({JobState.DUE, JobState.RUNNING})
NO_DATA, _NO_ERRORS = "{}", "[]"


def row_of(job: Job) -> dict[str, Any]:
    """Return the whole row of a job."""
    return {
        "key": job.key,
        "kind": job.kind,
        "created_at": to_ms(job.created_at),
        **state_of(job),
        **documents_of(job),
    }


def state_of(job: Job) -> dict[str, Any]:
    """Return the columns that every verb changes."""
    due_at = to_ms(job.due_at)
    return {
        "state": job.state.value,
        "seq": job.seq,
        "due_at": due_at,
        "claim_at": due_at if job.state in _CLAIMABLE else None,
        "tries": job.tries,
        "token": job.token,
        "owner": job.owner,
        "outcome": job.outcome,
        "deliveries": job.deliveries,
        "recovered": int(job.recovered),
        "updated_at": to_ms(job.updated_at),
    }


def changed_documents(job: Job, before: Job | None) -> dict[str, Any] | None:
    """Return the JSON columns, or None where they stand as they were in `before`."""
    if (
        before is not None
        and job.payload is before.payload
        and job.data is before.data
        and job.errors is before.errors
    ):
        return None
    return documents_of(job)


def documents_of(job: Job) -> dict[str, Any]:
    """Return the JSON columns."""
    payload = None if job.payload is None else _text(dump(job.payload))
    return {
        "payload": payload,
        "data": _text(dump(job.data)) if job.data else NO_DATA,
        "errors": _text(dump(job.errors)) if job.errors else _NO_ERRORS,
        "pruned": int(queue.is_pruned(job)),
    }


def _text(data: Any) -> str:
    return json.dumps(data, separators=(",", ":"), ensure_ascii=False)


def decode(row: Row[Any]) -> Job | None:
    """Return the job of a row of the whole table, or None when it is damaged."""
    try:
        payload = None if row.payload is None else _object(row.payload)
        data = {} if row.data == NO_DATA else _object(row.data)
        errors = () if row.errors == _NO_ERRORS else _errors(row.errors)
    except (ValueError, ValidationError):
        return None
    return _job(row, payload=payload, data=data, errors=errors)


def _object(text: str) -> dict[str, Any]:
    value = json.loads(text)
    if not isinstance(value, dict):
        raise ValueError(text)
    return value


def _errors(text: str) -> tuple[TryError, ...]:
    return load(tuple[TryError, ...], json.loads(text))


def _job(row: Row[Any], **documents: Any) -> Job:
    return Job(
        key=row.key,
        kind=row.kind,
        state=JobState(row.state),
        seq=row.seq,
        due_at=to_moment(row.due_at),
        tries=row.tries,
        token=row.token,
        owner=row.owner,
        outcome=row.outcome,
        deliveries=row.deliveries,
        recovered=bool(row.recovered),
        created_at=to_moment(row.created_at),
        updated_at=to_moment(row.updated_at),
        **documents,
    )


def undecodable(row: Row[Any]) -> Job:
    """Show a row that can't be decoded by what its columns still tell."""
    job = _job(row)
    error = TryError(
        at=job.updated_at,
        try_number=0,
        code="undecodable",
        cause="the stored row is damaged",
    )
    return attrs.evolve(job, outcome="undecodable", errors=(error,))
