"""Parameters, draws and their inverse."""

from __future__ import annotations

import itertools
import math
import subprocess
import sys
from typing import Any

import optuna
import pytest
from hypothesis import HealthCheck, assume, given, settings
from hypothesis import strategies as st
from optuna.distributions import BaseDistribution, CategoricalDistribution, FloatDistribution, IntDistribution

from hpo.errors import InputError
from hpo.space import combinations, config_of, draw, grid, parameters
from hpo.studyfile.file import parse_study
from hpo.studyfile.records import Adam, AdamW, BatchNorm, EarlyStopping, NoNorm, Sgd, TrialConfig
from hpo.studyfile.study import StudySpec
from hpo.studyfile.tree import Choice
from tests.studyfile.generated import study_texts
from tests.studyfile.texts import study

NORM = (
    'choice = [{ kind = "none" }, { kind = "batch", placement = { choice = ["input", "after_activation"] } }, '
    '{ kind = "layer", placement = { choice = ["input", "after_activation"] } }]'
)


def names(spec: StudySpec) -> dict[str, str | None]:
    return {parameter.name: parameter.condition for parameter in parameters(spec)}


def drawn(spec: StudySpec, **answers: Any) -> TrialConfig:
    """The configuration for these answers, with `__` for the dots of a name."""
    given = {name.replace("__", "."): value for name, value in answers.items()}
    return draw(spec, lambda name, distribution: given[name])


# --- parameters --------------------------------------------------------------------------------------------


def test_ranges_and_choices_become_distributions() -> None:
    spec = study(
        model="hidden = { choice = [[], [64, 64]] }",
        dropout="p = { low = 0, high = 0.5 }\ninput = { low = 0.0, high = 0.5, step = 0.25 }",
        optimizer="learning_rate = { low = 1e-4, high = 1, log = true }",
        training="batch_size = { low = 16, high = 64, step = 16 }",
        schedule='name = "step"\nstep_epochs = { low = 1, high = 20, log = true }',
    )
    assert {parameter.name: parameter.distribution for parameter in parameters(spec)} == {
        "model.hidden": CategoricalDistribution(("none", "64-64")),
        "dropout.p": FloatDistribution(0.0, 0.5),
        "dropout.input": FloatDistribution(0.0, 0.5, step=0.25),
        "optimizer.learning_rate": FloatDistribution(1e-4, 1.0, log=True),
        "training.batch_size": IntDistribution(16, 64, step=16),
        "schedule.step_epochs": IntDistribution(1, 20, log=True),
    }


def test_a_choice_of_tables_is_named_by_what_tells_them_apart() -> None:
    spec = study(
        init='scheme = { choice = ["zeros", "orthogonal"] }',
        norm=NORM,
        optimizer='name = { choice = ["sgd", "adam"] }',
        regularization="choice = [{}, { l1 = { low = 0.1, high = 0.2 } }]",
        training='early_stopping = { choice = ["none", { patience = { low = 2, high = 8 } }] }',
    )
    assert names(spec) == {
        "init.scheme": None,
        "norm.kind": None,
        "norm.placement": "norm.kind is batch or layer",
        "optimizer.name": None,
        "regularization.choice": None,
        "regularization.l1": "regularization.choice is l1",
        "training.early_stopping.choice": None,
        "training.early_stopping.patience": "training.early_stopping.choice is patience",
    }


def test_options_that_agree_share_a_parameter_and_others_carry_their_label() -> None:
    spec = study(
        optimizer="learning_rate = { low = 0.1, high = 0.2 }\nchoice = ["
        '{ name = "sgd", weight_decay = { low = 0.1, high = 0.2 } }, { name = "adam" }, '
        '{ name = "adamw", weight_decay = { low = 0.1, high = 0.3 } }]',
    )
    assert names(spec) == {
        "optimizer.name": None,
        "optimizer.learning_rate": None,
        "optimizer.sgd.weight_decay": "optimizer.name is sgd",
        "optimizer.adamw.weight_decay": "optimizer.name is adamw",
    }


def test_a_fixed_value_in_one_option_does_not_split_the_parameter() -> None:
    spec = study(
        optimizer='choice = [{ name = "sgd", learning_rate = 0.1 }, '
        '{ name = "adam", learning_rate = { low = 0.1, high = 0.2 } }]'
    )
    assert names(spec) == {"optimizer.name": None, "optimizer.learning_rate": "optimizer.name is adam"}
    assert drawn(spec, optimizer__name="sgd").optimizer.learning_rate == 0.1


def test_options_of_one_kind_are_told_apart() -> None:
    spec = study(norm='choice = [{ kind = "batch" }, { kind = "batch", every = { low = 2, high = 3 } }]')
    assert parameters(spec)[0].distribution == CategoricalDistribution(("batch", "batch#2"))
    assert names(spec)["norm.every"] == "norm.kind is batch#2"
    assert drawn(spec, **{"norm__kind": "batch#2", "norm__every": 3}).norm == BatchNorm(kind="batch", every=3)


