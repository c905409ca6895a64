"""A model as an ONNX file, and what onnxruntime makes of it."""

import jax
import numpy as np
import onnx
import onnxruntime

__all__ = ["Exported", "assert_same"]


class Exported:
    """The file of a model, checked, and a session that runs it."""

    def __init__(self, model, path, **words):
        model.export(path, format="onnx", verbose=False, **words)
        self.model, self.message = model, onnx.load(path)
        onnx.checker.check_model(self.message, full_check=True)
        options = onnxruntime.SessionOptions()
        options.intra_op_num_threads, options.log_severity_level = 1, 3
        options.graph_optimization_level = onnxruntime.GraphOptimizationLevel.ORT_DISABLE_ALL
        self.session = onnxruntime.InferenceSession(self.message.SerializeToString(), options, ["CPUExecutionProvider"])

    @property
    def operators(self):
        return [node.op_type for node in self.message.graph.node]

    @property
    def weights(self):
        return {i.name: tuple(i.dims) for i in self.message.graph.initializer if not i.name.startswith("constant")}

    def __call__(self, *inputs):
        names = [i.name for i in self.session.get_inputs()]
        return self.session.run(None, dict(zip(names, map(np.asarray, inputs), strict=True)))


def assert_same(theirs, ours, tolerance=1e-5, floor=1e-3):
    ours = [np.asarray(a) for a in jax.tree.leaves(ours)]
    assert len(theirs) == len(ours)
    for a, b in zip(theirs, ours):
        assert a.shape == b.shape and a.dtype == b.dtype, (a.shape, b.shape, a.dtype, b.dtype)
        a, b = a.astype("float64"), b.astype("float64")
        largest = np.abs(b[np.isfinite(b)]).max(initial=floor)
        np.testing.assert_allclose(a, b, rtol=tolerance if largest > 1e6 else 0, atol=tolerance * min(largest, 1e6))
