"""The space: hyperopt's expressions in the recipe's units, and every mistake in one is a line that names its key."""

from __future__ import annotations

import math

import numpy as np
import pytest
from hyperopt import hp, tpe
from hyperopt.base import STATUS_OK, Trials
from hyperopt.fmin import fmin

from ecotf.errors import ConfigError
from ecotf.tasks.recipe_files import recipe_names
from ecotf.tasks.recipes import load_any_recipe, load_recipe
from ecotf.tuning.config import TuningConfig, seconds_in
from ecotf.tuning.keys import JUDGES, check_keys, settings_of, with_settings
from ecotf.tuning.space import read_space
from ecotf.tuning.suggest import Observation, Suggester

SPACE = {
    "choice": {"name": "choice", "options": [3, "mel", [16, 32], {"name": "cnn"}, True]},
    "pchoice": {"name": "pchoice", "options": ["often", "seldom"], "probabilities": [0.9, 0.1]},
    "uniform": {"name": "uniform", "low": -1, "high": 2.5},
    "quniform": {"name": "quniform", "low": 0.05, "high": 0.3, "q": 0.05},
    "uniformint": {"name": "uniformint", "low": 3, "high": 15},
    "randint": {"name": "randint", "low": 2, "high": 5},
    "loguniform": {"name": "loguniform", "low": 1e-5, "high": 1e-2},
    "qloguniform": {"name": "qloguniform", "low": 16, "high": 512, "q": 16},
    "normal": {"name": "normal", "mu": 3, "sigma": 0.5},
    "qnormal": {"name": "qnormal", "mu": 3, "sigma": 2, "q": 1},
    "lognormal": {"name": "lognormal", "mu": -3, "sigma": 0.5},
    "qlognormal": {"name": "qlognormal", "mu": 3, "sigma": 0.5, "q": 4},
}


@pytest.fixture(scope="module")
def drawn() -> list[dict]:
    """Sixty points; most of them suggested by the estimator, not by chance alone."""
    suggester = Suggester(read_space(SPACE), 5, startup=10)
    earlier: list[Observation] = []
    for number in range(60):
        point = suggester.suggest(number, earlier)
        loss = abs(point["uniform"]) + point["randint"] if number % 7 else None
        earlier.append(Observation(number, point, loss))
    return [{"point": seen.point, "values": suggester.values(seen.point)} for seen in earlier]


def of(drawn: list[dict], key: str) -> list:
    return [each["values"][key] for each in drawn]


def test_every_expression_draws_what_it_says(drawn):
    options = SPACE["choice"]["options"]
    assert all(value in options for value in of(drawn, "choice"))
    assert len({str(value) for value in of(drawn, "choice")}) == len(options)
    assert set(of(drawn, "pchoice")) == {"often", "seldom"}
    assert of(drawn, "pchoice")[:10].count("often") >= 6  # before the estimator has learned otherwise
    assert min(of(drawn, "uniform")) >= -1 and max(of(drawn, "uniform")) <= 2.5
    assert set(of(drawn, "quniform")) <= {0.05, 0.1, 0.15, 0.2, 0.25, 0.3}
    assert set(of(drawn, "uniformint")) <= set(range(3, 16)) and len(set(of(drawn, "uniformint"))) > 6
    assert set(of(drawn, "randint")) == {2, 3, 4}
    rates = np.array(of(drawn, "loguniform"))
    assert 1e-5 <= rates.min() < 1e-4 and 1e-3 < rates.max() <= 1e-2
    assert all(value % 16 == 0 and 16 <= value <= 512 for value in of(drawn, "qloguniform"))
    assert 2.5 < np.mean(of(drawn[:10], "normal")) < 3.5
    assert 0.03 < np.median(of(drawn[:10], "lognormal")) < 0.08
    assert all(value % 4 == 0 for value in of(drawn, "qlognormal"))
    for whole in ("uniformint", "randint", "qloguniform", "qnormal", "qlognormal"):
        assert all(isinstance(value, int) for value in of(drawn, whole)), whole


def test_what_was_drawn_lies_where_it_was_drawn(drawn):
    space = read_space(SPACE)
    for each in drawn:
        for key, expression in space.items():
            assert expression.nearest(each["values"][key]) == pytest.approx(each["point"][key], abs=1e-9), key


