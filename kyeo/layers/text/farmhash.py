"""FarmHash64 and SipHash of many byte strings at once, in NumPy: the numbers TensorFlow's hash buckets go by.

All strings lie in one array of bytes; strings of like length are hashed together, word by word. FarmHash64 is the
`farmhashna` variant of https://github.com/google/farmhash; SipHash-2-4 is by Aumasson and Bernstein (2012),
https://www.aumasson.jp/siphash/siphash.pdf.
"""

from collections.abc import Sequence
from typing import Any

import numpy as np

__all__ = ["combine", "farmhash64", "siphash24"]

Words = np.ndarray  # of uint64: every sum and product below wraps around, as it should

_K0, _K1, _K2 = (np.uint64(k) for k in (0xC3A5C85C97CB3127, 0xB492B66FBE98F273, 0x9AE16A3B2F90404F))
_ALL = 2**64 - 1
_CROSS = np.uint64(0xC6A4A7935BD1E995)


def _u(value: int) -> np.uint64:
    return np.uint64(value)


def _rotate(x: Words, bits: int) -> Words:
    return (x >> _u(bits)) | (x << _u(64 - bits))


def _turn_left(x: Words, bits: int) -> Words:
    return _rotate(x, 64 - bits)


def _mix(x: Words) -> Words:
    return x ^ (x >> _u(47))


def _hash_two(u: Words, v: Words, mul: Words) -> Words:
    a = _mix((u ^ v) * mul)
    return _mix((v ^ a) * mul) * mul


class _Reader:
    """Reads little-endian words out of byte strings that lie end to end, from each at a place of its own."""

    def __init__(self, data: np.ndarray, starts: np.ndarray):
        self._data, self._starts = data, starts

    def __call__(self, width: int, at: Words) -> Words:
        places = (self._starts + at.astype(np.int64))[:, None] + np.arange(width)
        return self._data[places].view(f"<u{width}")[:, 0].astype(np.uint64)

    def only(self, rows: np.ndarray) -> "_Reader":
        """A reader of some of the strings."""
        return _Reader(self._data, self._starts[rows])


def _opened(strings: Sequence[bytes]) -> tuple[_Reader, np.ndarray]:
    """A reader of the strings, and their lengths."""
    lengths = np.fromiter(map(len, strings), np.int64, len(strings))
    starts = np.cumsum(lengths) - lengths
    return _Reader(np.frombuffer(b"".join(strings) + b"\0" * 8, np.uint8), starts), lengths


def farmhash64(strings: Sequence[bytes]) -> np.ndarray:
    """The 64-bit FarmHash fingerprints of byte strings, as uint64.

    >>> [hex(h) for h in farmhash64([b"", b"hello"]).tolist()]
    ['0x9ae16a3b2f90404f', '0xb48be5a931380ce8']
    """
    reader, lengths = _opened(strings)
    out = np.full(len(strings), _K2, np.uint64)
    kinds = ((1, 3, _up_to_3), (4, 7, _up_to_7), (8, 16, _up_to_16), (17, 32, _up_to_32), (33, 64, _up_to_64))
    for low, high, hashed in (*kinds, (65, np.iinfo(np.int64).max, _longer)):
        rows = np.flatnonzero((lengths >= low) & (lengths <= high))
        if rows.size:
            out[rows] = hashed(reader.only(rows), lengths[rows].astype(np.uint64))
    return out


def _zero(n: Words) -> Words:
    return np.zeros_like(n)


def _up_to_3(load: _Reader, n: Words) -> Words:
    a, b, c = load(1, _zero(n)), load(1, n >> _u(1)), load(1, n - _u(1))
    y, z = a + (b << _u(8)), n + (c << _u(2))
    return _mix(y * _K2 ^ z * _K0) * _K2


def _up_to_7(load: _Reader, n: Words) -> Words:
    mul = _K2 + n * _u(2)
    return _hash_two(n + (load(4, _zero(n)) << _u(3)), load(4, n - _u(4)), mul)


def _up_to_16(load: _Reader, n: Words) -> Words:
    mul = _K2 + n * _u(2)
    a, b = load(8, _zero(n)) + _K2, load(8, n - _u(8))
    c = _rotate(b, 37) * mul + a
    d = (_rotate(a, 25) + b) * mul
    return _hash_two(c, d, mul)


def _ends(load: _Reader, n: Words, mul: Words) -> tuple[Words, Words, Words, Words]:
    """The words that strings of 17 bytes and more begin and end with."""
    return (load(8, _zero(n)), load(8, _zero(n) + _u(8)), load(8, n - _u(8)) * mul, load(8, n - _u(16)) * _K2)


def _up_to_32(load: _Reader, n: Words) -> Words:
    mul = _K2 + n * _u(2)
    a, b, c, d = _ends(load, n, mul)
    a = a * _K1
    return _hash_two(_rotate(a + b, 43) + _rotate(c, 30) + d, a + _rotate(b + _K2, 18) + c, mul)


