"""The check of a graph from an untrusted folder, before onnxruntime reads it.

An ONNX file may refer to other files with weights, and to custom operators, functions and loops. A text classifier
needs none of these, so all of them are rejected. What remains are standard operators on tensors, each of which
runs at most once. Every field of the file has to be on an allowlist in this module.

The file is a message of protocol buffers: a sequence of fields, each with a number, a type and a value.
https://protobuf.dev/programming-guides/encoding/ and
https://github.com/onnx/onnx/blob/main/onnx/onnx.proto describe it.
"""

from __future__ import annotations

import math
from collections.abc import Iterator
from typing import NoReturn

from smalltext_core.errors import ModelFolderError
from smalltext_core.messages import brief


def _words(text: str) -> frozenset[str]:
    return frozenset(text.split())


MODEL = "model.onnx"
"""The file of the graph, weights included."""

DOMAINS = ("", "ai.onnx")
"""The allowed domains of operators: both names stand for the ONNX standard."""

OPERATORS = _words(
    """
    Abs Add And ArgMax ArgMin Attention Cast CastLike Ceil Clip Concat Constant ConstantOfShape Conv Cos CumSum
    DequantizeLinear Div DynamicQuantizeLinear Einsum Elu Equal Erf Exp Expand EyeLike Flatten Floor Gather
    GatherElements GatherND Gelu Gemm Greater GreaterOrEqual HardSigmoid HardSwish Identity If IsInf IsNaN
    LayerNormalization LeakyRelu Less LessOrEqual Log LogSoftmax MatMul MatMulInteger Max Mean Min Mish Mod Mul
    Neg Not OneHot Or Pad Pow PRelu QuantizeLinear Range Reciprocal ReduceL1 ReduceL2 ReduceLogSumExp ReduceMax
    ReduceMean ReduceMin ReduceProd ReduceSum ReduceSumSquare Relu Reshape RMSNormalization RotaryEmbedding
    Round ScatterElements ScatterND Selu Shape Sigmoid Sign Sin Size Slice Softmax Softplus Softsign Split Sqrt
    Squeeze Sub Sum Tan Tanh Tile TopK Transpose Trilu Unsqueeze Where Xor
    """
)
"""The allowed operators, which compute tensors from tensors: no loops, no random numbers, no strings, no files."""

_MAX_VARINT_BITS = 70
"""The maximum number of bits of a varint, which takes up to ten bytes."""

_VARINT, _FIXED64, _BYTES, _FIXED32 = 0, 1, 2, 5

# The field numbers of each message in onnx.proto3.
_MODEL = {"ir_version": 1, "producer": 2, "producer_version": 3, "domain": 4, "version": 5, "doc": 6, "graph": 7}
_OPSETS = 8
_GRAPH_NODE, _GRAPH_INITIALIZER = 1, 5
_GRAPH = {_GRAPH_NODE, 2, _GRAPH_INITIALIZER, 10, 11, 12, 13}
_NODE_OPERATOR, _NODE_ATTRIBUTE, _NODE_DOMAIN = 4, 5, 7
_NODE = {1, 2, 3, _NODE_OPERATOR, _NODE_ATTRIBUTE, 6, _NODE_DOMAIN}
_ATTRIBUTE_TENSOR, _ATTRIBUTE_GRAPH = 5, 6
_ATTRIBUTE = {1, 2, 3, 4, _ATTRIBUTE_TENSOR, _ATTRIBUTE_GRAPH, 7, 8, 9, 13, 20}
_MAX_DEPTH = 8
_TENSOR_DIMS = 1
_TENSOR = {_TENSOR_DIMS, 2, 4, 5, 7, 8, 9, 10, 11, 12}
_REASONS = {
    ("model", 14): "it has metadata, which can hold options of the runtime",
    ("model", 20): "it has a part for training",
    ("model", 25): "it defines functions",
    ("graph", 15): "it has sparse weights",
    ("tensor", 13): "it reads weights from another file",
    ("tensor", 14): "it reads weights from another file",
    ("tensor", 6): "it has weights that are strings",
}


