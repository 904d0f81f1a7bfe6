"""A lane's augmentation is its own: alone, among neighbours, resumed or compiled; off is off."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

from hpo.data.augmentation import suited_keys
from hpo.seeds import lane_seed
from hpo.signature import Signature
from hpo.studyfile.records import Augmentation, TrialConfig
from hpo.training import compiled, packing
from hpo.training.augment.plan import CHANGES, Augmenter, LaneChanges
from hpo.training.layers.loss import Mixed
from tests.training.augment.portions import SEQUENCES, TABLES
from tests.training.own import TABLES as TABLES_CODE
from tests.training.study import mixed, quickly_compiled, setting, trainer
from tests.training.test_equality import numbers

IMAGES = Augmentation(shift=1.0, rotate=10.0, scale=0.1, flip=0.3, noise=0.1, cutout=2, mixup=0.3)
TABLE = Augmentation(noise=0.2, feature_dropout=0.1, mixup=0.4)
STRENGTHS = {
    "digits": (
        IMAGES,
        Augmentation(),
        Augmentation(shift=0.5),
        Augmentation(mixup=1.0),
        Augmentation(flip=0.5, noise=0.3, cutout=3),
    ),
    "wine": (
        TABLE,
        Augmentation(),
        Augmentation(noise=0.1),
        Augmentation(mixup=1.0),
        Augmentation(feature_dropout=0.3),
    ),
    "diabetes": (TABLE, Augmentation(), Augmentation(mixup=0.3), Augmentation(noise=0.5), Augmentation()),
}


def config(trial: int, dataset: str, strengths: Augmentation | None = None) -> TrialConfig:
    family = "cnn" if dataset == "digits" else "mlp"
    own = STRENGTHS[dataset][trial % 5] if strengths is None else strengths
    return mixed(trial, family).model_copy(update={"augmentation": own})


def curves(dataset: str, lanes: int, off: tuple[int, ...] = ()) -> list[tuple[Any, ...]]:
    its = trainer(lanes=lanes, dataset=dataset)
    strengths = {trial: Augmentation() if trial in off else None for trial in range(5)}
    assert its.admit((trial, config(trial, dataset, strengths[trial])) for trial in range(5)) == []
    return [numbers(epoch) for _ in range(2) for epoch in its.tick().epochs]


@pytest.mark.parametrize("dataset", STRENGTHS)
def test_a_lane_does_not_depend_on_its_neighbours(dataset: str) -> None:
    alone = curves(dataset, 1)
    assert alone == curves(dataset, 2) == curves(dataset, 32)
    plain = curves(dataset, 32, off=(0, 1, 2, 3, 4))
    for augmented, ordinary in zip(alone, plain, strict=True):
        changed = STRENGTHS[dataset][augmented[0] % 5] != Augmentation()
        assert (augmented != ordinary) == changed, "off is off, beside lanes that are augmented"


def test_a_resumed_lane_goes_on_alike(tmp_path: Path) -> None:
    through, first = trainer(dataset="wine"), trainer(dataset="wine")
    for its in (through, first):
        its.admit((trial, config(trial, "wine")) for trial in range(4))
        its.tick()
    written = packing.write(tmp_path / "running.pt", packing.pack_running(first.all_cohorts()))
    saved = packing.read_running(written.path, written.sha256)
    second = trainer(lanes=3, dataset="wine")
    for trial in range(4):
        assert packing.restore(second, trial, config(trial, "wine"), [saved[trial, 0]])
    for _ in range(2):
        assert [numbers(e) for e in second.tick().epochs] == [numbers(e) for e in through.tick().epochs]


def test_a_compiled_step_takes_augmented_batches(caplog: pytest.LogCaptureFixture) -> None:
    eager, fast = trainer(dtype=torch.float64), trainer(dtype=torch.float64)
    fast.setting = replace(fast.setting, compiled_lanes=3)
    for its in (eager, fast):
        found = its.admit(
            (trial, quickly_compiled(its, trial).model_copy(update={"augmentation": STRENGTHS["wine"][trial]}))
            for trial in (0, 1, 3)
        )
        assert found == []
    one, other = ([numbers(epoch) for epoch in its.tick().epochs] for its in (eager, fast))
    assert np.allclose(one, other, rtol=1e-9, atol=1e-12)
    assert [record.message for record in caplog.records if record.name == "hpo"] == []
    assert compiled._compiled
    assert all(code is not None for code in compiled._compiled.values())


def test_validation_is_untouched() -> None:
    """With a learning rate of nearly 0 the network stays, and so does its validation loss."""
    scores = []
    for strengths in (IMAGES, Augmentation()):
        own = config(0, "digits", strengths)
        still = own.optimizer.model_copy(update={"learning_rate": 1e-30})
        its = trainer(dataset="digits")
        before = its.setting.examples.x_valid.clone(), its.setting.examples.x_train.clone()
        its.admit([(0, own.model_copy(update={"optimizer": still}))])
        (epoch,) = its.tick().epochs
        scores.append(epoch.metrics["loss"])
        examples = its.setting.examples
        assert torch.equal(examples.x_valid, before[0])
        assert torch.equal(examples.x_train, before[1])
    assert scores[0] == scores[1]


def augmenter(strengths: Augmentation, dataset: str = "digits", epoch: int = 1) -> Augmenter:
    its = setting(dataset)
    lane = LaneChanges.of(strengths, its.examples.darkest[0], (7, 3, 0, epoch), 6)
    found = Augmenter.of([lane], slice(0, 6), its.examples)
    assert found is not None
    return found


def test_every_epoch_step_and_example_is_changed_differently() -> None:
    x = setting("digits").examples.x_train[:1].expand(6, 1, 20, -1, -1, -1)
    seen = torch.cat([augmenter(Augmentation(noise=0.1), epoch=e)(x.clone(), x[..., 0, 0, 0], 0)[0] for e in (1, 2)])
    assert len(seen.flatten(0, 2).flatten(1).unique(dim=0)) == 240
    later, _ = augmenter(Augmentation(noise=0.1))(x[2:].clone(), x[2:, ..., 0, 0, 0], 2)
    assert torch.equal(later, seen[2:6]), "whatever the steps that are changed at once"


def test_mixup_mixes_inputs_and_targets_in_the_same_share() -> None:
    examples = setting("digits").examples
    x, y = examples.x_train[:120].view(6, 1, 20, 1, 8, 8), examples.y_train[:120].view(6, 1, 20)
    found, targets = augmenter(Augmentation(mixup=0.4))(x.clone(), y, 0)
    assert isinstance(targets, Mixed)
    drawn = np.random.Generator(np.random.PCG64(lane_seed("mixup", 7, 3, 0, 1))).beta(0.4, 0.4, 6)
    for step in range(6):
        share = float(targets.share[step, 0])
        assert share == np.float32(drawn[step])
        for example in range(20):
            other = (example + 1) % 20
            expected = share * x[step, 0, example] + (1 - share) * x[step, 0, other]
            assert torch.allclose(found[step, 0, example], expected, atol=1e-6)
            assert targets.first[step, 0, example] == y[step, 0, example]
            assert targets.second[step, 0, example] == y[step, 0, other]
    numbers_, mixed_targets = augmenter(Augmentation(mixup=0.4))(x.clone(), y.float(), 0)
    assert torch.equal(numbers_, found)
    assert isinstance(mixed_targets, torch.Tensor)
    share = targets.share.unsqueeze(-1)
    assert torch.allclose(mixed_targets, share * y + (1 - share) * y.roll(-1, 2), atol=1e-5)


@pytest.mark.parametrize("signature", [Signature.of_values(1, 8, 8), SEQUENCES, TABLES])
def test_every_key_that_suits_has_a_change(signature: Signature) -> None:
    changed = {key for keys in CHANGES[len(signature.main.shape)].values() for key in keys}
    assert changed == set(suited_keys(signature)) - {"mixup"}


def test_a_record_reads_as_what_is_done() -> None:
    assert repr(Augmentation(noise=0.1, shift=2.0)) == "Augmentation(shift=2.0, noise=0.1)"
    assert str(Augmentation(noise=0.1, shift=2.0)) == "shift 2.0, noise 0.1"
    assert str(Augmentation()) == "none"


def test_a_model_of_the_users_own_gets_changed_batches(tmp_path: Path) -> None:
    (tmp_path / "own.py").write_text(TABLES_CODE)
    losses = []
    for strengths in (TABLE, Augmentation(), TABLE):
        model = {"family": "custom", "module": f"{tmp_path / 'own.py'}:Plain"}
        own = TrialConfig.model_validate({"model": model, "optimizer": {"name": "adam", "learning_rate": 0.01}})
        its = trainer(dataset="wine")
        assert its.admit([(0, own.model_copy(update={"augmentation": strengths}))]) == []
        losses.append(its.tick().epochs[0].train_loss)
    assert losses[0] == losses[2] != losses[1]
