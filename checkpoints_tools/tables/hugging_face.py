"""What Hugging Face's families share: how a layer's weights are called, and the task heads."""

from checkpoints_tools.tables.rules import Row


def linear(ours: str, theirs: str, outputs: str, inputs: str) -> tuple[Row, Row]:
    """Kernel and bias of a torch.nn.Linear, which keeps its weight as [outputs, inputs]."""
    return (
        Row(f"{ours}/kernel", f"{theirs}.weight", f"{outputs} {inputs}", True),
        Row(f"{ours}/bias", f"{theirs}.bias", outputs),
    )


def layer_norm(ours: str, theirs: str, width: str) -> tuple[Row, Row]:
    """Gamma and beta of a torch.nn.LayerNorm."""
    return (
        Row(f"{ours}/gamma", f"{theirs}.weight", width),
        Row(f"{ours}/beta", f"{theirs}.bias", width),
    )


def embeddings(model: str) -> tuple[Row, ...]:
    """The rows of the embeddings below `model`."""
    return (
        Row("token_embedding/embeddings", f"{model}.embeddings.word_embeddings.weight", "V E"),
        Row(
            "segment_embedding/embeddings",
            f"{model}.embeddings.token_type_embeddings.weight",
            "S E",
        ),
        Row(
            "position_embedding/embeddings",
            f"{model}.embeddings.position_embeddings.weight",
            "P E",
        ),
        *layer_norm("embedding_layer_norm", f"{model}.embeddings.LayerNorm", "E"),
    )


def renames(model: str) -> tuple[tuple[str, str], ...]:
    """A bare encoder is saved without the name of its model; TensorFlow's names came first."""
    return (
        (r"^(?=(embeddings|encoder|pooler)\.)", f"{model}."),
        (r"(?<=LayerNorm\.)gamma$", "weight"),
        (r"(?<=LayerNorm\.)beta$", "bias"),
    )


def buffers(model: str) -> tuple[str, ...]:
    """What old versions of transformers stored with the weights."""
    return (f"{model}.embeddings.position_ids", f"{model}.embeddings.token_type_ids")


def ties(model: str, predictions: str) -> tuple[tuple[str, str], ...]:
    """The decoder of the masked language model: the token table, and the bias once more."""
    return (
        (f"{predictions}.decoder.weight", f"{model}.embeddings.word_embeddings.weight"),
        (f"{predictions}.decoder.bias", f"{predictions}.bias"),
    )


TASK_HEADS = {
    # …ForSequenceClassification, …ForTokenClassification, …ForMultipleChoice
    "classifier": linear("classifier", "classifier", "L", "H"),
    # …ForQuestionAnswering
    "span": linear("span", "qa_outputs", "2", "H"),
}