def check_graph(content: bytes) -> None:
    """Reject a graph that contains anything but standard operators and its own weights.

    Parameters
    ----------
    content : bytes
        The content of an ONNX file.

    Raises
    ------
    ModelFolderError
        If the content is not an ONNX file, or contains anything that is not allowed.
    """
    graphs = []
    for number, value in _fields(memoryview(content)):
        if number == _MODEL["graph"]:
            graphs.append(_message(value))
        elif number == _OPSETS:
            domain = next((_text(held) for field, held in _fields(_message(value)) if field == 1), "")
            _check_domain(domain)
        else:
            _check_field("model", number, set(_MODEL.values()))
    if len(graphs) != 1:
        _refuse(f"it holds {len(graphs)} graphs instead of one")
    _check_graph(graphs[0], depth=0)


def _check_graph(graph: memoryview, depth: int) -> None:
    """Check a graph, or a branch of one."""
    if depth > _MAX_DEPTH:
        _refuse(f"its branches are nested more than {_MAX_DEPTH} levels deep")
    for number, value in _fields(graph):
        _check_field("graph", number, _GRAPH)
        if number == _GRAPH_NODE:
            _check_node(_message(value), depth)
        elif number == _GRAPH_INITIALIZER:
            _check_tensor(_message(value))


def _check_node(node: memoryview, depth: int) -> None:
    operator = domain = ""
    for number, value in _fields(node):
        _check_field("node", number, _NODE)
        if number == _NODE_OPERATOR:
            operator = _text(value)
        elif number == _NODE_DOMAIN:
            domain = _text(value)
        elif number == _NODE_ATTRIBUTE:
            for field, held in _fields(_message(value)):
                _check_field("attribute", field, _ATTRIBUTE)
                if field == _ATTRIBUTE_TENSOR:
                    _check_tensor(_message(held))
                elif field == _ATTRIBUTE_GRAPH:
                    _check_graph(_message(held), depth + 1)
    _check_domain(domain)
    if operator not in OPERATORS:
        _refuse(f"it has the operator {brief(operator)}, which is not on the list of those that are allowed")


def _check_tensor(tensor: memoryview) -> None:
    dims: list[int] = []
    for number, value in _fields(tensor):
        _check_field("tensor", number, _TENSOR)
        if number == _TENSOR_DIMS:
            dims += [value] if isinstance(value, int) else _varints(value)
    if math.prod(dims) > len(tensor):  # each number takes at least one byte
        _refuse(f"it has weights of the shape {brief(dims)}, but not that many numbers")


def _check_domain(domain: str) -> None:
    if domain not in DOMAINS:
        _refuse(f"it has operators of {brief(domain)}, and only those of the standard are allowed")


def _check_field(message: str, number: int, allowed: set[int]) -> None:
    if number not in allowed:
        _refuse(
            _REASONS.get((message, number), f"field {number} of a {message} is not on the list of what is allowed")
        )


def _fields(message: memoryview) -> Iterator[tuple[int, int | memoryview]]:
    """Yield number and value of each field of a message."""
    at = 0
    while at < len(message):
        key, at = _varint(message, at)
        number, kind = key >> 3, key & 7
        if kind == _VARINT:
            value, at = _varint(message, at)
            yield number, value
            continue
        length = {_FIXED64: 8, _FIXED32: 4}.get(kind, 0)
        if kind == _BYTES:
            length, at = _varint(message, at)
        elif not length:
            _refuse("it is not an ONNX file")
        if at + length > len(message):
            _refuse("it ends too early")
        yield number, message[at : at + length]
        at += length


def _varint(message: memoryview, at: int) -> tuple[int, int]:
    """Return a number of variable length, and the position after it."""
    value = shift = 0
    while at < len(message) and shift < _MAX_VARINT_BITS:
        byte = message[at]
        at += 1
        value |= (byte & 0x7F) << shift
        if byte < 0x80:
            return value, at
        shift += 7
    return _refuse("it ends too early, or is not an ONNX file")


def _varints(packed: memoryview) -> list[int]:
    values, at = [], 0
    while at < len(packed):
        value, at = _varint(packed, at)
        values.append(value)
    return values


def _message(value: int | memoryview) -> memoryview:
    if isinstance(value, int):
        _refuse("it is not an ONNX file")
    return value


def _text(value: int | memoryview) -> str:
    return bytes(_message(value)).decode("utf-8", "replace")


def _refuse(problem: str) -> NoReturn:
    advice = "Copy the folder again, or export the model again"
    raise ModelFolderError(f"{MODEL} is damaged, or not an exported text classifier: {problem}. {advice}.")
