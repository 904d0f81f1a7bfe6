"""Imports point one way, and commands that only read do without torch."""

from __future__ import annotations

import ast
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

ROOT = Path(__file__).parent.parent
MODULES = sorted((ROOT / "hpo").rglob("*.py"))

BASE = (
    "printable",
    "errors",
    "paths",
    "disk",
    "environment",
    "endings",
    "signs",
    "attributes",
    "conventions",
    "ranking",
    "seeds",
    "signature",
    "conclusions",
)
"""Modules of one subject each that every part may use. They use those before them."""
DESCRIBE = ("studyfile", "space")
TRAIN = (*DESCRIBE, "own_code", "data", "models", "optim", "training")
KEEP = ("database", "storage", "registry")
RULES: dict[str, tuple[str, ...]] = {
    "studyfile": (),
    "space": ("studyfile",),
    "own_code": ("studyfile",),
    "data": ("studyfile", "own_code"),
    "models": ("studyfile", "own_code"),
    "optim": ("studyfile",),
    "training": ("studyfile", "data", "models", "optim"),
    "search": DESCRIBE,
    "execution": TRAIN,
    "database": (),
    "storage": ("database",),
    "registry": ("database", "storage"),
    "reports": ("studyfile", *KEEP),
    "baselines": ("studyfile", "data", "training", "search", "registry"),
    "checkpoints": (*TRAIN, "search", "execution", *KEEP),
    "runtime": (*TRAIN, "search", "execution", *KEEP, "reports", "checkpoints", "baselines"),
    "export": (*TRAIN, "search", "execution", *KEEP, "reports", "checkpoints", "runtime"),
    "service": (*TRAIN, "search", "execution", *KEEP, "checkpoints", "runtime"),
    "study": (*DESCRIBE, "data", "execution", *KEEP, "reports", "runtime", "export"),
    "cli": (*DESCRIBE, "data", "execution", *KEEP, "reports", "checkpoints", "runtime", "export", "service", "study"),
}
PACKAGE = {"errors", "export", "study"}
"""Where the names are that the package itself gives, once they are asked for."""
MAY_IMPORT: dict[str, set[str]] = {part: set(BASE[:place]) for place, part in enumerate(BASE)} | {
    part: {*BASE, *parts} for part, parts in RULES.items()
}
"""Part of the package -> the parts it may use; itself always. Every part comes after those it may use."""

WITHOUT_TORCH = (*BASE, *DESCRIBE, "own_code", "data", *KEEP, "reports", "study", "cli")
"""Parts that torch must not be imported in, at least not when the module is loaded."""


def part_of(module: str) -> str:
    """`hpo.studyfile.file` -> `studyfile`; the package itself is the empty text."""
    return module.split(".")[1] if "." in module else ""


def name_of(path: Path) -> str:
    parts = path.relative_to(ROOT).with_suffix("").parts
    return ".".join(parts[:-1] if parts[-1] == "__init__" else parts)


def imports(path: Path, *, loading: bool = False) -> Iterator[str]:
    """Modules that a file imports; `loading`: only when it is loaded, not those in functions or for types."""
    tree = ast.parse(path.read_text(encoding="utf-8"))
    waiting: list[ast.AST] = [tree]
    while waiting:
        node = waiting.pop()
        deferred = isinstance(node, ast.FunctionDef) or (
            isinstance(node, ast.If) and isinstance(node.test, ast.Name) and node.test.id == "TYPE_CHECKING"
        )
        if loading and deferred:
            continue
        waiting += ast.iter_child_nodes(node)
        if isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            assert node.level == 0, f"{path} imports relatively"
            assert node.module is not None
            # `from hpo import space` names a part, `from hpo.search import objective` a module
            yield from (
                (f"{node.module}.{alias.name}" for alias in node.names) if node.module == "hpo" else (node.module,)
            )


def test_the_rules_are_in_order_and_name_every_part() -> None:
    seen: set[str] = set()
    for part, allowed in MAY_IMPORT.items():
        assert allowed <= seen, f"{part} may import {allowed - seen}, which comes after it"
        seen.add(part)
    assert {part_of(name_of(path)) for path in MODULES} - {""} == seen


@pytest.mark.parametrize("path", MODULES, ids=name_of)
def test_imports_point_one_way(path: Path) -> None:
    part = part_of(name_of(path))
    used = {part_of(module) for module in imports(path) if module.startswith("hpo.")} - {"__version__"}
    assert used <= MAY_IMPORT.get(part, PACKAGE) | {part}


@pytest.mark.parametrize("path", [path for path in MODULES if part_of(name_of(path)) in WITHOUT_TORCH], ids=name_of)
def test_torch_is_not_loaded_by_what_only_describes_and_reads(path: Path) -> None:
    assert not {module for module in imports(path, loading=True) if module.split(".")[0] == "torch"}
    # Nor through the parts that need it.
    heavy = {"models", "optim", "training", "execution", "checkpoints", "runtime", "service", "export"}
    assert not {module for module in imports(path, loading=True) if part_of(module) in heavy}


def run(script: str, folder: Path) -> str:
    done = subprocess.run([sys.executable, "-c", script], cwd=folder, capture_output=True, text=True, timeout=600)
    assert done.returncode == 0, done.stderr
    return done.stdout


def test_commands_that_only_read_do_without_torch(tmp_path: Path) -> None:
    """`report` on a study of a few trials that were never trained."""
    script = """
import sys
from hpo.cli import main
from hpo.storage.open import open_store
from hpo.registry.studies import register_study

def hpo(*arguments):
    try:
        main(arguments)
    except SystemExit as stop:
        assert not stop.code, arguments
    assert "torch" not in sys.modules, arguments

text = open(sys.argv[1]).read()
with_store = open_store("sqlite:///runs/hpo.db")
study = dict(spec_text=text, source="digits.toml", fingerprint="f", dataset_fingerprint="d", seed=0, hpo_version="0")
register_study(with_store, name="digits", direction="maximize", metric="accuracy", **study)
with_store.close()
for command in ("--help", "run --help", "predict --help", "studies", "show digits", "report digits"):
    hpo(*command.split())
hpo("check", "--quick", sys.argv[1])
"""
    study = ROOT / "studies" / "digits.toml"
    run(script.replace("sys.argv[1]", repr(str(study))), tmp_path)
    assert (tmp_path / "runs" / "reports" / "digits" / "index.html").is_file()


def test_the_package_loads_what_is_used_of_it(tmp_path: Path) -> None:
    heavy = "{'torch', 'optuna', 'pandas', 'sqlalchemy', 'pydantic', 'numpy'} & set(sys.modules)"
    assert run(f"import sys, hpo; dir(hpo); print({heavy})", tmp_path) == "set()\n"
    assert run("import sys, hpo; hpo.run, hpo.load; print('torch' in sys.modules)", tmp_path) == "False\n"


def test_what_trains_loads_the_compiler_only_when_it_compiles(tmp_path: Path) -> None:
    script = "import sys, hpo.execution.child_process; print(sorted({'torch._dynamo'} & set(sys.modules)))"
    assert run(script, tmp_path) == "[]\n"
