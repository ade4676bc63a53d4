"""What a result was made with."""

import platform
from importlib.metadata import PackageNotFoundError, version

from keras_albert import __version__

_PACKAGES = ("keras", "tensorflow", "tensorflow-text", "numpy", "scikit-learn", "scipy")


def versions() -> dict[str, str]:
    """Python's, this package's, and those of the packages it stands on.

    One that is installed under another name, such as tensorflow-tpu, is left out.
    """
    found = {"python": platform.python_version(), "keras-albert": __version__}
    for package in _PACKAGES:
        try:
            found[package] = version(package)
        except PackageNotFoundError:
            continue
    return found
