# SPDX-License-Identifier: MIT
"""SQL storage on SQLAlchemy Core; SQLite is the embedded default."""

__all__: tuple[str, ...] = ()
