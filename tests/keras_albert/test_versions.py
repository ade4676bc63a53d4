"""What a result was made with."""

import keras

import keras_albert as ka
from keras_albert import versions as module


def test_versions_are_those_that_run():
    found = module.versions()
    assert found["keras-albert"] == ka.__version__
    assert found["keras"] == keras.__version__
    assert "numpy" in found


def test_a_package_that_is_not_installed_is_left_out(monkeypatch):
    def version(name):
        raise module.PackageNotFoundError(name)

    monkeypatch.setattr(module, "version", version)
    assert set(module.versions()) == {"python", "keras-albert"}
