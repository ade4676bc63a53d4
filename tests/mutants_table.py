"""The mutants: mistakes that someone porting BERT or ALBERT makes, one line of code each."""

from typing import NamedTuple

_EXACT = "tests/test_exactness.py"
ENCODERS = (f"{_EXACT}::test_encoder_outputs_are_google_s",)
TASKS = (f"{_EXACT}::test_task_outputs_are_google_s",)
STARTS = (f"{_EXACT}::test_end_logits_stand_for_the_given_start_or_the_best_one",)
_LAYERS = "tests/keras_albert/layers"
CAUSAL = (
    f"{_LAYERS}/test_multi_head_attention.py"
    "::test_causal_attention_sees_no_later_and_no_masked_key",
)
DECODER = (f"{_LAYERS}/test_blocks.py::test_later_rows_change_no_earlier_row_of_a_decoder_block",)
POSITIONS = (f"{_LAYERS}/test_sinusoidal_position.py::test_encoding_is_the_papers_formula",)
IDS = (f"{_LAYERS}/test_embeddings.py::test_an_id_outside_the_table_raises_in_an_eager_call",)
CONFIG = ("tests/keras_albert/test_config.py",)
_STEPS = "tests/keras_albert/optimizers/test_google.py::test_every_step_follows_google"
ADAMW = (f"{_STEPS}[adamw_constant]", f"{_STEPS}[bert_create_optimizer_warmup]")
LAMB = (f"{_STEPS}[lamb_constant]", f"{_STEPS}[albert_lamb_start_warmup_step]")
DECAY = (
    "tests/keras_albert/optimizers/test_with_keras.py"
    "::test_layer_norms_and_biases_are_not_decayed_by_default",
)
SCHEDULES = ("tests/keras_albert/optimizers/test_schedules.py",)
CONVERT = (
    "tests/checkpoints_tools/test_convert.py"
    "::test_converting_and_exporting_gives_every_variable_back_bit_for_bit",
)
PLAN = (
    "tests/checkpoints_tools/test_plan.py::test_what_only_looks_like_a_slot_is_unclaimed",
    "tests/checkpoints_tools/test_plan.py"
    "::test_missing_unclaimed_and_misshapen_variables_are_listed_with_shapes",
)
REFERENCE = ("tests/checkpoints_tools/test_reference.py",)
_TEXT = "tests/keras_albert/tokenization"
OFFSETS = (f"{_TEXT}/test_offsets.py",)
WORD_PIECE = (f"{_TEXT}/test_wordpiece.py",)
SENTENCE_PIECE = (f"{_TEXT}/test_sentencepiece.py",)
PACKING = (f"{_TEXT}/test_packing.py",)
TARGETS = ("tests/keras_albert/tasks/test_targets.py",)
CLASSIFIER = ("tests/keras_albert/tasks/test_text_classifier.py",)
RUNNING = ("tests/keras_albert/training/test_running_metrics.py",)
FITTING = (
    "tests/keras_albert/training/test_fitting.py::test_weights_that_are_no_numbers_are_not_saved",
    "tests/keras_albert/training/test_fitting.py"
    "::test_a_last_step_that_ruins_the_weights_is_found_without_a_validation",
)
MEMORY = (
    "tests/keras_albert/optimizers/test_with_keras.py"
    "::test_the_graph_of_a_step_goes_with_its_model",
)
SERVING = ("tests/keras_albert/test_serving_tasks.py",)
FEATURES = ("tests/keras_albert/data/features/test_windows.py",)
HUGGING_FACE = ("tests/checkpoints_tools/test_hugging_face.py",)

_ATTENTION = "keras_albert/layers/multi_head_attention.py"
_BLOCK = "keras_albert/layers/block.py"
_ENCODER_BLOCK = "keras_albert/layers/encoder_block.py"
_MASKED_LM = "keras_albert/layers/masked_lm_head.py"
_ENCODERS = "keras_albert/encoders.py"
_SPAN = "keras_albert/heads/span.py"
_ADAMW = "keras_albert/optimizers/adamw.py"
_LAMB = "keras_albert/optimizers/lamb.py"


class Mutant(NamedTuple):
    """One mistake: in the file `path` the text `old`, there once, becomes `new`.

    `tests` are pytest's selections of default tests, of which one must fail.
    """

    name: str
    path: str
    old: str
    new: str
    tests: tuple[str, ...]


