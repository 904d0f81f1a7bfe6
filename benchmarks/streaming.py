"""Streamed data against the same data in memory: the peak of the process's memory, and the time of an epoch.

    python -m benchmarks.streaming [--gigabytes 4] [--features 1000] [--lanes 8] [--epochs 2] [--folder DIR]

Writes a file of random numbers, float32, into a folder that is deleted at the end; twice its size must be free on the
disk. Two processes then train the same lanes of an MLP, each epoch with its validation: one streams (it reads the file,
splits it, finds what scaling needs, writes the prepared rows and trains), the other has all prepared rows in memory.
Printed for both: the peak of the resident memory from the start of the process to its end, with its libraries and the
pages of mapped files (VmHWM of /proc/self/status; what the system keeps of files besides belongs to no process), and
wall and processor seconds of an epoch (median and range). `--cold`: the system is asked to forget the files before each
epoch, so that they come from the disk.
"""

from __future__ import annotations

import argparse
import json
import os
import shutil
import statistics
import subprocess
import sys
import tempfile
import time
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np

from benchmarks.machine import processor, spread

STUDY = """
[study]
name = "streaming"
objective = "accuracy"
[data]
dataset = "X.npy"
target = "y.npy"
stream = true
[model]
family = "mlp"
hidden = [64]
[optimizer]
name = "adam"
learning_rate = 1e-4
[training]
epochs = 100
batch_size = 128
"""


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--gigabytes", type=float, default=4.0, help="of the file (10^9 bytes)")
    parser.add_argument("--features", type=int, default=1000)
    parser.add_argument("--lanes", type=int, default=8)
    parser.add_argument("--epochs", type=int, default=2)
    parser.add_argument("--folder", type=Path, default=None, help="where the files are written (default: temporary)")
    parser.add_argument("--cold", action="store_true")
    parser.add_argument("--side", choices=("streamed", "memory"), help=argparse.SUPPRESS)
    arguments = parser.parse_args()
    if arguments.side:
        print(json.dumps(measured(arguments.folder, arguments)))
        return
    with tempfile.TemporaryDirectory(dir=arguments.folder) as made:
        folder = Path(made)
        free = shutil.disk_usage(folder).free
        if free < 2.5e9 * arguments.gigabytes:
            raise SystemExit(f"{folder}: {free / 1e9:.1f} GB are free, and the benchmark needs 2.5 times --gigabytes")
        write(folder, int(arguments.gigabytes * 1e9 / 4 / arguments.features), arguments.features)
        sides = {side: run(side, folder) for side in ("streamed", "memory")}
    print(f"{processor()}, {arguments.gigabytes:g} GB, {arguments.lanes} lanes, n = {arguments.epochs}")
    for side, found in sides.items():
        print(
            f"{side}: peak {found['peak'] / 1e9:.3f} GB (before training {found['before'] / 1e9:.3f}), epoch "
            f"{spread(found['wall'])} s, processor {spread(found['cpu'])} s, to prepare {found['prepare']:.1f} s, "
            f"loss {found['loss']:.6f}"
        )
    for what in ("wall", "cpu"):
        ratio = statistics.median(sides["memory"][what]) / statistics.median(sides["streamed"][what])
        print(f"speed streamed / in memory by {what} time: {ratio:.2f}")


def run(side: str, folder: Path) -> dict[str, Any]:
    """The figures of one side, in a process of its own."""
    command = [sys.executable, "-m", "benchmarks.streaming", *sys.argv[1:], "--side", side, "--folder", str(folder)]
    return dict(json.loads(subprocess.run(command, check=True, stdout=subprocess.PIPE).stdout.splitlines()[-1]))


def write(folder: Path, rows: int, features: int) -> None:
    """X.npy, y.npy and the study."""
    generator = np.random.default_rng(0)
    x = np.lib.format.open_memmap(folder / "X.npy", "w+", np.float32, (rows, features))
    weights = generator.normal(size=features).astype(np.float32)
    y = np.empty(rows, np.int64)
    for begin in range(0, rows, 4096):
        numbers = generator.random((min(4096, rows - begin), features), np.float32)
        x[begin : begin + len(numbers)] = numbers
        y[begin : begin + len(numbers)] = (numbers - 0.5) @ weights > 0
    x.flush()
    del x
    np.save(folder / "y.npy", y)
    (folder / "study.toml").write_text(STUDY)


def measured(folder: Path, arguments: argparse.Namespace) -> dict[str, Any]:
    """Trains, and measures this process."""
    import torch

    from hpo import space
    from hpo.data.study import load_data
    from hpo.studyfile.file import read_study_file
    from hpo.training.batches import on_device
    from hpo.training.feed.streamed import StreamedParts, StreamedRows
    from hpo.training.lane import Setting
    from hpo.training.limits import Limits
    from hpo.training.trainer import Trainer

    torch.set_num_threads(1)
    home = folder / "home"
    home.mkdir(exist_ok=True)
    spec = read_study_file(folder / "study.toml")
    started = time.perf_counter()
    data = load_data(spec, home)
    examples = on_device(data.prepared, device=torch.device("cpu"), dtype=torch.float32)
    prepare = time.perf_counter() - started
    assert isinstance(examples.x_train, StreamedRows)
    assert isinstance(examples.x_valid, StreamedParts)
    files = [folder / "X.npy", examples.x_train.files[0].path, examples.x_valid.files[0].path]
    if arguments.side == "memory":
        examples = replace(
            examples,
            x_train=examples.x_train.head(len(examples.x_train)),
            x_valid=examples.x_valid.head(examples.x_valid.size),
        )
    setting = Setting(examples=examples, seed=0, metrics=("loss", "accuracy"))
    trainer = Trainer(setting, lambda config: [config], Limits(arguments.lanes))
    config = next(iter(space.alternatives(spec, "model")))
    failures = trainer.admit([(number, config) for number in range(arguments.lanes)])
    assert not failures, failures
    before, wall, cpu, loss = peak(), [], [], 0.0
    for _ in range(arguments.epochs):
        if arguments.cold:
            forget(files)
        started, used = time.perf_counter(), time.process_time()
        tick = trainer.tick()
        wall.append(time.perf_counter() - started)
        cpu.append(time.process_time() - used)
        assert not tick.failures, tick.failures
        loss = tick.epochs[0].train_loss
    return {"before": before, "peak": peak(), "prepare": prepare, "wall": wall, "cpu": cpu, "loss": loss}


def peak() -> int:
    """Bytes of resident memory at the most, since the process began."""
    lines = Path("/proc/self/status").read_text().splitlines()
    return next(1024 * int(line.split()[1]) for line in lines if line.startswith("VmHWM"))


def forget(files: list[Path]) -> None:
    """Asks the system to drop what it keeps of these files."""
    for path in files:
        with path.open("rb") as file:
            os.fsync(file.fileno())
            os.posix_fadvise(file.fileno(), 0, 0, os.POSIX_FADV_DONTNEED)


if __name__ == "__main__":
    main()