def _up_to_64(load: _Reader, n: Words) -> Words:
    mul = _K2 + n * _u(2)
    a, b, c, d = _ends(load, n, mul)
    a = a * _K2
    y = _rotate(a + b, 43) + _rotate(c, 30) + d
    z = _hash_two(y, a + _rotate(b + _K2, 18) + c, mul)
    e, f = load(8, _zero(n) + _u(16)) * mul, load(8, _zero(n) + _u(24))
    g, h = (y + load(8, n - _u(32))) * mul, (z + load(8, n - _u(24))) * mul
    return _hash_two(_rotate(e + f, 43) + _rotate(g, 30) + h, e + _rotate(f + a, 18) + g, mul)


def _weak(load: _Reader, at: Words, a: Words, b: Words) -> tuple[Words, Words]:
    """Two words of state from 32 bytes."""
    w, x, y, z = (load(8, at + _u(8 * i)) for i in range(4))
    a = a + w
    b = _rotate(b + a + z, 21)
    c = a
    a = a + x + y
    b = b + _rotate(a, 44)
    return a + z, b + c


def _round(load: _Reader, at: Words, state: Words, mul: Any, nine: np.uint64) -> Words:
    """The state after 64 bytes; the last round multiplies by other numbers than those before."""
    x, y, z, v0, v1, w0, w1 = state
    x = (_rotate(x + y + v0 + load(8, at + _u(8)), 37) * mul) ^ (w1 * nine)
    y = _rotate(y + v1 + load(8, at + _u(48)), 42) * mul + v0 * nine + load(8, at + _u(40))
    z = _rotate(z + w0, 33) * mul
    v0, v1 = _weak(load, at, v1 * mul, x + w0)
    w0, w1 = _weak(load, at + _u(32), z + w1, y + load(8, at + _u(16)))
    return np.stack([z, y, x, v0, v1, w0, w1])


def _longer(load: _Reader, n: Words) -> Words:
    """Blocks of 64 bytes, each string for as many as it has; then its last 64 bytes."""
    state = np.zeros((7, len(n)), np.uint64)
    state[0] = _u(81)  # the seed
    state[1] = state[0] * _K1 + _u(113)
    state[2] = _mix(state[1] * _K2 + _u(113)) * _K2
    state[0] = state[0] * _K2 + load(8, _zero(n))
    blocks = (n - _u(1)) >> _u(6)
    for i in range(int(blocks.max())):
        on = np.flatnonzero(blocks > _u(i))
        state[:, on] = _round(load.only(on), np.full(len(on), 64 * i, np.uint64), state[:, on], _K1, _u(1))
    mul = _K1 + ((state[2] & _u(0xFF)) << _u(1))
    state[5] += (n - _u(1)) & _u(63)
    state[3] += state[5]
    state[5] += state[3]
    x, y, z, v0, v1, w0, w1 = _round(load, n - _u(64), state, mul, _u(9))
    return _hash_two(_hash_two(v0, w0, mul) + _mix(y) * _K0 + z, _hash_two(v1, w1, mul) + x, mul)


def siphash24(strings: Sequence[bytes], key: Sequence[int]) -> np.ndarray:
    """The SipHash-2-4 of byte strings under a key of two 64-bit numbers, as uint64.

    >>> key = [int.from_bytes(bytes(range(i, i + 8)), "little") for i in (0, 8)]
    >>> hex(siphash24([bytes(range(15))], key)[0])  # the example of the paper
    '0xa129ca6149be45e5'
    """
    lengths = np.fromiter(map(len, strings), np.int64, len(strings))
    padded = [s + b"\0" * (7 - len(s) % 8) + bytes([len(s) & 0xFF]) for s in strings]
    load, sizes = _opened(padded)
    first, second = (_u(int(k) & _ALL) for k in key)
    masks = (0x736F6D6570736575, 0x646F72616E646F6D, 0x6C7967656E657261, 0x7465646279746573)
    state = np.stack([np.full(len(lengths), k ^ _u(m), np.uint64) for k, m in zip((first, second) * 2, masks)])
    for i in range(int(sizes.max(initial=0)) // 8):
        on = np.flatnonzero(sizes > 8 * i)
        word = load.only(on)(8, np.full(len(on), 8 * i, np.uint64))
        part = state[:, on]
        part[3] ^= word
        part = _sip_round(_sip_round(part))
        part[0] ^= word
        state[:, on] = part
    state[2] ^= _u(0xFF)
    for _ in range(4):
        state = _sip_round(state)
    return state[0] ^ state[1] ^ state[2] ^ state[3]


def _sip_round(state: Words) -> Words:
    a, b, c, d = state
    a, c = a + b, c + d
    b, d = _turn_left(b, 13) ^ a, _turn_left(d, 16) ^ c
    a = _turn_left(a, 32)
    c, a = c + b, a + d
    b, d = _turn_left(b, 17) ^ c, _turn_left(d, 21) ^ a
    return np.stack([a, b, _turn_left(c, 32), d])


def combine(first: Words, second: Words) -> Words:
    """One fingerprint of two, in order, as TensorFlow crosses features.

    >>> bool(combine(np.uint64([1]), np.uint64([2])) == combine(np.uint64([2]), np.uint64([1])))
    False
    """
    mixed = (first ^ _CROSS) ^ (_mix(second * _CROSS) * _CROSS)
    return _mix(_mix(mixed * _CROSS) * _CROSS)