def test_conditions_within_conditions_are_joined() -> None:
    stopping = 'early_stopping = { choice = ["none", { patience = { low = 2, high = %d } }] }'
    spec = study(training=f"choice = [{{ batch_size = 8, {stopping % 5} }}, {{ batch_size = 16, {stopping % 9} }}]")
    option = "batch_size+early_stopping"
    assert names(spec) == {
        "training.choice": None,
        f"training.{option}.early_stopping.choice": f"training.choice is {option}",
        f"training.{option}.early_stopping.patience": f"training.choice is {option} and "
        f"training.{option}.early_stopping.choice is patience",
        f"training.{option}#2.early_stopping.choice": f"training.choice is {option}#2",
        f"training.{option}#2.early_stopping.patience": f"training.choice is {option}#2 and "
        f"training.{option}#2.early_stopping.choice is patience",
    }


def test_the_order_in_the_file_does_not_change_the_order_of_draws() -> None:
    one = study(dropout="p = { low = 0, high = 0.5 }\ninput = { low = 0, high = 0.4 }", norm=NORM)
    other = study(norm=NORM, dropout="input = { low = 0, high = 0.4 }\np = { low = 0, high = 0.5 }")
    assert list(names(one)) == list(names(other)) == ["norm.kind", "norm.placement", "dropout.p", "dropout.input"]


# --- draws -------------------------------------------------------------------------------------------------


def test_a_draw_is_a_concrete_configuration() -> None:
    spec = study(
        model="hidden = { choice = [[], [64, 64]] }",
        norm=NORM,
        dropout='first = { choice = ["none", 0.5] }',
        optimizer='choice = [{ name = "sgd", nesterov = { choice = [false, true] } }, { name = "adamw" }]',
        training='epochs = 7\nearly_stopping = { choice = ["none", { patience = { low = 2, high = 8 } }] }',
    )
    config = drawn(
        spec,
        model__hidden="64-64",
        norm__kind="batch",
        norm__placement="input",
        dropout__first="none",
        optimizer__name="sgd",
        optimizer__nesterov=True,
        training__early_stopping__choice="patience",
        training__early_stopping__patience=4,
    )
    assert config.model.hidden == (64, 64)
    assert config.norm == BatchNorm(kind="batch", placement="input")
    assert config.dropout.first is None
    assert config.optimizer == Sgd(name="sgd", nesterov=True)
    assert config.training.epochs == 7
    assert config.training.early_stopping == EarlyStopping(patience=4)
    bare = drawn(
        spec,
        model__hidden="none",
        norm__kind="none",
        dropout__first=0.5,
        optimizer__name="adamw",
        training__early_stopping__choice="none",
    )
    assert (bare.model.hidden, bare.norm, bare.dropout.first) == ((), NoNorm(), 0.5)
    assert bare.optimizer == AdamW(name="adamw")
    assert bare.training.early_stopping is None


def test_a_study_without_search_draws_nothing() -> None:
    assert parameters(study()) == []
    assert drawn(study()).optimizer == Adam(name="adam")
    assert config_of(study(), {}) == drawn(study())


def test_impossible_draws_are_refused() -> None:
    kernels = Choice(options=(3, 4), labels=(3, 4))
    spec = study(model='family = "cnn"')
    spec.tree["model"]["kernel"] = kernels
    with pytest.raises(InputError, match=r"s.toml: model.cnn.kernel: .*must be odd, in \{ model = \{"):
        drawn(spec, model__kernel=4)


@settings(max_examples=100, deadline=None)
@given(study_texts(), st.integers(0, 2**31))
def test_draws_lie_in_range_and_config_of_inverts_them(text: str, seed: int) -> None:
    spec = parse_study(text, "s.toml")
    known = {parameter.name: parameter for parameter in parameters(spec)}
    assert len(known) == len(parameters(spec))
    trial = _ask(seed)
    order = []

    def suggest(name: str, distribution: BaseDistribution) -> Any:
        assert known[name].distribution == distribution
        order.append(name)
        return trial._suggest(name, distribution)

    config = draw(spec, suggest)
    assert {name for name, parameter in known.items() if parameter.condition is None} <= set(order) <= set(known)
    assert len(order) == len(set(order))
    for name, value in trial.params.items():
        _assert_inside(known[name].distribution, value)
    assert config_of(spec, trial.params) == config
    assert config_of(spec, dict(reversed(trial.params.items()))) == config


@settings(max_examples=50, deadline=None)
@given(study_texts(), st.integers(0, 2**31))
def test_conditions_say_when_a_parameter_is_drawn(text: str, seed: int) -> None:
    spec = parse_study(text, "s.toml")
    trial = _ask(seed)
    draw(spec, trial._suggest)
    for parameter in parameters(spec):
        holds = True
        for part in parameter.condition.split(" and ") if parameter.condition else []:
            name, _, labels = part.partition(" is ")
            holds &= str(trial.params.get(name)) in labels.split(" or ")
        assert (parameter.name in trial.params) == holds


