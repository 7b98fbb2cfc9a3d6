"""Coefficients of the modified singly-RK-TASE methods of `pdejax.solvers.TASE`, by `python experiments/tase/derive.py`.

With `P = (I - a dt J)^-1`, stage i has `T_i = I - (I - P)^p + s_i P (P - I)^(p-1)`, so that `T_i = I + O(dt^(p-1))` for
any matrix J and the only order condition of a W-method beyond those of the explicit method is `sum_i b_i s_i = 0`. Of
the shifts `s_i` that make `R(-infinity) = 0` and the method stable in a sector, those with the smallest error at order
p + 1 are taken, at the smallest `a` for which there are any.
"""

import math
import warnings

import numpy as np
from scipy.optimize import minimize

# Midpoint, Heun's third-order method, the 3/8 rule: rows a_ij, weights b_i; half-angle of the sector in degrees; a of
# the plain method.
METHODS = {
    2: ([[0, 0], [1 / 2, 0]], [0, 1], 90, 1.0),
    3: ([[0, 0, 0], [1 / 3, 0, 0], [0, 2 / 3, 0]], [1 / 4, 0, 3 / 4], 89, 1.2),
    4: ([[0] * 4, [1 / 3, 0, 0, 0], [-1 / 3, 1, 0, 0], [1, -1, 1, 0]], [1 / 8, 3 / 8, 3 / 8, 1 / 8], 85, 1.44),
}


def stability(A, b, a, s, z):
    """`R(z)` for `v' = lambda v` with `J = lambda`; `z = -inf` gives the limit."""
    p = len(b)
    P, zP = (1 / (1 - a * z), z / (1 - a * z)) if np.all(np.isfinite(z)) else (0.0, -1 / a)
    # z T_i without the cancellation in z (I - (I - P)^p).
    rates = []
    for i in range(p):
        zT = zP * (sum((1 - P) ** m for m in range(p)) + s[i] * (P - 1) ** (p - 1))
        rates.append(zT * (1 + sum(A[i, j] * rates[j] for j in range(i))))
    return 1 + sum(b[i] * rates[i] for i in range(p))


def words(A, b, s):
    """Residuals at order p + 1, over `a^(p-1)`, of the words of J and f' that depend on the shifts."""
    return np.array([b @ A @ s, b @ (A.sum(1) * s)])


def error_constant(A, b, a, s):
    """Norm of the residuals at order p + 1 of all words of J and f'; other trees do not depend on `a` and `s`."""
    p = len(b)
    return math.hypot(*(a ** (p - 1) * words(A, b, s)), a**p, 1 / math.factorial(p + 1))


def shifts(A, b, angle, a, trials=4):
    """The shifts for one `a`, or `None` where no start leads to a method stable to 1e-6."""
    rng, found = np.random.default_rng(0), []
    rays = lambda size: -np.outer(size, np.exp(1j * np.deg2rad([angle, angle / 2, 0]))).ravel()
    damped = lambda s: [b @ s, stability(A, b, a, s, -np.inf)]
    stable = lambda s, size: 1 - np.abs(stability(A, b, a, s, rays(size)))
    limits = [
        {"type": "eq", "fun": damped},
        {"type": "ineq", "fun": stable, "args": (np.logspace(-2, 2, 80),)},
    ]
    for _ in range(trials):
        start, options = 2 * rng.normal(size=len(b)), {"ftol": 1e-14, "maxiter": 200}
        out = minimize(lambda s: np.sum(words(A, b, s) ** 2), start, constraints=limits, options=options).x
        if np.abs(damped(out)).max() < 1e-9 and stable(out, np.logspace(-3, 5, 4000)).min() > -1e-6:
            found.append(out)
    return min(found, key=lambda s: np.sum(words(A, b, s) ** 2), default=None)


if __name__ == "__main__":
    warnings.simplefilter("ignore", RuntimeWarning)  # starts far off overflow
    for p, (A, b, angle, plain) in METHODS.items():
        A, b = np.array(A, float), np.array(b, float)
        every = ((k / 100, shifts(A, b, angle, k / 100)) for k in range(20, 100))
        a, s = next((a, s) for a, s in every if s is not None)
        old, new = error_constant(A, b, plain, np.zeros(p)), error_constant(A, b, a, s)
        wave, limit = np.abs(stability(A, b, a, s, 1j * np.logspace(-3, 5, 4000))).max(), stability(A, b, a, s, -np.inf)
        print(f"order {p}: a={a}, shifts {s.tolist()},")
        print(f"  error constant {new:.4f}, plain {old:.4f}, ratio {new / old:.3f}")
        print(f"  b.s {b @ s:.1e}, R(-inf) {limit:.1e}, max |R| on the imaginary axis {wave:.4f}")
