"""`import keras` on Kyeo: `kyeo.compat.install_as_keras` and `kyeo run`, each in a process of its own."""

import json
import os
import subprocess
import sys
import textwrap

import pytest

_PROGRAM = """
import sys
import keras
import keras.layers as room
import numpy as np
from keras import ops
from keras.api.layers import Dense as api
from keras.layers import Dense
from keras.models import Sequential
from keras.src import backend
from keras.src.layers.core.dense import Dense as inner
from keras.src.saving import serialization_lib
from keras.src.utils.backend_utils import in_grain_data_pipeline
import kyeo

assert room is kyeo.layers and ops is kyeo.ops and backend.backend is kyeo.backend.backend
exec("from keras.src.ops import *", names := {})
assert names["shape"] is kyeo.ops.shape
assert backend.convert_to_tensor is backend.core.convert_to_tensor is kyeo.ops.convert_to_tensor
assert Dense is api is inner is kyeo.layers.Dense and keras.Layer is kyeo.Layer
assert serialization_lib.deserialize_keras_object is kyeo.saving.deserialize_keras_object
assert keras.__version__ == keras.version() == kyeo.compat.KERAS_VERSION and "layers" in dir(keras)
assert in_grain_data_pipeline() is False
kyeo.compat.install_as_keras()  # the second time: nothing
assert keras is sys.modules["keras"]
model = Sequential([Dense(3)])
model.compile("sgd", "mse")
model.fit(np.ones((4, 2)), np.ones((4, 3)), verbose=0)
print(__name__, sys.argv[1:], model.count_params())
"""

