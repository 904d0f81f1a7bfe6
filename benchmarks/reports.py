"""`hpo report` on a study of 2,000 trials of 30 epochs: time, size of the page, memory, on both databases.

    python -m benchmarks.reports [--runs 3] [--trials 2000] [--beside FOLDER]

The whole command is measured, from its start to its end; with `--beside`, in turn with that of another version, whose
source code lies in FOLDER, and their files are compared. Only processor time means something on a machine that is busy.
"""

from __future__ import annotations

import argparse
import filecmp
import os
import subprocess
import sys
import tempfile
import time
from contextlib import closing
from pathlib import Path

import numpy as np
from optuna.trial import TrialState, create_trial

from benchmarks.databases import NAME, backends, registered
from benchmarks.importances import EPOCHS, SPACE, drawn, scores, valued
from benchmarks.machine import processor, spread
from hpo.endings import Ended, Ending
from hpo.storage.open import open_store
from hpo.storage.own_trials import MARK, mark
from hpo.storage.rows import EpochRow

HERE = Path(__file__).parents[1]


def fill(url: str, count: int) -> None:
    """Make the study, with eleven parameters and six measures an epoch."""
    random = np.random.default_rng(0)
    values, has = drawn(random, count)
    ends = scores(values, has, random)
    with closing(open_store(url)) as store:
        study_id = registered(store)
        text = store.get_study_system_attrs(study_id)[MARK]
        for start in range(0, count, 200):
            with store.transaction():
                for number in range(start, min(count, start + 200)):
                    params = {
                        name: valued(name, column[number]) for name, column in values.items() if has[name][number]
                    }
                    curve = {
                        epoch: round(float(ends[number] - np.exp(-epoch / 6)), 6) for epoch in range(1, EPOCHS + 1)
                    }
                    trial_id = store.create_new_trial(
                        study_id,
                        create_trial(
                            state=TrialState.COMPLETE,
                            params=params,
                            distributions={name: SPACE[name] for name in params},
                            value=curve[EPOCHS],
                            intermediate_values=curve,
                            user_attrs={
                                **Ended(why=Ending.FINISHED).attributes(),
                                "epochs": EPOCHS,
                                "best_epoch": EPOCHS,
                            },
                            system_attrs={MARK: mark(text, number)},
                        ),
                    )
                    store.add_epochs(_epoch(trial_id, epoch, value) for epoch, value in curve.items())


def _epoch(trial_id: int, epoch: int, value: float) -> EpochRow:
    loss = float(np.exp(-value))
    return EpochRow(
        trial_id=trial_id,
        replica=0,
        epoch=epoch,
        objective=value,
        train_loss=loss,
        valid_loss=1.1 * loss,
        learning_rate=0.01,
        gradient_norm=1.0 + loss,
        seconds=0.1,
        metrics={"accuracy": value, "macro_f1": 0.9 * value},
    )


def measured(url: str, folder: Path, source: Path) -> tuple[float, float, float, float]:
    """Wall seconds, processor seconds, MB of the page and MB of memory at most, of the code in the folder `source`."""
    started = time.perf_counter()
    command = [
        sys.executable,
        "-c",
        "from hpo.cli import main; main()",
        "report",
        NAME,
        "--storage",
        url,
        "-o",
        str(folder),
    ]
    process = subprocess.Popen(command, stdout=subprocess.DEVNULL, cwd=source)
    _, status, used = os.wait4(process.pid, 0)
    assert status == 0
    wall = time.perf_counter() - started
    page = (folder / "index.html").stat().st_size / 1e6
    return wall, used.ru_utime + used.ru_stime, page, used.ru_maxrss / 1e3


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--runs", type=int, default=3)
    parser.add_argument("--trials", type=int, default=2000)
    parser.add_argument("--beside", type=Path, metavar="FOLDER", help="source code of another version")
    args = parser.parse_args()
    sources = {"": HERE} | ({", beside": args.beside.absolute()} if args.beside else {})
    print(f"{processor()}, n = {args.runs}, median (range)\n")
    print("| database | wall s | processor s | page MB | memory MB |\n|---|---|---|---|---|")
    with tempfile.TemporaryDirectory() as place, backends(Path(place)) as kinds:
        for kind in kinds:
            url = kind.copy(kind.filled(0), "reports", plain=False)
            with closing(open_store(url)) as store:
                store.delete_study(store.get_study_id_from_name(NAME))
            fill(url, args.trials)
            folders = {side: Path(place) / f"report{side}" for side in sources}
            runs = [
                {side: measured(url, folders[side], source) for side, source in sources.items()}
                for _ in range(args.runs)
            ]
            for side in sources:
                columns = zip(*(run[side] for run in runs), strict=True)
                cells = " | ".join(spread(list(column)) for column in columns)
                print(f"| {kind.name}{side} | {cells} |", flush=True)
            if args.beside:
                compared = filecmp.dircmp(*folders.values())
                print(f"equal files: {compared.same_files}, others: {compared.diff_files}", file=sys.stderr)


if __name__ == "__main__":
    main()
