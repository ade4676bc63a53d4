"""How metrics, methods and numbers are written for a person, on the page and in the card."""

from typing import Any

METRICS = {
    "accuracy": "Accuracy",
    "f1": "F1",
    "macro_f1": "Macro F1",
    "micro_f1": "Micro F1",
    "mcc": "MCC",
    "log_loss": "Log loss",
    "ece": "ECE",
    "macro_average_precision": "Mean average precision",
    "subset_accuracy": "All labels right",
    "pearson": "Pearson",
    "spearman": "Spearman",
    "mse": "MSE",
    "mae": "MAE",
}
METHODS = {
    "majority": "Most frequent label",
    "tfidf_logistic_regression": "TF-IDF + logistic regression",
    "mean": "Mean of the training labels",
    "tfidf_ridge": "TF-IDF + ridge regression",
}
TASKS = {
    "classification": "Text classification",
    "multi_label": "Text classification with several labels",
    "regression": "Text regression",
}


def metric_name(name: str) -> str:
    """`macro_f1` -> "Macro F1"; of another name the words: `learning_rate` -> "Learning rate"."""
    return METRICS.get(name) or name[:1].upper() + name[1:].replace("_", " ")


def shown_value(value: Any) -> str:
    """A number as a person reads it, four decimals at most; "n/a" for None; lists with commas."""
    if value is None:
        return "n/a"
    if isinstance(value, list):
        return ", ".join(map(shown_value, value))
    if isinstance(value, bool) or not isinstance(value, int | float):
        return str(value)
    if isinstance(value, int):
        return f"{value:,}"
    return f"{value:.4g}" if value and abs(value) < 1e-3 else f"{value:,.4f}"


def flat(settings: dict[str, Any], prefix: str = "") -> dict[str, str]:
    """Settings within settings on one level: {"a": {"b": 1}} -> {"a.b": "1"}."""
    found: dict[str, str] = {}
    for name, value in settings.items():
        if isinstance(value, dict):
            found |= flat(value, f"{prefix}{name}.")
        elif isinstance(value, list):
            found[prefix + name] = ", ".join(map(str, value))
        else:  # as it was given: a rate of 5e-05 is not 0.0001
            found[prefix + name] = "none" if value is None else str(value)
    return found
