"""How a name table reads: rows of (our path, their name, shape), in both directions."""

import re
from collections.abc import Iterator, Mapping
from typing import NamedTuple

from keras_albert.config import EncoderConfig


class Row(NamedTuple):
    """One variable under both names.

    `ours` is the Keras path; rows of the part "blocks" leave out `encoder_block_N/`. `theirs` is
    the name in their files, with {block}, {group} and {inner} to be filled in. `shape` is theirs:
    V vocabulary, E embedding, H hidden, I intermediate, W twice hidden, P positions, S segments,
    L labels (any number), or a number. `transposed`: ours is the transpose of theirs.
    """

    ours: str
    theirs: str
    shape: str
    transposed: bool = False


class Entry(NamedTuple):
    """A row for one configuration: `shape` is the checkpoint's; None stands for any number."""

    path: str
    name: str
    shape: tuple[int | None, ...]
    transposed: bool
    part: str


class Table(NamedTuple):
    """The names of one family of checkpoints.

    `marks` is a name that only this family has. A part is there as a whole or not at all;
    `REQUIRED_PARTS` must be there.

    `renames` are (pattern, replacement) pairs that turn what else a variable is called in files
    into the name in its row. `buffers` are names of what is stored but computed, `ties` (name,
    name in a row) pairs of what is stored twice. `always_projects`: the embedding projection is
    there even where the widths are equal, and has to be the identity then.
    """

    family: str
    marks: str
    parts: Mapping[str, tuple[Row, ...]]
    renames: tuple[tuple[str, str], ...] = ()
    buffers: tuple[str, ...] = ()
    ties: tuple[tuple[str, str], ...] = ()
    always_projects: bool = False

    def plain(self, name: str) -> str:
        """The name as it stands in a row."""
        for pattern, replacement in self.renames:
            name = re.sub(pattern, replacement, name)
        return name

    def entries(self, config: EncoderConfig) -> Iterator[Entry]:
        """Every row of the table for one configuration, parts in order."""
        sizes = {
            "V": config.vocab_size,
            "E": config.embedding_dim,
            "H": config.hidden_dim,
            "I": config.intermediate_dim,
            "W": 2 * config.hidden_dim,
            "P": config.max_sequence_length,
            "S": config.num_segments,
            "L": None,
        }
        for part, rows in self.parts.items():
            if part == "embedding_projection" and config.embedding_dim == config.hidden_dim:
                if not self.always_projects:
                    continue
                part = IDENTITY
            for row in rows:
                shape = tuple(
                    sizes[letter] if letter in sizes else int(letter)
                    for letter in row.shape.split()
                )
                if part != "blocks":
                    yield Entry(row.ours, row.theirs, shape, row.transposed, part)
                    continue
                for block in sorted(set(config.schedule)):
                    group, inner = divmod(block, config.inner_layers)
                    name = row.theirs.format(block=block, group=group, inner=inner)
                    path = f"encoder_block_{block}/{row.ours}"
                    yield Entry(path, name, shape, row.transposed, part)


# Variables that no model here has, because they change nothing.
IDENTITY = "identity"
REQUIRED_PARTS = ("embeddings", "embedding_projection", IDENTITY, "blocks")
