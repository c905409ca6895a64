"""Recurrent layers: a cell is one step; RNN runs a cell over all steps; wrappers put layers on sequences."""

from typing import TYPE_CHECKING

from kyeo.layers.rnn import cells, conv_lstm, loop, sequence, stacked, wrappers
from kyeo.layers.rnn.cells import *
from kyeo.layers.rnn.conv_lstm import *
from kyeo.layers.rnn.loop import *
from kyeo.layers.rnn.sequence import *
from kyeo.layers.rnn.stacked import *
from kyeo.layers.rnn.wrappers import *

_FAMILIES = (cells, conv_lstm, loop, sequence, stacked, wrappers)

if not TYPE_CHECKING:  # checkers understand lists alone; without one they take what the stars bring
    __all__ = sorted(name for family in _FAMILIES for name in family.__all__)
