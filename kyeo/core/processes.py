"""What processes that work together tell each other. With one process alone every function gives its argument back.

All processes must call the same functions in the same order, as with everything they compute together.
"""

import contextlib
import re
import socket
from collections.abc import Iterator
from typing import Any

import jax
import numpy as np
from jax.experimental import multihost_utils

from kyeo.core.errors import problem
from kyeo.core.settings import settings

__all__ = ["agree", "for_first", "for_numpy", "from_all", "from_first", "joining", "leads", "note_of_loss", "own_rows",
           "several"]

_CONNECTION = re.compile("Gloo|Connection|[Hh]eartbeat|UNAVAILABLE|DEADLINE_EXCEEDED")

_BLOCK = 1 << 24  # bytes sent at a time
_LENGTH = 8


def several() -> bool:
    """Whether other processes compute along with this one.

    >>> several()
    False
    """
    return settings.distribution is not None and jax.process_count() > 1


def leads() -> bool:
    """Whether it is this process that writes files and tells servers, for all that compute together.

    >>> leads()
    True
    """
    return not several() or jax.process_index() == 0


def from_all(data: bytes) -> list[bytes]:
    """The bytes of each process, in the order of the processes.

    >>> from_all(b"here")
    [b'here']
    """
    if jax.process_count() == 1:
        return [data]
    head = multihost_utils.process_allgather(np.frombuffer(len(data).to_bytes(_LENGTH), np.uint8))
    lengths = [int.from_bytes(row.tobytes()) for row in np.asarray(head)]
    parts: list[list[bytes]] = [[] for _ in lengths]
    for block in _blocks(data, max(lengths)):
        for own, row in zip(parts, np.asarray(multihost_utils.process_allgather(block)), strict=True):
            own.append(row.tobytes())
    return [b"".join(own)[:length] for own, length in zip(parts, lengths, strict=True)]


def from_first(data: bytes) -> bytes:
    """The bytes of the first process; those of the others are of no interest.

    >>> from_first(b"here")
    b'here'
    """
    if jax.process_count() == 1:
        return data
    data = data if jax.process_index() == 0 else b""
    head = multihost_utils.broadcast_one_to_all(np.frombuffer(len(data).to_bytes(_LENGTH), np.uint8))
    length = int.from_bytes(np.asarray(head).tobytes())
    sent = [np.asarray(multihost_utils.broadcast_one_to_all(block)).tobytes() for block in _blocks(data, length)]
    return b"".join(sent)[:length]


def _blocks(data: bytes, length: int) -> list[np.ndarray]:
    """Bytes in pieces of a few sizes, for each of which JAX compiles a program."""
    blocks = []
    for start in range(0, length, _BLOCK):
        size = min(_BLOCK, 1 << (length - start - 1).bit_length())
        blocks.append(np.frombuffer(data[start:start + size].ljust(size, b"\0"), np.uint8))
    return blocks


def for_numpy(array: Any) -> Any:
    """An array that NumPy can read: gathered, where parts of it lie with other processes.

    >>> for_numpy(np.ones(2))
    array([1., 1.])
    """
    if not isinstance(array, jax.Array) or array.is_fully_addressable or array.is_fully_replicated:
        return array
    return multihost_utils.process_allgather(array, tiled=True)


def for_first(array: Any) -> Any:
    """A copy for NumPy in the process that leads, None in the others; all of them must ask for it.

    >>> for_first(np.ones(2))
    array([1., 1.])
    """
    whole = for_numpy(array)
    return np.array(whole) if leads() else None


def own_rows(array: Any) -> np.ndarray:
    """The rows of a result that belong to the rows this process gave; the whole where it is not divided by rows.

    >>> own_rows(np.ones((2, 1))).shape
    (2, 1)
    """
    if not isinstance(array, jax.Array) or array.is_fully_addressable:
        return np.asarray(array)
    replicas = settings.distribution.num_model_replicas
    if array.ndim == 0 or array.shape[0] % replicas:
        return np.asarray(for_numpy(array))
    wanted = settings.distribution.layout_along(0, array.ndim).backend_layout
    divided = jax.jit(_as_it_is, out_shardings=wanted)(array)
    parts = {shard.index[0].start or 0: shard.data for shard in divided.addressable_shards}
    return np.concatenate([np.asarray(parts[start]) for start in sorted(parts)])


def _as_it_is(array: jax.Array) -> jax.Array:
    """By one function for all results: JAX knows by it what is compiled already."""
    return array


def agree(doing: str) -> None:
    """Complain on every process where they are not about to do the same: else they would wait for each other.

    >>> agree("make the variable dense/kernel")
    """
    said = [data.decode() for data in from_all(doing.encode())]
    if len(set(said)) > 1:
        raise problem("The processes of this run do not do the same.", where="distribution",
                      received="; ".join(f"process {number}: {text}" for number, text in enumerate(said)),
                      fix="give every process the same program, model and seed")


@contextlib.contextmanager
def joining(first: str) -> Iterator[None]:
    """Inside the block processes speak to each other for the first time; where they cannot, the error says what to do.

    On CPUs each tells the others the address that its machine's name stands for, which on many systems leads back to
    the machine itself (Debian writes 127.0.1.1 into /etc/hosts).

    Args:
        first: "host:port" of the first process.
    """
    try:
        yield
    except Exception as error:
        if not _CONNECTION.search(str(error)):
            raise
        name, (address, outward) = socket.gethostname(), _own_addresses(first)
        itself = address.startswith("127.") and outward != address
        raise problem(
            "The processes of this run do not reach each other.", where="initialize", kind=ConnectionError,
            received=str(error).split("\n")[0][:300] + f"; the name of this machine, {name!r}, stands for {address}",
            expected="an address under which the other machines reach this one",
            fix=f"write `{outward} {name}` into /etc/hosts in the place of `{address} {name}`" if itself else
            "look at what the other processes said, at the names of all machines, and at firewalls") from error


def _own_addresses(first: str) -> tuple[str, str]:
    """The address that this machine's name stands for, and the one from which it speaks to the first process."""
    host, _, port = first.rpartition(":")
    mine = outward = "no address"
    with contextlib.suppress(OSError):
        mine = socket.gethostbyname(socket.gethostname())
    with contextlib.suppress(OSError, ValueError), socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as speaking:
        speaking.connect((host, int(port)))  # sends nothing
        outward = str(speaking.getsockname()[0])
    return mine, outward


def note_of_loss(error: BaseException | None) -> None:
    """Say with an error what it means when a process of the run is gone."""
    if error is not None and several() and _CONNECTION.search(str(error)):
        error.add_note("Another process of this run has ended or cannot be reached; look at what it said last. Then "
                       "start all of them again: fit(..., resume=folder) goes on from the last checkpoint.")
