# SPDX-License-Identifier: MIT
"""Bodies and queries against their JSON schemas: all problems, each with its path."""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping
from functools import cache
from typing import TYPE_CHECKING, Any

from jsonschema import Draft202012Validator
from jsonschema.exceptions import ValidationError as SchemaFailure
from werkzeug.wrappers import Request

from frappe_enroll_sdk.errors import ValidationError

from . import schemas
from .errors import UnsupportedError


if TYPE_CHECKING:
    from .routes import Route

#: Problems that one answer names at the most.
_MOST = 20
#: What a person reads for each keyword; the value itself is never repeated.
_WORDS = {
    "type": "must be {}",
    "minLength": "must have {} characters or more",
    "maxLength": "must have {} characters or fewer",
    "minimum": "must be {} or more",
    "maximum": "must be {} or less",
    "enum": "must be one of {}",
    "pattern": "is not of its form",
    "format": "is not of its form",
}
_KINDS = {
    "string": "text",
    "integer": "a whole number",
    "object": "an object",
    "boolean": "true or false",
}


class InvalidError(ValidationError):
    """
    A body or query does not fit its schema.

    Attributes:
        errors: ``{"path": …, "problem": …}`` for each, by JSON pointer.
    """

    def __init__(self, errors: list[dict[str, str]]) -> None:
        self.errors = errors
        first = errors[0]["path"].lstrip("/")
        super().__init__(f"{first}: {errors[0]['problem']}", field=first or "body")


def json_body(request: Request, route: Route) -> dict[str, Any]:
    """
    Return the validated JSON object of a request.

    Raises:
        UnsupportedError: Not JSON in UTF-8, or compressed.
        InvalidError: Not JSON, or not as the schema says.
    """
    if request.mimetype != "application/json":
        raise UnsupportedError
    charset = request.mimetype_params.get("charset", "utf-8").lower()
    encoding = request.headers.get("Content-Encoding", "identity")
    if charset not in {"utf-8", "utf8", "us-ascii"} or encoding != "identity":
        raise UnsupportedError
    try:
        text = request.get_data().decode("utf-8")
        fields = json.loads(
            text,
            object_pairs_hook=_no_twins,
            parse_constant=_no_constant,
            parse_float=_number,
        )
        # Half a surrogate pair is no text.
        json.dumps(fields, ensure_ascii=False).encode()
    except (UnicodeError, ValueError, RecursionError) as error:
        raise InvalidError([_problem("", "is not JSON")]) from error
    _check(f"body:{route.body}", fields)
    return dict(fields)


def query_of(request: Request, route: Route) -> dict[str, Any]:
    """Return the validated query; on the admin surface unknown names are refused."""
    found: dict[str, Any] = {}
    for name, texts in request.args.lists():
        schema = route.query.get(name)
        if schema is not None and len(texts) > 1:
            raise InvalidError([_problem(f"/{name}", "is given more than once")])
        if schema is not None:
            found[name] = _converted(texts[0], schema)
        elif route.area in {"admin", "dashboard"}:
            raise InvalidError([_problem(f"/{name[:64]}", "is not known")])
    if route.area == "dashboard":
        # An empty field of a form means "any".
        found = {name: value for name, value in found.items() if value != ""}
    for name, value in found.items():
        _raise_for(_Failures.of(route.query[name], value), (name,))
    return found


def _converted(text: str, schema: Mapping[str, Any]) -> Any:
    if schema.get("type") != "integer" or text == "":
        return text
    return int(text) if text.lstrip("-").isdecimal() and len(text) < 10 else text  # noqa: PLR2004


def _check(name: str, value: Any) -> None:
    _raise_for(_validator(name).iter_errors(value), ())


@cache
def _validator(name: str) -> Draft202012Validator:
    schema = schemas.resolved(name.partition(":")[2])
    return Draft202012Validator(schema)


class _Failures:
    """Failures of one query parameter."""

    @staticmethod
    def of(schema: Mapping[str, Any], value: Any) -> Iterable[SchemaFailure]:
        found: Iterable[SchemaFailure] = Draft202012Validator(schema).iter_errors(value)
        return found


def _raise_for(failures: Iterable[SchemaFailure], base: tuple[str, ...]) -> None:
    by_path: dict[str, dict[str, str]] = {}
    for failure in failures:
        for found in _told(failure, base):
            by_path.setdefault(found["path"], found)
    if by_path:
        raise InvalidError([by_path[path] for path in sorted(by_path)][:_MOST])


def _told(failure: Any, base: tuple[str, ...]) -> Iterable[dict[str, str]]:
    path = "".join(f"/{part}" for part in (*base, *failure.absolute_path))
    if failure.validator == "required":
        for name in failure.validator_value:
            if name not in failure.instance:
                yield _problem(f"{path}/{name}", "is missing")
    elif failure.validator == "additionalProperties":
        known = failure.schema.get("properties", {})
        for name in sorted(set(failure.instance) - set(known)):
            yield _problem(f"{path}/{name[:64]}", "is not known")
    else:
        words = _WORDS.get(str(failure.validator), "is not valid")
        yield _problem(path, words.format(_plain(failure.validator_value)))


def _plain(value: Any) -> str:
    items = value if isinstance(value, list) else [value]
    return " or ".join(_KINDS.get(str(i), str(i)) for i in items if i != "null")


def _problem(path: str, words: str) -> dict[str, str]:
    return {"path": path, "problem": words}


def _no_twins(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    """Refuse an object that names a field twice: two readers would see two things."""
    found = dict(pairs)
    if len(found) != len(pairs):
        raise ValueError
    return found


def _number(digits: str) -> float | int:
    """Read 3.0 as 3: to JSON Schema it is a whole number."""
    value = float(digits)
    return int(value) if value.is_integer() else value


def _no_constant(word: str) -> Any:
    raise ValueError(word)
