"""One name for where a model is made and trained, on TensorFlow and on JAX."""

import contextlib
from collections.abc import Iterator
from typing import Any

from absl import logging

from keras_albert.distribute.rendezvous import meet
from keras_albert.distribute.workers import Cluster, cluster
from keras_albert.errors import InputError, check_seconds

NAMES = ("auto", "cpu", "gpu", "mirrored", "multi_worker", "tpu")
# To wait for the last worker.
START_SECONDS = 300


def strategy(name: str = "auto", devices: int | None = None, *, wait: float = START_SECONDS) -> Any:
    """A strategy to make, compile and train a model under.

    Args:
        name: "cpu" or "gpu": one such device. "mirrored": the GPUs of this machine, or several
            logical CPUs where it has none. "multi_worker": the processes that TF_CONFIG names,
            each with its GPUs or its CPU. "tpu": the TPU of this host. "auto": the cluster that
            TF_CONFIG names, else the TPU, else several GPUs, else one, else the CPU; it logs which.
        devices: How many of this machine's devices to use; by default all there are (of a CPU, 1).
        wait: Seconds to wait for all workers to come.

    Returns:
        A `tf.distribute.Strategy`, and with KERAS_BACKEND=jax an object with the same `scope()`,
        within which `keras.distribution.DataParallel` is set.

    Raises:
        InputError: There is no such strategy or device, or `wait` is outside of its range.
        AbsentWorkerError: A worker has not come.

    Example:
    ```python
    with keras_albert.distribute.strategy("auto").scope():
        encoder = keras_albert.bert_encoder(config)
    ```
    """
    import keras  # here, for the command line answers --help without it

    if name in ("parameter_server", "ps"):
        raise InputError(
            "Keras 3 trains without parameter servers; 'multi_worker', where every worker holds "
            f"the weights, takes their place. Received: {name!r}"
        )
    if name not in NAMES:
        raise InputError(f"A strategy is one of {', '.join(NAMES)}. Received: {name!r}")
    if devices is not None and devices < 1:
        raise InputError(f"There is one device at least. Received: devices={devices}")
    check_seconds(wait=wait)
    if keras.backend.backend() == "jax":
        return _jax_strategy(name, devices)
    if keras.backend.backend() != "tensorflow":
        raise InputError(
            "Strategies are TensorFlow's and JAX's. "
            f"Received: KERAS_BACKEND={keras.backend.backend()}"
        )
    return _tensorflow_strategy(name, devices, wait)


def _tensorflow_strategy(name: str, devices: int | None, wait: float) -> Any:
    import tensorflow as tf

    gpus = len(tf.config.list_physical_devices("GPU"))
    found = cluster()
    if name == "auto":
        name = _best(found, gpus)
        what = {"gpu": "one GPU", "cpu": "the CPU", "tpu": "the TPU"}.get(name, name)
        logging.info(
            "Strategy auto: %s", f"mirrored over {gpus} GPUs" if name == "mirrored" else what
        )
    if name == "multi_worker":
        return _multi_worker(found, gpus, devices, wait)
    if name == "tpu":
        return _tpu()
    if name == "gpu" and not gpus:
        raise InputError("TensorFlow sees no GPU on this machine. Received: strategy 'gpu'")
    if name == "mirrored":
        count = devices or max(gpus, 1)
        if gpus and count > gpus:
            raise InputError(f"This machine has {gpus} GPUs. Received: devices={count}")
        if not gpus:
            _logical_cpus(count)
        kind = "GPU" if gpus else "CPU"
        # NCCL where there are GPUs; between CPUs of one process the memory is shared anyway.
        reduction = None if gpus else tf.distribute.ReductionToOneDevice()
        return tf.distribute.MirroredStrategy(
            [f"/{kind}:{i}" for i in range(count)], cross_device_ops=reduction
        )
    if devices not in (None, 1):
        raise InputError(f"{name!r} is one device; 'mirrored' is several. Received: {devices=}")
    if name == ("gpu" if gpus else "cpu"):
        return tf.distribute.get_strategy()  # where TensorFlow computes anyway, in its fastest way
    return tf.distribute.OneDeviceStrategy(f"/{name.upper()}:0")


