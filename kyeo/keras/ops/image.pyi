# Written by scripts/keras_stubs.py: `kyeo.keras` for editors and type checkers.
from kyeo.ops.image import *
