"""OrbaxCheckpoint is left out; its name says what does the same."""

from typing import Any

from kyeo.callbacks.base import Callback
from kyeo.core.errors import problem

__all__ = ["OrbaxCheckpoint"]


class OrbaxCheckpoint(Callback):
    """Not here: it needs 14 packages besides, and a resumed training would not be the same to the bit.

    Raises:
        NotImplementedError: always; the message names what to use.

    >>> import kyeo
    >>> kyeo.callbacks.OrbaxCheckpoint("folder")
    Traceback (most recent call last):
    ...
    NotImplementedError: OrbaxCheckpoint is left out of Kyeo.
      Received: directory='folder'
      Fix:      use BackupAndRestore to go on after a crash, ModelCheckpoint to keep the best model
    """

    def __init__(
        self, directory: Any, monitor: str = "val_loss", verbose: int = 0, save_best_only: bool = False,
        mode: str = "auto", save_freq: str | int = "epoch", initial_value_threshold: float | None = None,
        max_to_keep: int = 1, save_on_background: bool = True, save_weights_only: bool = False,
    ):
        raise problem("OrbaxCheckpoint is left out of Kyeo.", received=f"directory={directory!r}",
                      fix="use BackupAndRestore to go on after a crash, ModelCheckpoint to keep the best model",
                      kind=NotImplementedError)
