"""Where a model runs: one device, several, several machines, a TPU; see `strategy`."""

from keras_albert.distribute.strategies import NAMES, strategy
from keras_albert.distribute.workers import anywhere, barrier, is_chief, worker_count, worker_index

__all__ = ["NAMES", "anywhere", "barrier", "is_chief", "strategy", "worker_count", "worker_index"]
