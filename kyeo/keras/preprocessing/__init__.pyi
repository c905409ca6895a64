# Written by scripts/keras_stubs.py: `kyeo.keras` for editors and type checkers.
from kyeo.preprocessing import *
from kyeo.preprocessing import (
    image as image,
    sequence as sequence,
)
