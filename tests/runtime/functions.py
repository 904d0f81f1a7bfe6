"""A training function for tests, whose trials behave as their argument `mode` says, and studies of it."""

from __future__ import annotations

from pathlib import Path

TRAIN = """
import os
import signal
import sys
import time


def train(trial):
    mode = trial.params["mode"]
    with open(trial.folder / "begun", "a") as file:
        file.write(f"{os.getpid()}\\\\n")
    state = trial.resume() or {"epoch": 0, "begun": 0}
    state["begun"] += 1
    if mode == "silent":
        return
    for epoch in range(state["epoch"] + 1, 6):
        if mode == "dies" and epoch == 3:
            os.kill(os.getpid(), signal.SIGKILL)
        if mode == "hangs" and epoch == 2:
            time.sleep(1000)
        if mode == "raises" and epoch == 2:
            raise RuntimeError("no more")
        if mode == "exits":
            sys.exit(3)
        if mode == "short" and epoch == 4:
            return
        if mode == "eats" and epoch == 2:
            eaten = bytearray(600 << 20)
            time.sleep(1000)
        if mode == "leaps" and epoch == 3:
            epoch = 4
        if mode == "misnames":
            trial.report(epoch, {"precision": 1.0})
        print("epoch", epoch)
        trial.report(epoch, {"score": trial.params.get("x", 0.0) + epoch, "begun": state["begun"], "loss": 1 / epoch})
        state["epoch"] = epoch
        trial.save(state)
        if mode == "dies_once" and epoch == 3 and state["begun"] == 1:
            time.sleep(1.5)
            os.kill(os.getpid(), signal.SIGKILL)
        time.sleep(trial.params.get("sleep", 0.0))
        if trial.should_stop():
            return
""".replace("\\\\n", "\\n")


def study(folder: Path, **tables: str) -> Path:
    """Writes a study of the function, with some tables replaced or added; the path of its file."""
    (folder / "train.py").write_text(TRAIN)
    found = {
        "study": 'name = "own"\nobjective = "score"\ndirection = "maximize"',
        "trial": 'function = "train.py:train"\narguments = { mode = "fine", x = { low = 0.0, high = 1.0 } }\n'
        "resources = { cpus = 0.25 }",
        "training": "epochs = 5",
        "search": 'trials = 4\nsampler = "random"\nconcurrency = 4',
    } | tables
    path = folder / "own.toml"
    path.write_text("\n".join(f"[{name}]\n{table}\n" for name, table in found.items()))
    return path
