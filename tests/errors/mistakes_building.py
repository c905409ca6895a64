"""Mistakes while a model is written down: constructors, graphs, symbolic tensors, layers of one's own."""

import jax
import jax.numpy as jnp
import numpy as np

import kyeo
from kyeo import layers
from tests.errors.table import mistake

__all__: list[str] = []

ones = np.ones


# -- constructors ------------------------------------------------------------------------------------------
@mistake("Dense", "units=-3")
def dense_minus_three(still):
    layers.Dense(-3)  # <-


@mistake("Dense", "units='3'", kind=TypeError)
def dense_text(still):
    layers.Dense("3")  # <-


@mistake("Conv2D", "kernel_size=0")
def conv2d_kernel_zero(still):
    layers.Conv2D(8, 0)  # <-


@mistake("Conv2D", "strides=(1, 1, 1)")
def conv2d_three_strides(still):
    layers.Conv2D(8, 3, strides=(1, 1, 1))  # <-


@mistake("Conv2D", "padding='smae'", "did you mean 'same'")
def conv2d_padding_smae(still):
    layers.Conv2D(8, 3, padding="smae")  # <-


@mistake("Dropout", "rate=1.5")
def dropout_above_one(still):
    layers.Dropout(1.5)  # <-


@mistake("Dense", "actvation", "did you mean `activation`", kind=TypeError)
def unknown_argument(still):
    layers.Dense(3, actvation="relu")  # <-


@mistake("'rleu'", "did you mean 'relu'", "Dense")
def unknown_activation(still):
    layers.Dense(3, activation="rleu")  # <-


@mistake("'glorot_unifrom'", "did you mean 'glorot_uniform'", "Dense")
def unknown_initializer(still):
    layers.Dense(3, kernel_initializer="glorot_unifrom")  # <-


@mistake("'mixed_flaot16'", "did you mean 'mixed_float16'", "Dense")
def unknown_dtype_policy(still):
    layers.Dense(3, dtype="mixed_flaot16")  # <-


@mistake("Input", "shape=28", kind=TypeError)
def input_of_a_number(still):
    kyeo.Input(shape=28)  # <-


@mistake("Input", "(28, 28, 1)", kind=TypeError)
def input_of_a_fraction(still):
    kyeo.Input((4.5,))  # <-


@mistake("Input", "shape='28'", kind=TypeError)
def input_of_text(still):
    kyeo.Input("28")  # <-


@mistake("Dense", "ReLU()", kind=TypeError)
def activation_is_a_class_of_layers(still):
    layers.Dense(3, activation=layers.ReLU)  # <-


@mistake("initializer=None", kind=TypeError)
def variable_of_nothing(still):
    kyeo.Variable(None)  # <-


@mistake("Concatenate(...)(tensors)", kind=TypeError)
def layer_made_of_tensors(still):
    layers.Concatenate([kyeo.Input((4,)), kyeo.Input((4,))])  # <-


@mistake("Flatten", "layer([a, b])", kind=TypeError)
def inputs_not_in_a_list(still):
    layers.Flatten()(kyeo.Input((4,)), kyeo.Input((4,)))  # <-


@mistake("one by one", kind=TypeError)
def add_of_a_list(still):
    model = kyeo.Sequential([kyeo.Input((4,))])
    still.gives((1, 4), lambda: kyeo.Sequential([kyeo.Input((4,)), layers.ReLU()])(ones((1, 4))))
    model.add([layers.Dense(3)])  # <-


@mistake("Functional", "model.output", kind=AttributeError)
def add_to_a_graph(still):
    x = kyeo.Input((4,))
    model = kyeo.Model(x, layers.Dense(3)(x))
    still.gives((1, 3), model, ones((1, 4)))
    model.add(layers.Dense(2))  # <-


@mistake("kyeo.Model(inputs, outputs)", kind=TypeError)
def model_of_inputs_only(still):
    kyeo.Model(kyeo.Input((4,)))  # <-


@mistake("`numpy()`", "kyeo.ops", kind=AttributeError)
def array_of_a_symbolic_tensor(still):
    layers.Dense(3)(kyeo.Input((4,))).numpy()  # <-


@mistake("Embedding", "input_dim=0")
def embedding_of_nothing(still):
    layers.Embedding(0, 8)  # <-


