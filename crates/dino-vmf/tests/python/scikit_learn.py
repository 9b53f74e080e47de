"""Repeats classifications and measures of this program with scikit-learn, on the same features.

    python scikit_learn.py FOLDER

FOLDER has features and labels as f-NAME.npy and f-NAME.csv, and cases.json with what the program printed. Prints a list of failures as JSON.

Needs scikit-learn and numpy.
"""

import csv
import json
import sys
from pathlib import Path

import numpy as np
from sklearn.linear_model import LogisticRegression
from sklearn.metrics import balanced_accuracy_score, log_loss, precision_recall_curve, roc_auc_score

FOLDER = Path(sys.argv[1])
FAILURES = []


def features(name):
    with open(FOLDER / f"f-{name}.csv", newline="") as file:
        labels = [int(row["label"] or -1) for row in csv.DictReader(file)]
    return np.load(FOLDER / f"f-{name}.npy").astype(np.float64), np.array(labels)


def expect(what, found, expected, tolerance):
    if not abs(found - expected) <= tolerance:
        FAILURES.append(f"{what}: {found}, but scikit-learn has {expected}")


def optimum(x, y, c):
    """The regression whose penalty is c / 2 times the squared weights, beside a sum of losses."""
    return LogisticRegression(C=c, solver="newton-cg", tol=1e-12, max_iter=10_000).fit(x, y)


def accuracies(fit, x, y):
    predicted = fit.predict(x)
    return 100 * np.mean(predicted == y), 100 * balanced_accuracy_score(y, predicted)


def logistic(event):
    (x, y), (test, of_test) = features("train"), features("test")
    strength = event["strength"]
    fit = optimum(x, y, 1 / strength)
    loss = log_loss(y, fit.predict_proba(x)) + strength / (2 * len(y)) * np.sum(fit.coef_**2)
    # The program stops at a gradient of a millionth of the loss.
    expect("logistic, loss", event["loss"], loss, 1e-6 * loss)
    top1, mean = accuracies(fit, test, of_test)
    expect("logistic, top-1", event["top1"], top1, 1e-9)
    expect("logistic, mean per class", event["mean_per_class"], mean, 1e-9)


def transfer(event):
    (x, y), (val, of_val), (test, of_test) = features("train"), features("val"), features("test")
    place = 1 if event["metric"] == "mean-per-class" else 0
    for of in event["validation"][::4]:
        expected = accuracies(optimum(x, y, 1 / of["weight_decay"]), val, of_val)[place]
        # These fits end earlier than that of the result: one image may lie on the other side.
        smallest = len(of_val) if place == 0 else np.bincount(of_val).min() * len(set(of_val))
        expect(f"validation at {of['weight_decay']}", of["value"], expected, 100 / smallest + 1e-9)
    fit = optimum(np.concatenate([x, val]), np.concatenate([y, of_val]), 1 / event["weight_decay"])
    top1, mean = accuracies(fit, test, of_test)
    expect("transfer, top-1", event["top1"], top1, 1e-9)
    expect("transfer, mean per class", event["mean_per_class"], mean, 1e-9)
    expect("transfer, value", event["value"], (top1, mean)[place], 1e-9)


def eleven_points(y, scores):
    precision, recall, _ = precision_recall_curve(y, scores)
    return np.mean([precision[recall >= t].max() for t in np.linspace(0, 1, 11)])


def of_list(name):
    x, _ = features(name)
    with open(FOLDER / f"{name}.csv", newline="") as file:
        labels = [row[1].split(";") for row in csv.reader(file)]
    return x, labels


def several(event):
    (x, labels), (val, of_val), (test, of_test) = of_list("many-train"), of_list("many-val"), of_list("many-test")
    both = np.concatenate([x, val])
    for name, found in event["precisions"]:
        y, expected = [np.array([name in of for of in labels]) for labels in (labels + of_val, of_test)]
        # Two classes with weights each: half the penalty of one weight vector.
        fit = optimum(both, y, 2 / event["weight_decay"])
        expect(f"precision of {name}", found, 100 * eleven_points(expected, fit.decision_function(test)), 1e-6)
    for of in event["validation"][::4]:
        precisions = []
        for name, _ in event["precisions"]:
            y, expected = [np.array([name in of for of in labels]) for labels in (labels, of_val)]
            fit = optimum(x, y, 2 / of["weight_decay"])
            precisions.append(eleven_points(expected, fit.decision_function(val)))
        expect(f"validation of several at {of['weight_decay']}", of["value"], 100 * np.mean(precisions), 2)


def ood(event):
    column = {"knn": f"knn-{event['k']}"}.get(event["score"], event["score"])
    with open(FOLDER / "ood.csv", newline="") as file:
        rows = [row for row in csv.DictReader(file) if row["score"] == column]
    unknown = [row["role"] == "unknown" for row in rows]
    scores = [-float(row["value"]) for row in rows]
    expect(f"AUROC of {column}", event["auroc"], 100 * roc_auc_score(unknown, scores), 1e-9)


CASES = {"logistic": logistic, "transfer": transfer, "several": several, "ood": ood}
for name, event in json.loads((FOLDER / "cases.json").read_text()):
    CASES[name](event)
print(json.dumps(FAILURES))
