"""Settings of the process: number type, epsilon, image format, dtype policy, eager mode.

>>> import kyeo
>>> kyeo.config.floatx(), kyeo.config.image_data_format()
('float32', 'channels_last')
"""

import math
import os

import jax

from kyeo.core.compile_cache import compile_cache
from kyeo.core.dtypes import standardize_dtype
from kyeo.core.errors import number, one_of, positive_int, problem
from kyeo.core.gone import answer_for_missing
from kyeo.core.parameters import checked
from kyeo.core.processor import cpu_quota
from kyeo.core.settings import settings
from kyeo.dtype_policies import dtype_policy, set_dtype_policy

__all__ = [
    "backend", "disable_flash_attention", "disable_interactive_logging", "disable_traceback_filtering", "dtype_policy",
    "enable_flash_attention", "enable_interactive_logging", "enable_traceback_filtering",
    "enable_unsafe_deserialization", "epsilon", "floatx", "image_data_format", "is_eager",
    "is_flash_attention_enabled", "is_interactive_logging_enabled", "is_nnx_enabled", "is_traceback_filtering_enabled",
    "max_epochs", "max_steps_per_epoch", "run_functions_eagerly", "set_backend", "set_compile_cache",
    "set_dtype_policy", "set_epsilon", "set_floatx", "set_image_data_format", "set_max_epochs",
    "set_max_steps_per_epoch", "set_num_threads",
]


def backend() -> str:
    """The name of the engine; always "jax".

    >>> import kyeo
    >>> kyeo.config.backend()
    'jax'
    """
    return "jax"


def floatx() -> str:
    """The number type of floats where none is named.

    >>> import kyeo
    >>> kyeo.config.floatx()
    'float32'
    """
    return settings.floatx


@checked
def set_floatx(value: str) -> None:
    """Set the number type of floats: "float16", "bfloat16" or "float32".

    float64 is refused: JAX computes in 32 bits unless it is told otherwise before it starts.

    Args:
        value: the type, by its name or as NumPy has it.

    >>> import kyeo
    >>> kyeo.config.set_floatx("bfloat16")
    >>> kyeo.ops.zeros(2).dtype.name
    'bfloat16'
    >>> kyeo.config.set_floatx("float32")
    """
    if (name := standardize_dtype(value)) == "float64":
        raise problem("JAX computes in 32 bits here.", where="set_floatx", received=f"value={name!r}",
                      expected="float16, bfloat16 or float32", fix="float32; what needs more digits can be NumPy")
    settings.floatx = one_of("set_floatx", ("float16", "bfloat16", "float32"), value=name)


def epsilon() -> float:
    """The small number that keeps divisions and logarithms finite.

    >>> import kyeo
    >>> kyeo.config.epsilon()
    1e-07
    """
    return settings.epsilon


@checked
def set_epsilon(value: float) -> None:
    """Set the small number that keeps divisions and logarithms finite.

    Args:
        value: at least 0; 1e-7 at the start.
    """
    settings.epsilon = float(number("set_epsilon", low=0, value=value))


def image_data_format() -> str:
    """Where images have their channels: "channels_last" or "channels_first".

    >>> import kyeo
    >>> kyeo.config.image_data_format()
    'channels_last'
    """
    return settings.image_data_format


@checked
def set_image_data_format(data_format: str) -> None:
    """Set where images have their channels, for layers made later.

    Args:
        data_format: "channels_last" for (batch, height, width, channels), "channels_first" for (batch, channels,
            height, width).

    >>> import kyeo
    >>> kyeo.config.set_image_data_format("channels_first")
    >>> kyeo.layers.Conv2D(4, 3)(kyeo.Input((1, 8, 8))).shape
    (None, 4, 6, 6)
    >>> kyeo.config.set_image_data_format("channels_last")
    """
    settings.image_data_format = one_of("set_image_data_format", ("channels_last", "channels_first"),
                                        data_format=data_format)


@checked
def run_functions_eagerly(run_eagerly: bool) -> None:
    """Run the steps of every model without compiling, for debugging: `print` and a debugger see arrays.

    Args:
        run_eagerly: True does so, False compiles again.

    >>> import kyeo
    >>> kyeo.config.run_functions_eagerly(True)
    >>> kyeo.config.is_eager()
    True
    >>> kyeo.config.run_functions_eagerly(False)
    """
    settings.run_eagerly = bool(run_eagerly)


def is_eager() -> bool:
    """Whether steps run without compiling."""
    return settings.run_eagerly


@checked
def set_compile_cache(enabled: bool) -> None:
    """Say whether compiled steps are kept on disk for the next start. They are, unless this or the environment
    (`KYEO_COMPILE_CACHE=0`) says otherwise; `KYEO_COMPILE_CACHE=/a/folder` keeps them there instead of in the
    user's cache folder. `kyeo doctor` shows the folder."""
    settings.compile_cache = bool(enabled)
    if enabled:
        compile_cache.forget()
    else:
        compile_cache.switch_off()


