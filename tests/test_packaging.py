"""What an installation gets: metadata, the wheel's contents, the commands around it."""

import ast
import configparser
import re
import shutil
import subprocess
import sys
import zipfile
from pathlib import Path

import pytest
from packaging.requirements import Requirement

import keras_albert
from tests.paths import ROOT

SETUP = configparser.ConfigParser()
SETUP.read(ROOT / "setup.cfg", encoding="utf-8")

# Spelt apart, so that this file does not name what it forbids.
REGISTRIES = ("py" + "pi.org", "python" + "hosted.org", "npm" + "js.org", "ana" + "conda.org")
MACHINE_PATH = re.compile(r"(?<![\w.$~}-])/(work|root|home|Users|farm|tmp/bash_jobs)/")


def requirements(text: str) -> dict[str, Requirement]:
    lines = [line for line in text.splitlines() if line and not line.startswith("#")]
    return {parsed.name: parsed for parsed in map(Requirement, lines)}


INSTALL = requirements(SETUP["options"]["install_requires"])


def project_texts() -> dict[str, str]:
    """Every text file that is, or would be, in the repository."""
    listed = subprocess.run(
        ["git", "ls-files", "--cached", "--others", "--exclude-standard"],
        cwd=ROOT,
        capture_output=True,
        text=True,
        check=True,
    )
    texts = {}
    for name in listed.stdout.splitlines():
        try:
            texts[name] = (ROOT / name).read_text(encoding="utf-8")
        except (UnicodeDecodeError, FileNotFoundError):  # binary, or deleted and not yet committed
            continue
    return texts


def test_the_package_is_called_keras_albert_and_has_one_version():
    assert SETUP["metadata"]["name"] == "keras-albert"
    assert SETUP["metadata"]["version"] == "attr: keras_albert.__version__"
    assert re.fullmatch(r"\d+\.\d+\.\d+", keras_albert.__version__)


def test_pythons_from_3_11_to_3_13_are_supported():
    assert SETUP["options"]["python_requires"] == ">=3.11,<3.14"


@pytest.mark.parametrize("name", ["tensorflow", "tensorflow-text"])
def test_tensorflow_2_20_and_2_21_are_accepted_and_no_other(name):
    versions = ("2.19.1", "2.20.0", "2.20.1", "2.21.0", "2.21.1", "2.22.0")
    accepted = [version for version in versions if version in INSTALL[name].specifier]
    assert accepted == ["2.20.0", "2.20.1", "2.21.0", "2.21.1"]


def test_keras_starts_at_3_15():
    assert "3.15.0" in INSTALL["keras"].specifier
    assert "3.14.9" not in INSTALL["keras"].specifier


@pytest.mark.parametrize(
    ("platform", "machine", "expected"),
    [
        ("linux", "x86_64", True),
        ("linux", "aarch64", True),
        ("darwin", "arm64", True),
        ("darwin", "x86_64", False),
        ("win32", "AMD64", False),
    ],
)
def test_tensorflow_text_is_required_where_it_has_a_wheel(platform, machine, expected):
    environment = {"sys_platform": platform, "platform_machine": machine}
    assert INSTALL["tensorflow-text"].marker.evaluate(environment) is expected


def test_every_import_of_the_packages_is_a_declared_dependency():
    imported_as = {"scikit-learn": "sklearn"}
    names = {imported_as.get(name, name) for name in INSTALL}
    declared = {name.replace("-", "_").removesuffix("_py") for name in names}
    extras = SETUP["options.extras_require"]
    declared |= set(requirements(extras["plots"])) | set(requirements(extras["jax"]))
    found = set()
    for package in ("keras_albert", "checkpoints_tools"):
        for path in (ROOT / package).rglob("*.py"):
            for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
                if isinstance(node, ast.Import):
                    found |= {alias.name.split(".")[0] for alias in node.names}
                elif isinstance(node, ast.ImportFrom):
                    found.add(node.module.split(".")[0])
    ours = {"keras_albert", "checkpoints_tools"}
    assert found - set(sys.stdlib_module_names) - ours <= declared


