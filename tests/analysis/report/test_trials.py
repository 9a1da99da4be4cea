import math
from typing import Any

import hypothesis.strategies as st
import pytest
import yaml
from hypothesis import given

from analysis.report.trials import pack, unpack, yaml_text

scalars = (
    st.none() | st.booleans() | st.integers() | st.text(max_size=30) | st.floats(allow_nan=False)
)
values = scalars | st.lists(scalars, max_size=3)
trials = st.dictionaries(
    st.text(max_size=20),
    st.recursive(
        values,
        lambda below: st.dictionaries(st.text(max_size=20), below, max_size=3),
        max_leaves=8,
    ),
    max_size=4,
)


@given(trials)
def test_a_trial_reads_back_as_it_was(trial: dict[str, Any]) -> None:
    again = yaml.safe_load(yaml_text(trial))

    assert again == trial
    assert str(again) == str(trial)  # 1 is not 1.0, and the order is kept


@pytest.mark.parametrize("value", [1e-08, 1e22, 5e-324, -0.0, 0.1, math.inf, -math.inf])
def test_a_float_stays_a_float(value: float) -> None:
    again = yaml.safe_load(yaml_text({"a": value}))["a"]

    assert isinstance(again, float)
    assert math.copysign(1, again) == math.copysign(1, value)
    assert again == value


def test_every_value_is_one_line_and_lists_are_in_brackets() -> None:
    text = yaml_text({"a": {"b": "two\nlines", "c": [0.0, 0.999]}, "d": {}, "e": "x" * 300})

    assert text.splitlines() == [
        "a:",
        '  b: "two\\nlines"',
        "  c: [0.0, 0.999]",
        "d: {}",
        f"e: {'x' * 300}",
    ]


texts = st.lists(st.none() | st.text("a:\n1 ", max_size=12), max_size=8)


@given(texts, st.data())
def test_packed_texts_unpack_to_themselves(texts: list[str | None], data: st.DataObject) -> None:
    groups = [data.draw(st.integers(0, 1)) for _ in texts]
    packed = pack(texts, groups)

    assert [unpack(packed, index) for index in range(len(texts))] == texts


def test_what_texts_share_is_stored_once() -> None:
    packed = pack([f"steps: 50\nlambda: {i}" for i in range(9)], [0] * 9)

    [template] = packed.templates
    assert template.lines == ["steps: 50", [f"lambda: {i}" for i in range(9)]]