# -- stacks and graphs -------------------------------------------------------------------------------------
@mistake("Sequential", "Dense(...)", kind=TypeError)
def class_for_layer(still):
    model = kyeo.Sequential([kyeo.Input((4,)), layers.Dense(2)])
    still.gives((1, 2), model, ones((1, 4)))
    model.add(layers.Dense)  # <-


@mistake('"head"', "name=")
def same_name_twice_in_a_stack(still):
    model = kyeo.Sequential([kyeo.Input((4,)), layers.Dense(2, name="head")])
    still.gives((1, 2), model, ones((1, 4)))
    model.add(layers.Dense(3, name="head"))  # <-


@mistake('"head"', "name=")
def same_name_twice_in_a_graph(still):
    x = kyeo.Input((4,))
    y = layers.Dense(3, name="head")(layers.Dense(2, name="head")(x))
    kyeo.Model(x, y)  # <-


@mistake('"left"', "inputs")
def outputs_from_another_input(still):
    left, right = kyeo.Input((4,), name="left"), kyeo.Input((4,), name="right")
    outputs = layers.Dense(2)(layers.Add()([left, right]))
    still.gives((1, 2), lambda: kyeo.Model([left, right], outputs)([ones((1, 4)), ones((1, 4))]))
    kyeo.Model(right, outputs)  # <-


@mistake('"only"', "two that are alike")
def outputs_of_a_second_model(still):
    first, second = (kyeo.Sequential([kyeo.Input((4,), name="only"), layers.Dense(2)]) for _ in range(2))
    still.gives((1, 2), lambda: kyeo.Model(first.inputs, first.outputs[0])([ones((1, 4))]))
    kyeo.Model(first.inputs, second.outputs)  # <-


@mistake("outputs", "Input")
def arrays_as_outputs(still):
    x = kyeo.Input((4,))
    kyeo.Model(x, layers.Dense(2)(ones((3, 4))))  # <-


@mistake('GlobalAveragePooling2D "pool"', "leave this layer out", "Reshape((height, width, channels))")
def pooling_of_features(still):
    kyeo.Sequential([kyeo.Input((4,)), layers.Dense(3), layers.GlobalAveragePooling2D(name="pool")])  # <-


@mistake('Conv2D "conv2d"', "x[..., None]")
def conv2d_on_rank_3(still):
    layer = layers.Conv2D(8, 3)
    still.gives((2, 26, 26, 8), layer, ones((2, 28, 28, 1)))
    layer(ones((2, 28, 28)))  # <-


@mistake('Conv2D "conv2d"')
def stack_without_channels(still):
    kyeo.Sequential([kyeo.Input((28, 28)), layers.Conv2D(8, 3)])  # <-


@mistake('MaxPooling2D "max_pooling2d_3"', "window")
def too_many_poolings(still):
    x = kyeo.Input((14, 14, 1))
    for _ in range(3):
        x = layers.MaxPooling2D()(x)
    layers.MaxPooling2D()(x)  # <-


@mistake('Dense "head"', "size 4 on axis -1")
def other_feature_count(still):
    layer = layers.Dense(2, name="head")
    layer(ones((1, 4)))
    still.gives((1, 2), layer, ones((1, 4)))
    layer(ones((1, 5)))  # <-


@mistake('Reshape "reshape"', "(7, 4)")
def reshape_that_does_not_fit(still):
    x = kyeo.Input((28, 28))
    layers.Reshape((7, 4))(x)  # <-


@mistake('Sized "sized"', "`newshape`", "ops.reshape", "(kyeo.ops.shape(x)[0], 4)", kind=TypeError)
def size_made_of_tensors(still):
    class Sized(layers.Layer):
        def call(self, x):
            return kyeo.ops.reshape(x, kyeo.ops.stack([kyeo.ops.shape(x)[0], 2, 2]))

    Sized()(kyeo.Input((4,)))  # <-


@mistake('Cut "cut"', "kyeo.ops.slice(x, start, sizes)", kind=IndexError)
def slice_by_a_value(still):
    class Cut(layers.Layer):
        def call(self, x):
            return x[:kyeo.ops.argmax(x[:, 0])]

    Cut()(kyeo.Input((4,)))  # <-


@mistake('Concatenate "concatenate"')
def concatenate_of_different_sizes(still):
    layers.Concatenate()([kyeo.Input((4, 3)), kyeo.Input((5, 3))])  # <-


@mistake('Add "add"')
def add_of_different_sizes(still):
    layers.Add()([kyeo.Input((4,)), kyeo.Input((5,))])  # <-


