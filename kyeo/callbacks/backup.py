"""BackupAndRestore: a training that is killed goes on, when its script is started again, to the same bits."""

import os
from typing import Any

from kyeo.callbacks.base import Callback
from kyeo.callbacks.checkpoint import Checkpoints, Writer
from kyeo.core.errors import boolean, positive_int, problem
from kyeo.core.plain import warn

__all__ = ["EXIT_CODE", "BackupAndRestore"]

EXIT_CODE = 75  # EX_TEMPFAIL: all is saved, start the same script again


class BackupAndRestore(Callback):
    """Keeps checkpoints of a training; `fit` of the same script, started again, goes on from the newest.

    A checkpoint holds all that the rest of the training depends on: weights, the optimizer's state, metrics of the
    running epoch, epoch and step, seeds, the place in the data, the state of the other callbacks and the History. So a
    run that was killed at any instant ends with the same weights, History and log files as one that was not. It is one
    file with checksums that appears whole or not at all; two are kept, and a damaged one is passed over with a
    warning. Files are written in a thread of their own; `fit` returns when the last is on the disk. Where a file
    cannot be written (the disk is full) there is a warning, and training goes on.

    On SIGTERM, SIGUSR1 and Ctrl-C the running step is finished and a checkpoint written; then the process ends with
    exit code 75, after Ctrl-C with KeyboardInterrupt as ever. A second Ctrl-C ends it at once. A signal that the
    program handles itself is left to it.

    Where batches are read by an iterable without `state_dict` (or `get_state`), those that were used are read again
    and thrown away. Callbacks of your own are asked for `get_state()`; what that leaves out begins anew.

    A number given to the optimizer, the learning rate say, or a weight of a loss may be another one when the script is
    started again: it is used from then on, and a warning says so. What a callback made of the rate is kept otherwise.

    Args:
        backup_dir: a folder for the checkpoints of this training alone.
        save_freq: "epoch", or a number of steps; then one at the end of each epoch too.
        double_checkpoint: Keras's; two are always kept here.
        delete_checkpoint: remove them when training has ended.

    Raises:
        ValueError: by `fit`, when the checkpoint is of another model, data or batch size; it says what differs.

    >>> import kyeo, numpy as np, tempfile
    >>> model = kyeo.Sequential([kyeo.Input((2,)), kyeo.layers.Dense(1)])
    >>> model.compile("sgd", "mse")
    >>> backup = kyeo.callbacks.BackupAndRestore(tempfile.mkdtemp(), save_freq=100)
    >>> history = model.fit(np.ones((8, 2)), np.ones((8, 1)), verbose=0, callbacks=[backup])
    """

    def __init__(self, backup_dir: Any, save_freq: str | int = "epoch", double_checkpoint: bool = False,
                 delete_checkpoint: bool = True):
        super().__init__()
        if not isinstance(backup_dir, (str, os.PathLike)) or not os.fspath(backup_dir):
            raise problem("`backup_dir` is not valid.", received=f"backup_dir={backup_dir!r}", where=self,
                          expected="the path of a folder")
        self.backup_dir = os.fspath(backup_dir)
        self.save_freq: Any = save_freq if save_freq == "epoch" else positive_int(self, save_freq=save_freq)
        self.double_checkpoint = boolean(self, double_checkpoint=double_checkpoint)
        self.delete_checkpoint = boolean(self, delete_checkpoint=delete_checkpoint)
        self._set_up()

    def _set_up(self) -> None:
        self._checkpoints = Checkpoints(self.backup_dir)
        self._writer = Writer(lambda item: self._checkpoints.write(*item, emptied=True))
        self._steps = 0

    def __getstate__(self) -> dict[str, Any]:
        """A copy, such as a search for hyperparameters makes for each trial, has a thread of its own."""
        return {name: value for name, value in vars(self).items() if name not in ("_checkpoints", "_writer")}

    def __setstate__(self, state: dict[str, Any]) -> None:
        vars(self).update(state)
        self._set_up()

    # -- called by the loop of `fit` -----------------------------------------------------------------------
    def load(self) -> Any:
        """What the newest whole checkpoint holds; None where there is none."""
        self._steps = 0
        self._checkpoints.hold(warn)
        return self._checkpoints.latest(warn)

    def is_due(self, steps: int) -> bool:
        """Whether to save, after so many more steps."""
        self._steps += steps
        due = self.save_freq != "epoch" and self._steps >= self.save_freq
        self._steps = 0 if due else self._steps
        return due

    def before_save(self) -> None:
        """Give back the memory of a checkpoint that waits to be written: a newer one is about to be taken."""
        self._writer.drop()

    def save(self, place: tuple[int, int], tree: Any) -> None:
        """Have a checkpoint written. The arrays in the tree must not change any more; it is emptied."""
        self._complain()
        self._writer.put((place, tree))

    def settle(self) -> None:
        """Wait until all is written."""
        self._writer.wait()
        self._complain()

    def began(self) -> None:
        """The first checkpoint of this process is written, and so the folder is there."""
        self.settle()
        self._checkpoints.hold(lambda text: None)

    def close(self) -> None:
        """Training has ended, however it did."""
        try:
            self.settle()
        finally:
            self._checkpoints.release()

    def finish(self) -> None:
        """Training has ended in the ordinary way."""
        self.settle()
        if self.delete_checkpoint:
            self._checkpoints.delete()

    def _complain(self) -> None:
        error = self._writer.error()
        if isinstance(error, OSError):
            warn(f"A checkpoint could not be written to {self.backup_dir}: {error}. Training goes on without "
                 "it; those written before are as they were.")
        elif error is not None:
            raise error
