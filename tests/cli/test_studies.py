"""`hpo studies` and `hpo show` on a trained study and on one that was stopped."""

from __future__ import annotations

import json
import re
import shutil
import subprocess
import sys
from contextlib import closing
from pathlib import Path
from typing import Any

import pytest
from click.testing import CliRunner
from optuna.trial import TrialState

from hpo.cli import hpo
from hpo.cli.terminal import watching
from hpo.cli.terminal.status import study_details
from hpo.endings import Ended, Ending
from hpo.errors import StudyStateError
from hpo.registry import control, leases, studies, summaries
from hpo.registry.conclusions import set_winner
from hpo.registry.facts import StudyFacts
from hpo.storage.open import open_store, sqlite_url
from hpo.storage.store import Store
from hpo.studyfile.file import parse_study
from tests.export import tiny
from tests.storage.writers import end


@pytest.fixture(scope="module")
def home(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tiny.run(tiny.WINE, tmp_path_factory.mktemp("wine"))


@pytest.fixture(scope="module")
def stopped(home: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The study with more trials: one in training, one just asked for, one pruned, one diverged, many failed."""
    copy = tmp_path_factory.mktemp("stopped") / "home"
    shutil.copytree(home, copy)
    with closing(open_store(sqlite_url(copy))) as store:
        study_id = store.get_study_id_from_name("tiny")
        ids = store.create_trials(study_id, 24)
        store.set_trial_intermediate_value(ids[0], 1, 0.25)
        store.set_trial_intermediate_value(ids[0], 2, 0.625)
        end(store, ids[2], TrialState.PRUNED, Ended(why=Ending.PRUNED, detail="median", epoch=3))
        end(store, ids[3], TrialState.PRUNED, Ended(why=Ending.DIVERGED, epoch=1))
        for trial_id in ids[4:]:
            end(store, trial_id, TrialState.FAIL, Ended(why=Ending.FAILED, detail="RuntimeError: [too] large"))
        studies.mark_unfinished(store, study_id)
    return copy


def register(store: Store, name: str, text: str = "[study]\nunknown = 1") -> int:
    return studies.register_study(
        store,
        name=name,
        direction="maximize",
        metric="accuracy",
        spec_text=text,
        source="study.toml",
        fingerprint="f",
        dataset_fingerprint="d",
        seed=0,
        hpo_version="0",
    )


def printed(home: Path, *arguments: str) -> str:
    result = CliRunner().invoke(hpo, [*arguments, "--home", str(home)], catch_exceptions=False)
    assert result.exit_code == 0, result.output
    return result.output


def as_json(home: Path, *arguments: str) -> Any:
    return json.loads(printed(home, *arguments, "--json"))


def test_studies_are_listed(home: Path) -> None:
    heading, line = printed(home, "studies").splitlines()
    names = ["study", "state", "finished", "pruned", "failed", "running", "best", "objective", "created"]
    assert heading.split() == names
    assert line.split()[:6] == ["tiny", "finished", "4", "0", "0", "0"]
    assert line.split()[7] == "accuracy"
    assert float(line.split()[6]) == pytest.approx(as_json(home, "studies")[0]["best"], abs=1e-4)


def test_studies_as_json(home: Path, stopped: Path) -> None:
    [study] = as_json(home, "studies")
    assert study["state"] == "finished"
    assert study["direction"] == "maximize"
    assert study["finished_at"] >= study["created_at"]
    assert study["created_at"].endswith("+00:00")
    [study] = as_json(stopped, "studies")
    assert (study["state"], study["finished_at"]) == ("unfinished", None)
    assert [study[count] for count in ("finished", "pruned", "failed", "running")] == [4, 2, 20, 2]


def test_a_database_without_studies(tmp_path: Path) -> None:
    open_store(sqlite_url(tmp_path)).close()
    assert "hpo run STUDY" in printed(tmp_path, "studies")
    assert as_json(tmp_path, "studies") == []


def test_show_tells_the_best_trials_and_the_winners_test_score(home: Path) -> None:
    found = as_json(home, "show", "tiny")
    assert (found["budget"], found["state"], found["failures"], found["in_training"]) == (4, "finished", [], [])
    assert found["ended"] == {"finished": 4}
    values = [trial["value"] for trial in found["best_trials"]]
    assert values == sorted(values, reverse=True)
    assert len(values) == 4
    assert found["best"] == values[0]
    assert found["best_trials"][0]["number"] == found["winner"]
    assert found["best_trials"][0]["epochs"] == 2
    assert found["best_trials"][0]["params"].keys() == {"model.hidden", "optimizer.learning_rate"}
    assert 0 <= found["test"]["accuracy"] <= 1
    assert 0 < found["train_seconds"] <= found["wall_seconds"]

    output = printed(home, "show", "tiny")
    assert output.startswith("tiny: finished, 4 trials (4 finished, 0 pruned, 0 failed)")
    lines = {line.split("  ")[0]: line.split() for line in output.splitlines()}
    assert lines["best trials"][2:] == [str(trial["number"]) for trial in found["best_trials"]]
    assert [float(value) for value in lines["validation accuracy"][2:]] == pytest.approx(values, abs=1e-4)
    assert [float(value) for value in lines["test accuracy"][2:]] == pytest.approx(
        [found["test"]["accuracy"]], abs=1e-4
    )
    assert set(lines["model.hidden"][1:]) <= {"8", "16"}
    assert "To continue" not in output


def test_show_tells_what_simple_models_score(home: Path) -> None:
    found = {one["name"]: one for one in as_json(home, "show", "tiny")["baselines"]}
    assert list(found) == ["majority", "logistic", "boosting"]
    value, test = (found["logistic"][part]["accuracy"] for part in ("validation", "test"))
    line = next(line for line in printed(home, "show", "tiny").splitlines() if "logistic" in line)
    assert line == f"  logistic regression: validation accuracy {value:.4g}, test accuracy {test:.4g}"


def test_show_tells_what_is_in_training_and_what_went_wrong(stopped: Path) -> None:
    found = as_json(stopped, "show", "tiny")
    assert found["in_training"] == [
        {"number": 4, "worker": None, "epoch": 2, "value": 0.625},
        {"number": 5, "worker": None, "epoch": 0, "value": None},
    ]
    assert found["ended"] == {"finished": 4, "pruned by median": 1, "diverged": 1}
    assert found["failures"][0] == {"number": 8, "reason": "RuntimeError: [too] large"}
    assert (len(found["failures"]), found["budget"]) == (20, 28)

    output = printed(stopped, "show", "tiny")
    assert output.startswith("tiny: unfinished, 26 of 28 trials (4 finished, 2 pruned, 20 failed)")
    for line in (
        "Ended early: 1 pruned by median, 1 diverged",
        "  trial 4: epoch 2, 0.625",
        "  trial 5: epoch 0",
        "  trial 8: RuntimeError: [too] large",
        "  ... and 10 more",
        f"To continue: hpo run {found['source']} --home {stopped}",
    ):
        assert line in output.splitlines()


@pytest.fixture
def served(stopped: Path, tmp_path: Path) -> Path:
    """The stopped study, given to workers: two are at work on it, one is silent, one has nothing to do."""
    copy = tmp_path / "served"
    shutil.copytree(stopped, copy)
    with closing(open_store(sqlite_url(copy))) as store:
        study_id = store.get_study_id_from_name("tiny")
        control.submit(store, study_id, priority=0, budgets={"max_trials": 28})
        for name, seconds, at in (("a", 60, study_id), ("b", 60, study_id), ("c", -1, study_id), ("d", 60, None)):
            leases.register_worker(store, f"worker-{name}", "host", 1, seconds, at)
    return copy


def test_who_works_on_what_is_listed(served: Path) -> None:
    [study] = as_json(served, "studies")
    assert (study["workers"], study["worker_names"]) == (2, ["worker-a", "worker-b"])
    assert printed(served, "studies").splitlines()[-3:] == ["Workers", "  worker-a: tiny", "  worker-b: tiny"]


def test_the_training_of_workers_is_no_share_of_the_time_they_shared(home: Path, tmp_path: Path) -> None:
    copy = tmp_path / "home"
    shutil.copytree(home, copy)
    assert re.search(r" s, \d+ % of it training$", printed(copy, "show", "tiny").splitlines()[0])
    with closing(open_store(sqlite_url(copy))) as store:
        studies.add_seconds(store, store.get_study_id_from_name("tiny"), train=600.0, wall=0.0)
    first = printed(copy, "show", "tiny").splitlines()[0]
    assert re.search(r" s, 10 min( \d+ s)? of training, over all workers$", first)


def test_who_could_continue_is_not_told_while_others_do(served: Path) -> None:
    assert "To continue" not in printed(served, "show", "tiny")
    with closing(open_store(sqlite_url(served))) as store:
        leases.record_refusals(store, "worker-a", {"tiny": "no data"})
        leases.unregister_worker(store, "worker-b")
    output = printed(served, "show", "tiny")
    assert "  worker-a: cannot work on it: no data" in output.splitlines()
    assert "worker-c: silent" in output
    assert "To continue" not in output
    assert output.splitlines()[-1] == (
        "No worker can work on it. Once the reason above is resolved, a worker tries again after a while; to try at "
        f"once, start a new one, there or on another machine: hpo worker --home {served}"
    )
    with closing(open_store(sqlite_url(served))) as store:
        leases.unregister_worker(store, "worker-a")
    assert printed(served, "show", "tiny").splitlines()[-1] == f"To continue: hpo worker --home {served}"


@pytest.fixture
def looks(served: Path, monkeypatch: pytest.MonkeyPatch) -> list[float]:
    """Between looks: nothing changes, a worker complains, it goes, the study ends."""
    slept: list[float] = []

    def sleep(seconds: float) -> None:
        slept.append(seconds)
        with closing(open_store(sqlite_url(served))) as store:
            if len(slept) == 2:
                leases.record_refusals(store, "worker-a", {"tiny": "no data"})
            elif len(slept) == 3:
                leases.unregister_worker(store, "worker-a")
            elif len(slept) == 4:
                studies.mark_finished(store, store.get_study_id_from_name("tiny"))

    monkeypatch.setattr(watching.time, "sleep", sleep)
    return slept


COUNTS = r"4 finished, 2 pruned, 20 failed, 2 running; best accuracy [\d.]+"


def test_studies_are_watched_until_all_have_ended(served: Path, looks: list[float]) -> None:
    lines = printed(served, "studies", "--watch").splitlines()
    assert looks == [watching.WATCH_SECONDS] * 4
    expected = ("unfinished; {}; 2 workers", "unfinished; {}; 1 worker", "finished; {}; 1 worker")
    assert len(lines) == len(expected)
    for line, text in zip(lines, expected, strict=True):
        assert re.fullmatch("tiny: " + text.format(COUNTS), line)


def test_a_study_is_watched_until_its_end(served: Path, looks: list[float]) -> None:
    lines = printed(served, "show", "tiny", "--watch").splitlines()
    assert len(looks) == 4
    for line, text in zip(
        lines,
        (
            "unfinished; {}; 2 workers",
            "unfinished; {}; 1 worker; worker-a: cannot work on it: no data",
            "unfinished; {}; 1 worker",
            "finished; {}; 1 worker",
        ),
        strict=False,
    ):
        assert re.fullmatch("tiny: " + text.format(COUNTS), line)
    shown, _, health = printed(served, "show", "tiny").partition("\n\nHealth: ")
    assert health, "which reads all epochs, too long for every look of a watch"
    assert "\n".join(lines[4:]) == shown


def test_watching_as_json_prints_what_differs(served: Path, looks: list[float]) -> None:
    output = printed(served, "studies", "--watch", "--json")
    assert output.count('"name": "tiny"') == 3


def test_a_terminal_is_cleared_for_each_look(served: Path, looks: list[float], monkeypatch: pytest.MonkeyPatch) -> None:
    cleared: list[int] = []
    monkeypatch.setattr(watching, "redraws", lambda: True)
    monkeypatch.setattr(watching.click, "clear", lambda: cleared.append(1))
    output = printed(served, "studies", "--watch")
    assert len(cleared) == 5
    assert [line.split()[1] for line in output.splitlines() if line.startswith("tiny")] == [
        *["unfinished"] * 4,
        "finished",
    ]


def test_a_study_that_is_deleted_while_it_is_watched(served: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def sleep(seconds: float) -> None:
        with closing(open_store(sqlite_url(served))) as store:
            store.delete_study(store.get_study_id_from_name("tiny"))

    monkeypatch.setattr(watching.time, "sleep", sleep)
    assert printed(served, "studies", "--watch").splitlines()[1:] == ["tiny: deleted"]
    with pytest.raises(StudyStateError, match="no study 'tiny'"):
        printed(served, "show", "tiny", "--watch")


@pytest.mark.parametrize("change", ["registered", "deleted"])
def test_a_study_that_comes_or_goes_meanwhile_is_no_error(
    change: str, home: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    copy = tmp_path / "home"
    shutil.copytree(home, copy)
    workers = leases.workers

    def changed(store: Store) -> list[leases.Worker]:
        with closing(open_store(sqlite_url(copy))) as other:
            if change == "deleted":
                other.delete_study(other.get_study_id_from_name("tiny"))
            else:
                register(other, "new")
        return workers(store)

    monkeypatch.setattr(summaries, "workers", changed)
    assert [study["name"] for study in as_json(copy, "studies")] == ([] if change == "deleted" else ["tiny", "new"])


def test_watching_sees_ended_trials_run_again(home: Path, tmp_path: Path) -> None:
    copy = tmp_path / "home"
    shutil.copytree(home, copy)
    url = sqlite_url(copy)
    with closing(open_store(url, readonly=True)) as watching, closing(open_store(url)) as store:
        assert study_details(watching, "tiny").finished == 4
        control.submit(store, store.get_study_id_from_name("tiny"), priority=0, budgets={})
        row = studies.study_row(store, "tiny")
        control.extend_epochs(store, row, 9, before=3, fingerprint="f")
        found = study_details(watching, "tiny")
    assert (found.finished, found.running) == (0, 4)


def test_undefined_scores_are_null(home: Path, tmp_path: Path) -> None:
    shutil.copytree(home, tmp_path / "home")
    with closing(open_store(sqlite_url(tmp_path / "home"))) as store:
        study_id = store.get_study_id_from_name("tiny")
        set_winner(store, study_id, 0, {"accuracy": 0.5, "auroc": None}, "accuracy")
    assert as_json(tmp_path / "home", "show", "tiny")["test"] == {"accuracy": 0.5, "auroc": None}


def test_a_grid_has_no_more_trials_than_combinations(tmp_path: Path) -> None:
    text = tiny.WINE.replace('"random"', '"grid"').replace("{ low = 1e-3, high = 1e-1, log = true }", "1e-2")
    spec = parse_study(text, "study.toml")
    with closing(open_store(sqlite_url(tmp_path))) as store:
        studies.set_facts(store, register(store, "tiny", spec.text), StudyFacts(budget=2))
        register(store, "of another version")
    assert as_json(tmp_path, "show", "tiny")["budget"] == 2
    assert printed(tmp_path, "show", "tiny").startswith("tiny: unfinished, 0 of 2 trials")
    assert as_json(tmp_path, "show", "of another version")["budget"] is None
    assert "unfinished, 0 trials" in printed(tmp_path, "show", "of another version")


def test_an_unknown_study_is_answered_with_the_nearest_name(home: Path) -> None:
    with pytest.raises(StudyStateError, match=r"Did you mean 'tiny'\?"):
        CliRunner().invoke(hpo, ["show", "tinny", "--home", str(home)], catch_exceptions=False)


@pytest.mark.parametrize("state", ["home", "stopped", "served"])
def test_both_commands_say_the_same_of_a_study(state: str, request: pytest.FixtureRequest) -> None:
    place = request.getfixturevalue(state)
    [study] = as_json(place, "studies")
    assert as_json(place, "show", "tiny").items() >= study.items()


def test_the_help_names_every_key_of_the_json(home: Path) -> None:
    def words(command: str) -> set[str]:
        text = CliRunner().invoke(hpo, [command, "--help"]).output
        return set(text.replace(",", " ").replace("(", " ").replace(")", " ").replace(".", " ").split())

    [study] = as_json(home, "studies")
    assert study.keys() <= words("studies")
    found = as_json(home, "show", "tiny")
    assert found.keys() - study.keys() <= words("show")
    assert found["best_trials"][0].keys() <= words("show")


def test_neither_command_imports_torch(home: Path) -> None:
    script = (
        "import sys; from hpo.cli import main\n"
        f"main(['studies', '--home', {str(home)!r}])\n"
        f"main(['show', 'tiny', '--home', {str(home)!r}])\n"
        "assert 'hpo.cli.results.studies' in sys.modules and 'torch' not in sys.modules"
    )
    subprocess.run([sys.executable, "-c", script], check=True, timeout=600, capture_output=True)
