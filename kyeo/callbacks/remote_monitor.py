"""RemoteMonitor: send the results of each epoch to a web server."""

import json

from kyeo.callbacks.base import Callback, Logs
from kyeo.core.errors import problem
from kyeo.core.plain import warn
from kyeo.core.processes import leads

__all__ = ["RemoteMonitor"]

_TIMEOUT = 10  # seconds that an epoch may wait for the server


class RemoteMonitor(Callback):
    """Posts the results of each epoch to `root + path`, as a form field with JSON in it or as JSON alone.

    A server that does not answer is warned of; training goes on. Of several processes that train together the first
    tells it.

    Args:
        root: the server ("http://localhost:9000").
        path: where on it.
        field: the name of the form field.
        headers: more HTTP headers.
        send_as_json: send the JSON as the body, with the content type that says so.

    >>> import kyeo
    >>> monitor = kyeo.callbacks.RemoteMonitor("http://localhost:9000", headers={"Authorization": "..."})
    """

    def __init__(self, root: str = "http://localhost:9000", path: str = "/publish/epoch/end/", field: str = "data",
                 headers: dict[str, str] | None = None, send_as_json: bool = False):
        super().__init__()
        if not root.startswith(("http://", "https://")):
            raise problem("`root` is not the address of a server.", received=f"root={root!r}", where=self,
                          expected='an address that begins with "http://" or "https://"')
        self.root, self.path, self.field = root, path, field
        self.headers, self.send_as_json = headers, send_as_json

    def on_epoch_end(self, epoch: int, logs: Logs = None) -> None:
        import urllib.parse
        import urllib.request

        if not leads():
            return
        values = {"epoch": epoch}
        values |= {name: value.item() if hasattr(value, "item") else value for name, value in (logs or {}).items()}
        text = json.dumps(values)
        kind = "application/json" if self.send_as_json else "application/x-www-form-urlencoded"
        body = text if self.send_as_json else urllib.parse.urlencode({self.field: text})
        request = urllib.request.Request(self.root + self.path, body.encode(),
                                         {"Content-Type": kind, **(self.headers or {})})
        try:
            urllib.request.urlopen(request, timeout=_TIMEOUT).close()
        except OSError as error:
            warn(f"RemoteMonitor could not reach {self.root}: {error}")
