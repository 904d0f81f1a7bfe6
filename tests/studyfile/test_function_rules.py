"""Studies of a training function: what their files may say, and what those of models may not."""

from __future__ import annotations

import pytest

from hpo import space
from hpo.errors import StudyFileError
from hpo.studyfile.file import parse_study
from hpo.studyfile.settings import fingerprint
from hpo.studyfile.study import StudySpec
from tests.studyfile.texts import study as study_of_models

TRIAL = 'function = "train.py:train"\narguments = { rate = { low = 0.1, high = 1.0 }, sizes = [1, 2] }'


def study(**tables: str) -> StudySpec:
    found = {"study": 'name = "s"\nobjective = "accuracy"', "trial": TRIAL} | tables
    return parse_study("\n".join(f"[{name}]\n{table}" for name, table in found.items()), "s.toml")


def test_arguments_are_parameters_and_a_configuration_names_the_file() -> None:
    spec = study()
    assert [parameter.name for parameter in space.parameters(spec)] == ["trial.arguments.rate"]
    config = space.config_of(spec, {"trial.arguments.rate": 0.5})
    assert config.trial is not None
    assert config.trial.arguments == {"rate": 0.5, "sizes": (1, 2)}
    assert config.trial.function.endswith("/train.py:train")
    assert spec.data is None
    assert spec.at_own_pace


def test_limits_may_change_and_arguments_may_not() -> None:
    assert fingerprint(study(trial=f"{TRIAL}\nseconds = 5\nresources = {{ cpus = 2 }}")) == fingerprint(study())
    assert fingerprint(study(trial=TRIAL.replace("0.1", "0.2"))) != fingerprint(study())


def test_the_direction_of_an_objective() -> None:
    assert not study().study.minimized
    assert study(study='name = "s"\nobjective = "loss"').study.minimized
    assert study(study='name = "s"\nobjective = "perplexity"\ndirection = "minimize"').study.minimized


@pytest.mark.parametrize(
    ("tables", "message"),
    [
        ({"study": 'name = "s"\nobjective = "perplexity"'}, 'study.direction: missing; "perplexity" is no metric'),
        (
            {"study": 'name = "s"\nobjective = "loss"\ndirection = "maximize"'},
            'study.direction: found "maximize", but loss is a metric to minimize',
        ),
        ({"study": 'name = "s"\nfinal = "refit"'}, 'study.final: found "refit", but a training function of your own'),
        ({"model": 'family = "mlp"'}, "model: has no effect beside [trial]"),
        ({"training": "batch_size = 8"}, "training.batch_size: has no effect on a training function"),
        ({"data": 'dataset = "digits"\nfolds = 3'}, "data.folds: has no effect on a training function"),
        (
            {"trial": f"{TRIAL}\nresources = {{ gpus = 1.5 }}"},
            "trial.resources.gpus: found 1.5; more than one GPU are a whole number",
        ),
        ({"trial": 'choice = [{ function = "a.py:f" }]'}, "trial: a study has one training function"),
        ({"trial": 'function = { choice = ["a.py:f", "b.py:g"] }'}, "trial.function: cannot be searched"),
        ({"trial": 'function = "train"'}, 'trial.function: found "train"; must be a class or function and where it is'),
        ({"trial": ""}, "trial.function: missing"),
    ],
)
def test_what_is_refused(tables: dict[str, str], message: str) -> None:
    with pytest.raises(StudyFileError) as error:
        study(**tables)
    assert message in str(error.value)


@pytest.mark.parametrize(
    ("tables", "message"),
    [
        ({"study": 'objective = "acuracy"'}, 'study.objective: found "acuracy"; must be one of'),
        ({"study": 'objective = "acuracy"'}, 'Did you mean "accuracy"?'),
        ({"search": 'pace = "own"'}, 'search.pace: found "own", but the models of a study train together'),
    ],
)
def test_what_studies_of_models_may_not_say(tables: dict[str, str], message: str) -> None:
    with pytest.raises(StudyFileError) as error:
        study_of_models(**tables)
    assert message in str(error.value)
