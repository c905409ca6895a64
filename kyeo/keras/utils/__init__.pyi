# Written by scripts/keras_stubs.py: `kyeo.keras` for editors and type checkers.
from kyeo.utils import *
from kyeo.utils import (
    bounding_boxes as bounding_boxes,
    legacy as legacy,
)
