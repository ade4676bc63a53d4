"""Every variable is claimed exactly once, or the load fails and lists what does not fit."""

import re

import pytest

from checkpoints_tools.describe import describe, parameter_count
from checkpoints_tools.tables import TABLES
from checkpoints_tools.tables.plan import family_of, make_plan, names_for
from checkpoints_tools.tf1 import Checkpoint
from keras_albert.config import EncoderConfig
from keras_albert.errors import InputError
from keras_albert.published import PUBLISHED
from tests.checkpoints_tools.folders import CHECKPOINTS, HUB
from tests.paths import SHARED, needs_shared

INDEX_ONLY = SHARED / "real" / "index_only"
# Known sizes of the encoders (FACTS and the checkpoints' own papers): what planning must arrive at.
REAL_INDICES = {
    "albert_base_zh_google": ("albert", 10_547_968),
    "albert_tiny_zh": ("albert_zh", 4_175_152),
    "albert_tiny_zh_250k": ("albert_zh", 4_175_152),
    "albert_tiny_zh_489k": ("albert_zh", 4_175_152),
    "bert_base_chinese": ("bert", 102_267_648),
    "bert_medium_uncased": ("bert", 41_373_184),
    "bert_wwm_chinese": ("bert", 102_267_648),
}

WIDTH = 24  # of albert_tiny's embeddings
WORDS = "bert/embeddings/word_embeddings"


def load(name):
    """A checkpoint of the reference: configuration, and name -> shape."""
    prefix, config_path = CHECKPOINTS[name]
    shapes = Checkpoint(str(prefix)).shapes
    return EncoderConfig.from_json(config_path, family=family_of(shapes)), shapes


def shapes_of(config, labels=3, prefix=""):
    """What a checkpoint with every part of the family's table would hold."""
    return {
        prefix + entry.name: tuple(labels if size is None else size for size in entry.shape)
        for entry in TABLES[config.family].entries(config)
    }


def complaints(config, shapes):
    """The lines of the list, without the line that announces it."""
    with pytest.raises(InputError) as caught:
        make_plan(config, shapes)
    first, *lines = str(caught.value).splitlines()
    assert first == (
        f"checkpoint and configuration ({config.family}) do not match "
        "(- missing, + unclaimed, ! another shape):"
    )
    return [line.removeprefix("  ") for line in lines]


@pytest.fixture(scope="module")
def tiny():
    return load("albert_tiny")


@pytest.mark.parametrize("name", CHECKPOINTS)
def test_every_variable_is_claimed_exactly_once(name):
    config, shapes = load(name)
    plan = make_plan(config, shapes)
    accounted = [claim.name for claim in plan.claims] + [*plan.slots, *plan.counters]
    assert sorted(accounted) == sorted(shapes)
    assert len({claim.path for claim in plan.claims}) == len(plan.claims)
    for claim in plan.claims:
        assert claim.shape == shapes[claim.name]
        assert claim.our_shape == (claim.shape[::-1] if claim.transposed else claim.shape)


@pytest.mark.parametrize("name", CHECKPOINTS)
def test_the_way_back_names_every_variable_as_it_was(name):
    config, shapes = load(name)
    plan = make_plan(config, shapes)
    entries = names_for(config, [claim.path for claim in plan.claims])
    assert list(entries) == [claim.path for claim in plan.claims]
    for claim in plan.claims:
        entry = entries[claim.path]
        assert entry.name == claim.name.removeprefix("module/")
        assert (entry.transposed, entry.part) == (claim.transposed, claim.part)


@pytest.mark.parametrize("name", PUBLISHED)
def test_names_and_paths_of_a_published_size_are_a_bijection(name):
    config = EncoderConfig.published(name)
    entries = list(TABLES[config.family].entries(config))
    assert len({entry.name for entry in entries}) == len(entries)
    assert len({entry.path for entry in entries}) == len(entries)
    plan = make_plan(config, shapes_of(config))
    assert {claim.path: claim.name for claim in plan.claims} == {
        path: entry.name for path, entry in names_for(config, [e.path for e in entries]).items()
    }
    assert plan.parts == tuple(dict.fromkeys(entry.part for entry in entries))


