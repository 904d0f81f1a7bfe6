"""What a user writes today: one Optuna + PyTorch script. The baseline every speed claim is measured against.

    python plain_optuna.py --trials 60 --epochs 15 --storage sqlite:///plain.db

Digits, MLP 64-64-64-10, batch 32, five searched hyperparameters, TPE, median pruner, one thread.
Prints one JSON line: trials, epochs trained, wall seconds (after imports), milliseconds per trial-epoch, best value.
"""

import argparse
import json
import time

import optuna
import torch
from sklearn.datasets import load_digits
from sklearn.model_selection import train_test_split
from torch import nn
from torch.utils.data import DataLoader, TensorDataset

INITS = {
    "xavier": nn.init.xavier_uniform_,
    "kaiming": nn.init.kaiming_normal_,
    "small": lambda w: nn.init.normal_(w, std=0.01),
}


def load(batch):
    x, y = load_digits(return_X_y=True)
    x_train, x_valid, y_train, y_valid = train_test_split(x, y, test_size=0.2, stratify=y, random_state=0)
    mean, std = x_train.mean(0), x_train.std(0) + 1e-6

    def as_set(a, b):
        return TensorDataset(torch.tensor((a - mean) / std, dtype=torch.float32), torch.tensor(b))

    train = DataLoader(as_set(x_train, y_train), batch_size=batch, shuffle=True)
    return train, DataLoader(as_set(x_valid, y_valid), batch_size=256), len(y_valid)


def build(trial, width):
    init = INITS[trial.suggest_categorical("init", list(INITS))]
    norm = trial.suggest_categorical("norm", ["none", "before", "after"])
    p = trial.suggest_float("dropout", 0.0, 0.6)
    layers, fan_in = [], 64
    for _ in range(2):
        linear = nn.Linear(fan_in, width)
        init(linear.weight)
        layers.append(linear)
        if norm == "before":
            layers.append(nn.BatchNorm1d(width))
        layers.append(nn.ReLU())
        if norm == "after":
            layers.append(nn.BatchNorm1d(width))
        layers.append(nn.Dropout(p))
        fan_in = width
    return nn.Sequential(*layers, nn.Linear(fan_in, 10))


def main():
    parser = argparse.ArgumentParser()
    parser.add_argument("--trials", type=int, default=60)
    parser.add_argument("--epochs", type=int, default=15)
    parser.add_argument("--batch", type=int, default=32)
    parser.add_argument("--width", type=int, default=64)
    parser.add_argument("--storage", default="sqlite:///plain.db")
    parser.add_argument("--seed", type=int, default=0)
    args = parser.parse_args()
    torch.set_num_threads(1)
    optuna.logging.set_verbosity(optuna.logging.WARNING)
    train, valid, n_valid = load(args.batch)

    def objective(trial):
        optimizer_name = trial.suggest_categorical("optimizer", ["SGD", "RMSprop", "Adam", "AdamW", "Adagrad"])
        rate = trial.suggest_float("learning_rate", 1e-4, 1e-1, log=True)
        model = build(trial, args.width)
        optimizer = getattr(torch.optim, optimizer_name)(model.parameters(), lr=rate)
        for epoch in range(args.epochs):
            model.train()
            for x, y in train:
                optimizer.zero_grad()
                nn.functional.cross_entropy(model(x), y).backward()
                optimizer.step()
            model.eval()
            with torch.no_grad():
                accuracy = sum((model(x).argmax(1) == y).sum().item() for x, y in valid) / n_valid
            trial.report(accuracy, epoch)
            if trial.should_prune():
                raise optuna.TrialPruned
        return accuracy

    study = optuna.create_study(
        storage=args.storage,
        direction="maximize",
        sampler=optuna.samplers.TPESampler(seed=args.seed),
        pruner=optuna.pruners.MedianPruner(),
    )
    start = time.perf_counter()
    study.optimize(objective, n_trials=args.trials)
    wall = time.perf_counter() - start
    epochs = sum(len(t.intermediate_values) for t in study.trials)
    print(
        json.dumps(
            {
                "trials": args.trials,
                "epochs": epochs,
                "wall_s": round(wall, 2),
                "ms_per_trial_epoch": round(1e3 * wall / epochs, 2),
                "best": study.best_value,
            }
        )
    )


if __name__ == "__main__":
    main()
