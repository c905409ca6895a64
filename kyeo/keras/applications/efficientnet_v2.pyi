# Written by scripts/keras_stubs.py: `kyeo.keras` for editors and type checkers.
from kyeo.applications.efficientnet_v2 import *
