"""The first trials of a study have its starts: the default configuration, those of the file, the best of other
studies. They are facts of the study from the moment that it begins."""

from __future__ import annotations

from contextlib import closing
from pathlib import Path
from typing import Any

import pytest
from optuna.trial import TrialState

from hpo import space
from hpo.attributes.starts import Start
from hpo.cli import main
from hpo.endings import Ended, Ending
from hpo.errors import StudyFileError
from hpo.registry.deletion import delete_study
from hpo.registry.studies import all_rows, mark_finished, study_row
from hpo.reports.facts import gather
from hpo.search.searcher import Searcher
from hpo.storage.open import open_store, sqlite_url
from hpo.storage.store import Store
from tests.runtime.small import open_study, small_study

NARROW = 'learning_rate = { low = 1e-3, high = 3e-1, log = true }\nname = "sgd"\nmomentum = { low = 0.0, high = 0.3 }'


def searcher(store: Store, home: Path, name: str, search: str = "", **tables: str) -> Searcher:
    spec = small_study(**{"search": search, "study": f'name = "{name}"', **tables})
    return open_study(spec, store, home).searcher


def params(searcher: Searcher, count: int) -> list[dict[str, Any]]:
    searcher.ask(count)
    return [trial.params for trial in searcher.all_trials()]


def ended(searcher: Searcher, values: list[float]) -> None:
    """Trials that finished with these values."""
    for trial, value in zip(searcher.ask(len(values)), values, strict=True):
        searcher.report(trial.trial_id, 1, value)
        searcher.tell(trial.trial_id, TrialState.COMPLETE, Ended(why=Ending.FINISHED), {})


def test_the_default_configuration_then_the_given_ones_then_the_sampler(tmp_path: Path) -> None:
    start = 'start = [{ "optimizer.name" = "adam", dropout.p = 0.1 }, { norm.kind = "batch" }]'
    with closing(open_store(sqlite_url(tmp_path))) as store:
        first = searcher(store, tmp_path, "one", start)
        default, given, partly, drawn = params(first, 4)
        assert default["optimizer.learning_rate"] == 0.001
        assert default["norm.kind"] == "none"
        assert (given["optimizer.name"], given["dropout.p"], partly["norm.kind"]) == ("adam", 0.1, "batch")
        assert given.keys() >= {"model.hidden", "norm.kind", "optimizer.learning_rate"}, "the sampler drew the rest"
        said = [trial.user_attrs.get("start") for trial in first.all_trials()]
        assert said == ["the default configuration", "the study file", "the study file", None]
        # One trial at a time, by another process: the same.
        again = searcher(store, tmp_path, "two", start)
        for count in range(1, 5):
            found = params(again, 1)
            assert len(found) == count
            again = searcher(store, tmp_path, "two", start)
        assert found == [default, given, partly, drawn]


def test_known_starts_come_after_those_of_the_file(tmp_path: Path) -> None:
    with closing(open_store(sqlite_url(tmp_path))) as store:
        found = searcher(store, tmp_path, "one", "trials = 20\nknown_starts = true\nstart = [{ dropout.p = 0.1 }]")
        *_, third, drawn = params(found, 5)
        said = [trial.user_attrs.get("start") for trial in found.all_trials()]
        assert said == ["the default configuration", "the study file", "known starts", "known starts", None]
        words = gather(store, "one").provenance.notes["first configurations"]
        assert words == "the default configuration, 1 of the study file, 2 known starts"
    assert third["optimizer.learning_rate"] != drawn["optimizer.learning_rate"]


@pytest.mark.parametrize("sampler", ["gp", "cmaes", "qmc", "random"])
def test_every_sampler_takes_starts(sampler: str, tmp_path: Path) -> None:
    with closing(open_store(sqlite_url(tmp_path))) as store:
        found = searcher(store, tmp_path, "one", f'sampler = "{sampler}"\nstart = [{{ dropout.p = 0.1 }}]')
        default, given, other = params(found, 3)
    assert (default["dropout.p"], given["dropout.p"]) == (0.0, 0.1)
    assert other["dropout.p"] not in (0.0, 0.1)


def test_a_grid_has_every_combination_once_and_the_default_first(tmp_path: Path) -> None:
    tables = {"optimizer": 'name = "adam"\nlearning_rate = { choice = [0.1, 0.001] }', "dropout": "p = 0.0"}
    with closing(open_store(sqlite_url(tmp_path))) as store:
        found = params(searcher(store, tmp_path, "one", 'sampler = "grid"', **tables), 12)
    assert (found[0]["optimizer.learning_rate"], found[0]["norm.kind"]) == (0.001, "none")
    assert len({tuple(sorted(values.items())) for values in found}) == 12


