# SPDX-License-Identifier: MIT
"""The form of a grant: the fields that plugins declare, and answers to them. Pure."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from typing import Any

from ...errors import ValidationError
from ...models import GrantField
from .. import validate


_MAX_FIELDS, MAX_ANSWER, _MAX_NAME = 40, 4000, 100
#: Answers may contain line breaks, but no other control characters.
_CONTROL = re.compile(r"[\x00-\x08\x0b\x0c\x0e-\x1f\x7f-\x9f\u2028\u2029\ud800-\udfff]")


def plain(answers: Any) -> dict[str, Any]:
    """
    Return answers as plain data: texts (trimmed), integers, flags or None.

    Raises:
        ValidationError: They have other types, are too many, or too long.
    """
    if not isinstance(answers, Mapping) or len(answers) > _MAX_FIELDS:
        raise ValidationError("answers: must be a few named fields", field="answers")
    return {
        validate.text(name, "answers", most=_MAX_NAME): _plain(value)
        for name, value in answers.items()
    }


def _plain(value: Any) -> Any:
    if isinstance(value, str):
        text = value.replace("\r\n", "\n").strip()
        if len(text) > MAX_ANSWER or _CONTROL.search(text):
            raise ValidationError(
                f"answers: texts have up to {MAX_ANSWER} printable characters",
                field="answers",
            )
        return text
    if value is not None and not isinstance(value, bool | int):
        raise ValidationError("answers: texts, numbers, flags", field="answers")
    if value is not None:
        validate.whole(
            int(value), "answers", least=-validate.MAX_WHOLE, most=validate.MAX_WHOLE
        )
    return value


def require_answers(
    fields: Sequence[GrantField], answers: Mapping[str, Any]
) -> dict[str, Any]:
    """
    Return the answers to the fields of a form; without fields, all answers.

    Raises:
        ValidationError: Names the field that is unknown, missing, or of the wrong kind.
    """
    if not fields:
        return dict(answers)
    known = {field.name: field for field in fields}
    for name in answers:
        if name not in known:
            raise _refusal(name, "is not a field of the form")
    for field in fields:
        _require(field, answers.get(field.name))
    return {name: answers[name] for name in known if name in answers}


def _require(field: GrantField, value: Any) -> None:
    if value in {None, ""}:
        if field.required:
            raise _refusal(field.name, "is missing")
        return
    if field.required and value is False:
        raise _refusal(field.name, "must be agreed to")
    if field.choices:
        if value not in field.choices:
            raise _refusal(field.name, f"must be one of {', '.join(field.choices)}")
        return
    # bool is a subclass of int.
    kind: type = {"text": str, "number": int, "flag": bool}[field.kind]
    if type(value) is not kind:
        raise _refusal(field.name, f"must be a {field.kind}")
    if isinstance(value, str) and len(value) > field.most:
        raise _refusal(field.name, f"must have {field.most} characters or fewer")


def _refusal(name: str, problem: str) -> ValidationError:
    return ValidationError(f"answers.{name}: {problem}", field=f"answers.{name}")
