"""The main job, end to end, on what the package holds: convert, verify, fine-tune, predict.

The checkpoint is a small ALBERT in Google's layout, the rows are movie reviews rated by people
(VADER, MIT). Both lie in keras_albert/quickstart_data.
"""

import time
from collections.abc import Callable
from importlib.resources import as_file, files
from pathlib import Path
from typing import Any

from keras_albert.data.readers import read_records

LABELS = ("negative", "positive")
SENTENCES = (
    "A gripping film with wonderful performances.",
    "The plot is a mess and the jokes fall flat.",
    "Funny, warm and surprisingly moving.",
)
MAX_LENGTH, BATCH_SIZE, EPOCHS, LEARNING_RATE = 48, 32, 4, 2e-4


def run(output: str | Path, *, seed: int = 0, say: Callable[[str], Any] = print) -> dict[str, Any]:
    """Runs the quickstart.

    Args:
        output: Folder for the converted and the fine-tuned model; those in it are replaced.
        seed: Of every random choice.
        say: Told what is being done, a line at a time.

    Returns:
        What was measured: `parity` (whether the conversion is exact), `accuracy`, `majority`
        (what always guessing the more frequent label would reach), `predictions`, `seconds`.
    """
    with as_file(files("keras_albert") / "quickstart_data") as data:
        return _run(Path(data), Path(output), seed, say)


def _run(data: Path, output: Path, seed: int, say: Callable[[str], Any]) -> dict[str, Any]:
    start = time.perf_counter()
    say("1. What the checkpoint is")
    from checkpoints_tools.convert import convert
    from checkpoints_tools.describe import describe, render
    from checkpoints_tools.verify import render as render_parity

    source = data / "albert_mini"
    say(render(describe(source)).split("\n\n")[0])

    converted = output / "converted"
    say(f"\n2. Converted to {converted}, and compared with an independent NumPy forward pass")
    parity = convert(source, converted, force=True)["parity"]
    say(render_parity(parity))

    import keras
    import numpy as np

    from keras_albert.data.batching import length_batches
    from keras_albert.optimizers import AdamW, PolynomialDecayWithWarmup
    from keras_albert.pretrained import load_model, save_pretrained
    from keras_albert.pretrained_text import load_preprocessor

    keras.utils.set_random_seed(seed)
    preprocess = load_preprocessor(converted, MAX_LENGTH)

    def batches(texts: list[str], labels: list[int], **options: Any) -> Any:
        data = (texts, {"logits": labels})
        return length_batches(data, BATCH_SIZE, preprocess=preprocess, cache=True, **options)

    texts, labels = _read(data / "train.tsv")
    test_texts, test_labels = _read(data / "test.tsv")
    majority = float(max(np.mean(test_labels), 1 - np.mean(test_labels)))
    say(f"\n3. Fine-tuning on {len(texts)} movie reviews, {EPOCHS} epochs")
    model = load_model(converted, "classification", num_labels=len(LABELS))
    train = batches(texts, labels, shuffle=True)
    steps = EPOCHS * len(train)
    schedule = PolynomialDecayWithWarmup(LEARNING_RATE, total_steps=steps, warmup_steps=steps // 10)
    model.compile(
        AdamW(schedule, global_clipnorm=1.0),
        loss={"logits": keras.losses.SparseCategoricalCrossentropy(from_logits=True)},
        metrics={"logits": "accuracy"},
        # The batches have several lengths, and XLA would compile the step for each.
        jit_compile=False,
    )
    test = batches(test_texts, test_labels)
    history = model.fit(train, validation_data=test, epochs=EPOCHS, shuffle=False, verbose=2)
    accuracy = round(history.history["val_accuracy"][-1], 4)
    say(
        f"\n4. On {len(test_texts)} reviews it has not seen: accuracy {accuracy:.1%}; always "
        f"guessing the more frequent label reaches {majority:.1%}"
    )
    logits = model.predict(preprocess(list(SENTENCES)), verbose=0)["logits"]
    probabilities = np.exp(logits) / np.sum(np.exp(logits), axis=-1, keepdims=True)
    predictions: list[dict[str, Any]] = [
        {"text": text, "label": LABELS[int(np.argmax(row))], "probability": float(np.max(row))}
        for text, row in zip(SENTENCES, probabilities, strict=True)
    ]
    for prediction in predictions:
        say("   {label} ({probability:.0%}): {text}".format(**prediction))

    fine_tuned = output / "fine_tuned"
    save_pretrained(
        model,
        fine_tuned,
        provenance={"source": str(converted), "seed": seed, "metrics": {"accuracy": accuracy}},
        force=True,
    )
    seconds = time.perf_counter() - start
    say(f"\n5. Saved to {fine_tuned}; {seconds:.0f} s in all")
    return {
        "parity": parity["passed"],
        "accuracy": accuracy,
        "majority": majority,
        "predictions": predictions,
        "seconds": round(seconds, 1),
    }


def _read(path: Path) -> tuple[list[str], list[int]]:
    """Texts and labels."""
    records = list(read_records(path, "text"))
    return [record.texts[0] for record in records], [int(str(record.label)) for record in records]
