"""Drive our optimizers with the gradients that Google's were driven with."""

import contextlib
import json

import keras
import numpy as np

from keras_albert.optimizers import LAMB, AdamW, PolynomialDecayWithWarmup
from tests.paths import REFERENCE

FOLDER = REFERENCE / "optimizers"
# The compact copy in this repository holds some of the runs.
RUNS = {
    name: run
    for name, run in json.loads((FOLDER / "index.json").read_text())["runs"].items()
    if (FOLDER / run["file"]).is_file()
}


def variable_at(path, value):
    """A Keras variable with exactly this path."""
    *scopes, name = path.split("/")
    with contextlib.ExitStack() as stack:
        for scope in scopes:
            stack.enter_context(keras.name_scope(scope))
        variable = keras.Variable(value, name=name)
    assert variable.path == path
    return variable


def optimizer_of(settings):
    """Our optimizer for the settings of a run in index.json."""
    kind = settings.get("cls") or settings.get("optimizer", "adamw")
    if "lr" in settings:
        rate = settings["lr"]
    else:
        rate = PolynomialDecayWithWarmup(
            settings["init_lr"],
            total_steps=settings["num_train_steps"],
            warmup_steps=settings["num_warmup_steps"],
            power=settings.get("poly_power", 1.0),
            start_warmup_step=settings.get("start_warmup_step", 0),
        )
    arguments = {
        "learning_rate": rate,
        "weight_decay": settings["weight_decay_rate"],
        "beta_1": settings["beta_1"],
        "beta_2": settings["beta_2"],
        "epsilon": settings["epsilon"],
        "decay_exclusions": settings["exclude_from_weight_decay"] or (),
        "global_clipnorm": settings["clip_by_global_norm"],
    }
    if kind == "adamw":
        return AdamW(**arguments)
    return LAMB(**arguments, adaptation_exclusions=settings.get("exclude_from_layer_adaptation"))


def replay(run):
    """Yield ({name: ours}, {name: Google's}) after each of the ten steps of a run."""
    settings = RUNS[run]["settings"]
    google = np.load(FOLDER / RUNS[run]["file"])
    paths = [key.removeprefix("init/") for key in google.files if key.startswith("init/")]
    variables = [variable_at(path, google[f"init/{path}"]) for path in paths]
    optimizer = optimizer_of(settings)
    optimizer.build(variables)
    optimizer.iterations.assign(settings.get("first_global_step", 0))
    state = {variable.name: variable for variable in optimizer.variables}
    for step in range(10):
        ours = {"learning_rate": np.float32(float(optimizer.learning_rate))}
        optimizer.apply([keras.ops.convert_to_tensor(google[f"grad/{p}"][step]) for p in paths])
        for path, variable in zip(paths, variables, strict=True):
            flat = path.replace("/", "_")
            ours[f"param/{path}"] = variable.numpy()
            ours[f"m/{path}"] = state[f"{flat}_momentum"].numpy()
            ours[f"v/{path}"] = state[f"{flat}_velocity"].numpy()
        yield ours, {key: google[key][step] for key in ours}