MUTANTS = (
    # Attention
    Mutant(
        "query and key swapped",
        _ATTENTION,
        "(self.query_dense(query)), (0, 2, 1, 3))\n        k = self._split_heads(self.key_dense",
        "(self.key_dense(query)), (0, 2, 1, 3))\n        k = self._split_heads(self.query_dense",
        ENCODERS,
    ),
    Mutant(
        "value's bias dropped",
        _ATTENTION,
        "self.value_dense(value)",
        "self.value_dense(value) - self.value_dense.bias",
        ENCODERS,
    ),
    Mutant(
        "output's bias dropped",
        _ATTENTION,
        "y = self.output_dense(self._join_heads(context))",
        "y = self.output_dense(self._join_heads(context)) - self.output_dense.bias",
        ENCODERS,
    ),
    Mutant(
        "scale missing",
        _ATTENTION,
        "1.0 / math.sqrt(self._head_dim)",
        "1.0",
        ENCODERS,
    ),
    Mutant(
        "scale by the model's width",
        _ATTENTION,
        "math.sqrt(self._head_dim)",
        "math.sqrt(self._head_dim * self.num_heads)",
        ENCODERS,
    ),
    Mutant("mask adder dropped", _ATTENTION, "scores + adder", "scores", ENCODERS),
    Mutant(
        "mask inverted",
        "keras_albert/layers/masks.py",
        "(1.0 - keep) * MASKED",
        "keep * MASKED",
        ENCODERS,
    ),
    Mutant(
        "mask too weak",
        "keras_albert/layers/masks.py",
        "MASKED = -10000.0",
        "MASKED = -10.0",
        ENCODERS,
    ),
    Mutant(
        "causal attention blind to its own position",
        "keras_albert/layers/masks.py",
        "ops.arange(from_length)[:, None] >= ops.arange(to_length)",
        "ops.arange(from_length)[:, None] > ops.arange(to_length)",
        CAUSAL,
    ),
    Mutant(
        "a decoder that sees the future",
        "keras_albert/layers/decoder_block.py",
        "causal=True",
        "causal=False",
        DECODER,
    ),
    # Blocks
    Mutant(
        "erf for tanh GELU",
        "keras_albert/activations.py",
        "approximate=True",
        "approximate=False",
        ENCODERS,
    ),
    Mutant(
        "Keras' LayerNorm epsilon",
        _BLOCK,
        "epsilon=self.layer_norm_epsilon, ",
        "",
        ENCODERS,
    ),
    Mutant(
        "Google's LayerNorm epsilon times a thousand",
        "keras_albert/config.py",
        "layer_norm_epsilon: float = 1e-12",
        "layer_norm_epsilon: float = 1e-9",
        CONFIG,
    ),
    Mutant(
        "a norm's gamma ignored",
        _ENCODER_BLOCK,
        "y = self.attention_layer_norm(y)",
        "y = self.attention_layer_norm(y) / self.attention_layer_norm.gamma",
        ENCODERS,
    ),
    Mutant(
        "residual around attention missing",
        _ENCODER_BLOCK,
        "y = rows + self.dropout_layer",
        "y = self.dropout_layer",
        ENCODERS,
    ),
    Mutant(
        "residual around the feed-forward part missing",
        _BLOCK,
        "y = x + self.dropout_layer",
        "y = self.dropout_layer",
        ENCODERS,
    ),
    Mutant(
        "pre-LN built as post-LN",
        _ENCODERS,
        "norm_position=config.norm_position",
        'norm_position="post"',
        ENCODERS,
    ),
    # Embeddings, schedule, pooler
    Mutant(
        "segments ignored",
        _ENCODERS,
        "tokens + segments + positions",
        "tokens + positions",
        ENCODERS,
    ),
    Mutant(
        "segment table upside down",
        "keras_albert/layers/segment_embedding.py",
        "ops.one_hot(segment_ids,",
        "ops.one_hot(self.num_segments - 1 - segment_ids,",
        ENCODERS,
    ),
    Mutant(
        "positions from one on",
        "keras_albert/layers/position_embedding.py",
        "ops.slice(table, (start, 0)",
        "ops.slice(table, (start + 1, 0)",
        ENCODERS,
    ),
    Mutant(
        "sine and cosine swapped",
        "keras_albert/layers/sinusoidal_position.py",
        "[sines, cosines]",
        "[cosines, sines]",
        POSITIONS,
    ),
    Mutant(
        "the id behind the table accepted",
        "keras_albert/layers/id_check.py",
        "values >= int(size)",
        "values > int(size)",
        IDS,
    ),
    Mutant(
        "embedding projection's bias dropped",
        _ENCODERS,
        'name="embedding_projection",\n        )(embedded)',
        'name="embedding_projection",\n            use_bias=False,\n        )(embedded)',
        ENCODERS,
    ),
    Mutant(
        "every layer runs the first block",
        _ENCODERS,
        "x = blocks[index](x, **arguments)",
        "x = blocks[0](x, **arguments)",
        TASKS,
    ),
    Mutant(
        "groups in the order of layers",
        "keras_albert/config.py",
        "self._group(layer) * self.inner_layers + inner",
        "layer % self.num_groups * self.inner_layers + inner",
        CONFIG,
    ),
    Mutant(
        "groups by integer division",
        "keras_albert/config.py",
        "int(layer / self.num_layers * self.num_groups)",
        "layer * self.num_groups // self.num_layers",
        CONFIG,
    ),
    Mutant(
        "pooler on the last token",
        "keras_albert/layers/pooler.py",
        "x[:, 0]",
        "x[:, -1]",
        ENCODERS,
    ),
    Mutant(
        "pooler-only encoder computes the second row",
        _ENCODERS,
        'arguments["queries"] = x[:, :1]',
        'arguments["queries"] = x[:, 1:2]',
        TASKS,
    ),
    # Heads
    Mutant(
        "MLM bias dropped",
        _MASKED_LM,
        ' + ops.cast(self.bias, "float32")',
        "",
        TASKS,
    ),
    Mutant(
        "MLM LayerNorm dropped",
        _MASKED_LM,
        "self.layer_norm(self.activation(self.transform_dense(x)))",
        "self.activation(self.transform_dense(x))",
        TASKS,
    ),
    Mutant(
        "ends conditioned on the wrong beam",
        _SPAN,
        "self._end_logits(sequence_output, start_top_index)",
        "self._end_logits(sequence_output, ops.flip(start_top_index, axis=1))",
        TASKS,
    ),
    Mutant(
        "answer mask inverted",
        _SPAN,
        'mask = ops.cast(answer_mask, "float32")',
        'mask = 1.0 - ops.cast(answer_mask, "float32")',
        TASKS,
    ),
    Mutant(
        "given start ignored",
        _SPAN,
        "self._end_logits(sequence_output, given[:, None])",
        "self._end_logits(sequence_output, best_start[:, None])",
        STARTS,
    ),
    Mutant(
        "answerability from the last token",
        _SPAN,
        "self.answerable_hidden(expected, sequence_output[:, 0])",
        "self.answerable_hidden(expected, sequence_output[:, -1])",
        TASKS,
    ),
    Mutant(
        "choices transposed",
        "keras_albert/heads/choice.py",
        "ops.reshape(scores, ops.shape(like)[:2])",
        "ops.transpose(ops.reshape(scores, ops.shape(like)[1::-1]))",
        TASKS,
    ),
    # Checkpoints
    Mutant(
        "output_weights not transposed",
        "checkpoints_tools/tables/heads.py",
        'Row("span/kernel", "cls/squad/output_weights", "2 H", True)',
        'Row("span/kernel", "cls/squad/output_weights", "2 H")',
        TASKS,
    ),
    Mutant(
        "norms of a block swapped in the table",
        "checkpoints_tools/tables/google_albert.py",
        'Row("output_layer_norm/gamma", f"{_BLOCK}/LayerNorm_1/gamma", "H")',
        'Row("output_layer_norm/gamma", f"{_BLOCK}/LayerNorm/gamma", "H")',
        ENCODERS,
    ),
    Mutant(
        "table transposition lost in export",
        "checkpoints_tools/convert.py",
        "array.T if entry.transposed else array",
        "array",
        CONVERT,
    ),
    Mutant(
        "optimizer slot of any shape",
        "checkpoints_tools/tables/plan.py",
        'return shapes[match["variable"]] == shapes[name]',
        "return True",
        PLAN,
    ),
    Mutant(
        "unclaimed variables dropped in silence",
        "checkpoints_tools/tables/plan.py",
        "unclaimed = sorted(set(rest).difference(slots, counters))",
        "unclaimed = []",
        PLAN,
    ),
    Mutant(
        "the reference takes the erf GELU",
        "checkpoints_tools/reference/formulas.py",
        '"gelu_tanh": gelu_tanh,',
        '"gelu_tanh": gelu_erf,',
        REFERENCE,
    ),
    # Optimizers
    Mutant(
        "AdamW with bias correction",
        _ADAMW,
        "direction = next_momentum / (",
        'steps = ops.cast(self.iterations + 1, "float32")\n'
        "        direction = next_momentum / (1.0 - self.beta_1**steps) / (",
        ADAMW,
    ),
    Mutant(
        "AdamW's epsilon under the root",
        _ADAMW,
        "(ops.sqrt(next_velocity) + self.epsilon)",
        "ops.sqrt(next_velocity + self.epsilon)",
        ADAMW,
    ),
    Mutant(
        "AdamW decays LayerNorm",
        _ADAMW,
        'decay_exclusions: Sequence[str] = ("layer_norm", "bias")',
        'decay_exclusions: Sequence[str] = ("bias",)',
        DECAY,
    ),
    Mutant(
        "LAMB's ratio without the decay",
        _LAMB,
        "trust_ratio(ops.convert_to_tensor(variable), direction)",
        "trust_ratio(ops.convert_to_tensor(variable), gradient)",
        LAMB,
    ),
    Mutant(
        "decay counted from the end of warm-up",
        "keras_albert/optimizers/schedules.py",
        "remaining = 1.0 - ops.minimum(step, self.total_steps) / self.total_steps",
        "remaining = 1.0 - ops.minimum(step - self.warmup_steps, self.total_steps) "
        "/ self.total_steps",
        SCHEDULES,
    ),
    Mutant(
        "tensorflow-text's NFKC for Google's NFD",
        "keras_albert/tokenization/normalization.py",
        'texts = _decomposed(lowered(texts), "NFD")',
        'texts = _decomposed(lowered(texts), "NFKC")',
        OFFSETS,
    ),
    Mutant(
        "lower-casing follows the locale",
        "keras_albert/tokenization/normalization.py",
        'tf.strings.lower(tf.strings.lower(texts), encoding="utf-8")',
        'tf.strings.lower(texts, encoding="utf-8")',
        WORD_PIECE,
    ),
    Mutant(
        "ALBERT keeps its accents",
        "keras_albert/tokenization/normalization.py",
        'tf.strings.regex_replace(_decomposed(texts, "NFKD"), _combining(), "")',
        '_decomposed(texts, "NFKD")',
        SENTENCE_PIECE,
    ),
    Mutant(
        "a word's limit in bytes",
        "keras_albert/tokenization/wordpiece.py",
        "max_bytes_per_word=4 * LONGEST_WORD",
        "max_bytes_per_word=LONGEST_WORD",
        WORD_PIECE,
    ),
    Mutant(
        "an offset ends before its last character",
        "keras_albert/tokenization/offsets.py",
        "tf.gather(self._word_source, last) + 1",
        "tf.gather(self._word_source, last)",
        OFFSETS,
    ),
    Mutant(
        "of equally long segments the first is cut",
        "keras_albert/tokenization/packing.py",
        "    for index, length in enumerate(lengths):\n        more",
        "    for index, length in list(enumerate(lengths))[::-1]:\n        more",
        PACKING,
    ),
    Mutant(
        "Hugging Face's gelu read as the tanh approximation",
        "checkpoints_tools/hugging_face_config.py",
        '"gelu": "gelu",',
        '"gelu": "gelu_tanh",',
        HUGGING_FACE,
    ),
    Mutant(
        "max context without the length's bonus",
        "keras_albert/data/features/windows.py",
        "np.minimum(left, left[::-1]) + 0.01 * length",
        "np.minimum(left, left[::-1])",
        FEATURES,
    ),
    Mutant(
        "a temperature multiplies the logits",
        "keras_albert/tasks/targets/classes.py",
        'logits.astype("float64") / temperature',
        'logits.astype("float64") * temperature',
        TARGETS,
    ),
    Mutant(
        "windows' logits are added up",
        "keras_albert/tasks/text_classifier.py",
        "sums / np.bincount(owners, minlength=len(rows))[:, None]",
        "sums",
        CLASSIFIER,
    ),
    Mutant(
        "every window weighs as much as a text",
        "keras_albert/tasks/data.py",
        "len(owners) / len(rows) / np.bincount(owners)[owners]",
        "np.ones(len(owners))",
        CLASSIFIER,
    ),
    Mutant(
        "the weights of classes take the place of those of rows",
        "keras_albert/tasks/data.py",
        "by_class if found is None else found * by_class",
        "by_class",
        CLASSIFIER,
    ),
    Mutant(
        "macro F1 counts classes that do not occur",
        "keras_albert/training/running_metrics.py",
        "ops.sum(f1) / ops.maximum(occurring, 1.0)",
        "ops.mean(f1)",
        RUNNING,
    ),
    Mutant(
        "weights that are no numbers are saved",
        "keras_albert/training/non_finite.py",
        "not _is_finite(value_of(variable))",
        "False",
        FITTING,
    ),
    Mutant(
        "a step's graph stays when its model goes",
        "keras_albert/optimizers/base.py",
        "        return grads_and_vars",
        "        return super()._all_reduce_sum_gradients(grads_and_vars)",
        MEMORY,
    ),
    Mutant(
        "the characters of a part are counted by its bytes",
        "keras_albert/tokenization/strings.py",
        "tf.bitwise.bitwise_and(content, 0xC0) != 0x80",
        "content >= 0",
        OFFSETS,
    ),
    Mutant(
        "answers' probabilities are added up by the version of Python",
        "keras_albert/data/features/addition.py",
        "functools.reduce(operator.add, numbers, 0.0)",
        "__import__('math').fsum(numbers)",
        ("tests/keras_albert/data/features/test_addition.py",),
    ),
    Mutant(
        "served windows take the largest logits",
        "keras_albert/serving/service.py",
        "tf.math.segment_mean(logits, texts_of)",
        "tf.math.segment_max(logits, texts_of)",
        SERVING,
    ),
)
