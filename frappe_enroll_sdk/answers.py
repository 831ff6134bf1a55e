# SPDX-License-Identifier: MIT
"""
What plugins answer, read once at the edge: pure.

Whatever can't be stored, sent or counted with is refused here, by its hook's name,
before it reaches a row, a request or a decision.
"""

from __future__ import annotations

import inspect
import json
from collections.abc import Iterable, Mapping
from typing import Any, NoReturn

from . import wall
from .errors import ConfigurationError, PluginFailedError
from .models import Course, GrantField
from .money import Money
from .outcomes import Done, Outcome, Retry, Snooze


__all__: tuple[str, ...] = ()  # internal


#: Roles that `authenticate_admin` may return.
_ROLES = ("viewer", "operator")


def outcome_answer(kind: str, answer: object) -> Outcome:
    """
    Check and return the outcome of a job's handler.

    Raises:
        PluginFailedError: It is not an outcome, or its wait is not valid.
    """
    name = f"the handler of {kind!r}"
    wall.ran(name, answer)
    if not isinstance(answer, Outcome):
        _refuse(name, answer, "must answer Done, Retry, Snooze or Dead")
    if isinstance(answer, Done) and not _is_text(answer.outcome):
        _refuse(name, answer.outcome, "must give its outcome as text")
    if isinstance(answer, (Retry, Snooze)):
        wait_s = answer.after_s
        named = wait_s is not None or isinstance(answer, Snooze)
        if named and not wall.is_wait(wait_s):
            most = f"{wall.MAX_WAIT_S:.0f}"
            _refuse(name, wait_s, f"must wait for a number of seconds up to {most}")
    return answer


def wait_answer(answer: object) -> float | None:
    """Return the answer of `decide_retry` in seconds; below 0 = dead."""
    if answer is None:
        return None
    if not wall.is_wait(answer):
        _refuse("decide_retry", answer, "must answer seconds or None")
    return float(answer)  # type: ignore[arg-type]  # checked above


def course_answer(answer: object) -> Course | None:
    """Return the course that `get_course` gave, or None."""
    if answer is None:
        return None
    if not isinstance(answer, Course):
        _refuse("get_course", answer, "must answer a Course or None")
    for value in (answer.id, answer.title):
        if not _is_text(value):
            _refuse("get_course", value, "must give an id and a title")
    price: object = answer.price
    priced = isinstance(price, Money) and price.amount_minor >= 0
    if price is not None and not priced:
        _refuse("get_course", price, "must give a price of 0 or more, or None")
    if answer.url is not None and not _is_text(answer.url):
        _refuse("get_course", answer.url, "must give a URL as text, or None")
    return answer


def operator_answer(answer: object) -> tuple[str, str] | None:
    """Return the (name, role) of `authenticate_admin`; refuse half an answer."""
    if not answer:
        return None
    told = (answer, "operator") if isinstance(answer, str) else answer
    pair = isinstance(told, tuple) and len(told) == len(_ROLES)
    if not pair or not _is_text(told[0]) or told[1] not in _ROLES:  # type: ignore[index]  # checked above
        words = f"must answer a name, or a name and one of {', '.join(_ROLES)}"
        _refuse("authenticate_admin", answer, words)
    return told  # type: ignore[return-value]  # checked above


def learner_answer(answer: object) -> str | None:
    """Return the address that `authenticate_learner` gave, or None."""
    if answer is None:
        return None
    if not isinstance(answer, str) or "@" not in answer:
        _refuse("authenticate_learner", answer, "must answer an address or None")
    return answer.strip().lower()


def fields_answer(
    answers: Iterable[Iterable[GrantField] | None],
) -> tuple[GrantField, ...]:
    """Return the fields of all `grant_fields` hooks; the first to name one wins."""
    fields: dict[str, GrantField] = {}
    for answer in answers:
        for field in answer or ():
            if not isinstance(field, GrantField):
                _refuse("grant_fields", field, "must answer GrantFields")
            fields.setdefault(field.name, field)
    return tuple(fields.values())


def enrichment_answer(
    answers: Iterable[Mapping[str, Mapping[str, Any]] | None],
) -> dict[str, dict[str, Any]]:
    """Merge what `enrich_checkout` hooks add; the first to name a key wins."""
    fields: dict[str, dict[str, Any]] = {"metadata": {}, "parameters": {}}
    for answer in answers:
        for part, values in (answer or {}).items():
            for key, value in values.items():
                fields[part].setdefault(key, value)
    for key, value in fields["metadata"].items():
        if not (_is_text(key) and isinstance(value, str) and wall.is_storable(value)):
            _refuse("enrich_checkout", value, "must give metadata as texts")
    # The request is stored and sent byte for byte: the text has to survive both.
    if not wall.is_storable(json.dumps(fields, allow_nan=False, ensure_ascii=False)):
        _refuse("enrich_checkout", answers, "must give text that can be written")
    return fields


def check_registration(kind: object, handler: object, on: object) -> None:
    """
    Refuse a job handler that could never run.

    Raises:
        ConfigurationError: The text says what is wrong.
    """
    if not _is_text(kind):
        raise ConfigurationError(f"register_jobs: {kind!r} is no kind of job")
    if not callable(handler) or inspect.iscoroutinefunction(handler):
        words = f"register_jobs: the handler of {kind!r} must be a plain function"
        raise ConfigurationError(words)
    if isinstance(on, str):
        words = f'register_jobs: {kind!r}: on=("{on}",) is a tuple of facts'
        raise ConfigurationError(words)


def _is_text(value: object) -> bool:
    return isinstance(value, str) and bool(value.strip()) and wall.is_storable(value)


def _refuse(name: str, answer: object, must: str) -> NoReturn:
    raise PluginFailedError(f"{name} {must}, not {_shown(answer)}")


def _shown(answer: object) -> str:
    """Describe an answer; never show a text, which may hold anything."""
    plain = answer is None or isinstance(answer, (bool, int, float))
    return repr(answer) if plain else f"a {type(answer).__name__}"
