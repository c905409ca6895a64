"""Recurrent layers: a cell is one step; RNN runs a cell over all steps; wrappers put layers on sequences."""

from kyeo.layers.rnn import cells, loop, sequence, wrappers
from kyeo.layers.rnn.cells import *
from kyeo.layers.rnn.loop import *
from kyeo.layers.rnn.sequence import *
from kyeo.layers.rnn.stacked import StackedRNNCells
from kyeo.layers.rnn.wrappers import *

_CELLS = [name for name in cells.__all__ if name != "BuiltInCell"]
__all__ = sorted([*_CELLS, *loop.__all__, *sequence.__all__, *wrappers.__all__, "StackedRNNCells"])
