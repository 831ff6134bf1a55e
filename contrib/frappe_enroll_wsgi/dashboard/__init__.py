# SPDX-License-Identifier: MIT
"""The dashboard: pages that the server renders; they need no script."""
