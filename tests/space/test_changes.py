"""The changes from the default configuration to another one."""

from __future__ import annotations

from typing import Any

from hpo.space.changes import between, changes_between
from hpo.space.default import default_configuration
from hpo.studyfile.study import StudySpec
from tests.runtime.small import small_study

AFTER = {
    "norm.kind": "none",
    "dropout.p": 0.3,
    "optimizer.name": "sgd",
    "optimizer.momentum": 0.7,
    "optimizer.learning_rate": 0.1,
}


def default(spec: StudySpec) -> dict[str, Any]:
    found = default_configuration(spec)
    assert found is not None
    return found[0]


def reversed_study() -> StudySpec:
    """Whose first choice is adam, so that the winner's momentum hangs on a change."""
    choice = 'choice = [{ name = "adam" }, { name = "sgd", momentum = { low = 0.0, high = 0.9 } }]'
    return small_study(optimizer="learning_rate = { low = 1e-3, high = 3e-1, log = true }\n" + choice)


def test_a_choice_brings_its_own_parameters_along() -> None:
    spec = reversed_study()
    before = default(spec) | {"optimizer.name": "adam"}
    before.pop("optimizer.momentum", None)
    after = AFTER | {"model.hidden": before["model.hidden"]}
    found = {change.name: change for change in changes_between(spec, before, after)}
    assert found.keys() <= after.keys()
    assert "optimizer.momentum" not in found
    assert "model.hidden" not in found
    assert (found["optimizer.name"].before, found["optimizer.name"].after) == ("adam", "sgd")
    assert found["optimizer.name"].along == {"optimizer.momentum": 0.7}
    assert found["dropout.p"].along == {}
    params, config = between(spec, before, after, {"optimizer.name"}) or ({}, None)
    assert config is not None
    assert params == before | {"optimizer.name": "sgd", "optimizer.momentum": 0.7}
    assert config.optimizer.name == "sgd"


def test_no_change_is_the_default_and_all_of_them_are_the_other_one() -> None:
    spec = small_study()
    before = default(spec)
    after = AFTER | {"model.hidden": before["model.hidden"]}
    names = [change.name for change in changes_between(spec, before, after)]
    none, everything = between(spec, before, after, ()), between(spec, before, after, names)
    assert none is not None
    assert everything is not None
    assert none[0] == before
    assert everything[0] == after


def test_a_parameter_of_nested_choices_hangs_on_the_nearest_one_that_is_switched() -> None:
    spec = small_study(
        norm='choice = [{ kind = "none" }, { kind = "batch", momentum = { low = 0.01, high = 0.5 } }]',
        optimizer='name = "adam"\nlearning_rate = 0.01',
    )
    before = default(spec) | {"norm.kind": "none"}
    before.pop("norm.momentum", None)
    after = before | {"norm.kind": "batch", "norm.momentum": 0.2, "dropout.p": 0.1}
    found = changes_between(spec, before, after)
    assert [(change.name, dict(change.along)) for change in found] == [
        ("norm.kind", {"norm.momentum": 0.2}),
        ("dropout.p", {}),
    ]
    back, _ = between(spec, before, after, {"dropout.p"}) or ({}, None)
    assert back == before | {"dropout.p": 0.1}
