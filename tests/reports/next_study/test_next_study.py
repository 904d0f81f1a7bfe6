"""What is proposed for the next study: from results that are known to ask for it, and never more than the file may
have."""

import tomllib

import numpy as np
import pytest
from optuna.distributions import CategoricalDistribution, FloatDistribution

from hpo.registry.read import Epochs
from hpo.reports.facts import report_of
from hpo.reports.next_study import name_after, text_of
from hpo.reports.next_study.ranges import moved
from hpo.studyfile.file import parse_study
from hpo.studyfile.searched import searched
from hpo.studyfile.tree import Range
from tests.reports.factory import epoch_rows, facts, trial

TEXT = """#:schema ../study.schema.json
[study]
name = "digits"

[data]
dataset = "digits"

[model]
family = "mlp"
hidden = [8]

[init]
scheme = { choice = ["small_normal", "xavier_uniform", "kaiming_normal"] }

[norm]
choice = [{ kind = "none" }, { kind = "batch", placement = { choice = ["before_activation", "after_activation"] } }]

[dropout]
p = { low = 0.0, high = 0.6 }

[optimizer]
learning_rate = { low = 1e-4, high = 1e-1, log = true }
choice = [{ name = "sgd", momentum = { low = 0.0, high = 0.99 } }, { name = "adam" }]

[training]
epochs = 20

[search]
trials = 80
"""
RATE, DROPOUT, MOMENTUM = FloatDistribution(1e-4, 1e-1, log=True), FloatDistribution(0, 0.6), FloatDistribution(0, 0.99)
SCHEME = CategoricalDistribution(("small_normal", "xavier_uniform", "kaiming_normal"))
KIND, PLACEMENT = (
    CategoricalDistribution(("none", "batch")),
    CategoricalDistribution(("before_activation", "after_activation")),
)
NAME = CategoricalDistribution(("sgd", "adam"))


def of(value, *, count=80, text=TEXT, rises=False, **changes):
    """The report of a study whose trials have the value that the function gives for where their learning rate lies in
    its range, 0 to 1, and for their parameters."""
    rng = np.random.default_rng(1)
    trials, rows = [], []
    for number in range(count):
        at = rng.uniform()
        kinds = {"init.scheme": SCHEME, "norm.kind": KIND, "dropout.p": DROPOUT, "optimizer.name": NAME}
        params = {
            "optimizer.learning_rate": 10 ** (3 * at - 4),
            "dropout.p": rng.uniform(0, 0.6),
            **{name: str(rng.choice(kinds[name].choices)) for name in ("init.scheme", "norm.kind", "optimizer.name")},
        }
        kinds["optimizer.learning_rate"] = RATE
        if params["norm.kind"] == "batch":
            params["norm.placement"], kinds["norm.placement"] = str(rng.choice(PLACEMENT.choices)), PLACEMENT
        if params["optimizer.name"] == "sgd":
            params["optimizer.momentum"], kinds["optimizer.momentum"] = rng.uniform(0, 0.99), MOMENTUM
        end = round(value(at, params) + 0.002 * rng.standard_normal(), 6)
        trials.append(trial(number, end, params, kinds, epochs=20, best_epoch=20))
        made = epoch_rows(number, 20, end)
        if rises:
            made = [{**row, "objective": end - 0.02 * (20 - row["epoch"])} for row in made]
        rows += made
    return report_of(
        facts(spec_text=text, **changes), trials, Epochs.of({n: [row[n] for row in rows] for n in rows[0]})
    )


def rising(at, params):
    """More with a higher learning rate, less with one scheme; all else does nothing."""
    return 0.5 + 0.3 * at - 0.2 * (params["init.scheme"] == "small_normal")


@pytest.fixture(scope="module")
def report():
    return of(rising, rises=True)


def by_path(report):
    return {change.path: change for change in report.next.changes}


def file_of(report, name="digits-2"):
    return text_of(parse_study(report.spec_text, "digits.toml"), report, report.importances, report.checks, name)


def test_what_the_results_ask_for_is_in_a_valid_file_and_told(report):
    text = file_of(report)
    spec = parse_study(text, "digits-2.toml")
    assert spec.study.name == report.next.name == "digits-2"
    assert report.next.command == "hpo init --from digits"
    nodes = searched(spec.tree)
    rate = nodes["optimizer.learning_rate"].node
    assert rate.low > 1e-4
    assert rate.high > 0.5
    assert rate.log
    assert nodes["init.scheme"].node.labels == ("xavier_uniform", "kaiming_normal")
    assert tomllib.loads(text)["training"]["epochs"] == 40
    for change in report.next.changes:
        assert change.path in text
    assert text.startswith("#:schema ../study.schema.json\n")
    assert max(map(len, text.splitlines())) <= 120


