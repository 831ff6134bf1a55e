# SPDX-License-Identifier: MIT
"""
What the drivers' own loggers must not tell: who learns, who pays, by which code.

Known by the loggers' names, so that no driver is imported, and a plugin that is written
anew on the same driver has nothing to do.
"""

from __future__ import annotations

import logging
import re


__all__: tuple[str, ...] = ()  # internal


#: Lowest safe level by driver logger: below it, bodies, rows or documents are logged. A
#: filter only sees records of its own logger, never those of child loggers.
LOGGERS = {
    "pymongo.client": logging.DEBUG,
    "pymongo.command": logging.INFO,
    "sqlalchemy.engine.Engine": logging.INFO,
    "stripe": logging.INFO,
    "urllib3.connectionpool": logging.DEBUG,
    "urllib3.util.retry": logging.DEBUG,
    "werkzeug": logging.DEBUG,
}
#: What is removed from a line, and its replacement.
_CUTS = (
    # Frappe's paths name learners: the doctype may be logged, the name may not.
    (re.compile(r"(/api/(?:resource|method)/[^/?\s\"']*)[/?][^\s\"']*"), r"\1/…"),
    # Queries: the filters of a list, the session of a return, the cursor of a page.
    (re.compile(r"\?[^\s\"']*"), "?…"),
    # Stripe's messages repeat their subject.
    (
        re.compile(r"""(error_message=)(?:'(?:[^'\\]|\\.)*'|"(?:[^"\\]|\\.)*"|\S*)"""),
        r"\1…",
    ),
)


class _Quiet(logging.Filter):
    """Drops records below a level, and removes values from the rest."""

    def __init__(self, least: int) -> None:
        super().__init__()
        self._least = least

    def filter(self, record: logging.LogRecord) -> bool:
        """Decide whether to log a record, and make its text safe in place."""
        if record.levelno < self._least:
            return False
        text = record.getMessage()
        for what, instead in _CUTS:
            text = what.sub(instead, text)
        if record.exc_info and record.exc_info[0] is not None:
            # A driver's error repeats the statement, the key, the URL.
            text = f"{text} ({record.exc_info[0].__name__})"
        record.msg, record.args = text, None
        record.exc_info = record.exc_text = None
        return True


_FILTERS = {name: _Quiet(least) for name, least in LOGGERS.items()}


def filter_drivers() -> None:
    """Install the filters on this process's driver loggers; idempotent."""
    for name, quiet in _FILTERS.items():
        logging.getLogger(name).addFilter(quiet)
