# SPDX-License-Identifier: MIT
"""What the HTTP library's own logger must not tell: Frappe's paths name learners."""

from __future__ import annotations

import logging
import re


#: A path of Frappe's REST API: the doctype may be told, the name and the query not.
_API = re.compile(r"(/api/(?:resource|method)/[^/?]*)[/?].*")


class _NoNames(logging.Filter):
    """Cut the paths of Frappe's API off behind the doctype."""

    def filter(self, record: logging.LogRecord) -> bool:
        """Keep every line, without names and queries."""
        if isinstance(record.args, tuple):
            record.args = tuple(
                _API.sub(r"\1/…", arg) if isinstance(arg, str) else arg
                for arg in record.args
            )
        return True


_FILTER = _NoNames()


def keep_quiet() -> None:
    """Put the filter on the library's logger; idempotent."""
    logging.getLogger("urllib3.connectionpool").addFilter(_FILTER)
