"""Generates a short Python file with a trial's model. It needs only torch, NumPy, safetensors and, for a model of the
user's own, its file or package (see `hpo.export.custom`). No weights, no reading of files.

Dimensions: N examples.
"""

from __future__ import annotations

import ast
import inspect
import re
import textwrap
from collections.abc import Iterable
from types import ModuleType

import torch
from torch import nn

from hpo.data.columns import categories, words
from hpo.data.preprocessing.fitted import Preprocessing
from hpo.export import cells, templates
from hpo.export.custom import ExportedModule
from hpo.models.layers import (
    LAYERS,
    attention,
    embed,
    flow,
    normed_recurrent,
    periodic,
    piecewise,
    pooling,
    recurrent,
    step_convolution,
    step_norms,
    steps,
)
from hpo.models.layers.flow import Flow

LINE = 88
"""Longest line, as formatters have it by default."""
CLASSIFICATION = (
    "[N, {classes}] logits, one per class in the order of `class_names` in config.json. Their softmax is the "
    "probability of each class."
)
REGRESSION = (
    "[N, 1] numbers. The prediction is number * target_scale + target_offset, both to be found in preprocessing.json."
)
SEVERAL = (
    "The trial was trained {replicas} times (folds, repeats), each with weights and a preprocessing of its own; "
    "`predict` averages them."
)
STANDARD = {
    "collections": ("Counter", "OrderedDict"),
    "collections.abc": ("Callable", "Iterable", "Sequence"),
    "datetime": ("UTC", "datetime", "timedelta"),
    "math": ("prod",),
    "numbers": ("Real",),
    "pathlib": ("Path",),
    "types": ("ModuleType",),
    "typing": ("Any",),
}
"""Names of the standard library that the file may use, by module."""


def module_source(
    title: str, model: nn.Sequential, preprocessing: Preprocessing, *, replicas: int, own: ExportedModule | None = None
) -> str:
    """The file's text; `title` says which trial it is. Replicas share architecture and columns. `own`: the model is a
    module of the user's own."""
    answers = templates.CLASSES if preprocessing.class_names else templates.NUMBERS
    build = own.code if own else _build(model)
    parts = [build, *_layers(model), templates.LOAD, answers, _preprocess(preprocessing)]
    code = "\n\n\n".join(part.strip() for part in parts)
    code = code if replicas > 1 else templates.for_one(code)
    shape = ", ".join(map(str, preprocessing.input_shape))
    code = code.replace("$SHAPE", shape).replace("$CLASSES", str(len(preprocessing.class_names)))
    constants, helpers = _helpers(code)
    code = "\n\n\n".join([code, *helpers])
    opening = [*_imports(code, own), "", "HERE = Path(__file__).parent"]
    opening += [f"REPLICAS = {replicas}"] if replicas > 1 else []
    opening += constants
    return _docstring(title, preprocessing, replicas) + "\n" + "\n".join(opening) + f"\n\n\n{code}\n"


def _imports(code: str, own: ExportedModule | None) -> Iterable[str]:
    """Lines that import what the code uses."""
    standard, installed = (own.standard, own.installed) if own else ([], [])
    modules = [name for name in ("json", "math", "re") if _uses(code, rf"{name}\.")]
    yield from (f"import {name}" for name in sorted([*modules, *standard]))
    for module, names in STANDARD.items():
        if used := [name for name in names if _uses(code, name)]:
            yield f"from {module} import {', '.join(used)}"
    yield ""
    yield from (f"import {name}" for name in sorted(["numpy as np", "torch", *installed]))
    yield "from numpy.typing import NDArray"
    yield "from safetensors.torch import load_file"
    yield "from torch import Tensor, nn"
    if packed := [name for name in ("pack_padded_sequence", "pad_packed_sequence") if _uses(code, name)]:
        yield f"from torch.nn.utils.rnn import {', '.join(packed)}"


def _helpers(code: str) -> tuple[list[str], list[str]]:
    """The constants and the functions of `cells`, `categories` and `words` that the code needs, as they stand there."""
    known = _definitions(cells) | _definitions(categories) | _definitions(words)
    needed: list[str] = []
    while more := [name for name in known if name not in needed and _uses(code, name)]:
        needed += more
        code = "\n".join([code, *(known[name] for name in more)])
    sources = [source for name, source in known.items() if name in needed]
    functions = [source for source in sources if source.startswith("def ")]
    return [source for source in sources if source not in functions], functions


def _layers(model: nn.Sequential) -> list[str]:
    """The source of the layers that PyTorch lacks, after that of the classes they use."""
    known: dict[str, str] = {}
    numbers, cells_of = (periodic, piecewise), (recurrent, normed_recurrent)
    for module in (attention, embed, flow, *numbers, pooling, *cells_of, step_convolution, step_norms, steps):
        known |= _definitions(module)
    needed = {type(layer).__name__ for layer in (model, *model)} & set(LAYERS)
    while more := {name for used in needed for name in _names(known[used]) & set(known)} - needed:
        needed |= more
    return [source for name, source in known.items() if name in needed]


def _names(source: str) -> set[str]:
    return {node.id for node in ast.walk(ast.parse(source)) if isinstance(node, ast.Name)}


