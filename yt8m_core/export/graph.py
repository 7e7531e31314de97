"""Graph of a trained model: frames as stored → probabilities and attention, for any number of videos and frames."""

import copy
from operator import attrgetter

import torch
from torch import Tensor, nn
from torch.export import Dim, ExportedProgram
from torch.fx import GraphModule, Node

from yt8m_core.models.classifier import VideoClassifier

INPUTS = ("frames", "num_frames")
OUTPUTS = ("probabilities", "attention")  # a pooling without attention has only the first
AXES = {"frames": "BTD", "num_frames": "B", "probabilities": "BC", "attention": "BT"}
PRECISIONS = ("float32", "float16")
INPUT_TYPES = {"uint8": torch.uint8, "float": torch.float32}
# B and T of the example that is traced. They are 2 or more, because torch.export fixes sizes of 0 and 1.
EXAMPLE_SHAPE = (3, 5)
# Entries of a node with paths of this machine and names of this project's classes.
SOURCE_LOCATIONS = ("stack_trace", "nn_module_stack", "source_fn_stack", "torch_fn", "from_node")
ROUNDED = "rounded"  # entry of a conversion to float32: the float16 node that it converts

aten = torch.ops.aten
PRODUCTS = (
    aten.linear.default, aten.matmul.default, aten.addmm.default, aten.einsum.default, aten.conv1d.default,
)  # fmt: skip


class ExportGraph(nn.Module):
    """Module that is exported: frames [B, T, D] and num_frames [B] → probabilities [B, C] and attention [B, T].

    Frames after the first ``max_frames`` count as padding, as in the run's data. Without attention in the pooling, the
    output is the probabilities alone.
    """

    def __init__(self, model: VideoClassifier, max_frames: int) -> None:
        super().__init__()
        self.model = model
        self.max_frames = max_frames

    def forward(self, frames: Tensor, num_frames: Tensor) -> tuple[Tensor, ...]:
        """Frames [B, T, D], uint8 as stored or dequantized float32, and num_frames int64 [B] → float32 outputs."""
        scores, trace = self.model(frames, num_frames.clamp(max=self.max_frames))
        return (scores.p,) if trace.attention is None else (scores.p, trace.attention)


def trace(
    model: VideoClassifier, *, width: int, max_frames: int, input_type: str, precision: str = "float32"
) -> ExportedProgram:
    """Trace a model into a graph with any number of videos and frames.

    Args:
        model: Model in evaluation mode.
        width: D.
        max_frames: Number of frames to use per video.
        input_type: Type of the frames: "uint8" or "float".
        precision: "float32", or "float16" for weights and matrix products.

    Raises:
        Exception: A method cannot be traced; torch raises many types.
    """
    B, T = EXAMPLE_SHAPE
    frames = torch.zeros(B, T, width, dtype=INPUT_TYPES[input_type])
    example = (frames, torch.full([B], T))
    program = _export(ExportGraph(model, max_frames).eval(), example)
    if precision == "float16":
        program = _export(round_products(copy.deepcopy(program.module(check_guards=False))), example)
    # An empty table decomposes no operator, but removes the autocast regions of the methods.
    lowered: ExportedProgram = program.run_decompositions({})
    for part in lowered.graph_module.modules():
        for node in part.graph.nodes if isinstance(part, GraphModule) else ():
            for entry in SOURCE_LOCATIONS:
                node.meta.pop(entry, None)
    return lowered


def _export(module: nn.Module, example: tuple[Tensor, Tensor]) -> ExportedProgram:
    dynamic = ({0: Dim.DYNAMIC, 1: Dim.DYNAMIC}, {0: Dim.DYNAMIC})
    exported: ExportedProgram = torch.export.export(module, example, dynamic_shapes=dynamic, strict=False)
    return exported


def round_products(module: GraphModule) -> GraphModule:
    """Round weights to float16, in place, and compute the products that autocast computes in half precision.

    All else keeps float32: vectors of weights (biases, norms), softmaxes, log p, and the regions where a method turns
    autocast off. Such a region is a submodule of the graph, or lies between two markers.
    """
    for weight in (*module.parameters(), *module.buffers()):
        if weight.dtype == torch.float32 and weight.ndim > 1:
            weight.data = weight.data.half()
    regions = 0
    for node in list(module.graph.nodes):
        if node.op == "get_attr" and getattr(attrgetter(node.target)(module), "dtype", None) == torch.float16:
            _promote_output(node)
        elif node.target is torch.amp.autocast_mode._enter_autocast:
            regions += 1
        elif node.target is torch.amp.autocast_mode._exit_autocast:
            regions -= 1
        elif node.target in PRODUCTS and not regions:
            for operand in node.all_input_nodes:
                with module.graph.inserting_before(node):
                    half = operand.meta.get(ROUNDED) or _cast(operand, torch.float16)
                node.replace_input_with(operand, half)
            _promote_output(node)
    module.graph.eliminate_dead_code()
    module.recompile()
    return module


def _promote_output(node: Node) -> None:
    """Let all users of a float16 node use its value in float32."""
    with node.graph.inserting_after(node):
        promoted = _cast(node, torch.float32)
    promoted.meta[ROUNDED] = node
    node.replace_all_uses_with(promoted, delete_user_cb=lambda user: user is not promoted)


def _cast(node: Node, dtype: torch.dtype) -> Node:
    return node.graph.call_function(aten.to.dtype, (node, dtype))