@pytest.mark.parametrize(
    ("key", "value", "nearest"),
    [
        ("choice", [16, 32], [16, 32]), ("choice", 100, 3), ("choice", "unknown", 3), ("choice", True, True),
        ("uniform", 9, 2.5), ("uniform", -9, -1), ("loguniform", 1, 1e-2), ("quniform", 0.12, 0.1),
        ("uniformint", 100, 15), ("randint", 100, 4), ("qloguniform", 20, 16), ("normal", 7.5, 7.5),
        ("lognormal", -1, math.exp(-3)), ("qnormal", 2.2, 2),
    ],
)  # fmt: skip
def test_the_nearest_place_to_a_value_from_elsewhere(key, value, nearest):
    expression = read_space(SPACE)[key]
    assert expression.value(expression.nearest(value)) == pytest.approx(nearest)


def test_suggestions_are_hyperopts_own():
    """The same points as fmin with tpe.suggest finds, given the same seed for each trial."""
    space = {
        "rate": {"name": "loguniform", "low": 1e-4, "high": 1.0},
        "depth": {"name": "uniformint", "low": 2, "high": 9},
        "kind": {"name": "choice", "options": ["a", "b", "c"]},
    }
    theirs = {
        "rate": hp.loguniform("rate", math.log(1e-4), 0.0),
        "depth": hp.uniformint("depth", 2, 9),
        "kind": hp.choice("kind", [0, 1, 2]),
    }

    def loss(values) -> float:
        return abs(math.log(values["rate"]) + 3) + abs(values["depth"] - 4) + values["kind"]

    def seeded(ids, domain, trials, _):
        seed = int(np.random.default_rng([11, ids[0]]).integers(2**31 - 1))
        return tpe.suggest(ids, domain, trials, seed, n_startup_jobs=8, verbose=False)

    trials = Trials()
    fmin(lambda values: {"status": STATUS_OK, "loss": loss(values)}, theirs, algo=seeded, max_evals=30, trials=trials,
         rstate=np.random.default_rng(0), show_progressbar=False, verbose=False)  # fmt: skip
    expected = [{key: drawn[0] for key, drawn in misc["vals"].items()} for misc in trials.miscs]

    suggester, earlier = Suggester(read_space(space), 11, startup=8), []
    for number in range(30):
        point = suggester.suggest(number, earlier)
        assert point == expected[number]
        earlier.append(Observation(number, point, loss(point)))


def test_a_suggestion_depends_on_its_number_the_seed_and_the_trials_before_alone():
    space = read_space(SPACE)
    earlier = [Observation(n, Suggester(space, 1, 4).suggest(n, []), float(n % 3)) for n in range(8)]
    point = Suggester(space, 1, 4).suggest(8, earlier)
    assert Suggester(space, 1, 4).suggest(8, earlier[::-1]) == point
    assert Suggester(space, 2, 4).suggest(8, earlier) != point
    assert Suggester(space, 1, 4).suggest(9, earlier) != point
    assert Suggester(space, 1, 4).suggest(8, [*earlier[:7], Observation(7, earlier[7].point, -5.0)]) != point


# --- mistakes --------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("expression", "said"),
    [
        (
            {"name": "unifrom", "low": 0, "high": 1},
            "trees.eta: expression 'unifrom' is unknown; allowed: name, one of ",
        ),
        ({"low": 0, "high": 1}, "trees.eta: expression None is unknown"),
        ([1, 2], "trees.eta: expression None is unknown"),
        (
            {"name": "uniform", "low": 0, "high": 1, "hgih": 1},
            "unknown key 'hgih'; known keys here: high, low, name, q; did you",
        ),
        ({"name": "uniform", "low": 0}, "trees.eta: key 'high' is missing"),
        ({"name": "uniform", "low": 1, "high": 1}, "trees.eta: low = 1 must be below high = 1"),
        ({"name": "uniform", "low": 0, "high": 1, "q": 0.1}, "q goes with quniform and qloguniform"),
        ({"name": "quniform", "low": 0, "high": 1}, "q goes with quniform and qloguniform"),
        ({"name": "loguniform", "low": 0, "high": 1}, "loguniform needs low > 0"),
        ({"name": "loguniform", "low": -11.5, "high": -4.6}, "the value itself, not its logarithm"),
        ({"name": "randint", "low": 0.5, "high": 3}, "randint is between whole numbers, not 0.5 and 3"),
        ({"name": "choice", "options": []}, "options = []: "),
        ({"name": "choice", "options": [1, 2], "probabilities": [0.5, 0.5]}, "probabilities go with pchoice"),
        ({"name": "pchoice", "options": [1, 2], "probabilities": [0.5]}, "2 options have 1 probabilities"),
        ({"name": "pchoice", "options": [1, 2], "probabilities": [0.5, 0.6]}, "add up to 1"),
        ({"name": "normal", "mu": 0, "sigma": 0}, "sigma = 0: "),
    ],
)
def test_mistakes_in_an_expression(expression, said):
    with pytest.raises(ConfigError) as error:
        read_space({"trees.eta": expression})
    assert said in str(error.value) and "\n" not in str(error.value)
    override = f"tuning={{space: {{trees.eta: {expression}}}}}"
    with pytest.raises(ConfigError, match=r"^bats/field: tuning\.space: trees\.eta: "):
        load_recipe("bats/field", [override])


