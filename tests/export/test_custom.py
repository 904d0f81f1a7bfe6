"""The user's own module in an export: the file beside it, or the package it comes from, and generated code in order."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
import torch

from hpo import models
from hpo.errors import InputError
from hpo.export.custom import exported_config, exported_module
from hpo.export.module import LINE, module_source
from hpo.export.predictor import Predictor, predict
from hpo.signature import Signature
from hpo.studyfile.records import TrialConfig
from tests.export import tiny
from tests.export.test_module import MIXED, executed, preprocessing
from tests.export.test_predictor import exported, outputs_of, wine_table
from tests.models.own import NET, config, write

STUDY = tiny.WINE.replace(
    """[model]
family = "mlp"
hidden = { choice = [[8], [16]] }

[norm]
kind = "batch"

[dropout]
p = 0.2
""",
    """[model]
family = "custom"
module = "net.py:Net"
arguments = { width = { choice = [8, 16] }, p = { low = 0.0, high = 0.3 } }
""",
)


def generated(config: TrialConfig, **options: Any) -> str:
    model = models.build(config, Signature.of_values(1, 8, 8), 3)
    own = exported_module(model, config, Signature.of_values(1, 8, 8), 3)
    return module_source("Trial 1 of the study s", model, options.pop("fitted", preprocessing()), own=own, **options)


IMAGES = NET.replace("input_shape[0]", "64").replace("self.hidden(x)", "self.hidden(x.flatten(1))")


@pytest.mark.parametrize("name", ["net.py", "model.py", "json.py", "my nets.v2.py"])
def test_the_file_builds_the_model_with_the_trials_weights(name: str, tmp_path: Path) -> None:
    """Whatever the file is called: like the export's own, or like a module of the standard library."""
    mine = config(f"{write(tmp_path / 'study', IMAGES, name)}:Net", width=5, activation="tanh")
    model = models.build(mine, Signature.of_values(1, 8, 8), 3, seed=4)
    own = exported_module(model, mine, Signature.of_values(1, 8, 8), 3)
    assert own is not None
    for file, content in own.files.items():
        assert file != "model.py"
        (tmp_path / file).write_bytes(content)
    import json

    copy = executed(generated(mine, replicas=1), tmp_path)["build"]()
    assert sys.modules["json"] is json
    copy.load_state_dict(model.state_dict())
    examples = torch.randn(5, 1, 8, 8)
    assert torch.equal(copy.eval()(examples), model.eval()(examples))
    assert TrialConfig.model_validate(exported_config(mine, own)).below(tmp_path).model.module == str(
        own.reference.below(tmp_path)
    )


def test_a_package_is_imported_not_copied(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    write(tmp_path, IMAGES, "exported_nets/wide.py")
    monkeypatch.syspath_prepend(tmp_path)
    mine = config("exported_nets.wide:Net", width=4)
    signature = Signature.of_values(1, 8, 8)
    own = exported_module(models.build(mine, signature, 3), mine, signature, 3)
    assert own is not None
    assert own.files == {}
    text = generated(mine, replicas=1)
    assert "import exported_nets.wide\n" in text
    assert type(executed(text)["build"]().custom).__module__ == "exported_nets.wide"


def test_the_code_is_as_a_formatter_leaves_it(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    text = "from torch import nn\n\n\ndef Net(input_shape, outputs, **arguments):\n    return nn.Sequential("
    write(tmp_path, text + "nn.Flatten(), nn.LazyLinear(outputs))\n", "formatted_nets.py")
    monkeypatch.syspath_prepend(tmp_path)
    arguments = {"a": [1, 2.5], "b": "it's", "c": True, "d": 1e-7, "e": [], "f": "ü"}
    for number, module in enumerate((f"{tmp_path}/formatted_nets.py:Net", "formatted_nets:Net")):
        mine = config(module, **arguments)
        for replicas in (1, 3):
            for fitted in (preprocessing(), MIXED):
                text = generated(mine, replicas=replicas, fitted=fitted)
                assert max(map(len, text.splitlines())) <= LINE
                (tmp_path / f"out_{number}_{replicas}_{fitted.kind}.py").write_text(text)
    files = sorted(tmp_path.glob("out_*.py"))
    assert len(files) == 8
    for arguments in (["check", "--isolated", "--select", "E,F,W,I,B,UP,SIM,RUF"], ["format", "--isolated", "--diff"]):
        subprocess.run([sys.executable, "-m", "ruff", *arguments, *files], check=True, timeout=60)


def test_an_export_predicts_what_the_trial_does(tmp_path: Path) -> None:
    file = write(tmp_path)
    trained = exported(STUDY, tmp_path)
    file.unlink()  # the export has its own
    frame = wine_table()
    found = predict(Predictor.load(tmp_path / "export"), frame)
    write(tmp_path)
    [outputs] = outputs_of(trained)
    torch.testing.assert_close(torch.from_numpy(found.probabilities_NC), outputs.softmax(1))
    (tmp_path / "export" / "net.py").unlink()
    with pytest.raises(InputError, match=r"there is no file .*export/net\.py"):
        Predictor.load(tmp_path / "export")
