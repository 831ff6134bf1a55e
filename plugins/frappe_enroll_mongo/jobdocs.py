# SPDX-License-Identifier: MIT
"""A job as a document: its fields, and two that only its collection needs."""

from __future__ import annotations

from collections.abc import Collection

from frappe_enroll_sdk.errors import ValidationError
from frappe_enroll_sdk.models import Job, JobState, TryError
from frappe_enroll_sdk.stores import queue

from .documents import Document, of_document, to_document


#: `data` of a job that knows nothing.
NO_DATA = "{}"
_SEPARATOR = "."
_CLAIMABLE = frozenset({JobState.DUE, JobState.RUNNING})


def token_of(batch: str, key: str) -> str:
    """
    Return the token of one claim of a batch.

    It names its job, so that a fence is found by `_id`.
    """
    return f"{batch}{_SEPARATOR}{key}"


def key_of(token: str) -> str:
    """Return the key of a token's job ("" for what is no token of ours)."""
    return token.partition(_SEPARATOR)[2]


def of_job(job: Job, ends: Collection[JobState]) -> Document:
    """
    Return the document of a job.

    `claim_at` stands while it may be claimed; `prune_at` once it has ended in one of
    `ends` and still holds what `prune` takes.
    """
    document = to_document(job)
    document = {"_id": document.pop("key"), **document}
    document.pop("was_due_at", None)
    if job.token is not None:
        # What a batch shares: the rest of the token is the key.
        document["token"] = job.token.partition(_SEPARATOR)[0]
    if job.state in _CLAIMABLE:
        document["claim_at"] = job.due_at
    if job.state in ends and not queue.is_pruned(job):
        document["prune_at"] = job.updated_at
    return document


def to_job(document: Document) -> Job | None:
    """Return the job of a document, or None when it is damaged."""
    try:
        key, batch = document["_id"], document.get("token")
        token = None if batch is None else token_of(batch, key)
        return of_document(Job, {**document, "key": key, "token": token})
    except ValidationError:
        return None


def show_job(document: Document) -> Job:
    """Return the job of a document; a damaged one by what still can be read."""
    job = to_job(document)
    if job is not None:
        return job
    at = document["updated_at"]
    error = TryError(
        at=at, try_number=0, code="undecodable", cause="the stored row is damaged"
    )
    return Job(
        key=document["_id"],
        kind=str(document["kind"]),
        state=JobState(document["state"]),
        due_at=document["due_at"],
        created_at=document["created_at"],
        updated_at=at,
        outcome="undecodable",
        errors=(error,),
    )
