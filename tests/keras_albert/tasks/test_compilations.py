"""What a TPU needs: fixed shapes, each of which is compiled once."""

import pytest

from tests.keras_albert.tasks.small import write_source
from tests.programs import result_of


@pytest.mark.slow
def test_each_step_is_compiled_once_a_bucket(tmp_path):
    dumps = tmp_path / "dumps"
    dumps.mkdir()
    found = result_of("tests.count_compilations", write_source(tmp_path), dumps)
    assert found["buckets"] == [16, 32]
    assert found["compilations"] == {"train": 2, "test": 2, "predict": 2}
