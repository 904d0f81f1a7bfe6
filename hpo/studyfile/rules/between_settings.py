"""Rules between the settings of a study. Each is a generator of problems; `RULES` lists them.

A single field is checked where it is read. Rules that depend on the data set are checked where it is loaded.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any

from hpo.studyfile.auto import MOST_GRIDDED
from hpo.studyfile.fields import searched_tables
from hpo.studyfile.problems import Problem, hint, listing, quote
from hpo.studyfile.records import CLASSIFICATION_METRICS, METRICS, REGRESSION_METRICS, ConstantEpochs, Threshold
from hpo.studyfile.records.model import EQUAL
from hpo.studyfile.rules.functions import RULES as FUNCTION_RULES
from hpo.studyfile.rules.objectives import RULES as OBJECTIVE_RULES
from hpo.studyfile.rules.refit import RULES as REFIT_RULES
from hpo.studyfile.searched import searched
from hpo.studyfile.starts import starts_can_be_drawn, warm_starts_are_others
from hpo.studyfile.study import StudySpec, normalises_batches, options_of
from hpo.studyfile.tree import Choice, Range, join

WAYS = ("periodic", "piecewise_linear")
"""How a model takes a table's numbers by vectors."""


def broken_rules(spec: StudySpec) -> list[Problem]:
    """Every rule between settings that the study breaks."""
    return [problem for rule in RULES for problem in rule(spec)]


def objective_suits_task(spec: StudySpec) -> Iterator[Problem]:
    if spec.data is None or spec.function is not None:
        return
    suitable = {"classification": CLASSIFICATION_METRICS, "regression": REGRESSION_METRICS}
    task, unsuitable = spec.data.task, (METRICS.keys() - suitable[spec.data.task] if spec.data.task != "auto" else ())
    for objective in spec.study.objectives:
        if objective in unsuitable:
            names = ", ".join(sorted(suitable[task]))
            text = f"found {quote(objective)}, but data.task is {quote(task)}; must be one of {names}"
            yield Problem(path="study.objective", text=text)


def one_way_to_validate(spec: StudySpec) -> Iterator[Problem]:
    if spec.data is None:
        return
    if spec.data.folds is not None and "validation" in spec.data.model_fields_set:
        text = f"found beside validation = {spec.data.validation}; folds replace the hold-out. Remove one"
        yield Problem(path="data.folds", text=text)
    test = spec.data.test
    if spec.data.folds is None and not isinstance(test, str) and test + spec.data.validation >= 1:
        text = f"found {spec.data.validation} beside test = {test}; their sum must be below 1"
        yield Problem(path="data.validation", text=f"{text}, or nothing is left to train on")


def one_way_to_divide(spec: StudySpec) -> Iterator[Problem]:
    if spec.data is None:
        return
    if spec.data.split is not None and isinstance(spec.data.test, str):
        text = f"found beside test = {quote(spec.data.test)}; one of them says which examples are the test part. Remove"
        yield Problem(path="data.split", text=f"{text} the other")
    if spec.data.group is not None and spec.data.time is not None:
        text = f"found beside group = {quote(spec.data.group)}; parts follow the time or keep groups together. Remove"
        yield Problem(path="data.time", text=f"{text} the other")
    for key in ("group", "time"):
        column = getattr(spec.data, key)
        for other in ("target", "split"):
            if column is not None and column == getattr(spec.data, other):
                text = f"found {quote(column)}, which is also data.{other}; must be a column of its own"
                yield Problem(path=f"data.{key}", text=text)


def fresh_splits_are_drawn(spec: StudySpec) -> Iterator[Problem]:
    data = spec.data
    if data is None or not data.reshuffle:
        return
    reasons = {
        "data.stream = true": (data.stream, "streamed rows are written to the disk once, for one split"),
        f"data.time = {quote(data.time)}": (data.time is not None, "parts that follow the time cannot be others"),
        'data.scaling = "quantile"': (
            data.scaling == "quantile",
            'ranks cannot be computed on the way to a model, as "standard", "robust" and "log" are',
        ),
        "[trial] function": (
            spec.function is not None,
            "a function gets one split, and may draw its own by trial.seed",
        ),
    }
    for beside, (found, reason) in reasons.items():
        if found:
            text = f"found true beside {beside}: {reason}. Remove one of them"
            yield Problem(path="data.reshuffle", text=text)


def threshold_has_bounds(spec: StudySpec) -> Iterator[Problem]:
    pruner = spec.pruner
    if not isinstance(pruner, Threshold):
        return
    if pruner.lower is None and pruner.upper is None:
        yield Problem(path="search.pruner", text="the threshold pruner needs lower, upper or both")
    elif pruner.lower is not None and pruner.upper is not None and pruner.lower >= pruner.upper:
        text = f"found {pruner.lower}; must be below upper = {pruner.upper}"
        yield Problem(path="search.pruner.lower", text=text)


