"""What does converting a BERT-base checkpoint cost beside the bare passes it cannot avoid?

Writes a random checkpoint of BERT-base's size (about 440 MB) into a folder, then, in alternation
and each in a process of its own: an idle TensorFlow process, the conversion without verification,
and three bare passes: reading every tensor with `tf.train.load_checkpoint`, building the empty
model, writing the same bytes to HDF5. Prints one JSON line: medians, the ratio of the times, and
the conversion's peak memory above the idle process over the checkpoint's size; then one with the
time and memory of `verify`.

    python benchmarks/convert_bert_base.py [--folder DIR] [--runs 5]
"""

import argparse
import json
import shutil
import statistics
import subprocess
import sys
import tempfile
import time
from pathlib import Path

from _machine import machine, memory_kb

NAME = "bert-base-uncased"


def write_random_checkpoint(folder: Path) -> None:
    """A checkpoint with BERT-base's pre-training variables, and configuration and vocabulary."""
    import numpy as np

    from checkpoints_tools.tables import TABLES
    from checkpoints_tools.tf1 import write_checkpoint
    from keras_albert.config import EncoderConfig

    config = EncoderConfig.published(NAME)
    random = np.random.default_rng(0)
    parts = ("embeddings", "blocks", "pooler", "masked_lm", "sentence_relation")

    def variables():
        for entry in TABLES["bert"].entries(config):
            if entry.part in parts:
                array = random.standard_normal(entry.shape, np.float32) * np.float32(0.02)
                yield entry.name, array + np.float32(entry.name.endswith("gamma"))

    folder.mkdir(parents=True)
    write_checkpoint(str(folder / "bert_model.ckpt"), variables())
    config.to_json(folder / "bert_config.json")
    (folder / "vocab.txt").write_text("".join(f"token{i}\n" for i in range(config.vocab_size)))


def measure(what: str, folder: Path) -> None:
    """One pass in this process: seconds (imports left out) and peak memory, as JSON."""
    import tensorflow as tf

    import keras_albert  # noqa: F401  (its import is not part of any pass)
    from checkpoints_tools.convert import convert
    from checkpoints_tools.verify import verify
    from keras_albert.config import EncoderConfig
    from keras_albert.heads import build_model

    out = folder.parent / "converted"
    prefix = str(folder / "bert_model.ckpt")
    tf.constant(1.0) + 1.0  # TensorFlow's own start-up
    idle = memory_kb("VmRSS")
    start = time.perf_counter()
    if what == "convert":
        convert(folder, out, verify=False, force=True)
    elif what == "verify":
        assert verify(folder)["passed"]
    elif what == "read":
        reader = tf.train.load_checkpoint(prefix)
        for name in reader.get_variable_to_shape_map():
            reader.get_tensor(name)
    elif what == "build":
        build_model(EncoderConfig.from_json(folder / "bert_config.json"), "pretraining")
    elif what == "write":
        import h5py

        reader = tf.train.load_checkpoint(prefix)
        arrays = {n: reader.get_tensor(n) for n in reader.get_variable_to_shape_map()}
        start = time.perf_counter()
        with h5py.File(folder.parent / "bare.h5", "w") as file:
            for index, array in enumerate(arrays.values()):
                file[str(index)] = array
    seconds = time.perf_counter() - start
    peak = memory_kb("VmHWM")
    print(json.dumps({"seconds": seconds, "idle_kb": idle, "peak_kb": peak}))


def run(what: str, folder: Path) -> dict:
    """`measure` in a fresh process."""
    command = [sys.executable, __file__, "--measure", what, "--folder", str(folder)]
    done = subprocess.run(command, capture_output=True, text=True, check=True)
    return json.loads(done.stdout.splitlines()[-1])


def main() -> None:
    """Runs the passes in alternation and prints the two lines."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--folder", type=Path)
    parser.add_argument("--runs", type=int, default=5)
    parser.add_argument("--measure", help=argparse.SUPPRESS)
    args = parser.parse_args()
    if args.measure:
        measure(args.measure, args.folder)
        return

    top = Path(tempfile.mkdtemp(dir=args.folder))
    try:
        folder = top / "uncased_L-12_H-768_A-12"
        write_random_checkpoint(folder)
        size = (folder / "bert_model.ckpt.data-00000-of-00001").stat().st_size
        passes: dict[str, list[dict]] = {w: [] for w in ("convert", "read", "build", "write")}
        for _ in range(args.runs):
            for what, results in passes.items():
                results.append(run(what, folder))
        seconds = {w: statistics.median(r["seconds"] for r in rs) for w, rs in passes.items()}
        bare = [
            sum(passes[what][i]["seconds"] for what in ("read", "build", "write"))
            for i in range(args.runs)
        ]
        ratios = sorted(c["seconds"] / b for c, b in zip(passes["convert"], bare, strict=True))
        above = statistics.median(
            (r["peak_kb"] - r["idle_kb"]) * 1024 / size for r in passes["convert"]
        )
        report = {
            "benchmark": "convert_bert_base",
            "checkpoint_mb": round(size / 1e6, 1),
            "seconds": {what: round(value, 2) for what, value in seconds.items()},
            "time_ratio": round(statistics.median(ratios), 2),
            "time_ratio_range": [round(ratios[0], 2), round(ratios[-1], 2)],
            "peak_above_idle_over_checkpoint": round(above, 2),
            "runs": args.runs,
        }
        print(json.dumps(report | machine()), flush=True)
        verified = run("verify", folder)
        report = {
            "benchmark": "verify_bert_base",
            "seconds": round(verified["seconds"], 1),
            "peak_above_idle_mb": (verified["peak_kb"] - verified["idle_kb"]) // 1024,
        }
        print(json.dumps(report | machine()))
    finally:
        shutil.rmtree(top)


if __name__ == "__main__":
    main()
