"""Says whether the time and the memory of a run follow from the number of its rows, by the model's graph.

If they follow from the values, one small request can ask for a run without end, and a timed run does not predict
the next.
"""

from modelwright_serving.graph import Graph, Model, Node
from modelwright_serving.oip.signature import Signature

# They run other nodes as often as values say.
_CONTROL = frozenset({"If", "Loop", "Scan", "SequenceMap"})
# They take as long as a text is, and make as many words of it as it has.
_TEXT = frozenset(
    {("", "RegexFullMatch"), ("", "StringNormalizer"), ("", "StringSplit"), ("com.microsoft", "Tokenizer")}
)
# The inputs, by position, whose values say how large the output is.
_SIZES = {
    "CenterCropPad": (1,),
    "Col2Im": (1, 2),
    "ConstantOfShape": (0,),
    "DFT": (1,),
    "Expand": (1,),
    "MaxUnpool": (2,),
    "NonMaxSuppression": (0, 1, 2, 3, 4),
    "OneHot": (1,),
    "Pad": (1,),
    "Range": (0, 1, 2),
    "Resize": (1, 2, 3),
    "STFT": (1, 3),
    "Tile": (1, 2),
    "Upsample": (1,),
}
# Their outputs say how many values there are, and nothing of the values.
_COUNTS = frozenset({"Shape", "Size"})


def is_steady(model: Model, signature: Signature) -> bool:
    """Whether equal numbers of rows make runs of about equal time and memory; WireError if the graph is malformed.

    Sizes that are computed from constants and from the shapes of other tensors are those of the rows.
    """
    if any(-1 in spec.shape[1:] for spec in signature.inputs):
        return False
    nodes = [(node.domain, node.op_type) for node in model.walk()]
    if any((not domain and name in _CONTROL) or (domain, name) in _TEXT for domain, name in nodes):
        return False
    if any(
        not node.domain and node.op_type in _SIZES for body in model.functions.values() for node in body.nodes
    ):
        return False
    return not _sizes_follow_from_values(model.graph)


def _sizes_follow_from_values(graph: Graph) -> bool:
    """Follows the values of the inputs through the nodes, which stand in the order of their runs."""
    known = set(graph.inputs) - set(graph.constants)
    for node in graph.nodes:
        if any(name in known for name in _sizing(node)):
            return True
        if not (node.op_type in _COUNTS and not node.domain) and any(name in known for name in node.inputs):
            known.update(node.outputs)
    return False


def _sizing(node: Node) -> list[str]:
    positions = () if node.domain else _SIZES.get(node.op_type, ())
    return [node.inputs[position] for position in positions if position < len(node.inputs)]
