# SPDX-License-Identifier: MIT
"""
Validate bodies and queries by their JSON schemas.

The cost of a request is bounded: sizes are checked before contents, and validation
stops at the number of problems that an answer reports.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Mapping
from functools import cache
from typing import TYPE_CHECKING, Any

from jsonschema import Draft202012Validator
from jsonschema.exceptions import ValidationError as SchemaFailure
from jsonschema.validators import extend
from werkzeug.wrappers import Request

from frappe_enroll_sdk.errors import ValidationError

from . import schemas, strict_json
from .errors import UnsupportedError


if TYPE_CHECKING:
    from .routing import Route

_Keyword = Callable[[Any, Any, Any, Any], Iterable[SchemaFailure]]
#: Most problems in one answer.
_MAX_PROBLEMS = 20
#: Most characters of a name that an answer repeats.
_MAX_NAME = 64
#: A whole number in a query; any other text fails its schema.
_WHOLE = re.compile(r"-?[0-9]{1,9}")
#: Message for each keyword; the value itself is never repeated.
_WORDS = {
    "type": "must be {}",
    "minLength": "must have {} characters or more",
    "maxLength": "must have {} characters or fewer",
    "minimum": "must be {} or more",
    "maximum": "must be {} or less",
    "enum": "must be one of {}",
    "required": "is missing",
    "additionalProperties": "is unknown",
    "maxProperties": "must have {} names or fewer",
    "maxItems": "must have {} items or fewer",
    "pattern": "has the wrong format",
    "format": "has the wrong format",
}
_KINDS = {
    "string": "text",
    "integer": "a whole number",
    "number": "a number",
    "object": "an object",
    "boolean": "true or false",
}


class InvalidError(ValidationError):
    """
    A body or query does not match its schema.

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
        UnsupportedError: It is not JSON in UTF-8, or it is compressed.
        InvalidError: It is malformed or does not match the schema.
    """
    if request.mimetype != "application/json":
        raise UnsupportedError
    charset = request.mimetype_params.get("charset", "utf-8").lower()
    encoding = request.headers.get("Content-Encoding", "identity")
    if charset not in {"utf-8", "utf8", "us-ascii"} or encoding != "identity":
        raise UnsupportedError
    try:
        fields = strict_json.read(request.get_data())
    except ValueError as error:
        raise InvalidError([_problem("", "is not JSON")]) from error
    check_body(str(route.body), fields)
    return dict(fields)


def check_body(name: str, fields: Any) -> None:
    """Check data against a schema; raise `InvalidError` if it does not match."""
    _raise_for(_validator(name).iter_errors(fields), ())


def query_of(request: Request, route: Route) -> dict[str, Any]:
    """Return the validated query; the admin surface refuses unknown names."""
    found: dict[str, Any] = {}
    for name, texts in request.args.lists():
        schema = route.query.get(name)
        if schema is not None and len(texts) > 1:
            raise InvalidError([_problem(f"/{name}", "is given more than once")])
        if schema is not None:
            found[name] = _converted(texts[0], schema)
        elif route.area in {"admin", "dashboard"}:
            raise InvalidError([_problem(f"/{name[:_MAX_NAME]}", "is unknown")])
    if route.area == "dashboard":
        # Forms send an empty field for "any".
        found = {name: value for name, value in found.items() if value != ""}
    for name, value in found.items():
        _raise_for(_Bounded(route.query[name]).iter_errors(value), (name,))
    return found


def _converted(text: str, schema: Mapping[str, Any]) -> Any:
    if schema.get("type") != "integer" or text == "":
        return text
    return int(text) if _WHOLE.fullmatch(text) else text


@cache
def _validator(name: str) -> Any:
    return _Bounded(schemas.resolved(name))


#: Keyword that limits the size of a type; a larger value is not examined.
_SIZES: dict[type, str] = {str: "maxLength", list: "maxItems", dict: "maxProperties"}


def _is_too_large(value: Any, schema: Mapping[str, Any]) -> bool:
    most = schema.get(_SIZES.get(type(value), ""))
    return most is not None and len(value) > most


def _bounded(check: _Keyword) -> _Keyword:
    def bounded(
        validator: Any, value: Any, instance: Any, schema: Mapping[str, Any]
    ) -> Iterable[SchemaFailure]:
        if not _is_too_large(instance, schema):
            yield from check(validator, value, instance, schema)

    return bounded


def _pattern(
    _: Any, pattern: str, instance: Any, __: Mapping[str, Any]
) -> Iterable[SchemaFailure]:
    if isinstance(instance, str) and not _compiled(pattern).search(instance):
        yield SchemaFailure("pattern")


@cache
def _compiled(pattern: str) -> re.Pattern[str]:
    # As in ECMA-262, the dialect of OpenAPI, "$" matches only the end of the text.
    return re.compile(re.sub(r"\$$", r"\\Z", pattern))


def _additional(
    validator: Any, known: Any, instance: Any, schema: Mapping[str, Any]
) -> Iterable[SchemaFailure]:
    if known is not False:
        yield from _CHECKS["additionalProperties"](validator, known, instance, schema)
    elif isinstance(instance, dict):
        names = schema.get("properties", {})
        yield from (
            SchemaFailure("unknown", path=[n]) for n in instance if n not in names
        )


def _required(
    _: Any, names: Iterable[str], instance: Any, __: Mapping[str, Any]
) -> Iterable[SchemaFailure]:
    if isinstance(instance, dict):
        yield from (
            SchemaFailure("missing", path=[n]) for n in names if n not in instance
        )


_CHECKS = Draft202012Validator.VALIDATORS
_Bounded = extend(  # type: ignore[no-untyped-call]  # the library's
    Draft202012Validator,
    {
        **{
            name: _bounded(_CHECKS[name])
            for name in ("properties", "propertyNames", "items")
        },
        "pattern": _bounded(_pattern),
        "additionalProperties": _bounded(_additional),
        "required": _required,
    },
)


def _raise_for(failures: Iterable[SchemaFailure], base: tuple[str, ...]) -> None:
    """Raise `InvalidError` for the first failures, if there are any."""
    by_path: dict[str, dict[str, str]] = {}
    for failure in failures:
        found = _problem_of(failure, base)
        by_path.setdefault(found["path"], found)
        if len(by_path) == _MAX_PROBLEMS:
            break
    if by_path:
        raise InvalidError([by_path[path] for path in sorted(by_path)])


def _problem_of(failure: Any, base: tuple[str, ...]) -> dict[str, str]:
    parts = (*base, *failure.absolute_path)
    path = "".join(f"/{str(part)[:_MAX_NAME]}" for part in parts)
    words = _WORDS.get(str(failure.validator), "is not valid")
    return _problem(path, words.format(_plain(failure.validator_value)))


def _plain(value: Any) -> str:
    items = value if isinstance(value, list) else [value]
    return " or ".join(_KINDS.get(str(i), str(i)) for i in items if i != "null")


def _problem(path: str, words: str) -> dict[str, str]:
    return {"path": path, "problem": words}
