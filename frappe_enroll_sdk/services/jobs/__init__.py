# SPDX-License-Identifier: MIT
"""Jobs: how due work is claimed, run, judged and completed."""
