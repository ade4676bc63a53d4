"""The install cell: what it does for each TensorFlow that may be there, without installing it."""

import glob
import importlib.metadata
import importlib.util
import re
import shlex

import pytest
from IPython.core.inputtransformer2 import TransformerManager
from packaging.requirements import Requirement

from colab.execute import NAMES
from tests.colab.test_notebooks import install_cell
from tests.paths import ROOT
from tests.test_packaging import INSTALL

CELL = TransformerManager().transform_cell(install_cell(NAMES[0]))
(PACKAGE,) = re.findall(r'PACKAGE = "(git\+https://.*?)"', CELL)
REST = 'install -q "keras>=3.15" "safetensors>=0.8" h5py scikit-learn scipy matplotlib'
WITH_TENSORFLOW = {"tensorflow", "tensorflow-text", "numpy", "absl-py", "ml-dtypes"}


@pytest.fixture
def run(monkeypatch):
    """Runs the cell on a machine with these packages by name and version; returns pip's arguments.

    `tpu` says whether the machine has one.
    """

    def run(packages: dict[str, str], tpu: bool = False) -> list[str]:
        installed = dict(packages)
        calls = []

        class Shell:
            def run_line_magic(self, magic, line):
                assert magic == "pip"
                calls.append(line.format(**scope))
                if "tensorflow-tpu==2.20" in line:
                    installed["tensorflow-tpu"] = "2.20.0"

        tensorflows = [name for name in installed if name.startswith("tensorflow")]
        providers = {"tensorflow": tensorflows} if tensorflows else {}
        monkeypatch.setattr(importlib.metadata, "packages_distributions", lambda: providers)
        monkeypatch.setattr(importlib.metadata, "version", lambda name: installed[name])
        monkeypatch.setattr(
            importlib.util, "find_spec", lambda name: name.replace("_", "-") in installed or None
        )
        monkeypatch.setattr(glob, "glob", lambda pattern: ["/dev/accel0"] if tpu else [])
        scope = {"get_ipython": Shell}
        exec(CELL, scope)
        return calls

    return run


@pytest.mark.parametrize("version", ["2.20.0", "2.21.1"])
def test_a_supported_tensorflow_stays_and_gets_the_tensorflow_text_of_its_minor(run, version):
    (arguments,) = run({"tensorflow": version})
    assert arguments == f'install -q {PACKAGE} "tensorflow-text=={version[:4]}.*" matplotlib'


def test_where_there_is_no_tensorflow_the_newest_supported_one_comes_as_a_dependency(run):
    (arguments,) = run({})
    assert arguments == f'install -q {PACKAGE} "tensorflow-text==2.21.*" matplotlib'


@pytest.mark.parametrize("name", ["tensorflow-cpu", "tensorflow-tpu"])
def test_a_tensorflow_of_another_name_is_not_covered_by_the_one_of_the_requirements(run, name):
    assert run({name: "2.20.0"}) == [
        f'install -q --no-deps {PACKAGE} "tensorflow-text==2.20.*"',
        REST,
    ]


def test_what_is_installed_by_name_is_what_the_package_requires():
    listed = {named.name: named.specifier for named in map(Requirement, shlex.split(REST)[2:])}
    required = {name: named.specifier for name, named in INSTALL.items()}
    assert required.items() - {(name, required[name]) for name in WITH_TENSORFLOW} == (
        listed.items() - {("matplotlib", listed["matplotlib"])}
    )


@pytest.mark.parametrize("version", ["2.2.0", "2.19.1", "2.22.0", "3.0.0", "2.22.0.dev20260101"])
def test_an_unsupported_tensorflow_is_answered_with_one_line_and_the_remedy(run, version):
    with pytest.raises(Exception, match="needs TensorFlow") as caught:
        run({"tensorflow": version})
    (line,) = caught.value._render_traceback_()
    assert "\n" not in line
    assert f"Received: tensorflow {version}" in line
    assert "%pip install 'tensorflow>=2.20,<2.22'" in line


def test_an_unsupported_tensorflow_is_left_as_it_is(run, monkeypatch):
    calls = []
    monkeypatch.setattr("builtins.print", calls.append)
    with pytest.raises(Exception, match="needs TensorFlow"):
        run({"tensorflow": "2.19.0", "keras-albert": "0.1.0"})
    assert calls == []


def test_nothing_is_installed_where_the_package_is(run, capsys):
    assert run({"tensorflow": "2.21.0", "keras-albert": "0.1.0"}) == []
    assert capsys.readouterr().out == "keras_albert is installed, with tensorflow 2.21.0\n"


@pytest.mark.parametrize("packages", [{}, {"tensorflow": "2.19.0"}])
def test_a_tpu_host_gets_tensorflow_tpu_and_the_rest_without_dependencies(run, packages):
    assert run(packages, tpu=True) == [
        "uninstall -q -y tensorflow tensorflow-cpu",
        'install -q "tensorflow-tpu==2.20.*" -f '
        "https://storage.googleapis.com/libtpu-tf-releases/index.html",
        f'install -q --no-deps {PACKAGE} "tensorflow-text==2.20.*"',
        REST,
    ]


def test_the_docs_install_on_a_tpu_host_as_the_cell_does(run):
    docs = (ROOT / "docs" / "distributed.md").read_text(encoding="utf-8")
    wanted = "\n".join(f"pip {arguments}" for arguments in run({}, tpu=True))
    assert f"```bash\n{wanted}\n```" in docs


def test_on_a_tpu_jax_leaves_tensorflow_as_it_is(run, monkeypatch):
    monkeypatch.setenv("KERAS_BACKEND", "jax")
    (arguments,) = run({"tensorflow": "2.21.0"}, tpu=True)
    assert arguments.startswith(f"install -q {PACKAGE}")