@mistake('Add "add"', "list")
def add_of_one(still):
    layers.Add()(kyeo.Input((4,)))  # <-


@mistake('Conv1D "conv1d"', "3 axes")
def conv1d_on_rank_2(still):
    layers.Conv1D(4, 2)(ones((2, 8)))  # <-


@mistake("matmul", "(None, 4)")
def op_on_shapes_that_do_not_fit(still):
    kyeo.ops.matmul(kyeo.Input((4,)), ones((5, 2)))  # <-


# -- symbolic tensors --------------------------------------------------------------------------------------
@mistake("kyeo.ops", kind=TypeError)
def numpy_on_a_symbolic_tensor(still):
    x = kyeo.Input((4,))
    np.exp(x)  # <-


@mistake("kyeo.ops", by_jax=True)
def jnp_on_a_symbolic_tensor(still):
    x = kyeo.Input((4,))
    jnp.exp(x)  # <-


@mistake("True or False", kind=TypeError)
def if_on_a_symbolic_tensor(still):
    x = kyeo.Input((4,))
    if x > 0:  # <-
        x = x + 1


@mistake("iterating", kind=NotImplementedError)
def loop_over_a_symbolic_tensor(still):
    x = kyeo.Input((4,))
    for _ in x:  # <-
        pass


# -- layers and models of one's own ------------------------------------------------------------------------
class Forgetful(layers.Layer):
    def __init__(self):
        self.dense = layers.Dense(3)

    def call(self, x):
        return self.dense(x)


class NoArgument(layers.Layer):
    def call(self):
        return 1


class Nothing(layers.Layer):
    def call(self, x):
        x * 2


class Mismatched(layers.Layer):
    def build(self, input_shape):
        self.kernel = self.add_weight((3, 4), name="kernel")

    def call(self, x):
        return x @ self.kernel


class Branching(layers.Layer):
    def call(self, x):
        return x if x.sum() > 0 else -x


class InNumpy(layers.Layer):
    def call(self, x):
        return np.exp(np.asarray(x))


class NoWeightName(layers.Layer):
    def build(self, input_shape):
        self.kernel = self.add_weight((None, 4))

    def call(self, x):
        return x


class Twice(kyeo.Model):
    def __init__(self):
        super().__init__()
        self.dense = layers.Dense(3, name="head")

    def call(self, x):
        return self.dense(x)


class WithoutCall(kyeo.Model):
    def __init__(self):
        super().__init__()
        self.dense = layers.Dense(3)


@mistake("Forgetful", "super().__init__()")
def super_init_forgotten(still):
    Forgetful()  # <-


@mistake('NoArgument "no_argument"', "call()", kind=TypeError)
def call_without_argument(still):
    NoArgument()(ones((2, 3)))  # <-


@mistake('Nothing "nothing"', "return")
def call_without_return(still):
    Nothing()(kyeo.Input((3,)))  # <-


@mistake('Mismatched "mismatched"', "(2, 5)", "5 and 3", kind=TypeError)
def product_in_own_layer(still):
    layer = Mismatched()
    still.gives((2, 4), layer, ones((2, 3)))
    layer(ones((2, 5)))  # <-


@mistake('Branching "branching"', "kyeo.ops.where", kind=TypeError)
def branch_in_own_layer(still):
    layer = Branching()
    still.gives((2, 3), layer, ones((2, 3)))
    layer(kyeo.Input((3,)))  # <-


@mistake('InNumpy "in_numpy"', "kyeo.ops", kind=TypeError)
def numpy_in_own_layer(still):
    layer = InNumpy()
    still.gives((2, 3), layer, ones((2, 3)))
    layer(kyeo.Input((3,)))  # <-


@mistake("known size", "no_weight_name")
def weight_of_unknown_size(still):
    NoWeightName()(ones((2, 3)))  # <-


@mistake('WithoutCall "without_call"', "def call", kind=NotImplementedError)
def model_without_call(still):
    WithoutCall()(ones((2, 3)))  # <-


@mistake('Twice "twice"', "build")
def count_params_unbuilt(still):
    model = Twice()
    still.gives((2, 3), model, ones((2, 4)))
    model.count_params()  # <-


@mistake('Dense "head"', "build")
def set_weights_unbuilt(still):
    layer = layers.Dense(3, name="head")
    still.gives((2, 3), layer, ones((2, 4)))
    layer.set_weights([ones((4, 3)), ones(3)])  # <-


