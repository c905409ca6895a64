"""The formulas that `kyeo.losses` averages and `kyeo.metrics` accumulates: one value for each sample.

They stand here, below both rooms, because neither room may import the other.
"""

from typing import TYPE_CHECKING

from kyeo.ops.losses import crossentropy, margin, overlap, regression, sequence
from kyeo.ops.losses.crossentropy import *
from kyeo.ops.losses.margin import *
from kyeo.ops.losses.overlap import *
from kyeo.ops.losses.regression import *
from kyeo.ops.losses.sequence import *

if not TYPE_CHECKING:  # checkers understand plain lists alone; without one they take what the stars bring
    __all__ = [
        *crossentropy.__all__, *margin.__all__, *overlap.__all__, *regression.__all__, *sequence.__all__,
    ]
