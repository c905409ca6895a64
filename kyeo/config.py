"""Settings of the process: number type, epsilon, image format, dtype policy, eager mode.

>>> import kyeo
>>> kyeo.config.floatx(), kyeo.config.image_data_format()
('float32', 'channels_last')
"""

from kyeo.core.compile_cache import compile_cache
from kyeo.core.dtypes import standardize_dtype
from kyeo.core.errors import number, one_of
from kyeo.core.settings import settings
from kyeo.dtype_policies import dtype_policy, set_dtype_policy

__all__ = [
    "backend", "dtype_policy", "epsilon", "floatx", "image_data_format", "is_eager", "run_functions_eagerly",
    "set_compile_cache", "set_dtype_policy", "set_epsilon", "set_floatx", "set_image_data_format",
]


def backend() -> str:
    """The name of the engine; always "jax"."""
    return "jax"


def floatx() -> str:
    """The number type of floats where none is named."""
    return settings.floatx


def set_floatx(value: str) -> None:
    """Set the number type of floats: "float16", "bfloat16" or "float32".

    float64 is refused: JAX computes in 32 bits unless it is told otherwise before it starts.
    """
    settings.floatx = one_of("set_floatx", ("float16", "bfloat16", "float32"), value=standardize_dtype(value))


def epsilon() -> float:
    """The small number that keeps divisions and logarithms finite."""
    return settings.epsilon


def set_epsilon(value: float) -> None:
    """Set the small number that keeps divisions and logarithms finite."""
    settings.epsilon = float(number("set_epsilon", low=0, value=value))


def image_data_format() -> str:
    """Where images have their channels: "channels_last" or "channels_first"."""
    return settings.image_data_format


def set_image_data_format(data_format: str) -> None:
    """Set where images have their channels."""
    settings.image_data_format = one_of("set_image_data_format", ("channels_last", "channels_first"),
                                        data_format=data_format)


def run_functions_eagerly(run_eagerly: bool) -> None:
    """Run the steps of every model without compiling, for debugging."""
    settings.run_eagerly = bool(run_eagerly)


def is_eager() -> bool:
    """Whether steps run without compiling."""
    return settings.run_eagerly


def set_compile_cache(enabled: bool) -> None:
    """Say whether compiled steps are kept on disk for the next start. They are, unless this or the environment
    (`KYEO_COMPILE_CACHE=0`) says otherwise; `KYEO_COMPILE_CACHE=/a/folder` keeps them there instead of in the
    user's cache folder. `kyeo doctor` shows the folder."""
    settings.compile_cache = bool(enabled)
    if enabled:
        compile_cache.forget()
    else:
        compile_cache.switch_off()
