"""Rules between settings: what each refuses, and what stands just inside it."""

from __future__ import annotations

import pytest

from hpo.errors import StudyFileError
from hpo.studyfile import starts
from hpo.studyfile.rules import between_settings, functions, objectives, refit
from hpo.studyfile.rules.between_settings import RULES
from tests.studyfile.texts import study

STEPLESS = "p = { low = 0.0, high = 0.5 }"
MIXED_NORM = 'choice = [{ kind = "none" }, { kind = "group" }]'
OWN = 'family = "custom"\nmodule = "net.py:Net"'
ENCODER = 'family = "transformer"'
EITHER = 'choice = [{ family = "mlp" }, { family = "custom", module = "net.py:Net" }]'

PLATEAU = 'name = "reduce_on_plateau"'
NO_VALIDATION = 'schedule.name: found "reduce_on_plateau", which follows the validation loss, beside study.final'

REFUSED = [
    *(
        ({"study": 'final = "refit"', "schedule": schedule}, NO_VALIDATION)
        for schedule in (PLATEAU, f'choice = [{{ name = "constant" }}, {{ {PLATEAU} }}]')
    ),
    (
        {"data": 'task = "regression"'},
        'study.objective: found "accuracy", but data.task is "regression"; must be one of loss, mae, median',
    ),
    (
        {"study": 'objective = "rmse"', "data": 'task = "classification"'},
        'study.objective: found "rmse", but data.task is "classification"; must be one of accuracy, auroc,',
    ),
    ({"data": "folds = 5\nvalidation = 0.3"}, "data.folds: found beside validation = 0.3; folds replace"),
    ({"data": "test = 0.6\nvalidation = 0.4"}, "data.validation: found 0.4 beside test = 0.6; their sum must be"),
    ({"search": 'pruner = "threshold"'}, "search.pruner: the threshold pruner needs lower, upper or both"),
    (
        {"search": 'pruner = { name = "threshold", lower = 0.5, upper = 0.4 }'},
        "search.pruner.lower: found 0.5; must be below upper = 0.4",
    ),
    (
        {"search": 'pruner = { name = "constant", wave = 4, best = 4 }'},
        "search.pruner.best: found 4, but a wave has 4 trials; must be less, or all go on",
    ),
    (
        {"training": "epochs = 5", "search": 'pruner = { name = "hyperband", min_epochs = 5 }'},
        "search.pruner.min_epochs: found 5, but training.epochs is 5; must be less",
    ),
    (
        {"search": 'pruner = { name = "median", warmup_epochs = 99 }'},
        "warmup_epochs: found 99, but training.epochs is 20",
    ),
    ({"training": "choice = [{ epochs = 3 }, { epochs = 4 }]"}, "training.epochs: found 3, 4 in the options;"),
    ({"training": "choice = [{ epochs = 3 }, { batch_size = 4 }]"}, "training.epochs: found 3, 20 in the options;"),
    ({"search": 'sampler = "grid"', "dropout": STEPLESS}, "dropout.p: found { low = 0.0, high = 0.5 }; the grid"),
    (
        {
            "search": 'sampler = "grid"',
            "init": 'choice = [{ scheme = "small_normal", std = { low = 0.1, high = 1.0, log = true } }]',
        },
        "init.small_normal.std: found { low = 0.1, high = 1.0, log = true }; the grid sampler needs a countable "
        "range: write a choice of values",
    ),
    *(
        ({"model": f"hidden = [8]\n{lines}"}, f"model.hidden: found beside {named}, in place of which it lists")
        for lines, named in (
            ("layers = 2", "layers"),
            ("width = { low = 16, high = 64, step = 16 }", "width"),
            ("layers = { low = 1, high = 4 }\nwidth = 8", "layers and width"),
        )
    ),
    ({"norm": 'kind = "group"'}, 'norm.kind: found "group", which groups channels, but an mlp has none.'),
    ({"norm": MIXED_NORM}, "norm.kind: found"),
    ({"model": 'choice = [{ family = "mlp" }, { family = "cnn" }]', "norm": MIXED_NORM}, "norm.kind: found"),
    ({"model": EITHER, "dropout": "spatial = true"}, "dropout.spatial: found true, which drops whole channels"),
    ({"dropout": "spatial = true"}, "dropout.spatial: found true, which drops whole channels, but an mlp has none."),
    ({"dropout": "spatial = { choice = [false, true] }"}, "dropout.spatial: found true"),
    (
        {"model": 'family = "recurrent"', "dropout": "spatial = true"},
        "dropout.spatial: found true, which drops whole channels, but a recurrent model has none. Remove it, or use",
    ),
    (
        {"model": 'family = "cnn"', "dropout": "attention = 0.1"},
        "dropout.attention: found 0.1, for weights of attention, but a cnn has none. Remove it, or use family = ",
    ),
    (
        {"model": 'family = "mlp"\nnumber_vector = 4'},
        "model.number_vector: found 4, but numbers are taken as they are. Remove it, or add numbers = ",
    ),
    (
        {"model": 'family = "mlp"\nnumbers = "piecewise_linear"\nfrequencies = 4'},
        "model.frequencies: found 4, but numbers are taken by other vectors. Remove it, or add numbers = ",
    ),
    (
        {"model": 'family = "mlp"\nnumbers = "periodic"\nbins = 4'},
        'model.bins: found 4, but numbers are taken by other vectors. Remove it, or add numbers = "piecewise_linear"',
    ),
    ({"model": 'family = "mlp"\nsigma = { low = 0.1, high = 1.0 }'}, "model.sigma: found { low = 0.1, high = 1.0 }"),
    ({"model": ENCODER, "norm": 'kind = "batch"'}, 'norm.kind: found "batch", but a transformer normalises each step'),
    (
        {"model": ENCODER, "norm": 'kind = "rms"\nplacement = "after_activation"'},
        'norm.placement: found "after_activation", but a transformer normalises where model.norm_first says. Remove it',
    ),
    (
        {"model": 'family = "mlp"', "norm": 'kind = "layer"\nplacement = { choice = ["cell", "input"] }'},
        'norm.placement: found "cell", in the cells of recurrent layers, but an mlp has none. Use ',
    ),
    (
        {"model": 'family = "recurrent"', "norm": 'kind = "batch"\nplacement = "cell"'},
        'norm.placement: found "cell"; must be one of "before_activation", "after_activation", "input"',
    ),
    *(
        (
            {"model": OWN, table: line},
            f'{table}: has no effect on family = "custom", whose module brings its own. Remove [{table}], and search',
        )
        for table, line in (("init", 'scheme = "zeros"'), ("norm", 'kind = "group"'), ("dropout", "spatial = true"))
    ),
    *(
        (
            {"training": f"batch_size = {size}", "norm": norm},
            f"training.batch_size: found {size}, but batch normalisation needs at least 2 examples in a batch. Leave",
        )
        for size in ("1", "{ choice = [8, 1] }", "{ low = 1, high = 4 }")
        for norm in ('kind = "batch"', 'choice = [{ kind = "none" }, { kind = "batch" }]')
    ),
    (
        {"search": 'sampler = "grid"', "training": "batch_size = { low = 1, high = 1000000 }"},
        "training.batch_size: found { low = 1, high = 1000000 }, too many values for a grid: at most 100000. Write",
    ),
    (
        {
            "study": 'objective = "rmse"',
            "data": 'task = "regression"',
            "regularization": "label_smoothing = 0.1",
        },
        "regularization.label_smoothing: smooths class labels, but data.task is regression. Remove it",
    ),
    (
        {"training": "average_decay = 0.9"},
        'training.average_decay: has no effect, as no average is taken. Add average = "ema", or remove it',
    ),
    (
        {"study": 'scientific = ["dropout.q"]', "dropout": "p = { low = 0.0, high = 0.5 }"},
        'study.scientific: found "dropout.q", which is not searched. Did you mean',
    ),
    (
        {"study": 'nuisance = ["init.scheme"]', "init": 'scheme = "zeros"'},
        'study.nuisance: found "init.scheme", which is not searched.',
    ),
    (
        {"study": 'scientific = ["dropout.p"]\nfixed = ["dropout.p"]', "dropout": "p = { low = 0.0, high = 0.5 }"},
        'study.fixed: found "dropout.p", which is in study.scientific already. Remove one',
    ),
]

