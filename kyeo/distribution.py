"""Distribution over devices: batches divided, weights repeated (`DataParallel`) or divided too (`ModelParallel`).

After `set_distribution(...)` a model's `fit`, `evaluate` and `predict` run on all devices of the mesh; nothing else of
a program changes. Any size of batch will do: rows that fill it up to an even number are masked, and count for nothing.
"""

import math
import os
import re
import sys
from collections.abc import Iterator, MutableMapping, Sequence
from contextlib import contextmanager
from functools import cached_property
from typing import Any

import jax
import numpy as np

from kyeo.core.errors import describe, problem
from kyeo.core.owned import Structure
from kyeo.core.parameters import checked
from kyeo.core.plain import warn
from kyeo.core.processes import agree, from_first, joining
from kyeo.core.settings import settings
from kyeo.core.symbolic import SymbolicTensor
from kyeo.core.variable import unwrap

__all__ = [
    "DataParallel", "DeviceMesh", "LayoutMap", "ModelParallel", "TensorLayout", "distribute_tensor", "distribution",
    "get_device_count", "initialize", "list_devices", "set_distribution",
]

_PATIENCE = 30  # seconds without a sign of life until a process counts as gone; and that others wait for it at the end


def list_devices(device_type: str | None = None) -> list[str]:
    """The devices of a type, those of other processes among them.

    Args:
        device_type: "cpu", "gpu" or "tpu"; the fastest there are where None. An empty list where there are none.

    >>> import kyeo
    >>> kyeo.distribution.list_devices("cpu")[0]
    'cpu:0'
    """
    try:
        devices = jax.devices(device_type and device_type.lower())
    except RuntimeError:
        return []
    return [f"{device.platform}:{device.id}" for device in devices]


def get_device_count(device_type: str | None = None) -> int:
    """How many devices of a type there are.

    >>> import kyeo
    >>> kyeo.distribution.get_device_count("cpu") >= 1
    True
    """
    return len(list_devices(device_type))


def _device(name: Any) -> Any:
    if not isinstance(name, str):
        return name
    kind, _, number = name.partition(":")
    found = [device for device in jax.devices(kind) if device.id == int(number or 0)]
    if not found:
        raise problem("There is no such device.", received=repr(name), where="kyeo.distribution",
                      expected="one of " + ", ".join(list_devices(kind)))
    return found[0]


class DeviceMesh:
    """Devices in rows and columns, each axis with a name.

    Args:
        shape: how many devices along each axis.
        axis_names: a name for each axis.
        devices: their names; all of `list_devices()` where None.

    >>> import kyeo
    >>> kyeo.distribution.DeviceMesh((1,), ["batch"], ["cpu:0"]).axis_names
    ['batch']
    """

    @checked
    def __init__(self, shape: Sequence[int], axis_names: Sequence[str], devices: Any = None):
        given = np.array(list_devices() if devices is None else devices)
        if not shape or len(shape) != len(axis_names) or math.prod(shape) != given.size:
            raise problem("The mesh does not fit its devices.", where="DeviceMesh",
                          received=f"shape={shape}, axis_names={axis_names}, {given.size} devices",
                          expected="a name for each axis, and as many devices as the axes make")
        self.shape, self.axis_names, self.devices = shape, axis_names, given.reshape(tuple(shape))

    @cached_property
    def backend_mesh(self) -> jax.sharding.Mesh:
        """The mesh of JAX."""
        devices = np.array([_device(name) for name in self.devices.ravel().tolist()])
        return jax.sharding.Mesh(devices.reshape(self.devices.shape), tuple(self.axis_names))

    def __repr__(self) -> str:
        return f"<DeviceMesh shape={self.shape}, axis_names={self.axis_names}>"


