"""TerminateOnNaN: end training when the loss is no longer a number."""

import math

from kyeo.callbacks.base import Callback, Logs
from kyeo.core.errors import problem
from kyeo.core.progbar import say

__all__ = ["TerminateOnNaN"]


class TerminateOnNaN(Callback):
    """Ends training at the first batch whose loss is NaN or infinite.

    Args:
        raise_error: raise RuntimeError instead of ending in the ordinary way.

    >>> import kyeo
    >>> kyeo.callbacks.TerminateOnNaN(raise_error=True).on_train_batch_end(3, {"loss": float("nan")})
    Traceback (most recent call last):
    ...
    RuntimeError: The loss is not a finite number.
      Received: loss=nan after batch 3
      Fix:      look for NaN in the data, or lower the learning rate
    """

    def __init__(self, raise_error: bool = False):
        super().__init__()
        self.raise_error = raise_error

    def on_train_batch_end(self, batch: int, logs: Logs = None) -> None:
        loss = (logs or {}).get("loss")
        if loss is None or math.isfinite(loss):
            return
        if self.raise_error:
            raise problem("The loss is not a finite number.", received=f"loss={loss} after batch {batch}",
                          fix="look for NaN in the data, or lower the learning rate", kind=RuntimeError)
        say(f"Batch {batch}: Invalid loss, terminating training")
        self.model.stop_training = True