def wave_has_losers(spec: StudySpec) -> Iterator[Problem]:
    pruner = spec.pruner
    if isinstance(pruner, ConstantEpochs) and pruner.best >= pruner.wave:
        text = f"found {pruner.best}, but a wave has {pruner.wave} trials; must be less, or all go on"
        yield Problem(path="search.pruner.best", text=f'{text} (pruner = "none" says so)')


def pruner_has_time(spec: StudySpec) -> Iterator[Problem]:
    epochs = _epochs(spec)
    for key in ("min_epochs", "warmup_epochs"):
        spared = getattr(spec.pruner, key, None) or 0
        if spared >= max(epochs) and spared > 1:
            text = f"found {spared}, but training.epochs is {max(epochs)}; must be less, or nothing is pruned"
            yield Problem(path=f"search.pruner.{key}", text=f'{text} (pruner = "none" says so)')


def equal_epochs(spec: StudySpec) -> Iterator[Problem]:
    epochs = _epochs(spec)
    if len(epochs) > 1:
        text = f"found {', '.join(map(str, sorted(epochs)))} in the options; pruning compares trials at the same"
        yield Problem(path="training.epochs", text=f"{text} epoch. Write it once, beside the choice")


def grid_is_finite(spec: StudySpec) -> Iterator[Problem]:
    if spec.search.sampler.name != "grid":
        return
    for path, node in _nodes(spec.tree, ""):
        whole = isinstance(node, Range) and isinstance(node.low, int) and not node.log
        if isinstance(node, Range) and node.step is None and not whole:
            way_out = "write a choice of values" if node.log else "add step = "
            text = f"found {quote(node)}; the grid sampler needs a countable range: {way_out}"
            yield Problem(path=path, text=text)
        elif isinstance(node, Range) and (node.high - node.low) / (node.step or 1) >= MOST_GRIDDED:
            text = f"found {quote(node)}, too many values for a grid: at most {MOST_GRIDDED}. Write a larger step"
            yield Problem(path=path, text=f'{text}, or take search.sampler = "random"')


def layers_suit_model(spec: StudySpec) -> Iterator[Problem]:
    families = [model["family"] for model in options_of(spec, "model")]
    if "mlp" in families and any(norm["kind"] == "group" for norm in options_of(spec, "norm")):
        text = 'found "group", which groups channels, but an mlp has none. Use "layer", or family = "cnn"'
        yield Problem(path="norm.kind", text=text)
    without = next((family for family in families if family not in ("recurrent", "custom")), None)
    if without and any(_may_be(norm.get("placement"), "cell") for norm in options_of(spec, "norm")):
        text = f'found "cell", in the cells of recurrent layers, but {_with_article(without)} has none. '
        yield Problem(path="norm.placement", text=f'{text}Use "before_activation", or family = "recurrent"')
    spatial = any(_may_be(table.get("spatial"), True) for table in options_of(spec, "dropout"))
    ready_made = [family for family in families if family != "custom"]
    if spatial and ready_made and "cnn" not in families:
        text = f"found true, which drops whole channels, but {_with_article(ready_made[0])} has none. "
        yield Problem(path="dropout.spatial", text=f"{text}Remove it, or use family = {quote('cnn')}")
    attention = [table["attention"] for table in options_of(spec, "dropout") if table.get("attention") is not None]
    if attention and ready_made and "transformer" not in families:
        text = f"found {quote(attention[0])}, for weights of attention, but {_with_article(ready_made[0])} has none. "
        yield Problem(path="dropout.attention", text=f"{text}Remove it, or use family = {quote('transformer')}")
    if "transformer" in families:
        for norm in options_of(spec, "norm"):
            if norm["kind"] == "batch":
                text = 'found "batch", but a transformer normalises each step alone. Use "layer" or "rms"'
                yield Problem(path="norm.kind", text=text)
            elif _may_be(norm.get("placement"), "after_activation"):
                text = 'found "after_activation", but a transformer normalises where model.norm_first says. Remove it'
                yield Problem(path="norm.placement", text=text)


def hidden_layers_are_given_once(spec: StudySpec) -> Iterator[Problem]:
    for model in options_of(spec, "model"):
        beside = [key for key in EQUAL if model.get(key) is not None] if model["family"] == "mlp" else []
        if beside and "hidden" in model:
            them = " and ".join(beside)
            text = f"found beside {them}, in place of which it lists the width of each layer. Remove hidden, or {them}"
            yield Problem(path="model.hidden", text=text)


