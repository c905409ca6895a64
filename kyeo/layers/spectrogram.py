"""MelSpectrogram and STFTSpectrogram: sound as pictures of its frequencies over time."""

import math
from typing import Any

import jax.numpy as jnp
import numpy as np

from kyeo import initializers
from kyeo.core.dtypes import is_float
from kyeo.core.errors import boolean, describe, number, one_of, positive_int, problem
from kyeo.core.settings import settings
from kyeo.layers.arguments import format_of
from kyeo.layers.input_spec import InputSpec
from kyeo.layers.layer import Layer
from kyeo.ops.conv import conv
from kyeo.ops.fourier import stft
from kyeo.ops.kernels import largest, maximum

__all__ = ["MelSpectrogram", "STFTSpectrogram"]


class MelSpectrogram(Layer):
    """Sound to the loudness of its frequencies over time, on the mel scale, which follows hearing.

    Args:
        fft_length: samples of a Fourier transform.
        sequence_stride: samples from one transform to the next.
        sequence_length: samples that the window lets through; None for `fft_length`.
        window: "hann", "hamming", an array of `sequence_length` values, or None.
        sampling_rate: samples of a second.
        num_mel_bins: how many bands of frequencies.
        min_freq, max_freq: the lowest and highest frequency; None for half the sampling rate.
        power_to_db: whether to give decibels.
        top_db: how far below the loudest of the batch decibels go at most.
        mag_exp: 1 for energy, 2 for power.
        min_power: what counts as silence.
        ref_power: the power of 0 decibels.

    Input: shape (samples,) or (batch, samples). Output: (bands, times) or (batch, bands, times). The scale is that
    of HTK, 2595 log10(1 + f / 700).

    >>> import kyeo, numpy as np
    >>> kyeo.layers.MelSpectrogram(num_mel_bins=64)(np.ones((2, 16000), "float32")).shape
    (2, 64, 32)
    """

    def __init__(
        self, fft_length: int = 2048, sequence_stride: int = 512, sequence_length: int | None = None,
        window: Any = "hann", sampling_rate: int = 16000, num_mel_bins: int = 128, min_freq: float = 20.0,
        max_freq: float | None = None, power_to_db: bool = True, top_db: float = 80.0, mag_exp: float = 2.0,
        min_power: float = 1e-10, ref_power: float = 1.0, **kwargs: Any,
    ):
        super().__init__(**kwargs)
        self.fft_length = positive_int(self, fft_length=fft_length)
        self.sequence_stride = positive_int(self, sequence_stride=sequence_stride)
        self.sequence_length = positive_int(self, optional=True, sequence_length=sequence_length) or self.fft_length
        if self.fft_length < self.sequence_length:
            raise problem("`fft_length` must be at least `sequence_length`.", where=self,
                          received=f"fft_length={fft_length}, sequence_length={sequence_length}")
        if isinstance(window, str):
            window = one_of(self, ("hann", "hamming"), window=window)
        elif window is not None and np.shape(window) != (self.sequence_length,):
            raise problem("`window` has a wrong length.", received=f"window={describe(window)}", where=self,
                          expected=f"{self.sequence_length} values")
        self.window = window
        self.sampling_rate = positive_int(self, sampling_rate=sampling_rate)
        self.num_mel_bins = positive_int(self, num_mel_bins=num_mel_bins)
        self.min_freq = number(self, low=0, min_freq=min_freq)
        self.max_freq = number(self, optional=True, low=0, max_freq=max_freq) or int(self.sampling_rate / 2)
        self.power_to_db = boolean(self, power_to_db=power_to_db)
        self.mixes_rows = self.power_to_db  # decibels are cut off below the loudest of the batch
        self.top_db = number(self, top_db=top_db)
        self.mag_exp = number(self, mag_exp=mag_exp)
        self.min_power = number(self, low=0, min_power=min_power)
        self.ref_power = number(self, ref_power=ref_power)

    def call(self, inputs: Any) -> Any:
        """The spectrogram of the sound."""
        x = jnp.asarray(inputs, "float32")
        if x.ndim not in (1, 2):
            raise problem("Sound has one axis, or two with the batch.", received=inputs, where=self,
                          expected="shape (samples,) or (batch, samples)")
        real, imag = stft(x, self.sequence_length, self.sequence_stride, self.fft_length, self.window)
        spectrum = jnp.sqrt(real**2 + imag**2) ** self.mag_exp
        out = spectrum @ self.linear_to_mel_weight_matrix(
            self.num_mel_bins, self.fft_length // 2 + 1, self.sampling_rate, self.min_freq, self.max_freq)
        out = self._decibels(out) if self.power_to_db else out
        return jnp.swapaxes(out, -1, -2).astype(self.compute_dtype)

    def _decibels(self, power: Any) -> Any:
        out = 10.0 * jnp.log10(maximum(power, self.min_power))
        out = out - 10.0 * math.log10(max(abs(self.ref_power), self.min_power))
        return maximum(out, largest(out) - self.top_db)

    def linear_to_mel_weight_matrix(
        self, num_mel_bins: int = 20, num_spectrogram_bins: int = 129, sampling_rate: float = 8000,
        lower_edge_hertz: float = 125.0, upper_edge_hertz: float = 3800.0, dtype: str = "float32",
    ) -> np.ndarray:
        """The matrix of shape (num_spectrogram_bins, num_mel_bins) that adds frequencies up to bands.

        Each band is a triangle on the mel scale that peaks at 1 and ends where its neighbours peak. Frequency 0 is in
        none.

        Args:
            num_mel_bins: how many bands.
            num_spectrogram_bins: how many frequencies from 0 to half the sampling rate.
            sampling_rate: samples of a second.
            lower_edge_hertz, upper_edge_hertz: where the first band begins and the last ends.
            dtype: number type of the matrix.
        """
        hertz = np.linspace(0.0, sampling_rate / 2, num_spectrogram_bins)
        mel, edges = _mel(hertz)[:, None], _mel(np.array([lower_edge_hertz, upper_edge_hertz], float))
        points = np.linspace(edges[0], edges[1], num_mel_bins + 2)
        low, center, high = points[:-2], points[1:-1], points[2:]
        matrix = np.maximum(0, np.minimum((mel - low) / (center - low), (high - mel) / (high - center)))
        matrix[0] = 0
        return matrix.astype(dtype)


def _mel(hertz: np.ndarray) -> np.ndarray:
    return 1127.0 * np.log1p(hertz / 700.0)


class STFTSpectrogram(Layer):
    """Sound to its short-time Fourier transform, by convolutions whose kernels can be trained.

    Args:
        mode: "log", "magnitude", "psd" (power), "real", "imag", "angle" or "stft" (real and imaginary parts).
        frame_length: samples of a transform.
        frame_step: samples from one to the next; None for half of `frame_length`.
        fft_length: for `fft_length // 2 + 1` frequencies; None for the next power of two.
        window: "hann" or another window SciPy knows, an array of `frame_length` values, or None.
        periodic: whether a named window is the periodic one.
        scaling: "density", "spectrum" or None: what the window is divided by.
        padding: "valid" or "same".
        expand_dims: whether channels have an axis of their own in the output.
        data_format: "channels_last" or "channels_first"; None for that of `kyeo.config`.

    Input: (batch, time, channels). Output: (batch, time, channels * frequencies), or with `expand_dims` (batch, time,
    frequencies, channels); for "channels_first" the channels come second.

    >>> import kyeo, numpy as np
    >>> kyeo.layers.STFTSpectrogram(frame_length=16)(np.ones((1, 64, 2), "float32")).shape
    (1, 7, 18)
    """

    def __init__(
        self, mode: str = "log", frame_length: int = 256, frame_step: int | None = None, fft_length: int | None = None,
        window: Any = "hann", periodic: bool = False, scaling: str | None = "density", padding: str = "valid",
        expand_dims: bool = False, data_format: str | None = None, **kwargs: Any,
    ):
        super().__init__(**kwargs)
        self.mode = one_of(self, ("log", "magnitude", "psd", "real", "imag", "angle", "stft"), mode=mode)
        self.frame_length = positive_int(self, minimum=2, frame_length=frame_length)
        self.frame_step = positive_int(self, optional=True, frame_step=frame_step)
        self.fft_length = positive_int(self, optional=True, fft_length=fft_length)
        self._step = self.frame_step or self.frame_length // 2
        self._bands = (self.fft_length or 2 ** math.ceil(math.log2(self.frame_length))) // 2 + 1
        if self._step > self.frame_length or (self.fft_length or self.frame_length) < self.frame_length:
            raise problem("These lengths do not fit.", where=self, expected="frame_step <= frame_length <= fft_length",
                          received=f"frame_step={frame_step}, frame_length={frame_length}, fft_length={fft_length}")
        self.window, self.periodic = window, boolean(self, periodic=periodic)
        self.scaling = one_of(self, ("density", "spectrum", None), scaling=scaling)
        self.padding = one_of(self, ("valid", "same"), padding=padding)
        self.expand_dims = boolean(self, expand_dims=expand_dims)
        self.data_format = format_of(self, data_format)
        self._draw = [initializers.STFT(side, window, self.scaling, self.periodic) for side in ("real", "imag")]
        if window is not None:
            self._draw[0]._window(self.frame_length)  # says so here if there is no such window
        self.input_spec = InputSpec(ndim=3)

    def build(self, input_shape: Any) -> None:
        """Make the kernels that the mode needs."""
        real, imag = self._draw
        shape = (self.frame_length, 1, self._bands)
        if self.mode != "imag":
            self.real_kernel = self.add_weight(shape, real, name="real_kernel")
        if self.mode != "real":
            self.imag_kernel = self.add_weight(shape, imag, name="imag_kernel")

    def call(self, inputs: Any) -> Any:
        """The transform of the sound."""
        if not is_float(inputs.dtype):
            raise problem("Sound is given in real numbers.", received=inputs, where=self, kind=TypeError,
                          expected="floats")
        x = inputs if self.data_format == "channels_first" else jnp.swapaxes(inputs, 1, 2)
        _, channels, times = x.shape
        x = x.reshape(-1, times, 1)
        parts = {}
        for name in ("real", "imag"):
            if self.mode not in ({"real", "imag"} - {name}):
                kernel = jnp.asarray(getattr(self, f"{name}_kernel").value, x.dtype)
                out = conv(x, kernel, self._step, self.padding, "channels_last")
                parts[name] = out.reshape(-1, channels, *out.shape[1:])  # (batch, channels, time, frequencies)
        return self._arranged(self._of_mode(**parts))

    def _of_mode(self, real: Any = None, imag: Any = None) -> Any:
        if self.mode in ("real", "imag"):
            return real if self.mode == "real" else imag
        if self.mode == "angle":
            return jnp.arctan2(imag, real)
        if self.mode == "stft":
            return jnp.concatenate([real, imag], axis=-1)
        power = jnp.square(real) + jnp.square(imag)
        if self.mode == "psd":  # all frequencies but the first and last stand for two
            return power.at[..., 1:-1].multiply(2)
        size = jnp.sqrt(maximum(power, settings.epsilon))
        return size if self.mode == "magnitude" else jnp.log(maximum(size, settings.epsilon))

    def _arranged(self, x: Any) -> Any:
        """(batch, channels, time, frequencies) as the arguments want it."""
        _, channels, times, bands = x.shape
        if self.data_format == "channels_first":
            return x if self.expand_dims else jnp.swapaxes(x, 2, 3).reshape(-1, channels * bands, times)
        if self.expand_dims:
            return jnp.transpose(x, (0, 2, 3, 1))
        return jnp.swapaxes(x, 1, 2).reshape(-1, times, channels * bands)
