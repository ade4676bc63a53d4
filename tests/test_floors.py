"""Every file imports only from floors below its own: the house plan, enforced."""

import ast
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest

from tests.paths import ROOT

PACKAGES = ("keras_albert", "checkpoints_tools")


@dataclass(frozen=True)
class Room:
    """Modules that may import each other, and everything on the floors below.

    `uses` names rooms of the same floor that are open too; `only`, where given, the only rooms
    below that are.
    """

    floor: int
    modules: tuple[str, ...]
    uses: tuple[str, ...] = ()
    only: tuple[str, ...] | None = None


def room(floor: int, *modules: str, **doors: tuple[str, ...]) -> Room:
    return Room(floor, modules, **doors)


ROOMS = {
    "errors": room(0, "keras_albert.errors", "keras_albert.files", "keras_albert.versions"),
    "config": room(1, "keras_albert.config", "keras_albert.config_json", "keras_albert.published"),
    "activations": room(1, "keras_albert.activations"),
    "source": room(
        1,
        "checkpoints_tools.source",
        "checkpoints_tools.parts",
        "checkpoints_tools.archive",
        "checkpoints_tools.extraction",
    ),
    "layers": room(2, "keras_albert.layers", uses=("replicas",)),
    "replicas": room(2, "keras_albert.replicas"),
    "encoders": room(3, "keras_albert.model", "keras_albert.encoders"),
    "heads": room(4, "keras_albert.heads"),
    "tokenization": room(5, "keras_albert.tokenization"),
    "data": room(5, "keras_albert.data", uses=("tokenization",)),
    "optimizers": room(5, "keras_albert.optimizers"),
    "distribute": room(5, "keras_albert.distribute"),
    "tables": room(
        5,
        "checkpoints_tools.tables",
        "checkpoints_tools.foreign",
        "checkpoints_tools.tf1",
        "checkpoints_tools.hugging_face",
        "checkpoints_tools.hugging_face_config",
        only=("errors", "config", "source"),
    ),
    # Independent: it shares no code with the layers, nor with the tables that fill them.
    "reference": room(5, "checkpoints_tools.reference", only=("errors", "config")),
    "pretrained": room(
        6,
        "keras_albert.pretrained",
        "keras_albert.pretrained_text",
        "keras_albert.filling",
        "keras_albert.directory",
    ),
    "training": room(7, "keras_albert.training"),
    "tasks": room(8, "keras_albert.tasks"),
    "report": room(9, "keras_albert.report"),
    "runs": room(9, "keras_albert.runs", uses=("report",)),
    "serving": room(9, "keras_albert.serving"),
    "explain": room(9, "keras_albert.explain"),
    "selftest": room(9, "keras_albert.selftest"),
    # It shows the whole job, conversion first.
    "quickstart": room(9, "keras_albert.quickstart", uses=("conversion", "report", "runs")),
    "conversion": room(
        9,
        "checkpoints_tools.convert",
        "checkpoints_tools.hugging_face_export",
        "checkpoints_tools.verify",
        "checkpoints_tools.describe",
    ),
    "notebook": room(10, "keras_albert.notebook"),
    # What users import: the public names of all floors. Only the command line imports it back;
    # everything else takes no more of it than the version.
    "public": room(10, "keras_albert", "keras_albert.public"),
    "cli": room(11, "keras_albert.cli"),
    "launcher": room(12, "checkpoints_tools.launcher", "checkpoints_tools.__main__"),
    "checkpoints_tools": room(12, "checkpoints_tools"),
}
VERSION = "keras_albert.__version__"
# These run on every backend: keras.ops alone.
BACKEND_FREE = ("activations", "layers", "encoders", "heads")
# Raising from inside a graph is the one thing that keras.ops has no word for.
BACKEND_CHECKS = "keras_albert.layers.id_check"
BACKENDS = ("tensorflow", "tensorflow_text", "jax", "torch")


def module_name(path: Path) -> str:
    parts = path.relative_to(ROOT).with_suffix("").parts
    return ".".join(parts[:-1] if parts[-1] == "__init__" else parts)


FILES = {
    module_name(path): path
    for package in PACKAGES
    for path in sorted((ROOT / package).rglob("*.py"))
}


def room_of(module: str) -> str:
    """The room of the longest prefix that has one; a top package alone is no prefix."""
    prefix = module
    while True:
        for name, candidate in ROOMS.items():
            if prefix in candidate.modules and (prefix == module or prefix not in PACKAGES):
                return name
        prefix, _, rest = prefix.rpartition(".")
        if not rest or not prefix:
            raise LookupError(f"{module} has no room in ROOMS: give it a floor")


def imports(module: str, source: str) -> Iterator[tuple[int, str]]:
    """Line and dotted name of every import, at any depth of functions."""
    for node in ast.walk(ast.parse(source)):
        if isinstance(node, ast.Import):
            yield from ((node.lineno, alias.name) for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            assert node.level == 0, f"{module}:{node.lineno}: imports are absolute"
            for alias in node.names:
                name = f"{node.module}.{alias.name}"
                is_module = name in FILES or name == VERSION
                yield node.lineno, name if is_module else node.module
        elif isinstance(node, ast.Call) and ast.unparse(node.func).endswith("import_module"):
            assert isinstance(node.args[0], ast.Constant), f"{module}:{node.lineno}: by constant"
            yield node.lineno, node.args[0].value


def violations(module: str, source: str) -> list[str]:
    own_name = room_of(module)
    own = ROOMS[own_name]
    found = []
    backend_free = own_name in BACKEND_FREE and module != BACKEND_CHECKS
    for line, target in imports(module, source):
        if backend_free and target.split(".")[0] in BACKENDS:
            found.append(f"{module}:{line} ({own_name}) imports {target}: keras.ops only")
        if target.split(".")[0] not in PACKAGES or target == VERSION:
            continue
        name = room_of(target)
        below = ROOMS[name].floor < own.floor and (own.only is None or name in own.only)
        if not (below or name == own_name or name in own.uses):
            found.append(f"{module}:{line} ({own_name}) imports {target} ({name})")
    return found


@pytest.mark.parametrize("module", FILES)
def test_a_file_imports_only_from_floors_below_its_own(module):
    assert violations(module, FILES[module].read_text(encoding="utf-8")) == []


@pytest.mark.parametrize(
    ("module", "line"),
    [
        ("keras_albert.config", "from keras_albert.layers import MultiHeadAttention"),
        ("keras_albert.layers.mlm", "def f():\n    from keras_albert import encoders"),
        ("keras_albert.layers.mlm", "def f():\n    import tensorflow as tf"),
        ("keras_albert.heads.span", "import keras_albert"),
        ("keras_albert.optimizers.lamb", "from keras_albert.tokenization import wordpiece"),
        ("checkpoints_tools.reference.heads", "from keras_albert.activations import gelu"),
        ("checkpoints_tools.reference.heads", "from checkpoints_tools import tf1"),
        (
            "checkpoints_tools.tf1",
            "import importlib\nimportlib.import_module('keras_albert.model')",
        ),
        ("keras_albert.pretrained", "import checkpoints_tools.convert"),
    ],
)
def test_an_import_from_above_is_found_wherever_it_hides(module, line):
    assert len(violations(module, line)) == 1


def test_a_module_without_a_floor_is_refused():
    with pytest.raises(LookupError, match="give it a floor"):
        room_of("keras_albert.attic")
