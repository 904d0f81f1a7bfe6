"""A model of the user's own in a study file: what its arguments may be, how they are drawn, where its file is."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
from optuna.distributions import CategoricalDistribution, FloatDistribution, IntDistribution

from hpo.space import alternatives, combinations, config_of, draw, parameters
from hpo.studyfile.custom import Reference, modules_of
from hpo.studyfile.file import fingerprint, parse_study
from hpo.studyfile.records import Custom, TrialConfig
from hpo.studyfile.settings import entries
from hpo.studyfile.study import StudySpec
from hpo.studyfile.tree import toml
from tests.studyfile.texts import study, study_text

OWN = 'family = "custom"\nmodule = "net.py:Net"\n'


def own(arguments: str) -> StudySpec:
    return study(model=f"{OWN}arguments = {arguments}")


def drawn(spec: StudySpec, answers: dict[str, Any]) -> dict[str, Any]:
    """The arguments for these answers."""
    model = draw(spec, lambda name, distribution: answers[name]).model
    assert isinstance(model, Custom)
    return model.arguments


def test_arguments_are_parameters_like_any_other() -> None:
    spec = own(
        "{ width = { low = 16, high = 128, step = 16 }, depth = 2, slope = { low = 0, high = 0.5 }, "
        'act = { choice = ["relu", "tanh"] }, rate = { low = 1, high = 4, step = 0.5 }, '
        'sizes = { choice = [[8], [8, 4]] }, mixed = { choice = [2, 0.5, true, "x"] } }'
    )
    assert {parameter.name: parameter.distribution for parameter in parameters(spec)} == {
        "model.arguments.act": CategoricalDistribution(("relu", "tanh")),
        "model.arguments.mixed": CategoricalDistribution((2, 0.5, True, "x")),
        "model.arguments.rate": FloatDistribution(1.0, 4.0, step=0.5),
        "model.arguments.sizes": CategoricalDistribution(("8", "8-4")),
        "model.arguments.slope": FloatDistribution(0.0, 0.5),
        "model.arguments.width": IntDistribution(16, 128, step=16),
    }
    answers = {
        "model.arguments.act": "tanh",
        "model.arguments.mixed": True,
        "model.arguments.rate": 2,
        "model.arguments.sizes": "8-4",
        "model.arguments.slope": 0.25,
        "model.arguments.width": 48,
    }
    assert drawn(spec, answers) == {
        "act": "tanh",
        "depth": 2,
        "mixed": True,
        "rate": 2.0,
        "sizes": (8, 4),
        "slope": 0.25,
        "width": 48,
    }
    assert config_of(spec, answers) == draw(spec, lambda name, distribution: answers[name])


@pytest.mark.parametrize("value", [1, 1.0, True, "none", "", [1, 2.5], [True], [], -3])
def test_a_value_arrives_as_the_type_it_was_written_in(value: Any) -> None:
    found = drawn(own(f"{{ a = {toml(value)} }}"), {})["a"]
    assert repr(found) == repr(tuple(value) if isinstance(value, list) else value)


def test_a_choice_of_tables_makes_arguments_conditional() -> None:
    spec = own('{ depth = 2, choice = [{ kind = "a" }, { kind = "b", slope = { low = 0.0, high = 1.0 } }] }')
    assert {parameter.name: parameter.condition for parameter in parameters(spec)} == {
        "model.arguments.choice": None,
        "model.arguments.slope": "model.arguments.choice is kind+slope",
    }
    assert drawn(spec, {"model.arguments.choice": "kind"}) == {"depth": 2, "kind": "a"}


def test_two_modules_with_different_ranges_have_parameters_of_their_own() -> None:
    options = ", ".join(
        f'{{ family = "custom", module = "{name}.py:Net", arguments = {{ width = {{ low = 1, high = {high} }} }} }}'
        for name, high in (("one", 4), ("two", 8))
    )
    spec = study(model=f"choice = [{options}]")
    assert [parameter.name for parameter in parameters(spec)] == [
        "model.family",
        "model.custom.arguments.width",
        "model.custom#2.arguments.width",
    ]
    assert [str(reference) for reference in modules_of(spec.tree["model"])] == ["one.py:Net", "two.py:Net"]


def test_the_order_of_arguments_decides_nothing_and_their_values_do() -> None:
    one, other = own("{ a = 1, b = { low = 0, high = 3 } }"), own("{ b = { low = 0, high = 3 }, a = 1 }")
    assert fingerprint(one) == fingerprint(other)
    assert [p.name for p in parameters(one)] == [p.name for p in parameters(other)]
    assert fingerprint(own("{ a = 1 }")) != fingerprint(own("{ a = 1.0 }"))
    assert fingerprint(own("{}")) == fingerprint(study(model=OWN))
    assert entries(one)["model.arguments.b"].value == "{ low = 0, high = 3 }"
    assert combinations(one) == 4


def test_the_file_is_found_from_the_study_file_on(tmp_path: Path) -> None:
    text = study_text(model='family = "custom"\nmodule = { choice = ["nets/net.py:Net", "package.nets:Net"] }')
    spec = parse_study(text, str(tmp_path / "studies" / "s.toml"))
    found = [config.model.module for config in alternatives(spec, "model") if isinstance(config.model, Custom)]
    assert found == [f"{tmp_path}/studies/nets/net.py:Net", "package.nets:Net"]
    assert [parameter.distribution for parameter in parameters(spec)] == [
        CategoricalDistribution(("nets/net.py:Net", "package.nets:Net"))
    ]


def test_a_reference_is_taken_apart_and_put_together() -> None:
    file, package = Reference.of("a/b.py:Net"), Reference.of("a.b:make")
    assert (file.module, file.name, file.is_file) == ("a/b.py", "Net", True)
    assert (package.module, package.name, package.is_file) == ("a.b", "make", False)
    assert package.below(Path("/x")) == package
    assert str(file.below(Path("/x"))) == "/x/a/b.py:Net"
    assert str(Reference.of("/y/b.py:Net").below(Path("/x"))) == "/y/b.py:Net"


def test_a_configuration_survives_json() -> None:
    spec = own('{ a = [1, 2.5], b = 1.0, c = "x", d = true }')
    config = draw(spec, lambda name, distribution: None)
    assert TrialConfig.model_validate_json(config.model_dump_json()) == config
    assert TrialConfig.model_validate(config.model_dump(mode="json")) == config