_INSIDE = """
import io, sys
folder = sys.argv[1]
import keras, numpy as np
said = [keras.src.layers.Dense is keras.layers.Dense]
from keras.src.applications.imagenet_utils import decode_predictions
from keras.src.backend import any_symbolic_tensors, get_keras_mask, set_keras_mask, standardize_data_format
from keras.src.backend.common.keras_tensor import KerasTensor
from keras.src.layers.preprocessing.data_layer import DataLayer
from keras.src.models.functional import Functional
from keras.src.ops.operation import Operation
from keras.src.utils.argument_validation import standardize_tuple
from keras.src.losses.losses import LossFunctionWrapper
from keras.src.saving import serialization_lib
from keras.src.trainers.data_adapters.data_adapter_utils import class_weight_to_sample_weights

said += [KerasTensor is keras.KerasTensor, Operation is keras.Operation, issubclass(DataLayer, keras.Layer)]
said += [decode_predictions is keras.applications.imagenet_utils.decode_predictions]
entry = keras.Input((3,))
said += [isinstance(keras.Model(entry, entry + 1), Functional)]
said += [any_symbolic_tensors((1, [entry])), any_symbolic_tensors((), {"x": entry}), any_symbolic_tensors((2,))]
said += [standardize_data_format(None), standardize_data_format("Channels_First")]
said += [standardize_tuple(2, 3, "size"), standardize_tuple([0, 1], 2, "size", allow_zero=True)]
from keras.src.layers.convolutional.base_conv import BaseConv
from keras.src.layers.core.einsum_dense import _analyze_einsum_string
from keras.src.layers.merging.base_merge import Merge

class Noting(keras.layers.Layer):  # comes between a class of Keras's and what is derived from it, as in HGQ2
    def __init__(self, note, **kwargs):
        super().__init__(**kwargs)
        self.note = note

    def get_config(self):
        return {**super().get_config(), "note": self.note}

class Half(Noting, BaseConv):
    def __init__(self, filters, **kwargs):
        super().__init__(rank=2, filters=filters, **kwargs)

    def call(self, inputs):
        return self.convolution_op(inputs, self._kernel * 0.5) + self.bias

class Merging(Noting, Merge):
    pass

class Third(Merging, keras.layers.Average):
    def _merge_function(self, inputs):
        return (inputs[0] + inputs[1]) / 3

class Without(Noting, keras.layers.Dense):
    def __init__(self, units, **kwargs):
        super().__init__(units=units, lora_rank=None, **kwargs)

class Counting(Noting, keras.layers.BatchNormalization):
    def call(self, inputs, training=None, mask=None):
        return keras.ops.stack(self._moments(inputs, mask))

from keras.src.layers.convolutional.base_conv_transpose import BaseConvTranspose
from keras.src.layers.convolutional.base_depthwise_conv import BaseDepthwiseConv
from keras.src.layers.convolutional.base_separable_conv import BaseSeparableConv
from keras.src.layers.pooling.base_global_pooling import BaseGlobalPooling
from keras.src.layers.pooling.base_pooling import BasePooling

class Wider(Noting, BaseConvTranspose):
    def __init__(self, filters, **kwargs):
        super().__init__(rank=2, filters=filters, **kwargs)

class Each(Noting, BaseDepthwiseConv):
    def __init__(self, depth_multiplier=2, **kwargs):
        super().__init__(rank=2, depth_multiplier=depth_multiplier, **kwargs)

    def call(self, inputs):
        return keras.ops.depthwise_conv(inputs, 2 * self.kernel, self.strides, self.padding) + self.bias

class Both(Noting, BaseSeparableConv):
    def __init__(self, filters, depth_multiplier=1, **kwargs):
        super().__init__(rank=2, depth_multiplier=depth_multiplier, filters=filters, **kwargs)

    def call(self, inputs):
        return keras.ops.separable_conv(inputs, 2 * self.depthwise_kernel, self.pointwise_kernel, self.strides, self.padding) + self.bias

class Highest(BasePooling):
    def __init__(self, pool_size=2, strides=None, **kwargs):
        super().__init__(pool_size, strides, pool_dimensions=2, **kwargs)

class Middle(BasePooling):
    def __init__(self, pool_size=2, strides=None, **kwargs):
        super().__init__(pool_size, strides, pool_dimensions=2, pool_mode="average", **kwargs)

class Everywhere(Noting, BaseGlobalPooling):
    def __init__(self, **kwargs):
        super().__init__(pool_dimensions=2, **kwargs)

    def call(self, inputs):
        return keras.ops.sum(inputs ** 2, axis=(1, 2), keepdims=self.keepdims)

image = np.linspace(-1, 1, 32, dtype="float32").reshape(2, 4, 4, 1)
for layer in (Wider(2, kernel_size=3, kernel_initializer="ones", note=1), Highest(3, 1, padding="same"),
              Each(kernel_size=2, depthwise_initializer="ones", note=2), Middle(), Everywhere(keepdims=True, note=6),
              Both(2, kernel_size=3, depthwise_initializer="ones", pointwise_initializer="ones", note=3)):
    layer = type(layer).from_config(config := layer.get_config())
    said += [sorted({*config} - {"activity_regularizer"}), np.round(layer(image), 3).tolist(), [tuple(w.shape) for w in layer.weights]]
    said += [getattr(layer, "note", None), tuple(layer.compute_output_shape((None, 4, 4, 1)))]
for made, base in [(keras.layers.Conv2DTranspose(1, 1), BaseConvTranspose), (keras.layers.MaxPooling1D(), BasePooling),
                   (keras.layers.DepthwiseConv2D(1), BaseDepthwiseConv), (keras.layers.GlobalMaxPooling2D(), BaseGlobalPooling),
                   (keras.layers.SeparableConv1D(1, 1), BaseSeparableConv)]:
    said += [isinstance(made, base)]
some = np.linspace(-1, 1, 32, dtype="float32").reshape(2, 4, 4, 1)
for layer in (Half(2, kernel_size=3, kernel_initializer="ones", note=1), Without(2, kernel_initializer="ones", note=2),
              Counting(note=3), Counting(axis=1, note=3)):
    layer = type(layer).from_config(layer.get_config())
    said += [layer.note, np.round(layer(some), 4).tolist(), isinstance(layer, BaseConv)]
said += [np.round(Third(note=4)([some, some]), 4).tolist(), isinstance(keras.layers.Dot(1), Merge)]
said += [isinstance(keras.layers.Conv1D(2, 2), BaseConv)]
for layer in (keras.layers.Dropout(0.5), keras.layers.LSTM(2), keras.layers.UpSampling2D(), keras.Sequential([])):
    said += [layer._call_has_mask_arg, layer._call_has_training_arg]
said += [class_weight_to_sample_weights(y, {0: 2.0, 2: 5.0}).tolist() for y in (
    np.array([0, 1, 2]), np.array([[2.0], [0.0]]), np.eye(3))]
x = keras.ops.ones((2, 3))
said += [get_keras_mask(x)]
set_keras_mask(x, x > 0)
said += [get_keras_mask(x).tolist()]

class Mine(LossFunctionWrapper):
    def __init__(self, scale=2.0, name="mine", reduction="sum", dtype=None):
        super().__init__(lambda a, b, scale: scale * keras.ops.mean(abs(a - b), -1), name=name, reduction=reduction,
                         dtype=dtype, scale=scale)

said += [float(Mine()(np.ones((2, 3)), np.zeros((2, 3)))), bool(serialization_lib.in_safe_mode())]
said += [keras.src.utils.tracking.no_automatic_dependency_tracking(abs)(-2)]
class Holding(keras.layers.Layer):
    def build(self, shape):
        self.kept, self.gone = {"a": {}}, keras.layers.Dense(1)
        self.kept["a"]["b"] = self._tracker.track(keras.layers.Dense(1))
        self.kept["a"]["b"].build(shape)
        self._tracker.untrack(self.gone)
        self.gone = None

    def call(self, x):
        return self.kept["a"]["b"](x)

layer = Holding()
said += [layer(x).shape == (2, 1)]
store = keras.src.saving.saving_lib.H5IOStore(folder + "/mine.h5", mode="w")
top = store.make("lora")
top["rank"] = 3
store.make("lora/7")["a"] = x
store.close()
for name in sorted(sys.argv[2:]) + [folder + "/mine.h5"]:
    store = keras.src.saving.saving_lib.H5IOStore(name, mode="r")
    said += [int(store.get("lora")["rank"][()]), np.asarray(store.get("lora/7")["a"]).tolist()]
    store.close()
model = keras.Sequential([keras.Input((3,)), keras.layers.Dense(1, "tanh", kernel_initializer="ones")])
keras.src.saving.saving_lib.save_model(model, memory := io.BytesIO())
memory.seek(0)
said += [np.round(keras.src.saving.saving_lib.load_model(memory)(x), 4).tolist()]
from keras.src.ops.node import Node
from keras.src.utils.io_utils import print_msg
from keras.src.utils.module_utils import LazyModule, tensorflow as tf

entry = keras.Input((3,), name="entry")
sides = [keras.layers.Dense(2, name=name)(entry) for name in "ab"]
ended = keras.ops.sum(keras.layers.Add(name="c")(sides), axis=1) + 1.0
model = keras.Model(entry, ended)
for depth, nodes in model._nodes_by_depth.items():
    for node in nodes:
        history = node.outputs[0]._keras_history
        said += [depth, node.operation.name, node.is_input, [p.operation.name for p in node.parent_nodes], isinstance(node, Node),
                 len(node.input_tensors), len(node.output_tensors), len(node.arguments.keras_tensors), history.node_index,
                 history.operation.name, history.tensor_index, node.operation.output is node.output_tensors[0]]

def walk(node, made):  # the model again, in twos
    if node not in made:
        new = [walk(parent, made) for parent in node.parent_nodes]
        args, kwargs = node.arguments.fill_in({id(old): one for old, one in zip(node.input_tensors, new)})
        made[node] = node.operation(*args, **kwargs)
    return made[node]

last = ended._keras_history.operation._inbound_nodes[0]
other = keras.Input((3,))
again = keras.Model(other, walk(last, {model._nodes_by_depth[max(model._nodes_by_depth)][0]: other}))
said += [np.array_equal(again(x), model(x)), len(again.operations), LazyModule("no_such").available, LazyModule("json").dumps([1])]
for there in (tf, LazyModule("no_such")):
    try:
        said += [there.data]
    except ImportError:
        said += ["not there"]
print_msg("said")
print(said)
"""

