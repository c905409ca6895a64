# Written by scripts/keras_stubs.py: `kyeo.keras` for editors and type checkers.
from kyeo.optimizers import *
from kyeo.optimizers import (
    legacy as legacy,
    schedules as schedules,
)