def test_parameters_without_effect_get_the_winners_values(report):
    changes = by_path(report)
    dead = {"dropout.p", "norm.kind", "norm.placement", "optimizer.name", "optimizer.momentum"} & set(changes)
    assert {"norm.kind", "optimizer.name"} <= dead
    spec = parse_study(file_of(report), "digits-2.toml")
    assert spec.tree["norm"]["kind"] == report.winner.params["norm.kind"]
    assert spec.tree["optimizer"]["name"] == report.winner.params["optimizer.name"]
    assert not dead & set(searched(spec.tree))


def test_the_same_results_give_the_same_file(report):
    assert file_of(report) == file_of(of(rising, rises=True))


def test_results_that_ask_for_nothing_change_nothing_but_the_name():
    everything = of(
        lambda at, p: (
            0.9
            - 0.3 * (at - 0.5) ** 2
            - 0.3 * (p["dropout.p"] - 0.3) ** 2
            - 0.05 * (p["norm.kind"] == "none")
            - 0.05 * (p["optimizer.name"] == "adam")
            - 0.05 * (p["init.scheme"] == "small_normal")
            - 0.1 * (p.get("optimizer.momentum", 0.5) - 0.5) ** 2
            - 0.05 * (p.get("norm.placement") == "after_activation")
        ),
        text=TEXT.replace("trials = 80", "trials = 40"),
    )
    assert not {"optimizer.learning_rate", "dropout.p", "training.epochs"} & set(by_path(everything))
    assert "digits-2" in file_of(everything)


def test_a_choice_without_the_winners_option_stays_as_it_is(report):
    winners = report.winner.params["init.scheme"]
    text = TEXT.replace(f'"{winners}"', '"orthogonal"')
    edited = of(rising, rises=True, text=text)
    assert edited.winner.params["init.scheme"] == winners
    assert "norm.kind" in by_path(edited)
    assert "init.scheme" not in by_path(edited)


def test_scientific_parameters_stay_searched():
    text = TEXT.replace('name = "digits"\n', 'name = "digits"\nscientific = ["dropout.p", "init.scheme"]\n', 1)
    roles = {"scientific": ("dropout.p", "init.scheme"), "nuisance": (), "fixed": ()}
    report = of(rising, text=text, facts={"roles": roles})
    assert not {"dropout.p", "init.scheme"} & set(by_path(report))


def test_nothing_is_proposed_without_a_winner_or_a_file_that_can_be_read():
    assert report_of(facts(spec_text=TEXT), [], Epochs({})).next is None
    assert of(rising, text="[study]").next is None


@pytest.mark.parametrize(
    ("name", "after"),
    [
        ("digits", "digits-2"),
        ("digits-2", "digits-3"),
        ("digits-cnn", "digits-cnn-2"),
        ("-2", "-2-2"),
        ("a-07", "a-07-2"),
    ],
)
def test_names_count_on(name, after):
    assert name_after(name) == after


@pytest.mark.parametrize(
    ("node", "name", "side", "cut", "expected"),
    [
        (Range(low=1e-4, high=1e-1, log=True), "optimizer.learning_rate", "upper", True, (3.2e-3, 3.2)),
        (Range(low=1e-4, high=1e-1, log=True), "optimizer.learning_rate", "lower", False, (3.2e-6, 1e-1)),
        (Range(low=0.0, high=0.5), "dropout.p", "upper", False, (0.0, 0.75)),
        (Range(low=0.0, high=0.9), "optimizer.momentum", "upper", False, (0.0, 0.95)),
        (Range(low=0.2, high=0.4), "dropout.p", "lower", True, (0.1, 0.3)),
        (Range(low=8, high=64), "training.batch_size", "upper", True, (36, 92)),
        (Range(low=1, high=3), "training.batch_size", "lower", False, None),
        (Range(low=8, high=32, step=8), "training.batch_size", "upper", False, (8, 48)),
        (Range(low=0.1, high=0.3, step=0.1), "dropout.p", "upper", True, (0.2, 0.4)),
        (Range(low=0.1, high=0.9, step=0.4), "dropout.p", "upper", False, None),
    ],
)
def test_ranges_move_as_far_as_the_record_allows(node, name, side, cut, expected):
    found = moved(node, name, side, cut=cut)
    assert (found and (found.low, found.high)) == expected
    assert found is None or (found.log, found.step) == (node.log, node.step)
