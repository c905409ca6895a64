"""`python -m kyeo` is the command `kyeo`."""

import sys

from kyeo.cli import main

__all__: list[str] = []

if __name__ == "__main__":
    sys.exit(main())
