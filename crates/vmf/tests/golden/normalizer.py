"""Writes normalizer.csv: log C_p(kappa) and relatives at scattered (p, kappa), by mpmath.

    pip install mpmath==1.4.1
    python normalizer.py > normalizer.csv

An independent route: every value is a hypergeometric series or a Bessel function of mpmath at 60
digits (more where 1 - A^2 - (p - 1) A / kappa cancels), never the expansions of this crate.
"""
import random

import mpmath as mp

SEED = 20240510
DIMENSIONS = [2, 3, 5, 17, 47, 51, 52, 53, 100, 129, 256, 1000, 4096]


def relatives(p, kappa):
    nu, k = mp.mpf(p) / 2 - 1, mp.mpf(kappa)
    i0, i1 = mp.besseli(nu, k), mp.besseli(nu + 1, k)
    a = i1 / i0
    log_c0 = mp.loggamma(nu + 1) - mp.log(2) - (nu + 1) * mp.log(mp.pi)
    log_c = nu * mp.log(k) - (nu + 1) * mp.log(2 * mp.pi) - mp.log(i0)
    return log_c, log_c - log_c0, a, 1 - a, 1 - a * a - (p - 1) * a / k


def grid():
    rng = random.Random(SEED)
    for p in DIMENSIONS:
        for _ in range(16):
            yield p, 10 ** rng.uniform(-5, 5)
        # beside the places where the code changes its route, and beyond the promised range
        edge = (25.0**2 - (p / 2 - 1) ** 2) ** 0.5 if p < 52 else 2 * p**0.5
        yield from ((p, edge * f) for f in (0.97, 0.999, 1.001, 1.03))
        yield from ((p, k) for k in (40.5, 101.0, 1e5, 3e6))
    for _ in range(60):
        yield int(2 * 2048 ** rng.random()), 10 ** rng.uniform(-2, 5)


def main():
    mp.mp.dps = 60
    print("# mpmath %s, 60 digits, seed %d; written by normalizer.py, not by hand" % (mp.__version__, SEED))
    print("p,kappa,log_c,log_c_ratio,a,a_complement,a_slope")
    for p, kappa in grid():
        print(",".join([str(p), repr(kappa)] + [mp.nstr(v, 20) for v in relatives(p, kappa)]))


main()
