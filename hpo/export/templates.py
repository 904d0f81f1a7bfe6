"""Functions of the generated file that depend on the trial, as text: `$SHAPE` and `$CLASSES` are filled in, and for a
trial with one replica `for_one` takes the argument `replica` out. Lines have 88 columns at most.
"""

from __future__ import annotations

LOAD = '''
def load(folder: str | Path = HERE, replica: int = 0) -> nn.Sequential:
    """The trained model, ready to predict."""
    model = build()
    model.load_state_dict(load_file(Path(folder) / f"weights-{replica}.safetensors"))
    return model.eval()


def fitted(folder: str | Path = HERE, replica: int = 0) -> dict[str, Any]:
    """What the preprocessing has learnt from the training part."""
    text = (Path(folder) / "preprocessing.json").read_text(encoding="utf-8")
    return json.loads(text)[replica]
'''

CLASSES = '''
def predict(
    rows: Any, folder: str | Path = HERE
) -> tuple[list[str], NDArray[np.float64]]:
    """The class of each row, and the probabilities of all classes, [N, $CLASSES]."""
    each = [answer(rows, folder, replica) for replica in range(REPLICAS)]
    probabilities = torch.stack(each).mean(0).numpy()
    names = fitted(folder)["class_names"]
    return [names[index] for index in probabilities.argmax(1)], probabilities


@torch.no_grad()
def answer(rows: Any, folder: str | Path = HERE, replica: int = 0) -> Tensor:
    """The probabilities that a model gives, [N, $CLASSES]."""
    model, x = load(folder, replica), preprocess(rows, folder, replica)
    outputs = torch.cat([model(batch) for batch in x.split(4096)])
    return outputs.double().softmax(1)
'''

NUMBERS = '''
def predict(rows: Any, folder: str | Path = HERE) -> NDArray[np.float64]:
    """The number predicted for each row, in the target's unit, [N]."""
    each = [answer(rows, folder, replica) for replica in range(REPLICAS)]
    return torch.stack(each).mean(0).numpy()


@torch.no_grad()
def answer(rows: Any, folder: str | Path = HERE, replica: int = 0) -> Tensor:
    """The numbers that a model gives, in the target's unit, [N]."""
    model, x = load(folder, replica), preprocess(rows, folder, replica)
    outputs = torch.cat([model(batch) for batch in x.split(4096)])[:, 0]
    target = fitted(folder, replica)
    return outputs.double() * target["target_scale"] + target["target_offset"]
'''

READ = "Texts are read as those of the training table were.\n"
"""The last sentence on what rows are."""
ENDED = "    Behind the end of a sequence, all numbers are missing: None or NaN.\n"

PREPROCESS = '''
def preprocess(rows: Any, folder: str | Path = HERE, replica: int = 0) -> Tensor:
    """The rows of a table as the model sees them, [N, $SHAPE].

    `rows` is a list of dicts, or a dict or pandas frame of columns. None, NaN and texts
    such as "NA" are missing. Texts are read as those of the training table were.
    """
    known = fitted(folder, replica)
    parts = []
'''

TENSOR = '''
def preprocess(rows: Any, folder: str | Path = HERE, replica: int = 0) -> Tensor:
    """The rows of a table as the model sees them, [N, $SHAPE].

    `rows` is a list of dicts, a dict or pandas frame of columns, or a tensor of numbers
    in the order of `numeric_names` in preprocessing.json. None, NaN and texts such as
    "NA" are missing. Texts are read as those of the training table were.
    """
    known = fitted(folder, replica)
    parts = []
'''

COLUMNS = """
    names, forms = known["numeric_names"], known["forms"]
    columns = [numbers_of(rows, name, forms.get(name, PLAIN)) for name in names]
    raw = np.column_stack(columns)
"""

COLUMNS_OR_TENSOR = """
    names, forms = known["numeric_names"], known["forms"]
    if isinstance(rows, Tensor):
        raw = rows.double().reshape(-1, len(names)).numpy()
    else:
        columns = [numbers_of(rows, name, forms.get(name, PLAIN)) for name in names]
        raw = np.column_stack(columns)
"""

FILLED = """
    missing = np.isnan(raw)
    filled = np.where(missing, known["fills"], raw)
"""

LOGARITHM = """
    filled = np.sign(filled) * np.log1p(np.abs(filled))
"""

RANKS = """
    pairs = zip(filled.T, known["knots"], strict=True)
    filled = np.column_stack([np.interp(column, *knots) for column, knots in pairs])
"""

SCALED = """
    with np.errstate(over="ignore"):
        scaled = (filled - known["offsets"]) / known["scales"]
        parts.append(scaled.astype(np.float32))
    wild = np.argwhere(~np.isfinite(parts[0]))
    if len(wild):
        row, column = wild[0]
        raise ValueError(f'column "{names[column]}", row {row + 1}: too large a number')
"""

INDICATORS = """
    missing_by_name = dict(zip(names, missing.T, strict=True))
    for name in known["indicators"]:
        parts.append(missing_by_name.get(name, np.zeros(len(raw)))[:, None])
"""

ENDS = """
    absent = missing.reshape(len(raw), known["length"], -1).all(axis=2)
    last = absent.shape[1] - np.argmin(absent[:, ::-1], axis=1)
    lengths = np.where(absent.all(axis=1), 1, last)
    mask = np.arange(absent.shape[1]) < lengths[:, None]
    parts[0].reshape(*mask.shape, -1)[~mask] = 0
"""

CODES = """
    for name, values in zip(
        known["categorical_names"], known["categories"], strict=True
    ):
        parts.append(category_codes(texts_of(rows, name), values)[:, None] + 1)
"""

TOKENS = """
    columns = [texts_of(rows, name) for name in known["text_names"]]
    texts = list(zip(*columns, strict=True))
    parts.append(tokens_of(texts, known["words"], known["tokens"]))
"""

MASK = """
    parts.append(mask)
"""

CATEGORIES = """
    for name, values in zip(
        known["categorical_names"], known["categories"], strict=True
    ):
        codes = category_codes(texts_of(rows, name), values)
        parts.append(codes[:, None] == np.arange(len(values)))
"""

JOINED = """
    x = np.concatenate(parts, axis=1, dtype=np.float32)
    return torch.from_numpy(x).reshape(-1, *known["input_shape"])
"""


def for_one(code: str) -> str:
    """The code for the one replica that there is."""
    changes = {
        "    each = [answer(rows, folder, replica) for replica in range(REPLICAS)]\n": "",
        "torch.stack(each).mean(0)": "answer(rows, folder)",
        ", replica: int = 0": "",
        ", replica)": ")",
        "[replica]": "[0]",
        'f"weights-{replica}.safetensors"': '"weights.safetensors"',
    }
    for several, one in changes.items():
        code = code.replace(several, one)
    return code
