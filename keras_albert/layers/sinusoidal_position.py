"""SinusoidalPositionEncoding: fixed sines and cosines of the position."""

import keras
import numpy as np
from keras import ops


@keras.saving.register_keras_serializable(package="keras_albert")
class SinusoidalPositionEncoding(keras.Layer):
    """Sines and cosines of wavelengths from 2 pi to max_wavelength * 2 pi, to be added to a tensor.

    `PE[pos, 2i] = sin(pos / max_wavelength^(2i / width))`, `PE[pos, 2i + 1]` the cosine of the
    same angle; the last column of an odd width is a sine. There are no weights.

    Args:
        max_wavelength: 10000 in the paper.

    Call arguments:
        x: [batch, length, width]; only its shape is read.
        start: Position of the first row, an integer or an integer scalar tensor.

    Returns:
        [length, width], to be added to `x`: `x + ...` broadcasts it over the batch.

    References:
        Vaswani et al. 2017, section 3.5.

    Example:
    ```python
    encoding = keras_albert.layers.SinusoidalPositionEncoding()
    x = np.ones((2, 3, 8), "float32")
    y = x + encoding(x)  # [2, 3, 8]
    ```
    """

    def __init__(self, max_wavelength=10000, **kwargs):
        super().__init__(**kwargs)
        self.max_wavelength = max_wavelength
        self.supports_masking = True

    def build(self, x_shape):
        """Nothing to build: there are no weights."""

    def call(self, x, start=0):
        length, width = ops.shape(x)[1], x.shape[-1]
        rates = self.max_wavelength ** -(np.arange(0, width, 2) / width)
        if isinstance(start, int) and isinstance(length, int):
            angles = (start + np.arange(length))[:, None] * rates
            sines, cosines = np.sin(angles), np.cos(angles)
        else:
            # Angles reach the position itself, where float32 is good to 3e-5 at 512. JAX has no
            # float64 unless it is switched on.
            dtype = "float32" if keras.backend.backend() == "jax" else "float64"
            positions = ops.cast(start + ops.arange(length), dtype)
            angles = positions[:, None] * ops.convert_to_tensor(rates, dtype=dtype)
            sines, cosines = ops.sin(angles), ops.cos(angles)
        pairs = ops.cast(ops.stack([sines, cosines], axis=-1), self.compute_dtype)
        return ops.reshape(pairs, (length, 2 * len(rates)))[:, :width]

    def compute_output_shape(self, x_shape):
        return tuple(x_shape[1:])

    def compute_output_spec(self, x, start=0):
        return keras.KerasTensor(x.shape[1:], dtype=self.compute_dtype)

    def compute_mask(self, x, previous_mask=None):
        """None: the rows belong to no batch entry."""

    def get_config(self):
        return super().get_config() | {"max_wavelength": self.max_wavelength}
