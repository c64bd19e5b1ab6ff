"""The base of all configs: every mistake in a file or on the command line is one line that helps."""

from __future__ import annotations

from typing import Annotated, Literal

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from pydantic import Field, ValidationError, model_validator

from ecotf.config import Config, apply_overrides, read_yaml, validate
from ecotf.errors import ConfigError


class Wing(Config):
    name: Literal["wing"] = "wing"
    span_m: float = Field(0.3, gt=0)


class Ear(Config):
    name: Literal["ear"] = "ear"
    channels: tuple[int, ...] = (1, 2)


class Bat(Config):
    weight_g: float
    parts: tuple[Annotated[Wing | Ear, Field(discriminator="name")], ...] = ()
    ear: Ear = Ear()
    channel: str | int = "mix"

    @model_validator(mode="after")
    def _can_fly(self) -> Bat:
        if self.weight_g > 1500:
            raise ValueError("it is too heavy to fly")
        return self


def message_of(values: object) -> str:
    with pytest.raises(ConfigError) as error:
        validate(Bat, values, "bat.yaml")
    text = str(error.value)
    assert "\n" not in text
    assert "pydantic" not in text
    return text


def test_good_values_become_a_frozen_config():
    bat = validate(Bat, {"weight_g": 5, "parts": [{"name": "wing", "span_m": "2e-1"}, {"name": "ear"}]}, "bat.yaml")
    assert bat.parts == (Wing(span_m=0.2), Ear(channels=(1, 2)))
    with pytest.raises(ValidationError, match="frozen"):
        bat.weight_g = 7


@pytest.mark.parametrize(
    ("values", "expected"),
    [
        ([1], "bat.yaml: expected a mapping of keys to values, found list"),
        ({}, "bat.yaml: key 'weight_g' is missing"),
        ({"weight_g": "heavy"}, "bat.yaml: weight_g = 'heavy': input should be a valid number"),
        ({"weight_g": float("inf")}, "bat.yaml: weight_g = inf: input should be a finite number"),
        ({"weight_g": 5, "ear": {"channels": [1, "x"]}}, "bat.yaml: ear.channels.1 = 'x': input should be a valid int"),
        ({"weight_g": 5, "channel": [1]}, "bat.yaml: channel = [1]: "),
        ({"weight_g": 2000}, "bat.yaml: it is too heavy to fly"),
        ({"weight_g": 5, "parts": [{"name": "tail"}]}, "parts.0: name 'tail' is unknown; allowed: 'wing', 'ear'"),
        ({"weight_g": 5, "parts": [{}]}, "parts.0: key 'name' is missing; allowed: 'wing', 'ear'"),
    ],
)
def test_what_is_wrong_where_and_what_is_allowed(values, expected):
    assert expected in message_of(values)


def test_an_unknown_key_is_refused_with_the_nearest_known_one():
    assert message_of({"weigth_g": 5, "weight_g": 5}) == (
        "bat.yaml: unknown key 'weigth_g'; known keys here: channel, ear, parts, weight_g; did you mean 'weight_g'?"
    )


def test_keys_inside_a_union_are_named_as_in_the_file():
    """Pydantic puts the tag of the union into the place (parts.0.wing.spam_m), where no key of that name is."""
    assert message_of({"weight_g": 5, "parts": [{"name": "wing", "spam_m": 1}]}) == (
        "bat.yaml: unknown key 'parts.0.spam_m'; known keys here: name, span_m; did you mean 'span_m'?"
    )
    assert "parts.0.span_m = -1" in message_of({"weight_g": 5, "parts": [{"name": "wing", "span_m": -1}]})


def test_further_mistakes_are_counted():
    assert message_of({"weight_g": "x", "ear": 3}).endswith("(and 1 more)")


def test_overrides_reach_into_mappings_and_lists():
    values = {"a": {"b": 1}, "stages": [{"epochs": 5}, {"epochs": 6}], "none": None, "empty": [None]}
    overrides = ["a.b=2", "a.c.d=x", "stages.1.epochs=9", "none.e=1.5", "empty.0.f=[1, 2]", "seed=007", "text=a=b"]
    assert apply_overrides(values, overrides) == {
        "a": {"b": 2, "c": {"d": "x"}},
        "stages": [{"epochs": 5}, {"epochs": 9}],
        "none": {"e": 1.5},
        "empty": [{"f": [1, 2]}],
        "seed": 7,
        "text": "a=b",
    }
    assert values == {"a": {"b": 1}, "stages": [{"epochs": 5}, {"epochs": 6}], "none": None, "empty": [None]}


@pytest.mark.parametrize(
    ("override", "expected"),
    [
        ("seed", "override 'seed': expected key=value"),
        ("=3", "override '=3': expected key=value"),
        ("a.b.c=1", "override a.b.c: a.b is a single value, it has no keys"),
        ("shifts.0.x=1", "override shifts.0.x: shifts.0 is a single value, it has no keys"),
        ("shifts.0.x.y=1", "override shifts.0.x.y: shifts.0 is a single value, it has no keys"),
        ("shifts.2=1", "override shifts.2: '2' is not an index from 0 to 1"),
        ("shifts.first=1", "override shifts.first: 'first' is not an index from 0 to 1"),
        ("shifts.²=1", "'²' is not an index from 0 to 1"),
        ("nothing.0=1", "'0' is not an index, the list is empty"),
        ("seed=[1", "'[1' is not a YAML value"),
    ],
)
def test_an_override_that_cannot_be_applied(override, expected):
    with pytest.raises(ConfigError) as error:
        apply_overrides({"a": {"b": 1}, "shifts": [0.1, 0.2], "nothing": []}, [override])
    assert expected in str(error.value)
    assert "\n" not in str(error.value)


json_values = st.recursive(
    st.none() | st.booleans() | st.integers() | st.text(max_size=4),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.sampled_from("abc"), inner, max_size=3),
    max_leaves=8,
)


@settings(deadline=None)
@given(
    st.dictionaries(st.sampled_from("abc"), json_values, max_size=3),
    st.lists(st.sampled_from(["a", "b", "0", "1", ""]), min_size=1, max_size=4),
)
def test_any_override_works_or_is_explained(values, parts):
    key = ".".join(parts)
    try:
        node = apply_overrides(values, [f"{key}=5"])
    except ConfigError:
        return
    for part in parts:
        node = node[int(part)] if isinstance(node, list) else node[part]
    assert node == 5


@pytest.mark.parametrize(
    ("content", "expected"),
    [
        (b"a: [1\nb: 2\n", "not valid YAML at line 2"),
        (b"a: \xff\xfe", "not a text file in UTF-8"),
        (b"RIFF\x00\x00", "not valid YAML"),
    ],
)
def test_a_file_that_is_no_yaml(tmp_path, content, expected):
    path = tmp_path / "recipe.yaml"
    path.write_bytes(content)
    with pytest.raises(ConfigError, match=expected) as error:
        read_yaml(path)
    assert str(path) in str(error.value)
    assert "\n" not in str(error.value)


def test_a_file_that_is_not_there(tmp_path):
    for path in (tmp_path / "none.yaml", tmp_path):
        with pytest.raises(ConfigError, match="cannot be read"):
            read_yaml(path)
