# SPDX-License-Identifier: MIT
"""What the driver's own logger must not tell: bodies, and with them who pays."""

from __future__ import annotations

import logging


class _NoBodies(logging.Filter):
    """Drop the DEBUG lines: they hold whole requests and answers."""

    def filter(self, record: logging.LogRecord) -> bool:
        """Keep what is above DEBUG: methods, paths, statuses, request ids."""
        return record.levelno > logging.DEBUG


_FILTER = _NoBodies()


def keep_quiet() -> None:
    """Put the filter on the driver's logger; idempotent."""
    logging.getLogger("stripe").addFilter(_FILTER)