class TensorLayout:
    """Which axis of an array is divided along which axis of a mesh.

    Args:
        axes: for each axis of the array the name of an axis of the mesh, or None where it is not divided.
        device_mesh: the mesh; may be set later, once.

    >>> import kyeo
    >>> mesh = kyeo.distribution.DeviceMesh((1,), ["batch"], ["cpu:0"])
    >>> tuple(kyeo.distribution.TensorLayout(["batch", None], mesh).backend_layout.spec)
    ('batch', None)
    """

    @checked
    def __init__(self, axes: Sequence[str | None], device_mesh: DeviceMesh | None = None):
        self.axes = tuple(axes)
        self._mesh: DeviceMesh | None = None
        if device_mesh is not None:
            self.device_mesh = device_mesh

    @property
    def device_mesh(self) -> DeviceMesh | None:
        """The mesh."""
        return self._mesh

    @device_mesh.setter
    def device_mesh(self, mesh: DeviceMesh) -> None:
        unknown = {axis for axis in self.axes if axis is not None} - set(mesh.axis_names)
        if self._mesh is not None or unknown:
            raise problem("This mesh cannot be used for the layout.", received=f"axes={self.axes}, {mesh}",
                          where="TensorLayout",
                          expected="names of the mesh's axes" if unknown else "a layout without a mesh")
        self._mesh = mesh

    @cached_property
    def backend_layout(self) -> jax.sharding.NamedSharding:
        """The sharding of JAX."""
        if self._mesh is None:
            raise problem("The layout has no mesh.", received=f"axes={self.axes}", where="TensorLayout",
                          fix="layout.device_mesh = mesh")
        return jax.sharding.NamedSharding(self._mesh.backend_mesh, jax.sharding.PartitionSpec(*self.axes))

    def __repr__(self) -> str:
        return f"<TensorLayout axes={self.axes}, device_mesh={self.device_mesh}>"


class LayoutMap(MutableMapping):
    """A layout for each variable by its path, or by a regular expression for whole paths; None where nothing matches.

    Args:
        device_mesh: the mesh of its layouts.

    >>> import kyeo
    >>> layouts = kyeo.distribution.LayoutMap(kyeo.distribution.DeviceMesh((1,), ["model"], ["cpu:0"]))
    >>> layouts[".*kernel"] = (None, "model")
    >>> layouts["dense/kernel"].axes, layouts["dense/bias"]
    ((None, 'model'), None)
    """

    @checked
    def __init__(self, device_mesh: DeviceMesh):
        self.device_mesh = device_mesh
        self._layouts: dict[str, TensorLayout] = {}

    def __getitem__(self, path: str) -> Any:
        if path in self._layouts:
            return self._layouts[path]
        matching = [pattern for pattern in self._layouts if re.fullmatch(pattern, path)]
        if len(matching) > 1:
            raise problem("More than one entry matches this path.", received=path, where="LayoutMap",
                          expected="one of " + ", ".join(map(repr, matching)))
        return self._layouts[matching[0]] if matching else None

    def __setitem__(self, path: str, layout: Any) -> None:
        if isinstance(layout, tuple):
            layout = TensorLayout(layout)
        if path in self._layouts or not isinstance(layout, TensorLayout):
            raise problem("This entry cannot be added.", received=f"{path!r}: {describe(layout)}", where="LayoutMap",
                          expected="a path that is not there yet, and a TensorLayout or a tuple of axis names")
        if layout.device_mesh is None and self.device_mesh is not None:
            layout.device_mesh = self.device_mesh
        self._layouts[path] = layout

    def __delitem__(self, path: str) -> None:
        del self._layouts[path]

    def __len__(self) -> int:
        return len(self._layouts)

    def __iter__(self) -> Iterator[str]:
        return iter(self._layouts)