@settings(max_examples=30, deadline=None)
@given(study_texts(), st.integers(0, 2**31))
def test_equal_seeds_give_equal_draws(text: str, seed: int) -> None:
    spec = parse_study(text, "s.toml")
    first, second = _ask(seed), _ask(seed)
    assert draw(spec, first._suggest) == draw(spec, second._suggest)
    assert list(first.params.items()) == list(second.params.items())


def _ask(seed: int) -> optuna.Trial:
    optuna.logging.set_verbosity(optuna.logging.ERROR)
    return optuna.create_study(sampler=optuna.samplers.RandomSampler(seed=seed)).ask()


def _assert_inside(distribution: BaseDistribution, value: Any) -> None:
    if isinstance(distribution, CategoricalDistribution):
        assert value in distribution.choices
        return
    assert isinstance(distribution, IntDistribution | FloatDistribution)
    assert distribution.low <= value <= distribution.high
    if distribution.step:
        steps = (value - distribution.low) / distribution.step
        assert math.isclose(steps, round(steps), abs_tol=1e-6)


# --- stored parameters -------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("params", "message"),
    [
        ({}, "s.toml: the trial has no norm.kind; it was drawn from another study file"),
        ({"norm.kind": "group"}, "the trial's norm.kind = 'group' lies outside CategoricalDistribution"),
        ({"norm.kind": "batch"}, "the trial has no norm.placement"),
        ({"norm.kind": "none", "dropout.p": 0.7}, "the trial's dropout.p = 0.7 lies outside FloatDistribution"),
        ({"norm.kind": "none", "dropout.p": "much"}, "the trial's dropout.p = 'much' lies outside"),
        ({"norm.kind": "none", "dropout.p": None}, "the trial's dropout.p = None lies outside"),
    ],
)
def test_parameters_of_another_study_are_refused(params: dict[str, Any], message: str) -> None:
    with pytest.raises(InputError, match=message):
        config_of(study(norm=NORM, dropout="p = { low = 0.0, high = 0.5 }"), params)


def test_parameters_beyond_the_study_are_ignored() -> None:
    spec = study(dropout="p = { low = 0.0, high = 0.5 }")
    assert config_of(spec, {"dropout.p": 0.25, "old.name": 1}).dropout.p == 0.25


# --- combinations ------------------------------------------------------------------------------------------


def test_combinations_of_a_conditional_space() -> None:
    spec = study(norm=NORM, dropout="p = { low = 0.0, high = 0.3, step = 0.1 }")
    points = list(grid(spec))
    assert combinations(spec) == len(points) == (1 + 2 + 2) * 4
    assert len({config_of(spec, point) for point in points}) == len(points)
    assert points[0] == {"norm.kind": "none", "dropout.p": 0.0}
    assert [point["dropout.p"] for point in points[:4]] == [0.0, 0.1, 0.2, 0.3]
    assert points[-1] == {"norm.kind": "layer", "norm.placement": "after_activation", "dropout.p": 0.3}


def test_a_continuous_range_has_no_number_of_combinations() -> None:
    assert combinations(study(norm=NORM, dropout="p = { low = 0.0, high = 0.5 }")) is None
    assert combinations(study(optimizer='choice = [{ name = "sgd", momentum = { low = 0, high = 0.5 } }]')) is None
    assert combinations(study()) == 1
    assert list(grid(study())) == [{}]


def test_a_huge_grid_is_counted_and_begun_without_being_built() -> None:
    spec = study(
        dropout="p = { low = 0.0, high = 0.5, step = 1e-9 }", training="batch_size = { low = 1, high = 1000000000 }"
    )
    assert combinations(spec) == 500_000_001 * 1_000_000_000
    assert [point["training.batch_size"] for point in itertools.islice(grid(spec), 3)] == [1, 2, 3]


@settings(max_examples=60, deadline=None, suppress_health_check=[HealthCheck.filter_too_much])
@given(study_texts())
def test_a_grid_holds_every_combination_once(text: str) -> None:
    spec = parse_study(text, "s.toml")
    count = combinations(spec)
    assume(count is not None and count <= 500)
    points = [tuple(point.items()) for point in grid(spec)]
    assert len(points) == len(set(points)) == count
    for point in points:
        config_of(spec, dict(point))


def test_reading_a_study_and_its_space_needs_no_torch() -> None:
    code = (
        "import sys, hpo.space, hpo.studyfile.schema, hpo.cli.prepare.check; "
        "from hpo.studyfile.file import read_study_file, find_study; "
        "optuna_late = 'optuna' not in sys.modules; "
        "hpo.space.parameters(read_study_file(find_study('digits'))); "
        "print(optuna_late, sorted({'torch', 'sklearn', 'pandas', 'plotly', 'scipy'} & set(sys.modules)))"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "True []"
