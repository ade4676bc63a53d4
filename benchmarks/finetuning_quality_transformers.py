"""Transformers' side of finetuning_quality.py: one fine-tuning, in a Python that has it and torch.

Reads a job as JSON on standard input and writes its outcome as JSON; finetuning_quality.py says
what is in them. As near to Google's training as users of Transformers and torch come: torch's
AdamW with decay for all but biases and LayerNorms, gradients clipped to the norm 1, and the
schedule of Google's code. What remains different is AdamW's correction of bias, which torch cannot
leave out. Rows are grouped by length as our `length_batches` does it, and padded batch by batch.
"""

import json
import sys
import time
from collections.abc import Callable, Sequence
from typing import Any

WINDOW = 100  # batches that are cut from rows ordered by length together
PROBLEMS = {
    "classification": "single_label_classification",
    "multi_label": "multi_label_classification",
    "regression": "regression",
}


def length_batches(
    lengths: Sequence[int], batch_size: int, order_of: Callable[[int], Sequence[int]] = range
) -> list[list[int]]:
    """Row numbers in batches of like length; `order_of(n)` puts n rows, or n batches, in order."""
    order = order_of(len(lengths))
    size = WINDOW * batch_size
    batches = []
    for start in range(0, len(order), size):
        window = sorted(order[start : start + size], key=lambda row: -lengths[row])
        cut = [window[i : i + batch_size] for i in range(0, len(window), batch_size)]
        batches += [cut[i] for i in order_of(len(cut))]
    return batches


def google_rate(total_steps: int) -> Callable[[int], float]:
    """The share of the peak rate in a step: 10 % warm-up, and linear decay that counts from 0."""
    warmup = total_steps // 10
    return lambda step: step / warmup if step < warmup else 1 - min(step, total_steps) / total_steps


def optimizer(model: Any, rate: float) -> Any:
    """AdamW with BERT's settings."""
    import torch

    parameters: dict[bool, list[Any]] = {True: [], False: []}
    for name, parameter in model.named_parameters():
        parameters["bias" in name or "LayerNorm" in name].append(parameter)
    groups = [
        {"params": parameters[False], "weight_decay": 0.01},
        {"params": parameters[True], "weight_decay": 0.0},
    ]
    return torch.optim.AdamW(groups, lr=rate, betas=(0.9, 0.999), eps=1e-6)


def run(job: dict[str, Any]) -> dict[str, Any]:
    """One fine-tuning and its predictions."""
    import torch
    import transformers

    torch.set_num_threads(job["threads"])
    transformers.set_seed(job["seed"])
    settings, kind, outputs = job["settings"], job["settings"]["kind"], max(1, len(job["labels"]))
    tokenizer = transformers.AutoTokenizer.from_pretrained(job["weights"])
    model = transformers.AutoModelForSequenceClassification.from_pretrained(
        job["weights"], num_labels=outputs, problem_type=PROBLEMS[kind]
    )
    dtype = torch.long if kind == "classification" else torch.float32

    def encoded(rows: list[list[Any]]) -> dict[str, Any]:
        segments = [list(texts) for texts in zip(*(texts for texts, _ in rows), strict=True)]
        return tokenizer(*segments, truncation=True, max_length=settings["max_length"])

    def batch(data: dict[str, Any], numbers: list[int]) -> dict[str, Any]:
        chosen = {name: [values[i] for i in numbers] for name, values in data.items()}
        return tokenizer.pad(chosen, return_tensors="pt")

    def shuffled(count: int) -> list[int]:
        return torch.randperm(count, generator=generator).tolist()

    generator = torch.Generator().manual_seed(job["seed"])
    start = time.perf_counter()
    data = encoded(job["train"])
    labels = torch.tensor([label for _, label in job["train"]], dtype=dtype)
    lengths = [len(ids) for ids in data["input_ids"]]
    total = settings["epochs"] * -(-len(lengths) // settings["batch_size"])
    updates = optimizer(model, settings["learning_rate"])
    schedule = torch.optim.lr_scheduler.LambdaLR(updates, google_rate(total))
    model.train()
    for _ in range(settings["epochs"]):
        for numbers in length_batches(lengths, settings["batch_size"], shuffled):
            loss = model(**batch(data, numbers), labels=labels[numbers]).loss
            loss.backward()
            torch.nn.utils.clip_grad_norm_(model.parameters(), 1.0)
            updates.step()
            schedule.step()
            updates.zero_grad()
    seconds = time.perf_counter() - start

    model.eval()
    data = encoded(job["evaluation"])
    lengths = [len(ids) for ids in data["input_ids"]]
    logits = torch.zeros(len(lengths), outputs)
    with torch.inference_mode():
        for numbers in length_batches(lengths, settings["batch_size"]):
            logits[numbers] = model(**batch(data, numbers)).logits
    if kind == "classification":
        predictions = logits.double().softmax(dim=-1)
    else:
        predictions = logits.double().sigmoid() if kind == "multi_label" else logits[:, 0]
    return {
        "predictions": predictions.tolist(),
        "seconds": seconds,
        "evaluation_seconds": time.perf_counter() - start - seconds,
        "versions": {"torch": torch.__version__, "transformers": transformers.__version__},
    }


def main() -> None:
    if sys.argv[1:] == ["--job"]:
        print(json.dumps(run(json.load(sys.stdin))))
    else:
        why = "a part of finetuning_quality.py, which gives it its jobs"
        print(json.dumps({"benchmark": "finetuning_quality_transformers", "skipped": why}))


if __name__ == "__main__":
    main()