class Distribution:
    """Base of distributions: says where variables and batches lie.

    Args:
        device_mesh: the mesh.
        batch_dim_name: the axis of the mesh that batches are divided along.
        auto_shard_dataset: kept for programs that set it: each process gives its own rows.
    """

    def __init__(self, device_mesh: DeviceMesh, batch_dim_name: str, auto_shard_dataset: bool = True):
        if not isinstance(device_mesh, DeviceMesh) or batch_dim_name not in device_mesh.axis_names:
            raise problem("The mesh is not valid.", where=type(self), expected="a DeviceMesh with that axis",
                          received=f"device_mesh={describe(device_mesh)}, batch_dim_name={batch_dim_name!r}")
        self.device_mesh, self.batch_dim_name = device_mesh, batch_dim_name
        self.auto_shard_dataset = auto_shard_dataset

    @property
    def num_processes(self) -> int:
        """How many processes work together."""
        return jax.process_count()

    @property
    def num_model_replicas(self) -> int:
        """Into how many parts a batch is divided."""
        return self.device_mesh.shape[list(self.device_mesh.axis_names).index(self.batch_dim_name)]

    @cached_property
    def num_local_replicas(self) -> int:
        """Into how many parts the batch that this process brings is divided."""
        axis = list(self.device_mesh.axis_names).index(self.batch_dim_name)
        parts = np.moveaxis(self.device_mesh.backend_mesh.devices, axis, 0)
        mine = jax.process_index()
        return max(sum(any(d.process_index == mine for d in np.ravel(part)) for part in parts), 1)

    @property
    def data_shard_id(self) -> int:
        """Which part of the data this process brings."""
        return jax.process_index() // max(self.num_processes // self.num_model_replicas, 1)

    def layout_along(self, axis: int | None, ndim: int) -> TensorLayout:
        """The layout that divides one axis along the batch's axis of the mesh, or none."""
        return TensorLayout([self.batch_dim_name if i == axis else None for i in range(ndim)], self.device_mesh)

    def get_data_layout(self, data_shape: Sequence[int]) -> TensorLayout:
        """The layout of a batch: divided by rows."""
        return self.layout_along(0, len(data_shape))

    def get_variable_layout(self, variable: Any) -> TensorLayout:
        """The layout of a variable: whole on every device, unless it has a layout of its own."""
        return getattr(variable, "_layout", None) or self.layout_along(None, len(variable.shape))

    def get_tensor_layout(self, path: str) -> Any:
        """The layout of an intermediate value; None leaves it to the compiler."""
        return None

    @contextmanager
    def scope(self) -> Iterator[None]:
        """Make this the current distribution inside the block."""
        before = distribution()
        set_distribution(self)
        try:
            yield
        finally:
            set_distribution(before)

    def __repr__(self) -> str:
        return f"<{type(self).__name__} device_mesh={self.device_mesh}>"


class DataParallel(Distribution):
    """Batches are divided among the devices, and every device holds all weights.

    Args:
        device_mesh: a mesh of one axis.
        devices: or a list of devices; all there are where both are None.
        auto_shard_dataset: kept for programs that set it.

    >>> import kyeo
    >>> with kyeo.distribution.DataParallel(devices=["cpu:0"]).scope():
    ...     model = kyeo.Sequential([kyeo.Input((3,)), kyeo.layers.Dense(2)])
    ...     model.predict(kyeo.ops.ones((5, 3)), verbose=0).shape
    (5, 2)
    """

    @checked
    def __init__(self, device_mesh: DeviceMesh | None = None, devices: Any = None, auto_shard_dataset: bool = True):
        if device_mesh is None:
            names = list_devices() if devices is None else list(devices)
            device_mesh = DeviceMesh((len(names),), ["batch"], names)
        elif isinstance(device_mesh, DeviceMesh) and len(device_mesh.shape) > 1:
            warn("Batches are divided along the first axis of the mesh only.")
        super().__init__(device_mesh, getattr(device_mesh, "axis_names", [""])[0], auto_shard_dataset)


class ModelParallel(Distribution):
    """Batches are divided along one axis of the mesh, and weights as a map of layouts says.

    Args:
        layout_map: the layouts of the variables by their paths; those of no entry are whole on every device.
        batch_dim_name: the axis of the mesh that batches are divided along; its first one where None.
        auto_shard_dataset: kept for programs that set it.

    >>> import kyeo
    >>> layouts = kyeo.distribution.LayoutMap(kyeo.distribution.DeviceMesh((1, 1), ["batch", "model"], ["cpu:0"]))
    >>> layouts[".*kernel"] = (None, "model")
    >>> kyeo.distribution.ModelParallel(layout_map=layouts).num_model_replicas
    1
    """

    @checked
    def __init__(self, *, layout_map: LayoutMap | None = None, batch_dim_name: str | None = None,
                 auto_shard_dataset: bool = True, **kwargs: Any):
        kwargs.pop("device_mesh", None)  # as in Keras: it is that of the map
        if not isinstance(layout_map, LayoutMap) or kwargs:
            raise problem("`layout_map` is not valid.", where="ModelParallel", expected="a LayoutMap", kind=TypeError,
                          received=", ".join([f"layout_map={describe(layout_map)}", *kwargs]))
        mesh = layout_map.device_mesh
        super().__init__(mesh, batch_dim_name or mesh.axis_names[0], auto_shard_dataset)
        self.layout_map = layout_map

    def get_variable_layout(self, variable: Any) -> TensorLayout:
        """The layout of a variable: as the map says."""
        own = getattr(variable, "_layout", None) or self.layout_map[variable.path]
        return own or self.layout_along(None, len(variable.shape))

    def get_tensor_layout(self, path: str) -> Any:
        """The layout the map has for an intermediate value, or None."""
        return self.layout_map[path]


