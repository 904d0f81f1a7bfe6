"""Every mistake a study file can hold: the message names the place, what was found, what is allowed."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import pytest

from hpo.errors import StudyFileError
from hpo.studyfile.custom import ARGUMENT_PATTERN
from hpo.studyfile.file import parse_study
from hpo.studyfile.problems import PATTERNS, nearest
from hpo.studyfile.records import CLASSIFICATION_METRICS
from hpo.studyfile.schema import study_schema
from tests.studyfile.texts import study_text

RATE = "learning_rate"


def message(**tables: str) -> str:
    """What a study with these lines is answered with."""
    return refusal(study_text(**tables))


def refusal(text: str) -> str:
    with pytest.raises(StudyFileError) as caught:
        parse_study(text, "s.toml")
    assert caught.value.exit_code == 2
    return str(caught.value)


NAMES = [
    ({"optimzer": 'name = "sgd"'}, 'optimzer: unknown table. Did you mean "optimizer"? Tables: study, data,'),
    ({"cheese": "a = 1"}, "cheese: unknown table. Tables: study, data, search, checkpoints, model, init"),
    ({"study": "sede = 1"}, 'study.sede: unknown key. Did you mean "seed"? Allowed here: name, objective,'),
    ({"optimizer": "lr = 1"}, 'optimizer.lr: unknown key. Did you mean "learning_rate"? Allowed here: name,'),
    ({"optimizer": "batch_size = 1"}, "optimizer.batch_size: unknown key. It belongs in [training]. Allowed"),
    ({"optimizer": "momentum = 0.9"}, 'momentum: unknown key. "adam" has no momentum; "sgd" has. Allowed'),
    ({"init": "std = 0.1"}, 'init.std: unknown key. "kaiming_uniform" has no std; "small_normal" has. Allowed'),
    ({"dropout": "cheese = 0.3"}, "dropout.cheese: unknown key. Allowed here: p, input, first, attention, spatial"),
    (
        {"norm": 'kind = "bach"'},
        'norm.kind: found "bach"; must be one of "none", "batch", "layer", "rms", "group". Did',
    ),
    ({"model": 'activation = "reul"'}, '"tanh", "sigmoid". Did you mean "relu"?'),
    ({"init": 'scheme = "kaiming"'}, 'Did you mean "kaiming_uniform"?'),
    ({"search": 'sampler = "tpee"'}, 'search.sampler.name: found "tpee"; must be one of "tpe", "gp", "cmaes"'),
    ({"norm": 'placement = "input"'}, 'norm.kind: missing; must be one of "none", "batch", "layer", "rms", "group"'),
    ({"norm": 'choice = [{ knd = "batch" }]'}, "norm.choice#1.kind: missing (is knd it?); must be one of"),
]

TYPES = [
    ({"study": "seed = -1"}, "study.seed: found -1; must be a whole number (at least 0 and below 4294967296)"),
    ({"study": 'name = "a/b"'}, "study.name: found \"a/b\"; must be 1 to 100 letters, digits, '.', '_' or '-',"),
    ({"data": 'dataset = ""'}, 'data.dataset: found ""; must be text that is not empty'),
    ({"data": "target = 3"}, "data.target: found 3; must be text"),
    (
        {"data": "folds = 1"},
        'data.folds: found 1; must be a whole number (at least 2 and at most 1000000000) or "none"',
    ),
    ({"data": "scaling = 1"}, "data.scaling: found 1; must be one of"),
    ({"search": "trials = 0"}, "search.trials: found 0; must be a whole number (at least 1 and at most 1000000)"),
    ({"search": "trials = 9000000"}, "search.trials: found 9000000; must be a whole number"),
    ({"training": "epochs = 2.5"}, "training.epochs: found 2.5; must be a whole number"),
    (
        {"training": 'class_weight = "balancd"'},
        'training.class_weight: found "balancd"; must be "balanced" or a table, each of whose values is a number '
        '(above 0) or "none". Did you mean "balanced"?',
    ),
    ({"training": "class_weight = { a = 0.0 }"}, "training.class_weight.a: found 0.0; must be a number (above 0)"),
    ({"training": "class_weight = { a = inf }"}, "training.class_weight.a: found inf; must be a number (above 0)"),
    ({"training": "class_weight.choice = [{ a = 1 }]"}, "make the whole table a choice of tables"),
    ({"training": "batch_size = true"}, "training.batch_size: found true; must be a whole number"),
    ({"dropout": "p = 1"}, "dropout.p: found 1; must be a number (at least 0 and below 1)"),
    ({"dropout": 'p = "0.5"'}, 'dropout.p: found "0.5"; must be a number'),
    ({"dropout": "p = nan"}, "dropout.p: found nan; must be a number"),
    ({"regularization": "l1 = inf"}, "regularization.l1: found inf; must be a number (at least 0)"),
    ({"dropout": "p = 1979-05-27"}, "dropout.p: found 1979-05-27; must be a number"),
    ({"model": "hidden = 64"}, "model.hidden: found 64; must be a list of whole numbers (each at least 1 and at most"),
    ({"model": "hidden = [64, 0]"}, "model.hidden: found [64, 0]; must be a list"),
    ({"model": 'family = "cnn"\nchannels = []'}, "model.channels: found []; must be a list of whole numbers"),
    ({"model": 'family = "cnn"\nchannels = []'}, "with at least 1 of them"),
    ({"model": 'family = "cnn"\nkernel = 4'}, "model.kernel: found 4; must be an odd whole number (at least 1 and at"),
    ({"model": f"hidden = [{', '.join(['64'] * 50)}, 0]"}, "64, 64 [... 109 characters ...]  64, 64"),
    ({"search": "sampler = 3"}, 'search.sampler: found 3; must be a table, e.g. { name = "tpe" }'),
    ({"training": "early_stopping = 3"}, "training.early_stopping: found 3; must be a table of keys and values"),
]

RANGES = [
    ({"dropout": "p = { low = 0.5, high = 0.5 }"}, "an empty range: low must be below high; write the number"),
    ({"dropout": "p = { low = 0.6, high = 0.5 }"}, "dropout.p: found { low = 0.6, high = 0.5 }, an empty range"),
    ({"dropout": "p = { low = 0, high = 0.5, log = true }"}, "dropout.p: found low = 0.0 with log = true; a log range"),
    ({"dropout": "p = { low = 0, high = 1 }"}, "dropout.p.high: found 1; must be a number (at least 0 and below 1)"),
    ({"dropout": "p = { low = 0 }"}, "dropout.p.high: missing; a range has both ends"),
    ({"dropout": "p = { lo = 0, high = 0.5 }"}, 'dropout.p.lo: unknown key. Did you mean "low"? Allowed here: low,'),
    ({"dropout": "p = { low = 0, high = 0.5, log = 1 }"}, "dropout.p.log: found 1; must be true or false"),
    ({"dropout": "p = { low = 0, high = 0.5, step = 0.2 }"}, "steps of 0.2 from 0.0 end at 0.4 or 0.6, so set high"),
    ({"dropout": "p = { low = 0, high = 0.5, step = 0.8 }"}, "steps of 0.8 from 0.0 end at 0.8, so set high"),
    ({"dropout": "p = { low = 0, high = 0.5, step = 1e-300 }"}, "more steps than floating-point numbers can tell"),
    ({"dropout": "p = { low = 0, high = 0.5, step = -1 }"}, "dropout.p.step: found -1; must be a number (above 0)"),
    ({"dropout": "p = { low = 0.1, high = 0.5, step = 0.1, log = true }"}, "a log range takes no step"),
    ({"dropout": 'first = { low = "none", high = 0.5 }'}, 'To search "none" too, write a choice'),
    ({"dropout": "p = { cheese = 1 }"}, "dropout.p: found the table { cheese = 1 }; must be a number"),
    ({"dropout": "p = { cheese = 1 }"}, ", a range { low = , high = } or { choice = [...] }"),
    ({"init": 'scheme = "constant"\nvalue = { low = -1e308, high = 1e308 }'}, "wider than floating point can hold"),
    ({"training": "batch_size = { low = 1.5, high = 4 }"}, "training.batch_size.low: found 1.5; must be a whole"),
    ({"training": "batch_size = { low = 1, high = 4, step = 1.5 }"}, "training.batch_size.step: found 1.5; must be"),
    (
        {"model": "hidden = { low = 1, high = 3 }"},
        "model.hidden: found the range { low = 1, high = 3 }, but this is no",
    ),
    ({"dropout": "spatial = { low = 0, high = 1 }"}, "but this is no number; must be true or false or { choice"),
    ({"model": 'family = "cnn"\nkernel = { low = 3, high = 7 }'}, "which contains 4; must be an odd whole number"),
    ({"training": "epochs = { low = 1, high = 9 }"}, "training.epochs: cannot be searched: pruning compares trials"),
    ({"training": "epochs = { choice = [1, 9] }"}, "training.epochs: cannot be searched: pruning compares trials"),
    ({"study": "seed = { low = 0, high = 5 }"}, "study.seed: found a range; [study] cannot be searched. Write a"),
    ({"data": "test = { choice = [0.1, 0.2] }"}, "data.test: found a choice; [data] cannot be searched. Write a"),
    ({"data": "test = { cheese = 0.1 }"}, "data.test: found the table { cheese = 0.1 }; must be a number (at"),
]

CHOICES = [
    ({"model": "hidden = { choice = [] }"}, "model.hidden.choice: found []; must be a list of one value or more"),
    ({"dropout": "p = { choice = 0.5 }"}, "dropout.p.choice: found 0.5; must be a list of one value or more, each a"),
    ({"dropout": "p = { choice = [0, 0.0] }"}, "dropout.p.choice: found 0.0 twice; the options of a choice differ"),
    ({"model": "hidden = { choice = [[8], [8]] }"}, "model.hidden.choice: found [8] twice"),
    ({"dropout": 'first = { choice = ["none", 1.5] }'}, "dropout.first.choice#2: found 1.5; must be a number"),
    ({"dropout": "p = { choice = [0, { low = 0.1, high = 0.2 }] }"}, "make the whole table a choice of tables"),
    ({"dropout": "p = { choice = [0.1], low = 3 }"}, "dropout.p.low: stands beside choice, but a choice of values"),
    ({"norm": "choice = []"}, "norm.choice: found []; must be a list of one table or more"),
    ({"norm": 'choice = "batch"'}, 'norm.choice: found "batch"; must be a list of one table or more'),
    ({"norm": 'choice = ["batch"]'}, 'norm.choice#1: found "batch"; an option must be a table, e.g. { kind ='),
    ({"norm": 'choice = [{ kind = "none" }, { kind = "none" }]'}, 'found { kind = "none" } twice; the options'),
    (
        {"norm": 'choice = [{ kind = "batch", evry = 2 }]'},
        'norm.batch.evry: unknown key. Did you mean "every"? Allowed here: kind, placement, every',
    ),
    (
        {"norm": 'placement = "input"\nchoice = [{ kind = "none" }, { kind = "batch" }, { kind = "layer" }]'},
        'norm.placement: goes into every option, but "none" has no placement. Move it into the options of '
        '`choice = [...]` that have it: "batch", "layer"',
    ),
    (
        {"optimizer": 'name = { choice = ["adam", "adamw", "sgd"] }\nmomentum = 0.9'},
        'optimizer.momentum: goes into every option, but "adam", "adamw" have no momentum.',
    ),
    (
        {"optimizer": 'name = { choice = ["adam", "adamw"] }\nmomentum = 0.9'},
        'optimizer.momentum: unknown key. "adam" has no momentum; "sgd" has.',
    ),
    (
        {"optimizer": 'choice = [{ name = { choice = ["adam", "sgd"] }, beta1 = 0.8 }]'},
        'optimizer.choice#1.beta1: goes into every option, but "sgd" has no beta1.',
    ),
    (
        {"optimizer": f'{RATE} = {{ low = 0, high = 1 }}\nchoice = [{{ name = "adam" }}, {{ name = "sgd" }}]'},
        "s.toml: optimizer.learning_rate.low: found 0; must be a number (above 0)",
    ),
    ({"optimizer": 'name = { choice = ["sgd", "adma"] }'}, 'optimizer.name.choice#2: found "adma"; must be one of'),
    ({"optimizer": 'name = { choice = ["sgd", "sgd"] }'}, 'optimizer.name.choice: found "sgd" twice'),
    ({"schedule": "name = { low = 1, high = 2 }"}, "schedule.name: found the range { low = 1, high = 2 }, but this"),
    (
        {"init": 'scheme = { choice = ["small_normal", "zeros"] }\nstd = { low = 0.1, high = 1.0 }'},
        'init.std: goes into every option, but "zeros" has no std.',
    ),
    ({"training": 'early_stopping = { choice = ["none", 3] }'}, "training.early_stopping.choice#2: found 3; an"),
    ({"training": 'early_stopping = { choice = ["none", "none"] }'}, 'found "none" twice; the options of a choice'),
    ({"search": 'pruner = { choice = [{ name = "median" }] }'}, "search.pruner: found a choice; [search] cannot be"),
    ({"search": 'sampler = { name = { choice = ["tpe"] } }'}, "search.sampler: found a choice; [search] cannot be"),
]

OWN = 'family = "custom"\nmodule = "net.py:Net"\narguments = '
ANY = "must be a number, text, true or false, or a list of these"

OWN_MODULES = [
    ({"model": 'family = "custom"'}, "model.module: missing; `net.py:Net`: a class or function in a Python file"),
    (
        {"model": 'family = "custom"\nmodule = "net.py"'},
        'model.module: found "net.py"; must be a class or function',
    ),
    ({"model": 'family = "custom"\nmodule = "a-b:Net"'}, '"FILE.py:NAME" or "PACKAGE.MODULE:NAME"'),
    (
        {"model": 'family = "mlp"\nmodule = "net.py:Net"'},
        'model.module: unknown key. "mlp" has no module; "custom"',
    ),
    ({"model": OWN + "3"}, "model.arguments: found 3; must be a table of keys and values"),
    ({"model": OWN + "{ 'a-b' = 1 }"}, 'model.arguments."a-b": is no name that a Python function can give'),
    ({"model": OWN + "{ a = [[1]] }"}, f"model.arguments.a: found [[1]]; {ANY}"),
    (
        {"model": OWN + "{ a = { cheese = 1 } }"},
        "model.arguments.a: found the table { cheese = 1 }; must be a number",
    ),
    ({"model": OWN + "{ a = { low = 1, high = 'b' } }"}, 'model.arguments.a.high: found "b"; must be a number'),
    (
        {"model": OWN + "{ a = { low = 1, high = 8, step = 2 } }"},
        "steps of 2 from 1 end at 7 or 9, so set high to that",
    ),
    ({"model": OWN + "{ a = { low = 1, hihg = 8 } }"}, 'model.arguments.a.hihg: unknown key. Did you mean "high"?'),
    (
        {"model": OWN + "{ a = { choice = [1, { low = 1, high = 2 }] } }"},
        "model.arguments.a.choice#2: found { low",
    ),
    ({"model": OWN + "{ choice = 3 }"}, "model.arguments.choice: found 3; must be a list of one table or more"),
]

NOT_IN_THE_SCHEMA = [
    ({"data": 'dataset = "t.csv"\ngroup = "g"\ntime = "t"'}, 'data.time: found beside group = "g"; parts follow'),
    ({"data": 'dataset = "t.csv"\ntarget = "y"\ngroup = "y"'}, 'data.group: found "y", which is also data.target;'),
    ({"data": 'dataset = "t.csv"\nsplit = "t"\ntime = "t"'}, 'data.time: found "t", which is also data.split;'),
    ({"model": OWN + "{ class = 1 }"}, 'model.arguments."class": is no name that a Python function can give'),
    ({"model": OWN + "{ a = nan }"}, f"model.arguments.a: found nan; {ANY}"),
    ({"model": OWN + "{ a = [inf] }"}, f"model.arguments.a: found [inf]; {ANY}"),
    ({"model": OWN + "{ a = { choice = [1, true] } }"}, "model.arguments.a.choice: found true twice"),
    ({"model": OWN + "{ a = { low = 1, high = 9000000000 } }"}, "must be a whole number (at least -1000000000 and"),
    (
        {"model": OWN + '{ a = { choice = ["1-2", [1, 2]] } }'},
        'found "1-2" beside another option that the database would call "1-2" too. Make the table a choice of tables',
    ),
]


@pytest.mark.parametrize(("tables", "expected"), [*NAMES, *TYPES, *RANGES, *CHOICES, *OWN_MODULES, *NOT_IN_THE_SCHEMA])
def test_a_mistake_is_named(tables: dict[str, str], expected: str) -> None:
    found = message(**tables)
    assert expected in found
    assert found.startswith("s.toml: ")


def test_what_is_missing_is_named_all_at_once() -> None:
    assert refusal("").splitlines() == [
        "s.toml: 4 mistakes",
        "  study.name: missing; Name of the study in the database and of its report folder.",
        "  data.dataset: missing; A name of the catalogue, e.g. digits or wine, the path of a file or of a "
        "folder of images, relative to the study file, or a function, FILE.py:NAME or PACKAGE.MODULE:NAME.",
        '  model.family: missing; must be one of "mlp", "cnn", "recurrent", "transformer", "custom"',
        '  optimizer.name: missing; must be one of "sgd", "adagrad", "rmsprop", "adam", "adamw", "nadam", "radam", '
        '"lion", "adafactor"',
    ]


def test_mistakes_in_several_tables_come_in_one_message() -> None:
    found = message(study="seed = -1", dropout="p = 2\nq = 1\nr = 1", norm='kind = "bach"')
    first, *rest = found.splitlines()
    assert first == "s.toml: 5 mistakes"
    places = [line.split(":")[0].strip() for line in rest]
    assert places == ["study.seed", "norm.kind", "dropout.q", "dropout.r", "dropout.p"]


def test_a_mistake_beside_a_choice_is_named_once() -> None:
    options = '[{ kind = "batch" }, { kind = "layer" }, { kind = "group" }]'
    assert message(norm=f"every = 0\nchoice = {options}").startswith("s.toml: norm.every: found 0;")


def test_keys_outside_any_table_are_sent_where_they_belong() -> None:
    assert "trials: stands outside any table; it belongs under [search]" in refusal("trials = 3\n" + study_text())
    assert 'norm: found 3; must be a table, e.g. { kind = "none" }' in refusal("norm = 3\n" + study_text())
    assert "study: found 3; must be a table of keys and values" in refusal("study = 3")


def test_double_brackets_are_explained() -> None:
    found = refusal(study_text() + '[[norm]]\nkind = "batch"\n')
    assert 'norm: found [{ kind = "batch" }]; must be a table. Write [norm] and `choice = [...]`' in found


def test_nearest_knows_spellings_beginnings_and_initials() -> None:
    names = ["learning_rate", "weight_decay", "accuracy", "balanced_accuracy"]
    assert nearest("lerning_rate", names) == "learning_rate"
    assert nearest("lr", names) == "learning_rate"
    assert nearest("WEIGHT_DECAY", names) == "weight_decay"
    assert nearest("acc", CLASSIFICATION_METRICS) == "accuracy"
    assert nearest("cheese", names) is None


def _patterns(schema: Any) -> Iterator[str]:
    if isinstance(schema, dict):
        yield from (value for key, value in schema.items() if key == "pattern")
        yield from (found for value in schema.values() for found in _patterns(value))
    elif isinstance(schema, list):
        yield from (found for value in schema for found in _patterns(value))


def test_every_pattern_has_words() -> None:
    """Names of arguments, which are keys, have words of their own."""
    assert set(_patterns(study_schema())) - {ARGUMENT_PATTERN} == set(PATTERNS)