@checked
def set_backend(backend: str) -> None:
    """Accepts "jax" alone: Kyeo has one engine."""
    if backend != "jax":
        raise problem("Kyeo computes with JAX.", received=f"backend={backend!r}", expected='"jax"', where="set_backend",
                      fix="models in .keras files and weights in HDF5 can be loaded by Keras on another backend")


def is_nnx_enabled() -> bool:
    """Whether layers are modules of flax.nnx; always False."""
    return False


def enable_unsafe_deserialization() -> None:
    """Refused: files never bring code here."""
    raise problem("A file is data, so it cannot bring code.", where="enable_unsafe_deserialization", received="a call",
                  fix="give the function when loading: load_model(path, custom_objects={name: function})")


def enable_flash_attention() -> None:
    """Let attention use the form that fits the shapes; the default, and what it computes is the same."""
    settings.flash_attention = None


def disable_flash_attention() -> None:
    """Say that attention shall not use a fused form. The form used on a CPU is not one."""
    settings.flash_attention = False


def is_flash_attention_enabled() -> bool | None:
    """False after `disable_flash_attention`, else None: the shapes decide."""
    return settings.flash_attention


def enable_interactive_logging() -> None:
    """Show progress as a bar; the default."""
    settings.interactive_logging = True


def disable_interactive_logging() -> None:
    """Print progress as lines, one an epoch, for logs that are files."""
    settings.interactive_logging = False


def is_interactive_logging_enabled() -> bool:
    """Whether progress is shown as a bar."""
    return settings.interactive_logging


def enable_traceback_filtering() -> None:
    """Leave only the user's own lines in tracebacks; the default."""
    settings.traceback_filtering = True


def disable_traceback_filtering() -> None:
    """Leave every line in tracebacks, for work on Kyeo itself."""
    settings.traceback_filtering = False


def is_traceback_filtering_enabled() -> bool:
    """Whether tracebacks show only the user's own lines."""
    return settings.traceback_filtering


def max_epochs() -> int | None:
    """The limit on the epochs of every `fit`, or None."""
    return settings.max_epochs


@checked
def set_max_epochs(max_epochs: int | None) -> None:
    """Limit the epochs of every `fit`, to try a program out. In the environment: `KERAS_MAX_EPOCHS=2`.

    Args:
        max_epochs: the most; None for no limit.
    """
    settings.max_epochs = positive_int("set_max_epochs", optional=True, max_epochs=max_epochs)


def max_steps_per_epoch() -> int | None:
    """The limit on the steps of every epoch, or None."""
    return settings.max_steps_per_epoch


@checked
def set_max_steps_per_epoch(max_steps_per_epoch: int | None) -> None:
    """Limit the steps of every epoch of `fit`, `evaluate` and `predict`. In the environment:
    `KERAS_MAX_STEPS_PER_EPOCH=10`.

    Args:
        max_steps_per_epoch: the most; None for no limit.
    """
    settings.max_steps_per_epoch = positive_int("set_max_steps_per_epoch", optional=True,
                                                max_steps_per_epoch=max_steps_per_epoch)


@checked
def set_num_threads(num_threads: int | None = None) -> None:
    """Let the CPU compute with so many threads at most. To be called before anything is computed; Linux only.

    JAX takes as many threads as there are cores that the process may run on when it starts, and knows no other limit.
    So it is started here while there are fewer. For processes side by side, such as four trials of a search, and for
    containers that may use the time of a few cores only.

    Args:
        num_threads: how many, from 1; None for as many as the container's quota of time allows, rounded up.
    """
    count = positive_int("set_num_threads", optional=True, num_threads=num_threads)
    if count is None:
        quota = cpu_quota()
        if quota is None:
            return
        count = math.ceil(quota)
    if not hasattr(os, "sched_setaffinity"):
        raise problem("The number of threads can be set on Linux only.", where="set_num_threads",
                      received=f"num_threads={count}", kind=NotImplementedError)
    cores, before = os.sched_getaffinity(0), set(os.listdir("/proc/self/task"))
    os.sched_setaffinity(0, set(sorted(cores)[:count]))
    try:
        jax.devices("cpu")
    finally:
        os.sched_setaffinity(0, cores)
    new = set(os.listdir("/proc/self/task")) - before
    if not new:
        raise problem("JAX has started already, with all threads.", where="set_num_threads", kind=RuntimeError,
                      received=f"num_threads={count}", fix="call it first of all, before any model or array is made")
    for thread in new:  # as many as asked for, on whatever cores are free
        os.sched_setaffinity(int(thread), cores)


answer_for_missing(__name__)