def test_a_path_that_google_has_no_name_for_is_refused(tiny):
    with pytest.raises(InputError, match=r"no name in a albert checkpoint.*\['adapter/kernel'\]"):
        names_for(tiny[0], ["pool/kernel", "adapter/kernel"])


def test_missing_unclaimed_and_misshapen_variables_are_listed_with_shapes(tiny):
    config, shapes = tiny
    wrong = shapes | {WORDS: (400, WIDTH), "extra/kernel": (3, 4)}
    del wrong["bert/embeddings/LayerNorm/beta"]
    assert complaints(config, wrong) == [
        f"! {WORDS}: [401, {WIDTH}] by the configuration, [400, {WIDTH}] in the checkpoint",
        "+ extra/kernel [3, 4]",
        f"- bert/embeddings/LayerNorm/beta [{WIDTH}]",
    ]


def test_a_part_is_there_as_a_whole_or_not_at_all(tiny):
    config, shapes = tiny
    whole = {name: shape for name, shape in shapes.items() if "pooler" not in name}
    assert "pooler" not in make_plan(config, whole).parts
    del (half := dict(shapes))["bert/pooler/dense/bias"]
    assert complaints(config, half) == ["- bert/pooler/dense/bias [48]"]


def test_a_classifier_has_any_number_of_labels_but_not_another_width():
    config, shapes = load("bert_classifier")
    for labels in (1, 7):
        plan = make_plan(config, shapes | {"output_weights": (labels, 40)})
        claim = next(claim for claim in plan.claims if claim.name == "output_weights")
        assert claim.our_shape == (40, labels)
    assert complaints(config, shapes | {"output_weights": (3, 41)}) == [
        "! output_weights: [any, 40] by the configuration, [3, 41] in the checkpoint"
    ]
    assert complaints(config, shapes | {"output_weights": (3, 40, 1)}) == [
        "! output_weights: [any, 40] by the configuration, [3, 40, 1] in the checkpoint"
    ]


@pytest.mark.parametrize("slot", ["adam_m", "adam_v", "lamb_m", "lamb_v", "Adam", "Adam_1"])
def test_optimizer_slots_are_claimed_beside_their_variable(tiny, slot):
    config, shapes = tiny
    plan = make_plan(config, shapes | {f"{WORDS}/{slot}": (401, WIDTH)})
    assert plan.slots == (f"{WORDS}/{slot}",)
    assert {claim.name for claim in plan.claims} == set(shapes) - {"global_step"}


@pytest.mark.parametrize(
    ("name", "shape"),
    [
        (f"{WORDS}/adam_m", (400, WIDTH)),  # of another shape than its variable
        ("bert/encoder/layer_9/adam_m", (48,)),  # of no variable
        (f"{WORDS}/momentum", (401, WIDTH)),  # of no optimizer that Google's code has
        ("global_step/adam_m", ()),  # of a counter
    ],
)
def test_what_only_looks_like_a_slot_is_unclaimed(tiny, name, shape):
    config, shapes = tiny
    line = f"+ {name} [{', '.join(map(str, shape))}]"
    assert complaints(config, shapes | {name: shape}) == [line]


def test_the_slot_of_a_slot_is_unclaimed(tiny):
    config, shapes = tiny
    slots = {f"{WORDS}/adam_m": (401, WIDTH), f"{WORDS}/adam_m/adam_m": (401, WIDTH)}
    assert complaints(config, shapes | slots) == [f"+ {WORDS}/adam_m/adam_m [401, {WIDTH}]"]


@pytest.mark.parametrize("name", ["global_step", "beta1_power", "beta2_power"])
def test_counters_are_scalars(tiny, name):
    config, shapes = tiny
    del (rest := dict(shapes))["global_step"]
    assert make_plan(config, rest | {name: ()}).counters == (name,)
    assert complaints(config, rest | {name: (1,)}) == [f"+ {name} [1]"]


def test_the_prefix_of_a_hub_module_changes_no_path(tiny):
    config, shapes = tiny
    prefixed = {f"module/{name}": shape for name, shape in shapes.items() if "/" in name}
    assert family_of(prefixed) == "albert"
    assert make_plan(config, prefixed).claims == tuple(
        claim._replace(name=f"module/{claim.name}") for claim in make_plan(config, shapes).claims
    )


