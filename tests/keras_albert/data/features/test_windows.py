import pytest

from keras_albert.data.features.windows import Window, max_context, windows
from tests.keras_albert.data.features.reference import load
from tests.paths import REFERENCE, needs_shared


@needs_shared
def test_the_widest_context_is_googles():
    for case in load(REFERENCE / "squad_postprocess/max_context.json"):
        spans = [Window(*span) for span in case["doc_spans"]]
        widest = max_context(spans)
        owners = [[] for _ in case["span_for_position"]]
        for index, (span, own) in enumerate(zip(spans, widest, strict=True)):
            for position in range(span.length):
                if own[position]:
                    owners[span.start + position].append(index)
        assert owners == case["span_for_position"]


@pytest.mark.parametrize(
    ("count", "room", "stride", "expected"),
    [
        (0, 5, 2, []),
        (1, 5, 2, [(0, 1)]),
        (5, 5, 2, [(0, 5)]),
        (6, 5, 2, [(0, 5), (2, 4)]),
        (7, 5, 2, [(0, 5), (2, 5)]),
        (8, 5, 2, [(0, 5), (2, 5), (4, 4)]),
        (8, 5, 99, [(0, 5), (5, 3)]),
        (3, 1, 1, [(0, 1), (1, 1), (2, 1)]),
    ],
)
def test_windows_follow_each_other_until_one_reaches_the_end(count, room, stride, expected):
    assert windows(count, room, stride) == expected


def test_of_two_windows_the_one_with_more_on_both_sides_counts():
    # Left and right of token 3: three and one in the first window, one and three in the second.
    first, second = max_context([Window(0, 5), Window(2, 5)])
    assert first.tolist() == [True, True, True, True, False]
    assert second.tolist() == [False, False, True, True, True]


def test_nothing_has_no_context():
    assert max_context([]) == []
