# Written by scripts/keras_stubs.py: `kyeo.keras` for editors and type checkers.
from kyeo.ops import *
from kyeo.ops import (
    image as image,
    linalg as linalg,
    nn as nn,
    numpy as numpy,
)