ACCEPTED = [
    {"study": 'final = "search"', "schedule": PLATEAU},
    {"study": 'final = "refit"', "schedule": 'choice = [{ name = "constant" }, { name = "cosine" }]'},
    {
        "study": 'scientific = ["norm.kind", "norm.placement"]\nnuisance = ["optimizer.adamw.weight_decay"]\n'
        'fixed = ["optimizer.name", "optimizer.adam.weight_decay"]',
        "norm": 'choice = [{ kind = "none" }, { kind = "layer", placement = { choice = ["before_activation", '
        '"after_activation"] } }]',
        "optimizer": 'choice = [{ name = "sgd" }, { name = "adam", weight_decay = { low = 0.1, high = 0.2 } }, '
        '{ name = "adamw", weight_decay = { low = 0.1, high = 0.3 } }]',
    },
    {"model": "layers = { low = 1, high = 4 }\nwidth = { low = 16, high = 64, log = true }"},
    {"model": 'hidden = [8]\nwidth = "none"'},
    {"model": OWN},
    {"model": EITHER, "init": 'scheme = "orthogonal"', "norm": 'kind = "batch"', "dropout": "p = 0.1"},
    {"training": "batch_size = 1", "norm": 'kind = "layer"'},
    {"training": "batch_size = 2", "norm": 'kind = "batch"'},
    {"model": ENCODER, "norm": 'kind = "rms"'},
    {"training": 'average = { choice = ["none", "ema"] }\naverage_decay = { low = 0.9, high = 0.999 }'},
    {"study": 'objective = "rmse"'},
    {"study": 'objective = "loss"', "data": 'task = "regression"'},
    {"data": "folds = 5\ntest = 0.9"},
    {"data": "test = 0.6\nvalidation = 0.3"},
    {"search": 'pruner = { name = "threshold", lower = 0.4 }'},
    {"training": "epochs = 5", "search": 'pruner = { name = "hyperband", min_epochs = 4 }'},
    {"training": "epochs = 1", "search": 'pruner = "hyperband"'},
    {"training": "epochs = 3\nchoice = [{ batch_size = 8 }, { batch_size = 16 }]"},
    {"search": 'sampler = "grid"', "dropout": "p = { low = 0.0, high = 0.5, step = 0.1 }"},
    {"search": 'sampler = "grid"', "training": "batch_size = { low = 1, high = 4 }"},
    {"model": 'family = "cnn"', "norm": MIXED_NORM, "dropout": "spatial = true"},
    {"model": 'family = "transformer"', "dropout": "attention = 0.1"},
    {"model": 'family = "recurrent"', "norm": 'kind = "layer"\nplacement = { choice = ["cell", "input"] }'},
    {"model": 'numbers = { choice = ["plain", "piecewise_linear"] }\nbins = 8'},
    {"model": 'numbers = { choice = ["plain", "periodic"] }\nnumber_vector = 4'},
    {"model": 'choice = [{ family = "mlp" }, { family = "cnn" }]', "dropout": "spatial = { choice = [false, true] }"},
    {"data": 'task = "regression"', "study": 'objective = "r2"', "regularization": "label_smoothing = 0.0"},
]


@pytest.mark.parametrize(("tables", "expected"), REFUSED)
def test_a_broken_rule_is_named(tables: dict[str, str], expected: str) -> None:
    with pytest.raises(StudyFileError) as caught:
        study(**tables)
    assert expected in str(caught.value)


@pytest.mark.parametrize("tables", ACCEPTED)
def test_what_keeps_the_rules_is_accepted(tables: dict[str, str]) -> None:
    assert study(**tables).study.name == "s"


def test_every_rule_is_listed() -> None:
    written = {
        name
        for module in (between_settings, functions, objectives, refit, starts)
        for name, value in vars(module).items()
        if getattr(value, "__module__", "") == module.__name__ and name[0] != "_"
    }
    assert {rule.__name__ for rule in RULES} == written - {"broken_rules", "given_starts"}
