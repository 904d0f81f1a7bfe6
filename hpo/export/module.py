"""Generates a short Python file with a trial's model. It needs only torch, safetensors and, for a model of the user's
own, its file or package (see `hpo.export.custom`). No weights, no reading of files.

Dimensions: N examples.
"""

from __future__ import annotations

import ast
import textwrap

import torch
from torch import nn

from hpo.data.preprocess import Preprocessing
from hpo.export.custom import ExportedModule

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
    "The trial was trained {replicas} times (folds, repeats), each with weights and a preprocessing of its own: "
    "average the predictions."
)


def module_source(
    title: str, model: nn.Sequential, preprocessing: Preprocessing, *, replicas: int, own: ExportedModule | None = None
) -> str:
    """The file's text; `title` says which trial it is. Replicas share architecture and columns. `own`: the model is a
    module of the user's own."""
    standard, installed = (own.standard, own.installed) if own else ([], [])
    imports = [
        *(f"import {name}" for name in sorted(["json", *standard])),
        "from collections import OrderedDict",
        "from pathlib import Path",
        *(("from types import ModuleType",) if standard else ()),
        *(() if _numeric(preprocessing) else ("from typing import Any",)),
        "",
        *(f"import {name}" for name in sorted(["torch", *installed])),
        "from safetensors.torch import load_file",
        "from torch import Tensor, nn",
        "",
        "HERE = Path(__file__).parent",
        *(() if replicas == 1 else (f"REPLICAS = {replicas}",)),
    ]
    preprocess = _preprocess_numbers if _numeric(preprocessing) else _preprocess_rows
    parts = [
        _docstring(title, preprocessing, replicas) + "\n" + "\n".join(imports),
        own.code if own else _build(model),
        _load(replicas),
        preprocess(preprocessing, replicas),
    ]
    return "\n\n\n".join(part.strip() for part in parts) + "\n"


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
    return f"nn.{ast.unparse(call)}".replace("'", '"')


def _repr_of(call: ast.Call) -> str | None:
    """The `repr` of the module that the call makes; None if the call fails."""
    with torch.device("meta"):
        try:
            return repr(eval(f"nn.{ast.unparse(call)}", {"nn": nn}))
        except TypeError:
            return None


def _numeric(preprocessing: Preprocessing) -> bool:
    """Whether each column becomes one number: no indicators, no categories."""
    return not preprocessing.indicators and not preprocessing.categorical_names


def _docstring(title: str, preprocessing: Preprocessing, replicas: int) -> str:
    shape = ", ".join(map(str, ("N", *preprocessing.input_shape)))
    outputs = CLASSIFICATION if preprocessing.class_names else REGRESSION
    usage = "outputs = load()(preprocess(rows))"
    text = f"The model takes float32 [{shape}] and gives {outputs.format(classes=len(preprocessing.class_names))}"
    if replicas > 1:
        usage = "outputs = [load(HERE, r)(preprocess(rows, HERE, r)) for r in range(REPLICAS)]"
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
    return nn.Sequential(OrderedDict(children))
'''


def _child(name: str, child: nn.Module) -> str:
    line = f'        ("{name}", {expression(child)}),'
    if len(line) <= LINE:
        return line
    return f'        (\n            "{name}",\n            {expression(child)},\n        ),'


def _idle(child: nn.Module) -> bool:
    """Whether the layer is an empty slot, which changes nothing."""
    return isinstance(child, nn.Identity) or (isinstance(child, nn.Dropout | nn.Dropout2d) and child.p == 0.0)


def _load(replicas: int) -> str:
    several = replicas > 1
    return f'''
def load(folder: str | Path = HERE{", replica: int = 0" if several else ""}) -> nn.Sequential:
    """The trained model, ready to predict."""
    model = build()
    file = Path(folder) / {'f"weights-{replica}.safetensors"' if several else '"weights.safetensors"'}
    model.load_state_dict(load_file(file))
    return model.eval()
'''


def _opening(rows: str, replicas: int) -> str:
    """The signature of `preprocess`, on one line if that is short enough."""
    arguments = [f"rows: {rows}", "folder: str | Path = HERE", *(["replica: int = 0"] if replicas > 1 else [])]
    line = f"def preprocess({', '.join(arguments)}) -> Tensor:"
    return line if len(line) <= LINE else f"def preprocess(\n    {', '.join(arguments)}\n) -> Tensor:"


def _preprocess_numbers(preprocessing: Preprocessing, replicas: int) -> str:
    count = len(preprocessing.numeric_names)
    return f'''
{_opening("Tensor", replicas)}
    """Examples of {count} raw numbers, NaN where missing, as the model sees them.

    Their order is that of `numeric_names` in preprocessing.json.
    """
    text = (Path(folder) / "preprocessing.json").read_text(encoding="utf-8")
    fitted = json.loads(text)[{"replica" if replicas > 1 else 0}]
    fill, offset, scale = (
        torch.tensor(fitted[name], dtype=torch.float64)
        for name in ("fills", "offsets", "scales")
    )
    rows = rows.double().reshape(-1, {count})
    rows = torch.where(rows.isnan(), fill, rows)
    return ((rows - offset) / scale).float().reshape(-1, *fitted["input_shape"])
'''


def _preprocess_rows(preprocessing: Preprocessing, replicas: int) -> str:
    return f'''
{_opening("list[dict[str, Any]]", replicas)}
    """Rows of a table as the model sees them: value by column, categories as text.

    A missing value is None or NaN.
    """
    text = (Path(folder) / "preprocessing.json").read_text(encoding="utf-8")
    fitted = json.loads(text)[{"replica" if replicas > 1 else 0}]
    numeric = ("numeric_names", "fills", "offsets", "scales")
    examples = []
    for row in rows:
        cells = {{name: None if value != value else value for name, value in row.items()}}
        example = []
        for name, fill, offset, scale in zip(*map(fitted.get, numeric), strict=True):
            value = fill if cells[name] is None else float(cells[name])
            example.append((value - offset) / scale)
        for name in fitted["indicators"]:
            example.append(float(name is not None and cells[name] is None))
        for name, categories in zip(
            fitted["categorical_names"], fitted["categories"], strict=True
        ):
            example += [float(c is not None and c == cells[name]) for c in categories]
        examples.append(example)
    return torch.tensor(examples)
'''
