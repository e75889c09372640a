"""Outputs of the CNN in ONNX Runtime, which evaluates graphs and trains nothing."""

import numpy as np
import onnxruntime
from onnx import TensorProto, helper, numpy_helper

from benchmarks.contestants.base import Array, Predictor, Trainer, UnsupportedError, threads
from benchmarks.image_workloads import TOGETHER, ImageWorkload


class OnnxRuntime(Trainer):
    """With the processor's provider and all of its optimisations, which are the default."""

    def __init__(self, workload: ImageWorkload) -> None:
        self.workload = workload
        options = onnxruntime.SessionOptions()
        options.intra_op_num_threads = threads()
        model = graph(workload).SerializeToString()
        self.session = onnxruntime.InferenceSession(model, options, providers=["CPUExecutionProvider"])

    def step(self, x: Array, y: Array) -> float:
        raise UnsupportedError("ONNX Runtime does not train here")

    def predictor(self, x: Array) -> Predictor:
        """Return what evaluates images, in batches."""
        parts = np.split(x, range(TOGETHER, len(x), TOGETHER))
        return lambda: np.concatenate([self.session.run(None, {"x": part})[0] for part in parts])


def graph(workload: ImageWorkload) -> object:
    """Return the CNN as an ONNX model."""
    if workload.network != "cnn":
        raise UnsupportedError(f"{workload.network} is not written for ONNX Runtime")
    weights = [numpy_helper.from_array(array, name) for name, array in workload.state().items()]
    nodes, value = [], "x"
    for layer in (0, 3):
        steps = (
            ("Conv", [f"{layer}.weight", f"{layer}.bias"], {"kernel_shape": [3, 3], "pads": [1, 1, 1, 1]}),
            ("Relu", [], {}),
            ("MaxPool", [], {"kernel_shape": [2, 2], "strides": [2, 2]}),
        )
        for name, given, options in steps:
            nodes.append(helper.make_node(name, [value, *given], [f"{name}{layer}"], **options))
            value = f"{name}{layer}"
    nodes.append(helper.make_node("Flatten", [value], ["flat"]))
    nodes.append(helper.make_node("Gemm", ["flat", "8.weight", "8.bias"], ["y"], transB=1))
    x = helper.make_tensor_value_info("x", TensorProto.FLOAT, ["N", 1, 28, 28])
    y = helper.make_tensor_value_info("y", TensorProto.FLOAT, ["N", 10])
    opset = helper.make_opsetid("", 17)
    return helper.make_model(helper.make_graph(nodes, "cnn", [x], [y], weights), opset_imports=[opset], ir_version=8)
