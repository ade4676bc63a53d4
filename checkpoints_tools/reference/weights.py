"""Google's variables by name, cast on arrival."""

from collections.abc import Callable, Collection
from typing import Any

import numpy as np

from keras_albert.errors import InputError


class Weights:
    """Reads variables one at a time and casts them; holds none.

    Args:
        read: Yields a variable by its TF1 name.
        names: The names there are.
        dtype: The float type all arrays are cast to.
    """

    def __init__(
        self, read: Callable[[str], np.ndarray], names: Collection[str], dtype: Any
    ) -> None:
        self.names = frozenset(names)
        self.dtype = np.dtype(dtype)
        self._read = read

    def raw(self, name: str) -> np.ndarray:
        """The variable as it is stored. Raises InputError where there is none of that name."""
        if name not in self.names:
            raise InputError(
                "this task needs a variable that the checkpoint does not hold. "
                f"Received: variable={name!r}"
            )
        return np.asarray(self._read(name))

    def __call__(self, name: str) -> np.ndarray:
        """The variable in the type that is computed in."""
        return self.raw(name).astype(self.dtype)

    def dense(self, scope: str) -> tuple[np.ndarray, np.ndarray]:
        """Kernel [in, out] and bias [out] of a dense layer."""
        return self(f"{scope}/kernel"), self(f"{scope}/bias")

    def norm(self, scope: str) -> tuple[np.ndarray, np.ndarray]:
        """Gamma and beta, both [width], of a layer norm."""
        return self(f"{scope}/gamma"), self(f"{scope}/beta")

    def projection(self, prefix: str = "") -> tuple[np.ndarray, np.ndarray]:
        """Kernel [in, out] and bias [out] of a head that Google stores as [out, in]."""
        return self(f"{prefix}output_weights").T, self(f"{prefix}output_bias")
