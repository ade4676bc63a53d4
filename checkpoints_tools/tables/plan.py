"""Which variable of a checkpoint becomes which of ours; every one claimed once, or none."""

import re
from collections.abc import Container, Iterable, Mapping
from typing import NamedTuple

from checkpoints_tools.tables import TABLES, Entry, Table
from checkpoints_tools.tables.rules import REQUIRED_PARTS
from keras_albert.config import EncoderConfig
from keras_albert.errors import InputError

# TF-Hub modules, and classifiers fine-tuned from one.
_PREFIX = "module/"
# What optimizers leave beside a variable, and what training counts.
_SLOT = re.compile(r"(?P<variable>.+)/(adam_m|adam_v|lamb_m|lamb_v|Adam|Adam_1)")
_COUNTERS = ("global_step", "beta1_power", "beta2_power")

Shapes = Mapping[str, tuple[int, ...]]


class Claim(NamedTuple):
    """One variable: our path, its name in the checkpoint, and whether ours is transposed."""

    path: str
    name: str
    shape: tuple[int, ...]  # in the checkpoint
    transposed: bool
    part: str

    @property
    def our_shape(self) -> tuple[int, ...]:
        """The shape of the Keras variable."""
        return self.shape[::-1] if self.transposed else self.shape


class Plan(NamedTuple):
    """A complete account of a checkpoint's variables."""

    family: str
    claims: tuple[Claim, ...]
    slots: tuple[str, ...]  # optimizer slots, which no model has
    counters: tuple[str, ...]  # global_step and the like
    parts: tuple[str, ...]  # which parts of the table the checkpoint has


def family_of(names: Iterable[str]) -> str:
    """The family whose mark is among the names.

    Raises:
        InputError: None is.
    """
    plain = {_strip(name) for name in names}
    for table in TABLES.values():
        if table.marks in plain:
            return table.family
    some = sorted(plain)[:5]
    raise InputError(
        "the checkpoint holds no BERT or ALBERT encoder of a known family "
        f"({', '.join(TABLES)}). Received: {len(plain)} variables, such as {some}"
    )


def make_plan(config: EncoderConfig, shapes: Shapes) -> Plan:
    """Claims every variable of a checkpoint for a configuration.

    Args:
        config: What the checkpoint is said to hold.
        shapes: Name -> shape of everything in the checkpoint.

    Raises:
        InputError: Something is missing, unclaimed, or has another shape; the message lists
            all of it, one line each: `-` missing, `+` unclaimed, `!` another shape.
    """
    table = TABLES[config.family]
    by_plain_name: dict[str, str] = {}
    twins: dict[str, str] = {}
    complaints: list[str] = []
    for name in shapes:
        first = by_plain_name.setdefault(_strip(name), name)
        if first != name:
            twins[name] = f" beside {first}"

    claims = []
    for part, entries in _by_part(table, config).items():
        present = [entry for entry in entries if entry.name in by_plain_name]
        if not present and part not in REQUIRED_PARTS:
            continue
        for entry in entries:
            if entry.name not in by_plain_name:
                complaints.append(f"- {entry.name} {_text(entry.shape)}")
                continue
            name = by_plain_name[entry.name]
            if not _fits(shapes[name], entry.shape):
                complaints.append(
                    f"! {name}: {_text(entry.shape)} by the configuration, "
                    f"{_text(shapes[name])} in the checkpoint"
                )
            claims.append(Claim(entry.path, name, shapes[name], entry.transposed, entry.part))

    claimed = {claim.name for claim in claims}
    rest = [name for name in shapes if name not in claimed]
    slots = tuple(name for name in rest if _is_slot(name, shapes, claimed))
    counters = tuple(name for name in rest if name in _COUNTERS and shapes[name] == ())
    unclaimed = sorted(set(rest).difference(slots, counters))
    complaints += [f"+ {name} {_text(shapes[name])}{twins.get(name, '')}" for name in unclaimed]
    if complaints:
        raise InputError(
            f"checkpoint and configuration ({config.family}) do not match "
            "(- missing, + unclaimed, ! another shape):\n  " + "\n  ".join(sorted(set(complaints)))
        )
    parts = tuple(dict.fromkeys(claim.part for claim in claims))
    return Plan(config.family, tuple(claims), slots, counters, parts)


def names_for(config: EncoderConfig, paths: Iterable[str]) -> dict[str, Entry]:
    """The way back: our path -> its entry in the family's table.

    Raises:
        InputError: A path has no name in Google's files.
    """
    entries = {entry.path: entry for entry in TABLES[config.family].entries(config)}
    unknown = [path for path in paths if path not in entries]
    if unknown:
        raise InputError(
            f"these variables have no name in a {config.family} checkpoint. Received: {unknown}"
        )
    return {path: entries[path] for path in paths}


def _by_part(table: Table, config: EncoderConfig) -> dict[str, list[Entry]]:
    parts: dict[str, list[Entry]] = {}
    for entry in table.entries(config):
        parts.setdefault(entry.part, []).append(entry)
    return parts


def _is_slot(name: str, shapes: Shapes, claimed: Container[str]) -> bool:
    match = _SLOT.fullmatch(name)
    if match is None or match["variable"] not in claimed:
        return False
    return shapes[match["variable"]] == shapes[name]


def _strip(name: str) -> str:
    return name.removeprefix(_PREFIX)


def _fits(shape: tuple[int, ...], wanted: tuple[int | None, ...]) -> bool:
    return len(shape) == len(wanted) and all(
        size in (None, found) for size, found in zip(wanted, shape, strict=True)
    )


def _text(shape: tuple[int | None, ...]) -> str:
    return "[" + ", ".join("any" if size is None else str(size) for size in shape) + "]"
