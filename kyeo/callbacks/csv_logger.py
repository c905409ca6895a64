"""CSVLogger: a row of results per epoch in a CSV file."""

import contextlib
import csv
import io
import os
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np

from kyeo.callbacks.base import Callback, Logs
from kyeo.core.errors import problem
from kyeo.core.files import append_whole, flush_names
from kyeo.core.plain import warn
from kyeo.core.processes import leads

__all__ = ["CSVLogger"]


class CSVLogger(Callback):
    """Writes the logs of every epoch into a CSV file, one row at a time, each row whole.

    Of several processes that train together the first writes it.

    Args:
        filename: the file.
        separator: between the columns.
        append: go on with an existing file (its header says which columns there are) instead of replacing it.

    >>> import kyeo, tempfile, pathlib
    >>> file = pathlib.Path(tempfile.mkdtemp(), "log.csv")
    >>> log = kyeo.callbacks.CSVLogger(file)
    >>> log.on_train_begin()
    >>> log.on_epoch_end(0, {"loss": 0.5, "val_loss": 0.6})
    >>> file.read_text().splitlines()
    ['epoch,loss,val_loss', '0,0.5,0.6']
    """

    def __init__(self, filename: Any, separator: str = ",", append: bool = False):
        super().__init__()
        if not isinstance(separator, str) or len(separator) != 1:
            raise problem("`separator` is not valid.", received=f"separator={separator!r}", where=self,
                          expected="one character")
        self.filename, self.separator, self.append = os.fsdecode(filename), separator, append
        self.keys: list[str] | None = None
        self._size = 0
        self._waiting = b""  # rows the disk refused

    def get_state(self) -> dict[str, Any]:
        size = 0
        if leads() and os.path.exists(self.filename):
            size = os.path.getsize(self.filename)
            with contextlib.suppress(OSError), open(self.filename, "rb+") as file:
                os.fsync(file.fileno())  # a checkpoint must not know of rows that are lost with the power
        return {"keys": self.keys, "size": size, "waiting": self._waiting}

    def set_state(self, state: Mapping[str, Any]) -> None:
        self.keys, self._size, self._resumed = state["keys"], state["size"], True
        self._waiting = state.get("waiting", b"")

    def on_train_begin(self, logs: Logs = None) -> None:
        anew = self._begins_anew()
        if not leads():
            return
        if not anew:
            self._cut()
            return
        self.keys, self._waiting = None, b""
        if not self.append:
            self._empty()
        elif os.path.exists(self.filename):
            with open(self.filename, newline="") as file:
                header = next(csv.reader(file, delimiter=self.separator), None)
            self.keys = header[1:] if header else None

    def _empty(self) -> None:
        try:
            open(self.filename, "w").close()
            flush_names(Path(self.filename))
        except FileNotFoundError:  # a folder that is not there is a mistake, not an accident
            raise problem("The file's folder does not exist.", received=f"filename={self.filename!r}", where=type(self),
                          expected="a file in a folder that is there", kind=FileNotFoundError,
                          fix=f"os.makedirs({os.path.dirname(self.filename)!r}, exist_ok=True)") from None
        except OSError as error:
            warn(f"CSVLogger could not write to {self.filename}: {error}. Training goes on without it until "
                 "it can.")

    def _cut(self) -> None:
        """Take away the rows that were written after the checkpoint: they will come again."""
        there = os.path.getsize(self.filename) if os.path.exists(self.filename) else 0
        if there < self._size:
            warn(f"CSVLogger: {self.filename} has lost rows since the checkpoint: it has {there} bytes of "
                 f"{self._size}. New rows are added to what there is.")
        elif there:
            os.truncate(self.filename, self._size)

    def on_epoch_end(self, epoch: int, logs: Logs = None) -> None:
        if not leads():
            return
        logs = logs or {}
        rows: list[list[Any]] = []
        if self.keys is None:
            self.keys = sorted(logs)
            if not any(name.startswith("val_") for name in self.keys):  # validation may come in a later epoch
                self.keys += [f"val_{name}" for name in self.keys]
            rows.append(["epoch", *self.keys])
        rows.append([epoch, *(_cell(logs.get(name, "NA")) for name in self.keys)])
        text = io.StringIO(newline="")
        csv.writer(text, delimiter=self.separator).writerows(rows)
        self._waiting += text.getvalue().encode()
        self._append()

    def _append(self) -> None:
        """Write what waits, or, where the disk refuses, nothing of it: it is tried again with the next row."""
        is_new = not os.path.exists(self.filename)
        try:
            with open(self.filename, "ab", buffering=0) as file:
                append_whole(file, self._waiting)
        except OSError as error:
            warn(f"CSVLogger could not write to {self.filename}: {error}. Training goes on; the rows are "
                 "written when it can.")
        else:
            self._waiting = b""
            if is_new:
                with contextlib.suppress(OSError):
                    flush_names(Path(self.filename))


def _cell(value: Any) -> Any:
    if isinstance(value, str) or np.ndim(value) == 0:
        return value
    return f'"[{", ".join(map(str, value))}]"'
