"""The formulas that `kyeo.losses` averages and `kyeo.metrics` accumulates: one value for each sample.

They stand here, below both rooms, because neither room may import the other.
"""

from kyeo.ops.losses import crossentropy, regression
from kyeo.ops.losses.crossentropy import *
from kyeo.ops.losses.regression import *

__all__ = [*crossentropy.__all__, *regression.__all__]
