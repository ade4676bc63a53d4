"""Which variable of a checkpoint becomes which of ours; every one claimed once, or none."""

import re
from collections.abc import Container, Iterable, Mapping
from typing import NamedTuple

from checkpoints_tools.parts import shown
from checkpoints_tools.tables import TABLES, Entry, Table
from checkpoints_tools.tables.rules import IDENTITY, REQUIRED_PARTS
from keras_albert.config import EncoderConfig
from keras_albert.errors import InputError

# What optimizers leave beside a variable, and what training counts.
_SLOT = re.compile(r"(?P<variable>.+)/(adam_m|adam_v|lamb_m|lamb_v|Adam|Adam_1)")
_COUNTERS = ("global_step", "beta1_power", "beta2_power")

Shapes = Mapping[str, tuple[int, ...]]
Tables = Mapping[str, Table]


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
    buffers: tuple[str, ...] = ()  # stored, but computed
    ties: tuple[tuple[str, str], ...] = ()  # (name, name of the claimed variable that it repeats)
    identities: tuple[Claim, ...] = ()  # a projection that has to change nothing

    def claimants(self) -> dict[str, str]:
        """Name -> what claims it: our path, or why no model here needs it."""
        return (
            {claim.name: claim.path for claim in self.claims}
            | {claim.name: "(the identity)" for claim in self.identities}
            | {twin: f"(the same as {name})" for twin, name in self.ties}
            | dict.fromkeys(self.buffers, "(buffer)")
            | dict.fromkeys(self.slots, "(optimizer slot)")
            | dict.fromkeys(self.counters, "(training counter)")
        )


def family_of(names: Iterable[str], tables: Tables = TABLES) -> str:
    """The family whose mark is among the names.

    Raises:
        InputError: None is.
    """
    names = sorted(names)
    for table in tables.values():
        if table.marks in map(table.plain, names):
            return table.family
    raise InputError(
        "the checkpoint holds no BERT or ALBERT encoder of a known family "
        f"({', '.join(tables)}). Received: {len(names)} variables, such as {names[:5]}"
    )


def make_plan(config: EncoderConfig, shapes: Shapes, tables: Tables = TABLES) -> Plan:
    """Claims every variable of a checkpoint for a configuration.

    Args:
        config: What the checkpoint is said to hold.
        shapes: Name -> shape of everything in the checkpoint.
        tables: The names to go by, one table a family.

    Raises:
        InputError: Something is missing, unclaimed, or has another shape; the message lists
            all of it, one line each: `-` missing, `+` unclaimed, `!` another shape.
    """
    table = tables[config.family]
    by_plain_name: dict[str, str] = {}
    twins: dict[str, str] = {}
    for name in shapes:
        first = by_plain_name.setdefault(table.plain(name), name)
        if first != name:
            twins[name] = f" beside {first}"
    for repeated, name in table.ties:
        if name not in by_plain_name and repeated in by_plain_name:  # stored under that name alone
            by_plain_name[name] = by_plain_name.pop(repeated)

    claims, complaints = _claim_rows(table, config, by_plain_name, shapes)
    claimed = {claim.name for claim in claims}
    ties = tuple(
        (by_plain_name[repeated], by_plain_name[name])
        for repeated, name in table.ties
        if repeated in by_plain_name and by_plain_name.get(name) in claimed
    )
    complaints += [
        f"! {repeated}: {_text(shapes[name])} as {name}, {_text(shapes[repeated])} here"
        for repeated, name in ties
        if shapes[repeated] != shapes[name]
    ]
    buffers = tuple(by_plain_name[name] for name in table.buffers if name in by_plain_name)
    claimed.update(buffers, (repeated for repeated, _ in ties))
    rest = [name for name in shapes if name not in claimed]
    slots = tuple(name for name in rest if _is_slot(name, shapes, claimed))
    counters = tuple(name for name in rest if name in _COUNTERS and shapes[name] == ())
    unclaimed = sorted(set(rest).difference(slots, counters))
    complaints += [
        f"+ {shown(name)} {_text(shapes[name])}{twins.get(name, '')}" for name in unclaimed
    ]
    if complaints:
        raise InputError(
            f"checkpoint and configuration ({config.family}) do not match "
            "(- missing, + unclaimed, ! another shape):\n  " + "\n  ".join(sorted(set(complaints)))
        )
    identities = tuple(claim for claim in claims if claim.part == IDENTITY)
    kept = tuple(claim for claim in claims if claim.part != IDENTITY)
    parts = tuple(dict.fromkeys(claim.part for claim in kept))
    return Plan(config.family, kept, slots, counters, parts, buffers, ties, identities)


def names_for(
    config: EncoderConfig, paths: Iterable[str], tables: Tables = TABLES
) -> dict[str, Entry]:
    """The way back: our path -> its entry in the family's table.

    Raises:
        InputError: A path has no name in the files of the family.
    """
    entries = {entry.path: entry for entry in tables[config.family].entries(config)}
    unknown = [path for path in paths if path not in entries]
    if unknown:
        raise InputError(
            f"these variables have no name in a {config.family} checkpoint. Received: {unknown}"
        )
    return {path: entries[path] for path in paths}


def _claim_rows(
    table: Table, config: EncoderConfig, by_plain_name: Mapping[str, str], shapes: Shapes
) -> tuple[list[Claim], list[str]]:
    """A claim for every row that has its variable, and what is missing or of another shape."""
    claims: list[Claim] = []
    complaints: list[str] = []
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
    return claims, complaints


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


def _fits(shape: tuple[int, ...], wanted: tuple[int | None, ...]) -> bool:
    return len(shape) == len(wanted) and all(
        size in (None, found) for size, found in zip(wanted, shape, strict=True)
    )


def _text(shape: tuple[int | None, ...]) -> str:
    return "[" + ", ".join("any" if size is None else str(size) for size in shape) + "]"