@mistake('"sequential"', "Input(shape=...)", kind=AttributeError)
def output_shape_unbuilt(still):
    model = kyeo.Sequential([layers.Dense(3)])
    still.gives((2, 3), model, ones((2, 4)))
    assert model.output_shape  # <-


@mistake('Dense "head"', "kernel", "(4, 3)")
def set_weights_of_other_shapes(still):
    layer = layers.Dense(3, name="head")
    layer(ones((2, 4)))
    before = layer.get_weights()
    still.holds(lambda: all((a == b).all() for a, b in zip(before, layer.get_weights())))
    layer.set_weights([ones((5, 3)), ones(3)])  # <-


@mistake("'nose'", "head")
def unknown_layer_name(still):
    model = kyeo.Sequential([kyeo.Input((4,)), layers.Dense(3, name="head")])
    model.get_layer("nose")  # <-


@mistake("counter", "stateless_call", by_jax=True)
def assignment_inside_jit(still):
    counter = kyeo.Variable(0.0, name="counter")
    still.holds(lambda: float(counter) == 0.0)
    jax.jit(lambda x: counter.assign_add(x))(1.0)  # <-


@mistake("counter", "(3,)")
def assignment_of_another_shape(still):
    counter = kyeo.Variable(ones(3), name="counter")
    still.holds(lambda: (counter.numpy() == 1).all())
    counter.assign(ones(4))  # <-


# -- as it was written for Keras 1, Keras 2 and TensorFlow -------------------------------------------------
@mistake("it is called `inputs` now", kind=TypeError)
def model_of_input_and_output(still):
    x = kyeo.Input((4,))
    y = layers.Dense(2)(x)
    still.gives((1, 2), lambda: kyeo.Model(inputs=x, outputs=y)(ones((1, 4))))
    kyeo.Model(input=x, output=y)  # <-


@mistake("predict(x).argmax(-1)", "Sequential", kind=AttributeError)
def predict_classes(still):
    model = kyeo.Sequential([kyeo.Input((4,)), layers.Dense(2)])
    still.gives((1, 2), model, ones((1, 4)))
    model.predict_classes(ones((1, 4)))  # <-


@mistake("[...]", kind=TypeError)
def stack_without_a_list(still):
    kyeo.Sequential(layers.Dense(2), layers.Dense(3))  # <-


@mistake("return_sequences=True", 'LSTM "lstm_1"')
def recurrent_layers_in_a_row(still):
    x = kyeo.Input((5, 4))
    y = layers.LSTM(3)(x)
    still.gives((1, 3), lambda: kyeo.Model(x, y)(ones((1, 5, 4))))
    layers.LSTM(3)(y)  # <-


@mistake("my_layers", kind=AttributeError)
def attribute_that_layers_have(still):
    class Mine(kyeo.Model):
        def __init__(self):
            super().__init__()
            self.layers = [layers.Dense(1)]

    Mine()  # <-


@mistake("range()", "None", kind=TypeError)
def steps_of_an_unknown_length(still):
    x = kyeo.Input((None, 4))
    steps = layers.Lambda(lambda x: [x[:, i] for i in range(x.shape[1])])
    still.gives((1, 4), lambda: steps(ones((1, 2, 4)))[1])
    steps(x)  # <-


@mistake("Dense(...)(x)", kind=TypeError)
def layer_on_a_layer(still):
    layers.Dense(2)(layers.Dense(3))  # <-


@mistake("KerasTensor", "kyeo.Model(inputs, outputs)", kind=TypeError)
def tensor_in_a_stack(still):
    kyeo.Sequential([layers.Dense(3)(kyeo.Input((4,)))])  # <-


@mistake("Dense", "the size of its output alone")
def sizes_of_input_and_output(still):
    layers.Dense(4, 3)  # <-


@mistake("ids from -2 to 1", "Dense layer")
def measured_numbers_as_ids(still):
    layers.Embedding(3, 2)(np.array([[-2.5, 1.0]]))  # <-


@mistake("ids from -1 to 1", "add 1")
def negative_ids(still):
    layers.Embedding(3, 2)(np.array([[-1, 1]]))  # <-


@mistake("zip(gradients, variables)")
def gradients_without_variables(still):
    kyeo.optimizers.SGD().apply_gradients([ones((4,))])  # <-


@mistake("2 arguments by place", "grads_and_vars", kind=TypeError)
def gradients_beside_variables(still):
    kyeo.optimizers.SGD().apply_gradients([ones((4,))], [kyeo.Variable(ones((4,)))])  # <-
