"""Whether a study's steps are compiled, and which configurations a trial may have."""

from __future__ import annotations

from pathlib import Path

import pytest
from torch import nn

from hpo import space
from hpo.execution import resources
from hpo.execution.resources import Resources, Variants
from hpo.registry import studies
from hpo.runtime.session import Session
from hpo.signature import Signature
from hpo.studyfile.file import parse_study
from hpo.studyfile.records import BatchNorm, LayerNorm, NoNorm
from hpo.training.limits import Limits
from hpo.training.trainer import Trainer
from tests.models.own import write
from tests.runtime.small import TABLES, in_session, small_study
from tests.studyfile.texts import study_text
from tests.training.study import setting

LONG = 10**6


def compiled(trials: int, home: Path, wanted: resources.Compile) -> bool | None:
    """Whether the study's steps are compiled, as its row says once it is open."""
    spec = small_study(training="epochs = 100", search=f"trials = {trials}")
    return in_session(
        spec,
        home,
        lambda session: studies.study_row(session.store, "small").facts.compiled,
        resources=Resources(compile=wanted),
    )


def test_long_studies_are_compiled_and_go_on_as_they_began(tmp_path: Path) -> None:
    assert compiled(8, tmp_path / "short", "auto") is False
    assert compiled(8, tmp_path / "asked", "on") is True
    assert compiled(8, tmp_path / "asked", "auto") is True
    assert compiled(LONG, tmp_path / "long", "auto") is True
    assert compiled(LONG, tmp_path / "refused", "off") is False


def test_a_weight_of_a_convolution_is_used_at_every_position() -> None:
    dense = nn.Sequential(nn.Flatten(), nn.Linear(64, 3))
    assert resources.weight_uses(dense, Signature.of_values(1, 8, 8)) == 64 * 3
    convolution = nn.Sequential(nn.Conv2d(1, 4, 3, padding=1), nn.ReLU(), nn.Conv2d(4, 2, 3, stride=2, padding=1))
    assert resources.weight_uses(convolution, Signature.of_values(1, 8, 8)) == 4 * 9 * 64 + 2 * 4 * 9 * 16


def test_own_models_count_for_the_number_of_workers_and_not_for_compiling(tmp_path: Path) -> None:
    write(tmp_path)
    tables = {name: text for name, text in TABLES.items() if name not in ("norm", "dropout")}
    tables["model"] = 'family = "custom"\nmodule = "net.py:Net"\narguments.width = 8'
    spec = parse_study(study_text(**tables), str(tmp_path / "small.toml"))

    def estimates(session: Session) -> tuple[float, float]:
        examples = session.job.examples
        return resources.plain_seconds(spec, examples), resources.plain_seconds(spec, examples, compilable=True)

    own, compilable = in_session(spec, tmp_path, estimates)
    assert own > compilable == 0


@pytest.mark.parametrize("lanes", [None, 2])
def test_a_compiled_program_has_no_more_lanes_than_are_in_flight(lanes: int | None, tmp_path: Path) -> None:
    found = in_session(
        small_study(),
        tmp_path,
        lambda session: session.job.compiled_lanes,
        resources=Resources(compile="on", lanes=lanes),
    )
    assert found == (lanes or 3)


def test_variants_contain_all_that_a_trial_may_draw() -> None:
    spec = small_study(
        regularization="l1 = { low = 0.0, high = 0.1 }",
        optimizer='learning_rate = 0.1\nchoice = [{ name = "sgd", momentum = { low = 0.0, high = 0.9 } }]',
    )
    variants = list(Variants(spec)(next(space.alternatives(spec, "model"))))
    assert {v.norm.kind for v in variants} == {"none", "batch", "layer"}
    assert max(v.regularization.l1 for v in variants) == 0.1
    assert max(v.optimizer.momentum for v in variants if v.optimizer.name == "sgd") == 0.9


@pytest.mark.parametrize(
    ("every", "values"),
    [("{ low = 1, high = 4 }", (1, 3, 4)), ("{ low = 2, high = 9 }", (2, 4, 7)), ("{ choice = [1, 3] }", (3, 1))],
)
def test_rows_have_one_layout_whichever_trial_comes_first(every: str, values: tuple[int, ...]) -> None:
    spec = small_study(
        model='family = "mlp"\nhidden = [8, 8, 8, 8]',
        norm=f'choice = [{{ kind = "none" }}, {{ kind = "batch", every = {every} }}, {{ kind = "layer" }}]',
    )
    config = next(iter(space.alternatives(spec, "model")))
    layouts = set()
    for norm in (NoNorm(), LayerNorm(kind="layer"), *(BatchNorm(kind="batch", every=n) for n in values)):
        its = Trainer(setting(), Variants(spec), Limits(4))
        assert its.admit([(0, config.model_copy(update={"norm": norm}))]) == []
        layouts.add(its.all_cohorts()[0].layout)
    assert len(layouts) == 1
