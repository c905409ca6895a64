"""Recurrent layers: a cell is one step; RNN runs a cell over all steps; wrappers put layers on sequences."""

from kyeo.layers.rnn import cells, loop, sequence, stacked, wrappers
from kyeo.layers.rnn.cells import *
from kyeo.layers.rnn.loop import *
from kyeo.layers.rnn.sequence import *
from kyeo.layers.rnn.stacked import *
from kyeo.layers.rnn.wrappers import *

__all__ = sorted([*cells.__all__, *loop.__all__, *sequence.__all__, *stacked.__all__, *wrappers.__all__])
