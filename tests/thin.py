"""Which rows of a long table a usual run takes: the suite is to end within fifteen minutes on two cores."""

import os

__all__ = ["SLOW", "thinned"]

# KYEO_TESTS=slow runs every row of every table, which takes about twice as long.
SLOW = os.environ.get("KYEO_TESTS") == "slow"


def thinned(rows, every=2):
    """Every row, or in a usual run each second (or `every`-th)."""
    rows = list(rows)
    return rows if SLOW else rows[::every]