def _definitions(module: ModuleType) -> dict[str, str]:
    """The source of each constant, function and class of a module, by name."""
    text, found = inspect.getsource(module), {}
    for node in ast.parse(text).body:
        source = ast.get_source_segment(text, node) or ""
        if isinstance(node, ast.FunctionDef | ast.ClassDef):
            found[node.name] = source
        elif isinstance(node, ast.Assign):
            found[ast.unparse(node.targets[0])] = source
    return found


def _uses(code: str, pattern: str) -> bool:
    return re.search(rf"(?<![\w.]){pattern}\b", code) is not None


def expression(module: nn.Module) -> str:
    """The call that makes this module, without arguments that are equal to their defaults."""
    call = ast.parse(repr(module), mode="eval").body
    assert isinstance(call, ast.Call), "only modules whose repr is a call can be written down"
    for keyword in call.keywords:
        # Convolutions write padding='same' without the quotes.
        if isinstance(keyword.value, ast.Name):
            keyword.value = ast.Constant(keyword.value.id)
    for keyword in list(call.keywords):
        kept = list(call.keywords)
        call.keywords.remove(keyword)
        if _repr_of(call) != repr(module):
            call.keywords = kept
    prefix = "" if type(module).__name__ in LAYERS else "nn."
    return f"{prefix}{ast.unparse(call)}".replace("'", '"')


def _repr_of(call: ast.Call) -> str | None:
    """The `repr` of the module that the call makes; None if the call fails."""
    with torch.device("meta"):
        try:
            return repr(eval(ast.unparse(call), {**vars(nn), **LAYERS}))
        except TypeError:
            return None


def _docstring(title: str, preprocessing: Preprocessing, replicas: int) -> str:
    shape = ", ".join(map(str, ("N", *preprocessing.input_shape)))
    outputs = CLASSIFICATION if preprocessing.class_names else REGRESSION
    usage = "{} = predict(rows)".format("names, probabilities" if preprocessing.class_names else "numbers")
    text = f"The model takes float32 [{shape}] and gives {outputs.format(classes=len(preprocessing.class_names))}"
    if replicas > 1:
        text += " " + SEVERAL.format(replicas=replicas)
    return f'"""{title}, in plain PyTorch.\n\n    {usage}\n\n{textwrap.fill(text, LINE)}\n"""\n'


def _build(model: nn.Sequential) -> str:
    children = "\n".join(_child(name, child) for name, child in model.named_children() if not _idle(child))
    return f'''
def build() -> nn.Sequential:
    """The model, untrained."""
    children: list[tuple[str, nn.Module]] = [
{children}
    ]
    return {"Flow" if isinstance(model, Flow) else "nn.Sequential"}(OrderedDict(children))
'''


def _child(name: str, child: nn.Module) -> str:
    line = f'        ("{name}", {expression(child)}),'
    if len(line) <= LINE:
        return line
    call = f"            {expression(child)},"
    if len(call) > LINE:
        function, _, arguments = expression(child).partition("(")
        lines = "".join(f"                {argument},\n" for argument in _arguments(arguments[:-1]))
        call = f"            {function}(\n{lines}            ),"
    return f'        (\n            "{name}",\n{call}\n        ),'


def _arguments(text: str) -> Iterable[str]:
    """The arguments of a call, one by one; numbers in brackets that are too long for a line are one below another."""
    call = ast.parse(f"f({text})", mode="eval").body
    assert isinstance(call, ast.Call), "the text is that of a call"
    yield from map(ast.unparse, call.args)
    for argument in call.keywords:
        line = ast.unparse(argument)
        if isinstance(argument.value, ast.Tuple) and len(line) > LINE - 17:
            inner = "".join(f"                    {ast.unparse(one)},\n" for one in argument.value.elts)
            line = f"{argument.arg}=(\n{inner}                )"
        yield line


def _idle(child: nn.Module) -> bool:
    """Whether the layer is an empty slot, which changes nothing."""
    return isinstance(child, nn.Identity) or (isinstance(child, nn.Dropout | nn.Dropout2d) and child.p == 0.0)


def _preprocess(preprocessing: Preprocessing) -> str:
    """The function that makes the model's input, no longer than the columns need."""
    numeric, categorical = bool(preprocessing.numeric_names), bool(preprocessing.categorical_names)
    mixed = categorical or bool(preprocessing.text_names)
    steps = (
        (True, templates.PREPROCESS if mixed else templates.TENSOR),
        (numeric, templates.COLUMNS if mixed else templates.COLUMNS_OR_TENSOR),
        (numeric, templates.FILLED),
        (preprocessing.logarithmic, templates.LOGARITHM),
        (bool(preprocessing.knots), templates.RANKS),
        (numeric, templates.SCALED),
        (bool(preprocessing.length), templates.ENDS),
        (bool(preprocessing.indicators), templates.INDICATORS),
        (categorical, templates.CODES if preprocessing.codes else templates.CATEGORIES),
        (bool(preprocessing.text_names), templates.TOKENS),
        (bool(preprocessing.length), templates.MASK),
        (True, templates.JOINED),
    )
    code = "\n".join(step.strip("\n") for needed, step in steps if needed)
    return code.replace(templates.READ, templates.READ + templates.ENDED) if preprocessing.length else code
