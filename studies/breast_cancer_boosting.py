"""Gradient boosting of scikit-learn as a training function, for breast_cancer_boosting.toml. An epoch is ten trees."""

from sklearn.ensemble import HistGradientBoostingClassifier
from sklearn.metrics import log_loss, roc_auc_score

TREES = 10


def train(trial):
    data = trial.data
    model = HistGradientBoostingClassifier(
        warm_start=True, early_stopping=False, random_state=trial.seed, **trial.params
    )
    first = 1
    if (state := trial.resume()) is not None:  # the trial was interrupted
        model, first = state["model"], state["epoch"] + 1
    for epoch in range(first, trial.epochs + 1):
        model.set_params(max_iter=TREES * epoch).fit(data.x_train, data.y_train)
        probabilities = model.predict_proba(data.x_valid)
        metrics = {
            "auroc": roc_auc_score(data.y_valid, probabilities[:, 1]),
            "loss": log_loss(data.y_valid, probabilities),
            "train_loss": log_loss(data.y_train, model.predict_proba(data.x_train)),
        }
        trial.report(epoch, metrics)
        trial.save({"model": model, "epoch": epoch})
        if trial.should_stop():
            return
