"""Writes analysis.csv: measures of partitions, ranks and features on random inputs.

    pip install scikit-learn==1.9.1 numpy==2.4.6 scipy==1.17.1
    python analysis.py > analysis.csv

Seed 20261126. Each line is a name and its numbers; inputs stand before what follows from them. Features
are float32, everything is computed from them in float64.
"""
import numpy as np
import scipy
import sklearn
from scipy.spatial.distance import pdist
from scipy.stats import spearmanr
from sklearn.metrics import adjusted_rand_score, normalized_mutual_info_score

RNG = np.random.default_rng(20261126)


def line(name, *values):
    print(",".join([name] + [repr(float(x)) if isinstance(x, (float, np.floating)) else str(x) for x in values]))


def partitions(case, components, labels):
    line(f"components_{case}", *components)
    line(f"labels_{case}", *labels)
    line(f"nmi_{case}", float(normalized_mutual_info_score(labels, components)))
    line(f"ari_{case}", float(adjusted_rand_score(labels, components)))


def ranks(case, x, y):
    line(f"x_{case}", *map(float, x))
    line(f"y_{case}", *map(float, y))
    line(f"spearman_{case}", float(spearmanr(x, y).statistic))


def unit(z):
    return z / np.linalg.norm(z, axis=1, keepdims=True)


def features(case, z, other):
    z, other = z.astype(np.float32), other.astype(np.float32)
    line(f"width_{case}", z.shape[1])
    for name, values in (("z", z), ("other", other)):
        line(f"{name}_{case}", *values.ravel())
    z, other = z.astype(np.float64), other.astype(np.float64)
    sigma = np.linalg.svd(z, compute_uv=False)
    p = sigma / sigma.sum() + 1e-7
    line(f"singular_values_{case}", *sigma)
    line(f"rankme_{case}", np.exp(-(p * np.log(p)).sum()))
    variances = np.linalg.eigvalsh(np.cov(z.T, bias=True))[::-1]
    line(f"explained_{case}", *(variances / variances.sum()))
    line(f"participation_{case}", variances.sum() ** 2 / (variances**2).sum())
    u, v = unit(z), unit(other)
    line(f"std_{case}", np.sqrt(z.shape[1]) * u.std(axis=0).mean())
    line(f"uniformity_{case}", np.log(np.exp(-2 * pdist(u) ** 2).mean()))
    line(f"alignment_{case}", ((u - v) ** 2).sum(axis=1).mean())


def main():
    print("# numpy %s, scipy %s, scikit-learn %s; written by analysis.py, not by hand"
          % (np.__version__, scipy.__version__, sklearn.__version__))
    labels = RNG.integers(0, 6, 150)
    partitions("random", RNG.integers(0, 40, 150), labels)
    partitions("related", np.where(RNG.random(150) < 0.7, 3 * labels + RNG.integers(0, 3, 150), 90), labels)
    partitions("merged", labels // 2, labels)
    partitions("single", np.arange(30), RNG.integers(0, 3, 30))
    x = RNG.normal(size=60)
    ranks("free", x, x + RNG.normal(size=60))
    ranks("tied", np.round(x), (x + RNG.normal(size=60) > 0).astype(float))
    z = RNG.normal(size=(40, 6)) * [3, 2, 1, 1, 0.3, 0.01] + [0.5, 0, 2, 0, 0, 0]
    features("tall", z, z + 0.3 * RNG.normal(size=z.shape))
    z = RNG.normal(size=(7, 12))
    features("wide", z, RNG.normal(size=z.shape))


if __name__ == "__main__":
    main()
