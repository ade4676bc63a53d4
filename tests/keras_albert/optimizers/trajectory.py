"""Train a golden case as Google's code trained it: five steps on one batch, dropout off."""

import json

import keras
import numpy as np

import keras_albert as ka
from keras_albert.optimizers import LAMB, AdamW, PolynomialDecayWithWarmup
from keras_albert.pretrained import open_weights
from tests.checkpoints_tools.cases import load_case
from tests.paths import REFERENCE

TRAJECTORIES = sorted(
    f"{path.parent.name}/{path.stem}" for path in REFERENCE.glob("*/training*.npz")
)
STEPS = 5
HEAD_OPTIONS = {"classification": {"dropout": 0.0}}
CROSS_ENTROPY = {
    # Google's masked loss is the mean over the weights, plus 1e-5 in the divisor.
    name: keras.losses.SparseCategoricalCrossentropy(
        from_logits=True, reduction="mean_with_sample_weight"
    )
    for name in ("logits", "mlm_logits", "sentence_relation_logits")
}


def recording(optimizer_class):
    """The optimizer, keeping each step's norm before clipping (in an eager TensorFlow step)."""

    class Recording(optimizer_class):
        def _clip_gradients(self, grads):
            import tensorflow as tf

            self.norms = [*getattr(self, "norms", []), float(tf.linalg.global_norm(grads))]
            return super()._clip_gradients(grads)

    return Recording


def optimizer_of(description, record):
    """Our optimizer for one training file's entry in case.json."""
    arguments = description["arguments"]
    optimizer_class = LAMB if arguments.get("optimizer") == "lamb" else AdamW
    return (recording(optimizer_class) if record else optimizer_class)(
        PolynomialDecayWithWarmup(
            arguments["init_lr"],
            total_steps=arguments["num_train_steps"],
            warmup_steps=arguments["num_warmup_steps"],
            power=arguments.get("poly_power", 1.0),
        ),
        weight_decay=description["weight_decay_rate"],
        global_clipnorm=description["clip_by_global_norm"],
        norm_of_gathered_rows=not description["use_one_hot_embeddings"],
    )


def batch_of(case):
    """Inputs, labels and sample weights of input case b, as Keras takes them."""
    fed = case.part("b/in")
    inputs = case.inputs("b", case.task)
    if case.task == "classification":
        return inputs, {"logits": fed["label_ids"]}, None
    labels = {
        "mlm_logits": fed["masked_lm_ids"],
        "sentence_relation_logits": fed["next_sentence_labels"][:, 0],
    }
    ones = np.ones(len(fed["next_sentence_labels"]), "float32")
    weights = {"mlm_logits": fed["masked_lm_weights"], "sentence_relation_logits": ones}
    return inputs, labels, weights


def train(trajectory, run_eagerly=True):
    """({key: ours}, {key: Google's}) of a training file, under Google's keys."""
    name, file = trajectory.split("/")
    case = load_case(name)
    record = keras.backend.backend() == "tensorflow" and run_eagerly
    description = json.loads((case.folder / "case.json").read_text())["files"][f"{file}.npz"]
    with np.load(case.folder / f"{file}.npz") as arrays:
        google = dict(arrays)
    model = ka.load_model(
        case.folder,
        case.task,
        overrides={"dropout": 0.0, "attention_dropout": 0.0},
        **HEAD_OPTIONS.get(case.task, {}),
    )
    optimizer = optimizer_of(description, record)
    losses = {output: CROSS_ENTROPY[output] for output in model.output}
    model.compile(optimizer, losses, run_eagerly=run_eagerly)
    inputs, labels, weights = batch_of(case)
    before = {variable.path: variable.numpy() for variable in model.trainable_variables}
    ours = {"learning_rate": [], "loss_before": []}
    for _ in range(STEPS):
        ours["learning_rate"].append(float(optimizer.learning_rate))
        model.reset_metrics()
        logs = model.train_on_batch(inputs, labels, sample_weight=weights, return_dict=True)
        ours["loss_before"].append(float(logs["loss"]))
    model.reset_metrics()
    logs = model.test_on_batch(inputs, labels, sample_weight=weights, return_dict=True)
    ours["loss_after"] = float(logs["loss"])
    if record:
        ours["global_norm"] = optimizer.norms
    after = {variable.path: variable.numpy() for variable in model.trainable_variables}
    with open_weights(case.folder) as (opened, _):
        for claim in opened.plan.claims:
            if claim.path in after:
                final = after[claim.path]
                change = np.linalg.norm(final - before[claim.path])
                ours[f"change_norm/{claim.name}"] = change
                ours[f"final/{claim.name}"] = final.T if claim.transposed else final
    return {key: np.asarray(value) for key, value in ours.items()}, google
