# SPDX-License-Identifier: MIT
"""Logging: text for people, or one JSON object per line for machines."""

from __future__ import annotations

import json
import logging
import sys
from datetime import UTC, datetime
from typing import Any


#: Attributes that every record has; all others came from ``extra``.
_USUAL = frozenset(vars(logging.makeLogRecord({}))) | {"message", "asctime", "taskName"}


def extras_of(record: logging.LogRecord) -> dict[str, Any]:
    """Return the attributes from ``extra``."""
    return {name: value for name, value in vars(record).items() if name not in _USUAL}


class JSONFormatter(logging.Formatter):
    """
    One JSON object per line: at, level, logger, event, and the record's extras.

    A traceback becomes `exception`; its newlines are escaped, so a record is one line.
    """

    def format(self, record: logging.LogRecord) -> str:
        """Format a record."""
        line: dict[str, Any] = {
            "at": datetime.fromtimestamp(record.created, UTC).isoformat(
                timespec="milliseconds"
            ),
            "level": record.levelname.lower(),
            "logger": record.name,
            "event": record.getMessage(),
            **extras_of(record),
        }
        if record.exc_info:
            line["exception"] = self.formatException(record.exc_info)
        return json.dumps(line, ensure_ascii=False, default=str)


class TextFormatter(logging.Formatter):
    """The usual line, followed by the record's extras as ``name=value``."""

    def __init__(self) -> None:
        super().__init__("%(asctime)s %(levelname)s %(name)s: %(message)s")

    def formatMessage(self, record: logging.LogRecord) -> str:  # noqa: N802  logging's
        """Format a record without its traceback."""
        extras = [f"{name}={value}" for name, value in extras_of(record).items()]
        return " ".join([super().formatMessage(record), *extras])


def set_up(level: str, style: str) -> None:
    """Log to stderr."""
    handler = logging.StreamHandler(sys.stderr)
    handler.setFormatter(JSONFormatter() if style == "json" else TextFormatter())
    logging.basicConfig(level=level, handlers=[handler])
