"""Layers: Layer, the base, and the families built on it."""

from typing import TYPE_CHECKING

from kyeo.core.gone import answer_for_missing
from kyeo.layers import (
    activation,
    attention,
    category,
    configs,
    conv,
    conv_transpose,
    core,
    dropout,
    einsum,
    foreign,
    images,
    input,
    layer,
    merge,
    multi_head,
    norm,
    pool,
    preprocessing,
    reshape,
    reversible,
    rnn,
    separable,
    spectral,
    spectrogram,
    text,
)
from kyeo.layers.activation import *
from kyeo.layers.attention import *
from kyeo.layers.category import *
from kyeo.layers.configs import *
from kyeo.layers.conv import *
from kyeo.layers.conv_transpose import *
from kyeo.layers.core import *
from kyeo.layers.dropout import *
from kyeo.layers.einsum import *
from kyeo.layers.foreign import *
from kyeo.layers.images import *
from kyeo.layers.input import *
from kyeo.layers.layer import *
from kyeo.layers.merge import *
from kyeo.layers.multi_head import *
from kyeo.layers.norm import *
from kyeo.layers.pool import *
from kyeo.layers.preprocessing import *
from kyeo.layers.reshape import *
from kyeo.layers.reversible import *
from kyeo.layers.rnn import *
from kyeo.layers.separable import *
from kyeo.layers.spectral import *
from kyeo.layers.spectrogram import *
from kyeo.layers.text import *

_FAMILIES = (
    activation, attention, category, configs, conv, conv_transpose, core, dropout, einsum, foreign, images, input,
    layer, merge, multi_head, norm, pool, preprocessing, reshape, reversible, rnn, separable, spectral, spectrogram,
    text,
)

if not TYPE_CHECKING:  # checkers understand lists alone; without one they take what the stars bring
    __all__ = sorted(name for family in _FAMILIES for name in family.__all__)

_LEFT_OUT = {  # also in docs/differences.md
    "TFSMLayer": "load the model where it was made and save it as .keras, or wrap its function by JaxLayer",
    "TorchModuleWrapper": "write the module again with layers, and copy its weights by `set_weights`",
}

answer_for_missing(__name__, _LEFT_OUT)