def test_a_classifier_from_a_hub_module_has_prefixed_slots_and_a_plain_head():
    config, shapes = load(f"{HUB}/finetuned/model.ckpt")
    plan = make_plan(config, shapes)
    names = {claim.path: claim.name for claim in plan.claims}
    assert names["classifier/kernel"] == "output_weights"
    assert names["token_embedding/embeddings"] == f"module/{WORDS}"
    assert f"module/{WORDS}/adam_m" in plan.slots
    assert plan.counters == ("global_step",)


def test_a_name_with_the_prefix_beside_the_same_without_is_refused(tiny):
    config, shapes = tiny
    assert complaints(config, shapes | {f"module/{WORDS}": (401, WIDTH)}) == [
        f"+ module/{WORDS} [401, {WIDTH}] beside {WORDS}"
    ]


def test_a_group_that_the_schedule_skips_does_not_exist():
    """int(15 / 22 * 22) is 14 in floating point, so Google's graph has no group 15."""
    config = EncoderConfig(
        vocab_size=9, embedding_dim=4, hidden_dim=8, num_heads=2, intermediate_dim=6,
        num_layers=22, num_groups=22, family="albert",
    )  # fmt: skip
    shapes = shapes_of(config)
    groups = {int(n) for name in shapes for n in re.findall(r"group_(\d+)/inner", name)}
    assert groups == set(range(22)) - {15}
    make_plan(config, shapes)
    name = "bert/encoder/transformer/group_15/inner_group_0/LayerNorm/beta"
    assert complaints(config, shapes | {name: (8,)}) == [f"+ {name} [8]"]


@pytest.mark.parametrize("embedding_dim", [24, 48])
def test_the_embedding_projection_is_there_exactly_when_the_widths_differ(tiny, embedding_dim):
    config, _ = tiny
    other = EncoderConfig.from_config(config.get_config() | {"embedding_dim": embedding_dim})
    wanted = shapes_of(other)
    mapping = "bert/encoder/embedding_hidden_mapping_in"
    assert (f"{mapping}/kernel" in wanted) == (embedding_dim != 48)
    make_plan(other, wanted)
    if embedding_dim == 48:
        extra = {f"{mapping}/kernel": (48, 48), f"{mapping}/bias": (48,)}
        assert len(complaints(other, wanted | extra)) == 2
    else:
        rest = {name: shape for name, shape in wanted.items() if mapping not in name}
        assert complaints(other, rest) == [f"- {mapping}/bias [48]", f"- {mapping}/kernel [24, 48]"]


def test_a_checkpoint_of_no_known_family_says_what_it_holds():
    with pytest.raises(InputError, match=r"2 variables, such as \['module/a', 'transformer/b'\]"):
        family_of({"transformer/b": (3,), "module/a": (3,)})


@needs_shared
@pytest.mark.parametrize("name", REAL_INDICES)
def test_a_real_index_without_data_plans_cleanly(name):
    family, parameters = REAL_INDICES[name]
    description = describe(INDEX_ONLY / name)
    assert (description["family"], description["task"]) == (family, "pretraining")
    assert description["parameters"]["encoder"] == parameters
    config = EncoderConfig.from_config(description["config"])
    assert parameter_count(config) == parameters
    assert description["absent_parts"] == []
    files = description["files"]
    assert files["data_missing"] == [f"{files['checkpoint']}.data-?????-of-?????"]
    claimed = [variable["claimed_by"] for variable in description["variables"]]
    assert [name for name in claimed if name.startswith("(")] == (
        ["(training counter)"] if any("global_step" in n for n in description["notes"]) else []
    )
    paths = [name for name in claimed if not name.startswith("(")]
    assert len(set(paths)) == len(paths)


@needs_shared
def test_all_real_indices_are_looked_at():
    assert {path.name for path in INDEX_ONLY.iterdir()} == set(REAL_INDICES)


@needs_shared
@pytest.mark.parametrize(
    ("name", "task", "absent"),
    [
        ("bert_tiny_tf1", "masked_lm", ["pooler", "sentence_relation"]),
        ("minilm_l6_tf1", "encoder", ["masked_lm", "sentence_relation"]),
    ],
)
def test_what_a_real_checkpoint_lacks_is_said(name, task, absent):
    description = describe(SHARED / "real" / name)
    assert (description["task"], description["absent_parts"]) == (task, absent)
    assert description["files"]["data_missing"] == []
