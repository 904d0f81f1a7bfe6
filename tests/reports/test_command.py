"""`hpo report` and `hpo compare` on a database, through the console script's own entry point."""

import csv
import io
import subprocess
import sys
from pathlib import Path

import pytest

from hpo.cli import main
from hpo.registry.conclusions import set_winner
from hpo.registry.read import Epochs
from hpo.registry.studies import add_seconds, register_study, set_balance, set_facts
from hpo.reports.facts import gather, report_of
from hpo.reports.render.csv import trials_csv
from hpo.storage.open import open_store, sqlite_url
from hpo.storage.own_trials import MARK, mark
from hpo.storage.rows import EpochRow
from tests.reports.factory import facts, frozen_study

METRICS = ("accuracy", "macro_f1")


def register(store, name, count, seed=0):
    """Put a made study into a database, as a run would have left it."""
    study_id = register_study(
        store,
        name=name,
        direction="maximize",
        metric="accuracy",
        spec_text=facts().spec_text,
        source="studies/digits.toml",
        fingerprint="f",
        dataset_fingerprint="d",
        seed=0,
        hpo_version="0.1.0",
    )
    trials, epochs = frozen_study(count, seed)
    text = store.get_study_system_attrs(study_id)[MARK]
    for frozen in trials:
        frozen.system_attrs[MARK] = mark(text, frozen.number)
    with store.transaction():
        ids = {frozen.number: store.create_new_trial(study_id, template_trial=frozen) for frozen in trials}
        store.add_epochs(
            EpochRow(
                trial_id=ids[row.pop("number")],
                metrics={metric: row.pop(metric) for metric in METRICS},
                **row,
            )
            for row in epochs.to_dict("records")
        )
    set_balance(store, study_id, facts().balance)
    set_facts(store, study_id, facts().facts)
    add_seconds(store, study_id, train=70.2, wall=81.4)
    best = max((t for t in trials if t.state.name == "COMPLETE"), key=lambda t: (t.value, -t.number))
    set_winner(store, study_id, best.number, {"accuracy": 0.9722}, "accuracy")
    return trials, epochs


@pytest.fixture(scope="module")
def home(tmp_path_factory):
    folder = tmp_path_factory.mktemp("home")
    store = open_store(sqlite_url(folder))
    register(store, "digits", 40)
    register(store, "digits-cnn", 25, seed=5)
    store.close()
    return folder


def hpo(*arguments):
    """Run the command; its exit code."""
    try:
        main([str(argument) for argument in arguments])
    except SystemExit as stop:
        return stop.code
    return 0


def test_what_the_database_holds_is_what_the_report_shows(home):
    store = open_store(sqlite_url(home), readonly=True)
    report = gather(store, "digits")
    store.close()
    trials, epochs = frozen_study(40)
    assert trials_csv(report) == trials_csv(report_of(facts(), trials, Epochs.of(epochs)))
    assert len(report.epochs) == len(epochs)
    assert report.test == {"accuracy": 0.9722}
    assert report.wall_seconds == pytest.approx(81.4)
    assert len(report.balance) == 30


def test_report_writes_the_files_and_prints_the_page(home, capsys):
    assert hpo("report", "digits", "--home", home) == 0
    page = Path(capsys.readouterr().out.strip())
    assert page == home / "reports" / "digits" / "index.html"
    assert {file.name for file in page.parent.iterdir()} == {
        "index.html",
        "trials.csv",
        "epochs.csv",
        "importances.csv",
        "summary.json",
        "summary.md",
    }


def test_report_elsewhere(home, tmp_path, capsys):
    assert hpo("report", "digits", "--home", home, "-o", tmp_path / "out") == 0
    assert (tmp_path / "out" / "summary.md").read_text().startswith("# digits")


def test_an_unknown_study_is_answered_with_the_nearest_name(home, capsys):
    assert hpo("report", "digit", "--home", home) == 2
    assert "Did you mean 'digits'?" in capsys.readouterr().err
    assert not (home / "reports" / "digit").exists()


def test_a_folder_that_cannot_be_written_is_the_machines_fault(home, tmp_path, capsys):
    (tmp_path / "out").write_text("in the way")
    assert hpo("report", "digits", "--home", home, "-o", tmp_path / "out" / "deeper") == 1
    assert "Cannot write" in capsys.readouterr().err


def test_no_database_yet(tmp_path, capsys):
    assert hpo("report", "digits", "--home", tmp_path / "nowhere") == 1
    assert "hpo run" in capsys.readouterr().err
    assert not (tmp_path / "nowhere").exists()


def test_compare_prints_a_table_and_writes_csv(home, tmp_path, capsys):
    file = tmp_path / "compare.csv"
    assert hpo("compare", "digits", "digits-cnn", "--home", home, "--csv", file) == 0
    shown = capsys.readouterr()
    assert "winner.optimizer.learning_rate" in shown.out
    assert "digits-cnn" in shown.out
    assert str(file) in shown.err
    assert [row["study"] for row in csv.DictReader(file.open())] == ["digits", "digits-cnn"]


def test_compare_writes_a_page_and_says_what_a_reader_has_to_know(home, tmp_path, capsys):
    file = tmp_path / "compare.html"
    assert hpo("compare", "digits", "digits-cnn", "--home", home, "--html", file, "--metric", "macro_f1") == 0
    shown = capsys.readouterr()
    assert "Note: No p value for digits, digits-cnn: one score each." in shown.err
    assert str(file) in shown.err
    assert "Comparison by macro F1" in file.read_text()


def test_compare_refuses_what_does_not_compare(home, capsys):
    assert hpo("compare", "digits", "digits-cnn", "--home", home, "--metric", "auroc") == 2
    assert "no study recorded the metric 'auroc'" in capsys.readouterr().err
    assert hpo("compare", "digits", "digits-cnn", "--home", home, "--group-by", "search.samplers") == 2


def test_a_comparison_that_cannot_be_written_says_so(home, tmp_path, capsys):
    (tmp_path / "file").touch()
    assert hpo("compare", "digits", "--home", home, "--csv", tmp_path / "file" / "x.csv") == 1
    assert capsys.readouterr().err.endswith("Give another file with --csv.\n")


def test_compare_to_standard_output_is_csv_alone(home, capsys):
    assert hpo("compare", "digits", "digits-cnn", "--home", home, "--csv", "-") == 0
    rows = list(csv.DictReader(io.StringIO(capsys.readouterr().out)))
    assert [row["test.accuracy"] for row in rows] == ["0.9722", "0.9722"]
    assert float(rows[0]["best"]) >= float(rows[0]["median"])


def test_neither_command_imports_torch(home):
    script = (
        "import sys; from hpo.cli import main\n"
        f"main(['report', 'digits', '--home', {str(home)!r}])\n"
        f"main(['compare', 'digits', '--home', {str(home)!r}])\n"
        "assert 'torch' not in sys.modules"
    )
    subprocess.run([sys.executable, "-c", script], check=True, timeout=120, capture_output=True)
