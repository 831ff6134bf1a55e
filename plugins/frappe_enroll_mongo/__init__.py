# SPDX-License-Identifier: MIT
"""MongoDB storage on pymongo: each verb is one conditional write on one document."""

__all__: tuple[str, ...] = ()