def vectors_of_numbers_are_asked_for(spec: StudySpec) -> Iterator[Problem]:
    ways = {"number_vector": WAYS, "frequencies": WAYS[:1], "sigma": WAYS[:1], "bins": WAYS[1:]}
    for model in options_of(spec, "model"):
        taken = [way for way in WAYS if _may_be(model.get("numbers"), way)] if model["family"] == "mlp" else WAYS
        for key, wanted in ways.items():
            if key in model and not set(wanted) & set(taken):
                how = "by other vectors" if taken else "as they are"
                text = f"found {quote(model[key])}, but numbers are taken {how}. Remove it, or add numbers = "
                yield Problem(path=f"model.{key}", text=f"{text}{quote(wanted[0])}")


def batch_norm_has_batches(spec: StudySpec) -> Iterator[Problem]:
    sizes = [table.get("batch_size", 0) for table in options_of(spec, "training")]
    for size in sizes:
        least = size.low if isinstance(size, Range) else min(size.options) if isinstance(size, Choice) else size
        if least == 1 and normalises_batches(spec):
            text = f"found {quote(size)}, but batch normalisation needs at least 2 examples in a batch. Leave out 1"
            yield Problem(path="training.batch_size", text=f'{text}, or take norm.kind = "layer"')


def own_modules_are_whole(spec: StudySpec) -> Iterator[Problem]:
    models = options_of(spec, "model")
    if models and all(model["family"] == "custom" for model in models):
        for table in ("init", "norm", "dropout"):
            if table in spec.tree:
                text = f"has no effect on family = {quote('custom')}, whose module brings its own. Remove [{table}], "
                yield Problem(path=table, text=f"{text}and search over model.arguments instead")


def smoothing_needs_classes(spec: StudySpec) -> Iterator[Problem]:
    if (
        spec.data is not None
        and spec.data.task == "regression"
        and any(table.get("label_smoothing") for table in options_of(spec, "regularization"))
    ):
        text = "smooths class labels, but data.task is regression. Remove it"
        yield Problem(path="regularization.label_smoothing", text=text)


def decay_has_average(spec: StudySpec) -> Iterator[Problem]:
    for table in options_of(spec, "training") if "training" in spec.tree else ():
        if "average_decay" in table and table.get("average", "none") == "none":
            text = 'has no effect, as no average is taken. Add average = "ema", or remove it'
            yield Problem(path="training.average_decay", text=text)


def roles_are_of_parameters(spec: StudySpec) -> Iterator[Problem]:
    known = list(searched(spec.tree)) if spec.study.roles else []
    seen: dict[str, str] = {}
    for role, names in spec.study.roles.items():
        for name in names:
            if name not in known:
                text = f"found {quote(name)}, which is not searched.{hint(name, known)} Searched:"
                yield Problem(path=f"study.{role}", text=f"{text} {listing(known) or 'nothing'}")
            elif name in seen:
                text = f"found {quote(name)}, which is in study.{seen[name]} already. Remove one"
                yield Problem(path=f"study.{role}", text=text)
            seen.setdefault(name, role)


RULES: tuple[Callable[[StudySpec], Iterator[Problem]], ...] = (
    objective_suits_task,
    one_way_to_validate,
    one_way_to_divide,
    fresh_splits_are_drawn,
    threshold_has_bounds,
    wave_has_losers,
    equal_epochs,
    pruner_has_time,
    grid_is_finite,
    layers_suit_model,
    hidden_layers_are_given_once,
    vectors_of_numbers_are_asked_for,
    batch_norm_has_batches,
    own_modules_are_whole,
    smoothing_needs_classes,
    decay_has_average,
    roles_are_of_parameters,
    starts_can_be_drawn,
    warm_starts_are_others,
    *OBJECTIVE_RULES,
    *FUNCTION_RULES,
    *REFIT_RULES,
)


def _epochs(spec: StudySpec) -> set[int]:
    default = searched_tables()["training"].default["epochs"]
    return {table.get("epochs", default) for table in options_of(spec, "training")}


def _with_article(family: str) -> str:
    """For a sentence."""
    return {"mlp": "an mlp", "recurrent": "a recurrent model"}.get(family, f"a {family}")


def _may_be(value: Any, wanted: Any) -> bool:
    return value == wanted or (isinstance(value, Choice) and wanted in value.options)


def _nodes(node: Any, path: str) -> Iterator[tuple[str, Any]]:
    """Every range and choice of values with its path."""
    match node:
        case dict():
            for key, value in node.items():
                yield from _nodes(value, join(path, key))
        case Choice(tag=str()):
            for label, option in zip(node.labels, node.options, strict=True):
                yield from _nodes(option, join(path, str(label)))
        case Range() | Choice():
            yield path, node
