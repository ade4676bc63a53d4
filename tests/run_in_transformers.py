"""Makes, loads and runs models with transformers; run by a Python that has it and torch.

    python tests/run_in_transformers.py make FOLDER     # random checkpoints, one folder each
    python tests/run_in_transformers.py run FOLDER      # the model in every folder there

Every folder has the model's inputs in `inputs.npz` under transformers' names; its outputs go to
`outputs.npz`. `run` prints a JSON line a folder: what was missing, left over or of another shape.
"""

import json
import sys
from pathlib import Path

import numpy as np
import torch
import transformers

SIZES = {
    "vocab_size": 60,
    "hidden_size": 16,
    "num_hidden_layers": 4,
    "num_attention_heads": 2,
    "intermediate_size": 24,
    "max_position_embeddings": 20,
    "type_vocab_size": 2,
    "layer_norm_eps": 1e-12,
}
FAMILIES = {
    "Bert": SIZES,
    "Albert": {**SIZES, "embedding_size": 8, "num_hidden_groups": 2, "inner_group_num": 2},
}
CLASSES = (
    "Model",
    "ForPreTraining",
    "ForMaskedLM",
    "ForSequenceClassification",
    "ForTokenClassification",
    "ForQuestionAnswering",
    "ForMultipleChoice",
)


def main(mode, folder):
    torch.manual_seed(0)
    folder = Path(folder)
    if mode == "make":
        for family, sizes in FAMILIES.items():
            for name in CLASSES:
                for activation in ("gelu", "gelu_new"):
                    make(folder / f"{family}{name}-{activation}", family, name, sizes, activation)
            other = {**sizes, "layer_norm_eps": 1e-5}
            make(folder / f"{family}Model-epsilon", family, "Model", other, "gelu")
            sharded = folder / f"{family}ForMaskedLM-sharded"
            make(sharded, family, "ForMaskedLM", sizes, "gelu", max_shard_size="8KB")
            assert (sharded / "model.safetensors.index.json").is_file()
            half = folder / f"{family}ForPreTraining-bfloat16"
            make(half, family, "ForPreTraining", sizes, "gelu", dtype=torch.bfloat16)
    for path in sorted(entry for entry in folder.iterdir() if entry.is_dir()):
        report = run(path)
        if mode == "run":
            print(json.dumps(report))


def make(folder, family, name, sizes, activation, dtype=torch.float32, **saving):
    """A random checkpoint, whose weights are so large that every one shows in the outputs."""
    labels = {"num_labels": 3} if "Classification" in name else {}
    config = getattr(transformers, f"{family}Config")(**sizes, hidden_act=activation, **labels)
    model = getattr(transformers, f"{family}{name}")(config)
    with torch.no_grad():
        for parameter in model.parameters():
            parameter.add_(torch.randn_like(parameter) * 0.2)
    model.to(dtype).save_pretrained(folder, **saving)
    shape = (2, 3, 12) if name == "ForMultipleChoice" else (3, 12)
    random = np.random.default_rng(0)
    mask = (random.random(shape) < 0.7).astype("int64")
    mask[..., 0] = 1
    np.savez(
        folder / "inputs.npz",
        input_ids=random.integers(1, SIZES["vocab_size"], shape),
        token_type_ids=random.integers(0, 2, shape),
        attention_mask=mask,
    )


def run(folder):
    """Loads the class that the configuration names, and keeps its outputs."""
    name = json.loads((folder / "config.json").read_text())["architectures"][0]
    model, loading = getattr(transformers, name).from_pretrained(
        folder, dtype=torch.float32, output_loading_info=True
    )
    with np.load(folder / "inputs.npz") as arrays:
        inputs = {key: torch.from_numpy(arrays[key].astype("int64")) for key in arrays}
    with torch.no_grad():
        outputs = model.eval()(**inputs)
    np.savez(folder / "outputs.npz", **{key: value.numpy() for key, value in outputs.items()})
    report = {"folder": folder.name, "class": type(model).__name__}
    report |= {key: sorted(map(str, found)) for key, found in loading.items() if found}
    report["labels"] = list(model.config.id2label.values()) if model.config.id2label else None
    if (folder / "tokenizer_config.json").is_file():
        tokenizer = transformers.AutoTokenizer.from_pretrained(folder)
        report["tokens"] = tokenizer.tokenize("Élan TOKEN, a token")
    return report


if __name__ == "__main__":
    main(*sys.argv[1:])