def test_the_default_configuration_can_be_left_out(tmp_path: Path) -> None:
    with closing(open_store(sqlite_url(tmp_path))) as store:
        found = searcher(store, tmp_path, "one", "default_first = false")
        found.ask(1)
        assert study_row(store, "one").facts.starts == ()
        assert "start" not in found.all_trials()[0].user_attrs


def test_the_best_of_other_studies_are_taken_once_when_the_study_begins(tmp_path: Path) -> None:
    warm = 'warm_start = ["one", "two"]\ndefault_first = false'
    narrow = {"optimizer": NARROW}
    with closing(open_store(sqlite_url(tmp_path))) as store:
        for name, seed in (("one", 1), ("two", 2)):
            other = searcher(store, tmp_path, name, study=f'name = "{name}"\nseed = {seed}')
            ended(other, [0.1, 0.8, 0.3, 0.9, 0.5, 0.4, 0.2, 0.7])
        third = searcher(store, tmp_path, "third", warm, **narrow)
        starts = study_row(store, "third").facts.starts
        assert [(start.study, start.trial) for start in starts[:4]] == [("one", 3), ("two", 3), ("one", 1), ("two", 1)]
        assert len(starts) == 10
        assert all(0.0 <= start.values.get("optimizer.momentum", 0.0) <= 0.3 for start in starts), "what lies outside"
        assert all("optimizer.name" not in start.values for start in starts), "what is not searched here"
        found = params(third, 10)
        assert [start.values.items() <= values.items() for start, values in zip(starts, found, strict=True)] == [
            True
        ] * 10
        # The other studies are gone: the study goes on, and another process finds the same starts.
        mark_finished(store, study_row(store, "one").study_id)
        delete_study(store, "one")
        assert searcher(store, tmp_path, "third", warm, **narrow).queue.starts == starts
        assert gather(store, "third").provenance.notes["first configurations"] == "5 of one, 5 of two"


def test_a_start_that_an_edited_study_no_longer_allows_is_left_out(tmp_path: Path) -> None:
    starts = (f'{{ "optimizer.momentum" = {momentum}, "optimizer.name" = "sgd" }}' for momentum in (0.9, 0.2))
    start = f"start = [{', '.join(starts)}]"
    wide = {"optimizer": NARROW.replace("0.3 }", "0.99 }").replace('"sgd"', '{ choice = ["sgd"] }')}
    with closing(open_store(sqlite_url(tmp_path))) as store:
        found = searcher(store, tmp_path, "one", f"default_first = false\n{start}", **wide)
        narrower = searcher(store, tmp_path, "narrower", optimizer=wide["optimizer"].replace("0.99", "0.5")).spec
        found.queue.parameters = space.parameters(narrower)
        assert params(found, 1)[0]["optimizer.momentum"] == 0.2


def test_a_study_to_start_from_is_there_has_finished_and_shares_a_parameter(tmp_path: Path) -> None:
    with closing(open_store(sqlite_url(tmp_path))) as store:
        with pytest.raises(StudyFileError, match=r"small.toml: search.warm_start: no study 'other' in .*none yet"):
            searcher(store, tmp_path, "one", 'warm_start = ["other"]')
        other = searcher(store, tmp_path, "other")
        with pytest.raises(StudyFileError, match="'other' has no finished trial to start from"):
            searcher(store, tmp_path, "one", 'warm_start = ["other"]')
        ended(other, [0.5])
        fixed = {"optimizer": 'name = "sgd"\nlearning_rate = { low = 1.0, high = 2.0 }', "dropout": "p = 0.1"}
        fixed |= {"model": 'family = "mlp"\nhidden = [8]', "norm": 'kind = "none"'}
        with pytest.raises(StudyFileError, match=r"it searches dropout\.p, .* this study optimizer\.learning_rate\."):
            searcher(store, tmp_path, "one", 'warm_start = ["other"]', **fixed)
        assert [row.name for row in all_rows(store)] == ["other"], "nothing was written"


def test_show_names_the_starts(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    with closing(open_store(sqlite_url(tmp_path))) as store:
        searcher(store, tmp_path, "one", "start = [{ dropout.p = 0.1 }]")
    main(["show", "one", "--home", str(tmp_path)])
    assert "First tried: the default configuration, 1 of the study file" in capsys.readouterr().out


def test_a_start_says_where_it_comes_from() -> None:
    assert str(Start(source="study", study="digits", trial=7, values={})) == "trial 7 of digits"