def test_the_extras_are_there_and_dev_holds_test():
    extras = SETUP["options.extras_require"]
    assert set(extras) == {"gpu", "jax", "plots", "tensorboard", "test", "dev"}
    assert "and-cuda" in requirements(extras["gpu"])["tensorflow"].extras
    assert set(requirements(extras["test"])) <= set(requirements(extras["dev"]))


def test_the_console_script_is_the_light_launcher():
    scripts = SETUP["options.entry_points"]["console_scripts"].split()
    assert scripts == ["keras-albert", "=", "checkpoints_tools.launcher:main"]


def test_every_ignored_warning_has_its_reason_beside_it():
    lines = (ROOT / "setup.cfg").read_text(encoding="utf-8").splitlines()
    start = lines.index("filterwarnings =")
    block = [line.strip() for line in lines[start + 1 :]]
    block = block[: block.index("")]
    assert block[0] == "error"
    ignores = [at for at, line in enumerate(block) if line.startswith("ignore")]
    assert all(block[at - 1].startswith("#") for at in ignores)


@pytest.mark.skipif(not (ROOT / ".git").exists(), reason="needs a git checkout")
def test_no_text_names_a_registry_or_a_machines_paths():
    offenders = []
    for name, text in project_texts().items():
        for number, line in enumerate(text.splitlines(), start=1):
            if any(host in line for host in REGISTRIES) or MACHINE_PATH.search(line):
                offenders.append(f"{name}:{number}: {line.strip()[:80]}")
    assert offenders == []


@pytest.mark.skipif(shutil.which("make") is None, reason="needs make")
def test_make_alone_lists_every_target():
    # Below `make test` this is make in make, which would say where it is.
    make = ["make", "--no-print-directory"]
    listed = subprocess.run(make, cwd=ROOT, capture_output=True, text=True, check=True).stdout
    targets = re.search(r"^\.PHONY: (.*)$", (ROOT / "Makefile").read_text(), re.MULTILINE)
    assert targets[1].split() == [line.split()[1] for line in listed.splitlines()]
    wanted = {"quickstart", "test", "lint", "format", "bench", "docs", "mutants", "slow"}
    assert wanted <= set(targets[1].split())


def test_ci_runs_the_readmes_test_command():
    script = ROOT / ".ci" / "run"
    assert script.stat().st_mode & 0o111
    assert "make test" in script.read_text(encoding="utf-8")
    assert "make test" in (ROOT / "README.md").read_text(encoding="utf-8")


@pytest.mark.slow
def test_the_wheel_holds_the_two_packages_and_nothing_else(tmp_path):
    tree = tmp_path / "tree"
    shutil.copytree(
        ROOT, tree, ignore=shutil.ignore_patterns(".git", ".venv*", "build", "*.egg-info")
    )
    subprocess.run(
        [sys.executable, "-m", "pip", "wheel", "--quiet", "--no-deps", "-w", tmp_path, tree],
        check=True,
    )
    (wheel,) = tmp_path.glob("keras_albert-*.whl")
    with zipfile.ZipFile(wheel) as archive:
        names = archive.namelist()
        metadata = archive.read(next(n for n in names if n.endswith(".dist-info/METADATA")))
    assert {name.split("/")[0].split("-")[0] for name in names} == {
        "keras_albert",
        "checkpoints_tools",
    }
    inside = {str(Path(name)) for name in names if ".dist-info" not in name}
    expected = {
        str(path.relative_to(ROOT))
        for package in ("keras_albert", "checkpoints_tools")
        for path in (ROOT / package).rglob("*")
        if path.is_file() and "__pycache__" not in path.parts
    }
    assert inside == expected
    assert not [n for n in inside if Path(n).name.startswith("test_") or n.endswith(".ipynb")]
    assert f"Version: {keras_albert.__version__}".encode() in metadata