def distribution() -> Any:
    """The current distribution, or None.

    >>> import kyeo
    >>> kyeo.distribution.distribution() is None
    True
    """
    return settings.distribution


def set_distribution(value: Any) -> None:
    """Distribute every model from now on; None ends it. Weights that exist already move at their next use."""
    if value is not None and not isinstance(value, Distribution):
        raise problem("This is no distribution.", received=value, where="set_distribution", kind=TypeError,
                      expected="DataParallel(...), ModelParallel(...) or None")
    settings.distribution = value
    Structure.version += 1


def distribute_tensor(tensor: Any, layout: Any) -> Any:
    """An array with another layout, inside and outside of compiled functions; a symbolic tensor as it is.

    Args:
        tensor: an array.
        layout: a `TensorLayout`, or a sharding of JAX.
    """
    if isinstance(tensor, SymbolicTensor):
        return tensor
    wanted = layout.backend_layout if isinstance(layout, TensorLayout) else layout
    tensor = unwrap(tensor)
    if isinstance(tensor, jax.core.Tracer):
        return jax.lax.with_sharding_constraint(tensor, wanted)
    return jax.device_put(tensor, wanted)


def initialize(
    job_addresses: str | None = None, num_processes: int | None = None, process_id: int | None = None,
) -> None:
    """Join the processes of several machines, before anything is computed. All of them take the seed of the first.

    From then on every process must do the same, with rows of its own: as many batches, of the same size.

    Where they are about to do different things (another model, another number of batches, another version), all of
    them say so and end; when one dies, the others end with an error. `fit(resume=folder)` goes on from there.
    Without arguments and variables, JAX asks Slurm, Open MPI or Kubernetes.

    Args:
        job_addresses: "host:port" of the first process; of a list joined by commas the first is taken. The variable
            KERAS_DISTRIBUTION_JOB_ADDRESSES where None, and likewise for the others.
        num_processes: how many there are (KERAS_DISTRIBUTION_NUM_PROCESSES).
        process_id: which this is, from 0 (KERAS_DISTRIBUTION_PROCESS_ID).
    """
    def setting(given: Any, name: str) -> Any:
        return given if given is not None else os.environ.get(f"KERAS_DISTRIBUTION_{name}")

    addresses = (setting(job_addresses, "JOB_ADDRESSES") or "").split(",")
    count, mine = setting(num_processes, "NUM_PROCESSES"), setting(process_id, "PROCESS_ID")
    if len(addresses) > 1 and count is not None and int(count) != len(addresses):
        raise problem("There must be one address for each process.", where="initialize",
                      received=f"{len(addresses)} addresses, num_processes={count}")
    jax.config.update("jax_enable_preemption_service", False)  # it takes SIGTERM, and nothing comes of it
    jax.distributed.initialize(
        coordinator_address=addresses[0] or None, num_processes=None if count is None else int(count),
        process_id=None if mine is None else int(mine), heartbeat_timeout_seconds=_PATIENCE,
        shutdown_timeout_seconds=_PATIENCE)
    with joining(addresses[0]):
        agree(f"kyeo {sys.modules['kyeo'].__version__}, jax {jax.__version__}, {jax.local_device_count()} devices")
    settings.seed = int(from_first(str(settings.seed).encode()))
