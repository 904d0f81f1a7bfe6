"""A training loop of one's own in plain PyTorch, for digits_loop.toml."""

import torch
from torch.nn import functional as F


def train(trial):
    torch.manual_seed(trial.seed)
    data, params = trial.data, trial.params
    x, y = torch.from_numpy(data.x_train).flatten(1), torch.from_numpy(data.y_train)
    x_valid, y_valid = torch.from_numpy(data.x_valid).flatten(1), torch.from_numpy(data.y_valid)
    model = torch.nn.Sequential(
        torch.nn.Linear(x.shape[1], params["width"]),
        torch.nn.ReLU(),
        torch.nn.Dropout(params["dropout"]),
        torch.nn.Linear(params["width"], len(data.class_names)),
    )
    optimizer = torch.optim.AdamW(model.parameters(), lr=params["learning_rate"])
    first = 1
    if (state := trial.resume()) is not None:  # the trial was interrupted
        model.load_state_dict(state["model"])
        optimizer.load_state_dict(state["optimizer"])
        first = state["epoch"] + 1
    for epoch in range(first, trial.epochs + 1):
        model.train()
        losses = []
        for batch in torch.randperm(len(x)).split(64):
            loss = F.cross_entropy(model(x[batch]), y[batch])
            optimizer.zero_grad()
            loss.backward()
            optimizer.step()
            losses.append(loss.item())
        model.eval()
        with torch.no_grad():
            outputs = model(x_valid)
        metrics = {
            "accuracy": (outputs.argmax(1) == y_valid).float().mean(),
            "loss": F.cross_entropy(outputs, y_valid),
            "train_loss": sum(losses) / len(losses),
        }
        trial.report(epoch, metrics)
        trial.save({"model": model.state_dict(), "optimizer": optimizer.state_dict(), "epoch": epoch})
        if trial.should_stop():
            return
