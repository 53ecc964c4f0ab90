"""Which operators a model may use: all of ONNX, and of those that ONNX Runtime adds the ones listed here.

The steps of training take the same.
"""

from modelwright_serving.failures import StepError
from modelwright_serving.graph import ML_DOMAIN, Model, Node
from modelwright_serving.protobuf import WireError

# Domains whose operators ONNX Runtime may have itself, whatever function of that name the file brings.
RUNTIMES_OWN = ("ai.onnx", "com.microsoft", "com.ms", "org.pytorch")
ADDED_DOMAIN = "com.microsoft"
# What exporters and ONNX Runtime's own tools write. They compute their outputs from their inputs alone.
_ADDED = (
    "Attention BiasGelu CDist DequantizeLinear DynamicQuantizeLSTM DynamicQuantizeMatMul "
    "EmbedLayerNormalization FastGelu FusedConv FusedGemm FusedMatMul GatherBlockQuantized Gelu "
    "GroupQueryAttention Inverse MatMulInteger16 MatMulIntegerToFloat MatMulNBits MultiHeadAttention "
    "QAttention QEmbedLayerNormalization QGemm QLinearAdd QLinearAveragePool QLinearConcat QLinearConv "
    "QLinearGlobalAveragePool QLinearLeakyRelu QLinearMul QLinearSigmoid QLinearSoftmax QLinearWhere "
    "QuantizeLinear QuickGelu RotaryEmbedding SkipLayerNormalization SkipSimplifiedLayerNormalization "
    "Tokenizer Trilu"
)
ADDED = frozenset(_ADDED.split())
_SHOWN = 5


def check(model: Model) -> None:
    """StepError(UnsupportedModel) that names the operators which are not taken."""
    own = {key for key in model.functions if not key[0].startswith(RUNTIMES_OWN)}
    try:
        nodes = [node for node in model.walk() if not _taken(node)]
    except WireError:  # ONNX Runtime says what is wrong with such a file
        return
    others = sorted(
        {f"{node.domain}:{node.op_type}" for node in nodes if (node.domain, node.op_type) not in own}
    )
    if others:
        more = f" and {len(others) - _SHOWN} more" if len(others) > _SHOWN else ""
        raise StepError(
            "UnsupportedModel",
            f"the model uses operators that are not taken: {', '.join(others[:_SHOWN])}{more}; operators beside those "
            "of ONNX may be code, which is never loaded with a model: export it with the operators of ONNX and "
            f"ai.onnx.ml, or with those of {ADDED_DOMAIN} that docs/serving.md lists",
        )


def _taken(node: Node) -> bool:
    return node.domain in {"", ML_DOMAIN} or (node.domain == ADDED_DOMAIN and node.op_type in ADDED)
