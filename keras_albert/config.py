"""EncoderConfig: what an encoder is made of, and Google's JSON for it."""

import dataclasses
import difflib
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any, Self

from keras_albert.config_json import (
    FAMILY_KEYS,
    one_of,
    read_json,
    to_fields,
    to_keys,
    write_json,
)
from keras_albert.errors import InputError
from keras_albert.published import PUBLISHED

_POSITIVE_INTEGERS = (
    "vocab_size",
    "hidden_dim",
    "num_layers",
    "num_heads",
    "intermediate_dim",
    "embedding_dim",
    "max_sequence_length",
    "num_segments",
    "num_groups",
    "inner_layers",
)


@dataclasses.dataclass(frozen=True)
class EncoderConfig:
    """The sizes and choices that make one BERT or ALBERT encoder.

    Args:
        vocab_size: Number of tokens.
        hidden_dim: Width of the encoder.
        num_layers: Depth, in layers.
        num_heads: Attention heads; divides `hidden_dim`.
        intermediate_dim: Width of the feed-forward part.
        embedding_dim: Width of the token table; `hidden_dim` where it is not given.
        activation: `"gelu_tanh"` (what Google's files call "gelu"), `"gelu"` (erf), `"relu"`,
            `"tanh"` or `"linear"`.
        max_sequence_length: Number of learned positions.
        num_segments: Number of segment ids.
        num_groups: Groups of layers that share their weights; `num_layers` where not given.
        inner_layers: Blocks inside each layer of a group (ALBERT's `inner_group_num`).
        dropout: Rate on embeddings, attention output and feed-forward output, 0 to below 1.
        attention_dropout: Rate on attention probabilities, 0 to below 1.
        initializer_range: Standard deviation of the truncated normal that fresh weights get.
        layer_norm_epsilon: 1e-12 in all of Google's graphs.
        norm_position: `"post"` (the papers) or `"pre"` (one variant of albert_zh).
        family: `"bert"`, `"albert"` or `"albert_zh"`: whose graph and files these are. Where it
            is not given, sharing or a narrower table means `"albert"`.
        inert: Published keys that change nothing, kept for export, as (key, value) pairs.

    Raises:
        InputError: A value breaks a rule; the message says which and shows it.

    References:
        Devlin et al. 2018, section 3; Lan et al. 2019, section 3.1; `BertConfig` and
        `AlbertConfig` in Google's modeling.py files.

    Example:
    ```python
    config = EncoderConfig(vocab_size=1000, hidden_dim=64, num_layers=2, num_heads=4,
                           intermediate_dim=128)
    assert config.schedule == (0, 1)
    ```
    """

    vocab_size: int
    hidden_dim: int = 768
    num_layers: int = 12
    num_heads: int = 12
    intermediate_dim: int = 3072
    embedding_dim: int = None  # type: ignore[assignment]  # filled in __post_init__
    activation: str = "gelu_tanh"
    max_sequence_length: int = 512
    num_segments: int = 2
    num_groups: int = None  # type: ignore[assignment]  # filled in __post_init__
    inner_layers: int = 1
    dropout: float = 0.1
    attention_dropout: float = 0.1
    initializer_range: float = 0.02
    layer_norm_epsilon: float = 1e-12
    norm_position: str = "post"
    family: str = None  # type: ignore[assignment]  # filled in __post_init__
    inert: tuple[tuple[str, Any], ...] = ()

    def __post_init__(self) -> None:
        self._fill("embedding_dim", self.hidden_dim)
        self._fill("num_groups", self.num_layers)
        shares = self.num_groups != self.num_layers or self.inner_layers != 1
        narrow = self.embedding_dim != self.hidden_dim
        self._fill("family", "albert" if shares or narrow else "bert")
        object.__setattr__(self, "inert", tuple((k, _frozen(v)) for k, v in self.inert))
        self._validate(shares, narrow)

    def _fill(self, field: str, value: Any) -> None:
        if getattr(self, field) is None:
            object.__setattr__(self, field, value)

    def _validate(self, shares: bool, narrow: bool) -> None:
        for field in _POSITIVE_INTEGERS:
            value = getattr(self, field)
            if isinstance(value, bool) or not isinstance(value, int) or value <= 0:
                self._reject(field, "must be a positive integer")
        for field in ("dropout", "attention_dropout"):
            if not (_is_number(getattr(self, field)) and 0 <= getattr(self, field) < 1):
                self._reject(field, "must be a rate from 0 to below 1")
        for field in ("initializer_range", "layer_norm_epsilon"):
            if not (_is_number(getattr(self, field)) and 0 < getattr(self, field) < 1e6):
                self._reject(field, "must be a positive number")
        one_of("activation", self.activation, ("gelu_tanh", "gelu", "relu", "tanh", "linear"))
        one_of("norm_position", self.norm_position, ("post", "pre"))
        one_of("family", self.family, tuple(FAMILY_KEYS))
        if self.hidden_dim % self.num_heads:
            raise InputError(
                "hidden_dim must be a multiple of num_heads. "
                f"Received: hidden_dim={self.hidden_dim}, num_heads={self.num_heads}"
            )
        if self.num_groups > self.num_layers:
            raise InputError(
                "num_groups cannot exceed num_layers. "
                f"Received: num_groups={self.num_groups}, num_layers={self.num_layers}"
            )
        if self.family == "bert" and (shares or narrow):
            raise InputError(
                "BERT shares no weights and has one width. Received: family='bert', "
                f"num_groups={self.num_groups}, num_layers={self.num_layers}, "
                f"inner_layers={self.inner_layers}, embedding_dim={self.embedding_dim}, "
                f"hidden_dim={self.hidden_dim}"
            )
        if self.family == "albert_zh" and (self.num_groups, self.inner_layers) != (1, 1):
            raise InputError(
                "albert_zh runs one shared block. Received: "
                f"num_groups={self.num_groups}, inner_layers={self.inner_layers}"
            )

    def _reject(self, field: str, rule: str) -> None:
        raise InputError(f"{field} {rule}. Received: {field}={getattr(self, field)!r}")

    @property
    def schedule(self) -> tuple[int, ...]:
        """Index of the block run at each of `num_layers * inner_layers` steps.

        Step (l, i) runs block `group(l) * inner_layers + i`. ALBERT's group is computed in
        floating point, as albert/modeling.py does; BERT has a block for every layer, which that
        formula would miss at some depths (22 layers, say).
        """
        return tuple(
            self._group(layer) * self.inner_layers + inner
            for layer in range(self.num_layers)
            for inner in range(self.inner_layers)
        )

    def _group(self, layer: int) -> int:
        if self.family == "bert":
            return layer
        return int(layer / self.num_layers * self.num_groups)

    @classmethod
    def from_json(
        cls, path: str | Path, *, family: str | None = None, ignore_keys: Iterable[str] = ()
    ) -> Self:
        """Reads Google's `bert_config.json`, `albert_config.json` or albert_zh's.

        Args:
            path: The file.
            family: Whose file it is, where that is known from elsewhere (the checkpoint's
                names); otherwise the keys decide.
            ignore_keys: Unknown keys to drop, by name.

        Raises:
            InputError: Not a JSON object; a key missing, unknown, twice, or contradicting
                another; a value that would change the graph beyond what is built.
        """
        try:
            return cls.from_dict(read_json(path), family=family, ignore_keys=ignore_keys)
        except InputError as error:
            raise InputError(f"{path}: {error}") from error

    @classmethod
    def from_dict(
        cls,
        values: Mapping[str, Any],
        *,
        family: str | None = None,
        ignore_keys: Iterable[str] = (),
    ) -> Self:
        """The same from a mapping with Google's keys; see `from_json`."""
        return cls(**to_fields(values, family, ignore_keys))

    def to_dict(self) -> dict[str, Any]:
        """Google's keys for this configuration, the inert ones it came with included.

        Raises:
            InputError: The configuration has no expression in the family's files (the erf GELU,
                pre-LN outside albert_zh, another LayerNorm epsilon).
        """
        return to_keys(self) | {key: _thawed(value) for key, value in self.inert}

    def to_json(self, path: str | Path) -> None:
        """Writes Google's JSON; see `to_dict`."""
        write_json(path, self.to_dict())

    def get_config(self) -> dict[str, Any]:
        """Our own field names, for Keras' serialization and a converted directory."""
        values = dataclasses.asdict(self)
        return values | {"inert": [[key, _thawed(value)] for key, value in self.inert]}

    @classmethod
    def from_config(cls, values: Mapping[str, Any]) -> Self:
        """The inverse of `get_config`; an unknown field raises `InputError`."""
        unknown = set(values) - {field.name for field in dataclasses.fields(cls)}
        if unknown or "vocab_size" not in values:
            raise InputError(
                f"a configuration has the fields of EncoderConfig. Received: {sorted(values)}"
            )
        inert = tuple((key, value) for key, value in values.get("inert", ()))
        return cls(**(dict(values) | {"inert": inert}))

    @classmethod
    def published(cls, name: str) -> Self:
        """The configuration of a published checkpoint, such as `"albert-base-v2"`.

        Raises:
            InputError: No such name; the message offers near ones.
        """
        if name not in PUBLISHED:
            near = difflib.get_close_matches(name, PUBLISHED, n=5, cutoff=0.5)
            raise InputError(
                f"no checkpoint of that name was published; near: {', '.join(near) or 'none'}. "
                f"Received: name={name!r}"
            )
        return cls(**PUBLISHED[name].sizes)


def _is_number(value: Any) -> bool:
    return isinstance(value, int | float) and not isinstance(value, bool)


def _frozen(value: Any) -> Any:
    return tuple(_frozen(item) for item in value) if isinstance(value, list | tuple) else value


def _thawed(value: Any) -> Any:
    return [_thawed(item) for item in value] if isinstance(value, tuple) else value
