"""`--strategy` and `--devices`: where a command's model runs."""

import argparse
import contextlib
from collections.abc import Iterator
from typing import Any

# Those of keras_albert.distribute, whose import takes Keras; a test compares.
NAMES = ("auto", "cpu", "gpu", "mirrored", "multi_worker", "tpu")


def add_strategy_arguments(group: Any) -> None:
    """Adds the flags."""
    group.add_argument(
        "--strategy",
        choices=NAMES,
        help="auto, one cpu or gpu, mirrored over this machine's devices, multi_worker (the "
        "processes of TF_CONFIG, which `launch` sets), or tpu (default: what TensorFlow finds "
        "first)",
    )
    group.add_argument(
        "--devices", metavar="N", type=int, help="how many of this machine's devices"
    )
    group.add_argument(
        "--wait",
        metavar="SECONDS",
        type=float,
        default=300.0,
        help="how long to wait for all workers of multi_worker to come",
    )


@contextlib.contextmanager
def strategy_scope(args: argparse.Namespace) -> Iterator[None]:
    """Within, models are made under the strategy of the flags, if there is one."""
    if args.strategy is None and args.devices is None:
        yield
        return
    import keras

    from keras_albert import distribute

    if keras.backend.backend() == "tensorflow":
        import tensorflow as tf

        tf.get_logger().setLevel("WARNING")  # it has a line for every collective that it builds
    with distribute.strategy(args.strategy or "auto", args.devices, wait=args.wait).scope():
        yield
