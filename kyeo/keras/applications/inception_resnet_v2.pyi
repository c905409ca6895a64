# Written by scripts/keras_stubs.py: `kyeo.keras` for editors and type checkers.
from kyeo.applications.inception_resnet_v2 import *