@pytest.mark.parametrize(
    ("values", "said"),
    [
        ({"space": {}}, "a space is a mapping"),
        ({"space": SPACE, "trials": None}, "one of them must say when the search ends"),
        ({"space": SPACE, "trials": 0}, "greater than or equal to 1"),
        ({"space": SPACE, "time": "soon"}, "'soon' is not a time; allowed: as 2h, 90m"),
        ({"space": SPACE, "time": 0}, "0 is not a time"),
    ],
)
def test_mistakes_in_the_block(values, said):
    with pytest.raises(ValueError, match=said):
        TuningConfig(**values)


@pytest.mark.parametrize(
    ("text", "seconds"),
    [("2h", 7200), ("90m", 5400), ("1d12h", 129_600), ("1h30m15s", 5415), ("45", 45), (0.5, 0.5), ("1.5H", 5400)],
)
def test_times(text, seconds):
    assert seconds_in(text) == seconds


@pytest.mark.parametrize("text", ["", "h", "2 hours", "-1h", "1m2h", "0s", "nan"])
def test_what_is_no_time(text):
    with pytest.raises(ConfigError, match="is not a time"):
        seconds_in(text)


# --- keys of the recipe ----------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("keys", "said"),
    [
        (["trees.max_dept"], "the recipe has no key 'trees.max_dept'; did you mean 'trees.max_depth'?"),
        (["stages.2.batch"], "the recipe has no key 'stages.2.batch'; did you mean 'stages.0.batch'?"),
        (["networks.0.backbone.filtres"], "did you mean 'networks.0.backbone.filters'?"),
        (["tuning.seed"], "tuning.seed cannot be searched: it decides what trials are compared on"),
        (["evaluation.tolerance_s"], "evaluation.tolerance_s cannot be searched"),
        (["data.valid"], "data.valid cannot be searched"),
        (["data"], "data cannot be searched"),
        (["trees", "trees.eta"], "trees.eta is inside trees, which is searched too"),
    ],
)
def test_keys_that_cannot_be_searched(keys, said):
    with pytest.raises(ConfigError) as error:
        check_keys(load_recipe("bats/field"), keys, JUDGES)
    assert str(error.value).startswith("tuning.space: ") and said in str(error.value)


def test_any_other_key_can():
    recipe = load_recipe("bats/field")
    changed = with_settings(
        recipe,
        {"trees.eta": 0.5, "networks.0.backbone.filters": [8, 8, 8], "networks.0.backbone.filters.1": 9, "seed": 3,
         "stages.0.augmentation": {"time_mask": 0.2}, "data.channel": 1},
    )  # fmt: skip
    check_keys(
        recipe, ["trees", "networks.0.backbone.filters.1", "seed", "stages.0.augmentation", "data.channel"], JUDGES
    )
    assert changed.trees.eta == 0.5 and changed.networks[0].backbone.filters == (8, 9, 8) and changed.seed == 3
    assert changed.stages[0].augmentation.time_mask == 0.2 and changed.stages[0].augmentation.level_shift == 0
    assert recipe == load_recipe("bats/field")
    with pytest.raises(ConfigError, match=r"with these settings: stages\.0\.learning_rate = -1"):
        with_settings(recipe, {"stages.0.learning_rate": -1})


def with_a_space() -> list[str]:
    return [name for name in recipe_names() if getattr(load_any_recipe(name), "tuning", None) is not None]


def test_which_recipes_come_with_a_space():
    assert set(with_a_space()) >= {*recipe_names("calls"), "birds/small"}


@pytest.mark.parametrize("name", with_a_space())
def test_the_spaces_that_come_with_ecotf(name):
    """Their keys are there, the recipe lies in its own space, and twenty points drawn from it make recipes."""
    recipe = load_any_recipe(name)
    check_keys(recipe, recipe.tuning.space, JUDGES)
    suggester = Suggester(recipe.tuning.space, 0, startup=100)
    own = {key: settings_of(recipe)[key] for key in recipe.tuning.space}
    assert suggester.values(suggester.nearest(own)).keys() == own.keys()
    for number in range(20):
        with_settings(recipe, suggester.values(suggester.suggest(number, [])))
