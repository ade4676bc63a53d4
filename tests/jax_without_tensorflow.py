"""Run by tests/test_jax.py on JAX: what works, and what says so, where TensorFlow is missing.

Arguments: a folder with `converted` (of save_pretrained), `arrays.npz` (its inputs under `in/` and
TensorFlow's outputs under `out/`) and `vocab.txt`; and the folder of a TensorFlow 1 checkpoint.
"""

import importlib.abc
import sys
from pathlib import Path

import numpy as np

BLOCKED = ("tensorflow", "tensorflow_text")


class Blocked(importlib.abc.MetaPathFinder):
    """A machine without TensorFlow."""

    def find_spec(self, fullname, path=None, target=None):
        """Raises for what is not installed there."""
        if fullname.partition(".")[0] in BLOCKED:
            raise ModuleNotFoundError(f"No module named {fullname!r}", name=fullname)


def main(folder, checkpoint):
    """Everything that a person does with a converted directory; then what needs TensorFlow."""
    sys.meta_path.insert(0, Blocked())
    import keras

    import keras_albert as ka
    from keras_albert.tokenization import WordPieceTokenizer

    assert keras.backend.backend() == "jax"
    with np.load(folder / "arrays.npz") as arrays:
        inputs, expected = (
            {key.removeprefix(part): arrays[key] for key in arrays if key.startswith(part)}
            for part in ("in/", "out/")
        )

    encoder = ka.load_encoder(folder / "converted")
    for found in (encoder(inputs), encoder.predict(inputs, verbose=0)):
        for name, value in expected.items():
            np.testing.assert_allclose(found[name], value, rtol=0, atol=2e-5)

    model = ka.load_model(folder / "converted", "classification", dropout=0.0)
    rate = ka.optimizers.PolynomialDecayWithWarmup(1e-3, total_steps=20, warmup_steps=2)
    loss = keras.losses.SparseCategoricalCrossentropy(from_logits=True)
    model.compile(ka.optimizers.AdamW(rate), loss, metrics=["accuracy"])
    labels = np.arange(len(inputs["token_ids"])) % 2
    losses = model.fit(inputs, {"logits": labels}, epochs=12, verbose=0).history["loss"]
    assert losses[-1] < losses[0], losses

    logits = np.asarray(model(inputs)["logits"])
    ka.save_pretrained(model, folder / "again")
    model.save(folder / "model.keras")
    for again in (
        ka.load_model(folder / "again"),
        keras.models.load_model(folder / "model.keras"),
    ):
        assert again.task == "classification"
        np.testing.assert_array_equal(again(inputs)["logits"], logits)

    says_that_it_needs("tensorflow", lambda: ka.load_model(checkpoint))
    says_that_it_needs("tensorflow-text", lambda: WordPieceTokenizer(folder / "vocab.txt", True))
    assert not [name for name in sys.modules if name.partition(".")[0] in BLOCKED]


def says_that_it_needs(package, action):
    """The action fails with one line that names the package."""
    try:
        action()
    except ImportError as error:
        assert f"needs {package}" in str(error) or f"needs the {package}" in str(error), error
        assert "\n" not in str(error)
    else:
        raise AssertionError(f"works without {package}")


if __name__ == "__main__":
    main(*map(Path, sys.argv[1:]))