def _best(found: Cluster | None, gpus: int) -> str:
    if found is not None and len(found.addresses) > 1:
        return "multi_worker"
    if _has_tpu():
        return "tpu"
    return "mirrored" if gpus > 1 else "gpu" if gpus else "cpu"


def _logical_cpus(count: int) -> None:
    """Lets the CPU stand for `count` devices.

    Raises:
        InputError: TensorFlow has begun to use it with fewer.
    """
    import tensorflow as tf

    (cpu, *_) = tf.config.list_physical_devices("CPU")
    now = tf.config.get_logical_device_configuration(cpu)
    if count == 1 or (now is not None and len(now) >= count):
        return
    try:
        tf.config.set_logical_device_configuration(
            cpu, [tf.config.LogicalDeviceConfiguration()] * count
        )
    except RuntimeError as error:
        raise InputError(
            "Several CPU devices are asked for before TensorFlow has computed anything. "
            f"Received: devices={count}"
        ) from error


def _multi_worker(found: Cluster | None, gpus: int, devices: int | None, wait: float) -> Any:
    import tensorflow as tf

    if found is None:
        raise InputError(
            "multi_worker needs TF_CONFIG, which names the workers; `keras-albert launch` sets it. "
            "Received: no TF_CONFIG"
        )
    if devices is not None and gpus:
        physical = tf.config.list_physical_devices("GPU")
        tf.config.set_visible_devices(physical[:devices], "GPU")
    logging.info(
        "Worker %d of %d at %s",
        found.index,
        len(found.addresses),
        found.addresses[found.index],
    )
    meet(found, wait)
    return tf.distribute.MultiWorkerMirroredStrategy()


def _has_tpu() -> bool:
    """Whether TensorFlow's TPU library finds one on this host."""
    import tensorflow as tf

    return bool(tf.config.list_physical_devices("TPU"))


def _tpu() -> Any:
    import tensorflow as tf

    try:
        # "local": the TPU VM itself, as Colab and Cloud TPU VMs are.
        resolver = tf.distribute.cluster_resolver.TPUClusterResolver(tpu="local")
        tf.config.experimental_connect_to_cluster(resolver)
        tf.tpu.experimental.initialize_tpu_system(resolver)
    except (ValueError, RuntimeError, tf.errors.OpError) as error:
        first = str(error).splitlines()[0] if str(error) else type(error).__name__
        raise InputError(
            "A TPU is on this host, whose TensorFlow is tensorflow-tpu (docs/distributed.md). "
            f"Received: {first}"
        ) from error
    return tf.distribute.TPUStrategy(resolver)


class _DataParallel:
    """Data parallelism on JAX: within `scope`, batches are split over the devices."""

    def __init__(self, distribution: Any):
        self.distribution = distribution
        self.num_replicas_in_sync = int(distribution.device_mesh.devices.size)

    @contextlib.contextmanager
    def scope(self) -> Iterator[Any]:
        """Sets Keras' distribution, and takes it back at the end."""
        import keras

        before = keras.distribution.distribution()
        keras.distribution.set_distribution(self.distribution)
        try:
            yield self
        finally:
            keras.distribution.set_distribution(before)


def _jax_strategy(name: str, devices: int | None) -> Any:
    import keras

    if name == "multi_worker":
        raise InputError(
            "Several workers are TensorFlow's strategy; on JAX, data are split over the devices of "
            "one machine. Received: strategy 'multi_worker', KERAS_BACKEND=jax"
        )
    kind = None if name in ("auto", "mirrored") else name
    found = keras.distribution.list_devices(kind)
    if name in ("cpu", "gpu"):
        found = found[:1]
    if not found or (devices or 1) > len(found):
        raise InputError(
            f"JAX has {len(found)} such devices (XLA_FLAGS=--xla_force_host_platform_device_count=N"
            f" makes N of a CPU). Received: strategy {name!r}, devices={devices}"
        )
    chosen = found[: devices or len(found)]
    logging.info("Strategy %s: JAX on %s", name, ", ".join(chosen))
    mesh = keras.distribution.DeviceMesh((len(chosen),), ("batch",), chosen)
    return _DataParallel(keras.distribution.DataParallel(device_mesh=mesh))
