"""Programs that run under `exec` without a module name, as in sandboxes: their functions have no `__module__`."""

CODE = """
import kyeo, numpy as np
class Twice(kyeo.layers.Layer):
    def call(self, x, training=True):
        return x * 2
class Plain(kyeo.optimizers.Optimizer):
    def update_step(self, gradient, variable, learning_rate):
        self.assign_sub(variable, learning_rate * gradient)
class Squares(kyeo.losses.Loss):
    def call(self, y_true, y_pred):
        return kyeo.ops.mean((y_true - y_pred) ** 2, -1)
x = np.ones((4, 2), "float32")
layers = [kyeo.layers.Dense(2, activation=lambda x: x + 1), Twice(), kyeo.layers.Lambda(lambda x: x / 2)]
model = kyeo.Sequential([kyeo.Input((2,)), *layers])
model.compile(Plain(0.1), Squares(), metrics=[lambda y_true, y_pred: kyeo.ops.mean(y_pred)])
first, last = model.fit(x, x, epochs=2, verbose=0).history["loss"]
"""


def test_code_without_a_module_name_trains():
    names = {}
    exec(CODE, names)
    assert names["last"] < names["first"]
