"""Whether a study's steps are compiled, and which configurations a trial may have."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
import torch
from torch import nn

from hpo import models, space
from hpo.execution import resources
from hpo.execution.resources import Resources, Variants
from hpo.registry import studies
from hpo.runtime.session import Session
from hpo.signature import Input, Signature
from hpo.studyfile.file import parse_study
from hpo.studyfile.records import BatchNorm, LayerNorm, NoNorm, TrialConfig
from hpo.training import program
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


class Sequences(nn.Module):
    """[B, 5, 8] through one layer."""

    def __init__(self, layer: nn.Module) -> None:
        super().__init__()
        self.layer = layer

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        y = self.layer(x, key=x, value=x) if isinstance(self.layer, nn.MultiheadAttention) else self.layer(x)
        found: torch.Tensor = y[0] if isinstance(y, tuple) else y
        return found.flatten(1)


ATTENTION = 5 * (3 * 8 * 8 + 8 * 8) + 2 * 8 * 5 * 5


@pytest.mark.parametrize(
    ("layer", "uses"),
    [
        (nn.GRU(8, 6, batch_first=True), 5 * 3 * 6 * (8 + 6)),
        (nn.LSTM(8, 6, 2, bidirectional=True), 5 * 2 * 4 * 6 * (8 + 6 + 12 + 6)),
        (nn.RNN(8, 6), 5 * 6 * (8 + 6)),
        (nn.MultiheadAttention(8, 2, batch_first=True), ATTENTION),
        (nn.TransformerEncoderLayer(8, 2, 32, batch_first=True), ATTENTION + 5 * (2 * 8 * 32 + 2 * 8)),
        (nn.Linear(8, 3), 5 * 8 * 3),
    ],
    ids=lambda case: type(case).__name__,
)
def test_recurrent_layers_and_attention_count_at_every_step(layer: nn.Module, uses: int) -> None:
    assert resources.weight_uses(Sequences(layer), Signature.of_values(5, 8)) == uses


@pytest.mark.parametrize(
    ("model", "least"),
    [
        ({"family": "recurrent", "width": 16}, 5 * 3 * 16 * (8 + 16)),
        ({"family": "transformer", "width": 16, "heads": 2, "depth": 1}, 5 * 4 * 16 * 16 + 2 * 16 * 5 * 5),
    ],
)
def test_families_over_sequences_count_and_are_not_compiled(model: dict[str, Any], least: int) -> None:
    config = TrialConfig.model_validate({"model": model, "optimizer": {"name": "adam", "learning_rate": 0.1}})
    module = models.build(config, Signature.of_values(5, 8), 3)
    assert resources.weight_uses(module, Signature.of_values(5, 8)) >= least
    assert not program.compilable(module, torch.device("cpu"))
    assert not program.compilable(module, torch.device("cuda"))


def test_words_are_looked_up() -> None:
    text = Signature(inputs=(Input(name="tokens", shape=(7,), sizes=(2000,)),))
    config = TrialConfig.model_validate({"model": {"family": "mlp"}, "optimizer": {"name": "sgd", "learning_rate": 1}})
    assert resources.weight_uses(models.build(config, text, 3), text) < 10_000


def test_convolutions_are_compiled_on_a_gpu_and_in_studies_that_have_begun() -> None:
    image = Signature.of_values(1, 8, 8)
    config = TrialConfig.model_validate({"model": {"family": "cnn"}, "optimizer": {"name": "sgd", "learning_rate": 1}})
    module = models.build(config, image, 3)
    cpu, cuda = torch.device("cpu"), torch.device("cuda")
    found = [program.compilable(module, *where) for where in ((cpu,), (cuda,), (cpu, 4))]
    assert found == [False, True, True]


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
