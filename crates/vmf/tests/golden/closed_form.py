"""Writes closed_form.csv: the uniform expansion of log C_p(kappa) - log C_p(0) with 0..3 terms.

    pip install mpmath==1.4.1
    python closed_form.py > closed_form.csv

The formula of vmf.json, evaluated by mpmath at 60 digits, its slope by mpmath's differentiation.
The fixture's own closed forms were evaluated in float64, where log1p(S(t)) - log1p(S(1)) cancels at
small kappa; these were not.
"""
import mpmath as mp


def polynomials():
    """U_1 .. U_3, DLMF 10.41.10."""
    yield lambda t: (3 * t - 5 * t**3) / 24
    yield lambda t: (81 * t**2 - 462 * t**4 + 385 * t**6) / 1152
    yield lambda t: (30375 * t**3 - 369603 * t**5 + 765765 * t**7 - 425425 * t**9) / 414720


U = list(polynomials())


def closed_form(p, terms, kappa):
    nu = mp.mpf(p) / 2 - 1
    q = mp.sqrt(nu**2 + kappa**2)
    d = q - nu
    s = lambda t: sum(U[i](t) / nu ** (i + 1) for i in range(terms))
    leading = nu * mp.log1p(d / (2 * nu)) - d + mp.log1p(d / nu) / 2
    return leading - mp.log1p(s(nu / q)) + mp.log1p(s(mp.mpf(1)))


def main():
    mp.mp.dps = 60
    print("# mpmath %s, 60 digits; written by closed_form.py, not by hand" % mp.__version__)
    print("terms,p,kappa,value,slope")
    for terms in range(4):
        for p in (3, 4, 9, 16, 64, 256, 1024):
            for kappa in (1e-6, 1e-3, 0.3, 1.0, 7.5, 25.0, 130.0, 1e4, 1e5):
                k = mp.mpf(kappa)
                value = closed_form(p, terms, k)
                slope = mp.diff(lambda x: closed_form(p, terms, x), k, h=k * mp.mpf(10) ** -18)
                print(",".join([str(terms), str(p), repr(kappa), mp.nstr(value, 20), mp.nstr(slope, 18)]))


main()