ERRORS = {  # what is written -> what is said
    "from keras.src.layers.core.dense import no_such": "cannot import name 'no_such'",
    "from keras.src.layers import NoSuch": "cannot import name 'NoSuch'",
    "import keras.src.layers.core.dense.deeper": "No module named 'keras.src.layers.core.dense.deeper'",
    "from keras.src.backend import no_such; no_such()": "keras.src.backend is Keras's inside, and 'no_such' is not among",
    "import keras.src.backend.common as c; c.no_such": "keras.src.backend.common is Keras's inside, and 'no_such'",
    "import keras.src; keras.src.no_such": "keras.src is Keras's inside, and 'no_such'",
    "import keras.no_such": "No module named 'keras.no_such'",
    "import keras; keras.layers.Dens": "There is no `Dens` in kyeo.layers.\n  Fix:      did you mean 'Dense'?",
    "import keras; keras.layers.lstm": "did you mean 'LSTM' or",
    "import keras; keras.losses.MSE_": "There is no `MSE_` in kyeo.losses.\n  Fix:      did you mean 'mse'",
    "import keras; keras.optimizers.adam(0.1)": "no class or function.\n  Fix:      kyeo.optimizers.Adam(...)",
    "import keras; keras.applications.vgg16()": "kyeo.applications.VGG16(...)",
    "import keras; keras.__wrapped__": "module 'keras' has no attribute '__wrapped__'",
}
_EACH = """
import json, sys
import kyeo
kyeo.compat.install_as_keras()
for line in json.loads(sys.argv[1]):
    try:
        exec(line, {})
    except Exception as error:
        print(json.dumps(str(error)))
"""


