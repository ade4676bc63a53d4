"""The table of mutants keeps up with the code; `make mutants` runs them."""

import ast

import pytest

from tests.mutants import mutate
from tests.mutants_table import MUTANTS, Mutant
from tests.paths import ROOT


def test_there_are_twenty_mutants_and_more_with_names_of_their_own():
    assert len({mutant.name for mutant in MUTANTS}) == len(MUTANTS) >= 20


@pytest.mark.parametrize("mutant", MUTANTS, ids=lambda mutant: mutant.name)
def test_a_mutant_changes_code_that_is_there_once_into_other_code(mutant):
    before = (ROOT / mutant.path).read_text(encoding="utf-8")
    after = mutate(mutant, before)
    assert ast.dump(ast.parse(after)) != ast.dump(ast.parse(before))
    assert all((ROOT / test.split("::")[0]).is_file() for test in mutant.tests)


@pytest.mark.parametrize("text", ["nothing", "twice twice"])
def test_a_text_that_is_not_there_once_is_refused(text):
    with pytest.raises(ValueError, match="exactly once"):
        mutate(Mutant("name", "path", "twice", "once", ()), text)
