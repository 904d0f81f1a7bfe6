"""Where trials advance at their own pace, what each draw and decision had seen is stored, and explains the table."""

from __future__ import annotations

import json
from contextlib import closing
from pathlib import Path
from statistics import median

from click.testing import CliRunner

import hpo
from hpo.attributes import seen
from hpo.cli import hpo as command
from hpo.registry.studies import study_row
from hpo.storage.open import open_store
from tests.runtime.functions import study

CODE = """
import time


def train(trial):
    for epoch in range(1, trial.epochs + 1):
        time.sleep(0.02 * (trial.number % 3))
        trial.report(epoch, {"score": trial.params["x"] * epoch})
        if trial.should_stop():
            return
"""


def test_every_pruned_trial_can_be_explained(tmp_path: Path) -> None:
    path = study(
        tmp_path,
        trial='function = "train.py:train"\narguments = { x = { low = 0.0, high = 1.0 } }\nresources = { cpus = 0.5 }',
        search='trials = 12\nsampler = { name = "tpe", startup_trials = 4 }\nconcurrency = 3\n'
        'pruner = { name = "median", startup_trials = 2, warmup_epochs = 0 }',
    )
    (tmp_path / "train.py").write_text(CODE)
    home = tmp_path / "home"
    assert set(hpo.run(path, home=home, workers=3).trials["state"]) == {"COMPLETE", "PRUNED"}
    with closing(open_store(f"sqlite:///{home}/hpo.db", readonly=True)) as store:
        trials = store.own_trials(study_row(store, "own").study_id)
    curves = {trial.number: trial.intermediate_values for trial in trials}
    for trial in trials:
        draw = seen.of_draw(trial.system_attrs)
        assert draw is not None
        assert draw["trials"] <= trial.number
        decisions = seen.of_decisions(trial.system_attrs)
        last = len(curves[trial.number])
        assert list(decisions) == list(range(1, 5 if last == 5 else last + 1)), "the last epoch is decided by no pruner"
        for epoch, known in decisions.items():
            assert known["training"][str(trial.number)] == epoch
            others = [number for number in range(known["trials"]) if number != trial.number]
            finished = [n for n in others if str(n) not in known["training"] and len(curves[n]) == 5]
            values = [curves[number][epoch] for number in finished]
            pruned = len(finished) >= 2 and max(curves[trial.number][e] for e in range(1, epoch + 1)) < median(values)
            assert pruned == (trial.state.name == "PRUNED" and epoch == last), (trial.number, epoch, known)
    (pruned_trial, *_) = (trial.number for trial in trials if trial.state.name == "PRUNED")
    options = ["show", "own", "--trial", str(pruned_trial), "--home", str(home)]
    found = json.loads(CliRunner().invoke(command, [*options, "--json"]).stdout)
    assert found["decided_after"][str(found["epochs"])]["training"][str(pruned_trial)] == found["epochs"]
    assert "last decided after " in CliRunner().invoke(command, options).stdout