def _python(*words, **environment):
    return subprocess.run([sys.executable, *words], capture_output=True, text=True, timeout=120,
                          env={**os.environ, "KERAS_BACKEND": "jax", **environment})


def test_a_program_that_imports_keras(tmp_path):
    (tmp_path / "beside.py").write_text("import keras\n")
    program = tmp_path / "program.py"
    program.write_text("import beside\n" + _PROGRAM)
    said = _python("-m", "kyeo", "run", str(program), "--units", "3")
    assert (said.returncode, said.stdout) == (0, "__main__ ['--units', '3'] 9\n"), said.stderr


def test_processes_that_a_program_starts(tmp_path):
    """Workers are new processes, which read the program again: in them `keras` is Kyeo too."""
    program = tmp_path / "program.py"
    program.write_text(textwrap.dedent("""
        import multiprocessing
        import keras
        from keras.layers import Dense

        def room(number):
            return keras.layers.__name__, Dense.__module__.split(".")[0], number

        if __name__ == "__main__":
            with multiprocessing.get_context("spawn").Pool(1) as pool:
                print(pool.map(room, [7]))
        """))
    said = _python("-m", "kyeo", "run", str(program), PYTHONPATH=os.getcwd())
    assert said.stdout == "[('kyeo.layers', 'kyeo', 7)]\n", said.stderr


def test_a_module(tmp_path):
    (tmp_path / "trainer.py").write_text("import keras\nprint(keras.layers.__name__, __name__)")
    said = _python("-m", "kyeo", "run", "-m", "trainer", PYTHONPATH=os.pathsep.join([str(tmp_path), os.getcwd()]))
    assert said.stdout == "kyeo.layers __main__\n", said.stderr


def test_names_of_the_inside(tmp_path):
    """As in Keras itself, and files of arrays go both ways."""
    (tmp_path / "program.py").write_text(_INSIDE)
    said = []
    for number, start in enumerate((["-m", "kyeo", "run"], [], ["-m", "kyeo", "run"])):
        (folder := tmp_path / str(number)).mkdir()
        others = [str(tmp_path / str(n) / "mine.h5") for n in range(number)][-1:]
        said.append(_python(*start, str(tmp_path / "program.py"), str(folder), *others))
    theirs = said[1].stdout
    assert said[2].stdout == theirs and "5.0" in theirs, [one.stderr for one in said]


def test_errors():
    said = _python("-c", _EACH, json.dumps(list(ERRORS)))
    messages = [json.loads(line) for line in said.stdout.splitlines()]
    assert len(messages) == len(ERRORS), said.stderr
    assert [e for e, message in zip(ERRORS.values(), messages, strict=True) if e not in message] == [], messages


@pytest.mark.parametrize(("program", "code", "expected"), [
    ("raise SystemExit(3)", 3, ""), ("open('no such file')", 1, "Traceback")])
def test_how_a_program_ends(tmp_path, program, code, expected):
    (tmp_path / "program.py").write_text(program)
    said = _python("-m", "kyeo", "run", str(tmp_path / "program.py"))
    assert (said.returncode, said.stderr[: len("Traceback")]) == (code, expected)


@pytest.mark.parametrize(("program", "environment", "expected"), [
    ("import keras, kyeo; kyeo.compat.install_as_keras()", {},
     "Keras itself is imported already; both would be in use at once."),
    ("import kyeo; kyeo.compat.install_as_keras()", {"KERAS_BACKEND": "torch"},
     "Kyeo computes with JAX; KERAS_BACKEND asks for something else.\n  Received: KERAS_BACKEND='torch'"),
])
def test_two_at_once(program, environment, expected):
    said = _python("-c", textwrap.dedent(program), **environment)
    assert expected in said.stderr and "\n  Fix:      " in said.stderr


def test_no_such_program():
    said = _python("-m", "kyeo", "run", "none.py")
    assert (said.returncode, said.stderr) == (1, "kyeo run: there is no file 'none.py'\n")
