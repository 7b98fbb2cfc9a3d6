"""Coefficients of the modified singly-RK-TASE methods of `pdejax.solvers.TASE`: 2 minutes on one core.

With `P = (I - a dt J)^-1`, stage i has `T_i = I - (I - P)^p + s_i P (P - I)^(p-1)`, so that `T_i = I + O(dt^(p-1))` for
any matrix J and the only order condition of a W-method beyond those of the explicit method is `sum_i b_i s_i = 0`. The
shifts `s_i` and `a` then make the error at order p + 1 small, under `R(infinity) = 0` and stability in a sector.
"""

import numpy as np
from scipy.optimize import minimize

# Midpoint, Heun's third-order method, the 3/8 rule: rows a_ij, weights b_i; half-angle of the sector in degrees; the
# smallest a that allows the sector, rounded up; a of the plain method.
METHODS = {
    2: ([[0, 0], [1 / 2, 0]], [0, 1], 90, 0.27, 1.0),
    3: ([[0, 0, 0], [1 / 3, 0, 0], [0, 2 / 3, 0]], [1 / 4, 0, 3 / 4], 89, 0.6, 1.2),
    4: ([[0] * 4, [1 / 3, 0, 0, 0], [-1 / 3, 1, 0, 0], [1, -1, 1, 0]], [1 / 8, 3 / 8, 3 / 8, 1 / 8], 85, 0.56, 1.44),
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


def error_constant(A, b, a, s):
    """Norm of the order conditions at order p + 1: words of J and f', and the trees of the explicit method."""
    p, c, s = len(b), A.sum(1), np.asarray(s)
    residuals = [a ** (p - 1) * (b @ A @ s), a ** (p - 1) * (b @ (c * s)), a**p]
    if p == 2:
        residuals += [(b @ c**2 - 1 / 3) / 2, b @ A @ c - 1 / 6]
    if p == 3:
        residuals += [
            (b @ c**3 - 1 / 4) / 6,
            b @ (c * (A @ c)) - 1 / 8,
            (b @ A @ c**2 - 1 / 12) / 2,
            b @ A @ A @ c - 1 / 24,
        ]
    if p == 4:
        residuals += [b @ A @ A @ A @ c - 1 / 120]
    return float(np.linalg.norm(residuals))


def derive(p, trials=8):
    """The shifts of order p: minimal error constant, `R(-infinity) = 0`, `|R| <= 1` in the sector."""
    A, b, angle, a, _ = METHODS[p]
    A, b = np.array(A, float), np.array(b)
    rays = np.exp(1j * np.deg2rad(angle * np.array([0, 0.5, 0.75, 0.9, 1])))
    z = -np.logspace(-2, 4, 200)[:, None] * rays
    pivot = p - 1

    def shifts(x):
        s = np.append(x, 0.0)
        s[pivot] = -(b @ s) / b[pivot]
        return s

    def cost(x, weight):
        s = shifts(x)
        growth = max(np.abs(stability(A, b, a, s, z)).max() - 1, 0)
        return error_constant(A, b, a, s) + weight * (growth + abs(stability(A, b, a, s, -np.inf)))

    rng, found = np.random.default_rng(0), []
    for _ in range(trials):
        x = 2 * rng.normal(size=p - 1)
        for weight in (10.0, 100.0, 100.0, 1000.0, 1000.0):
            x = minimize(cost, x, (weight,), "Nelder-Mead", options={"maxiter": 3000, "xatol": 1e-14, "fatol": 1e-14}).x
        found.append((cost(x, 1000.0), shifts(x)))
    return min(found, key=lambda f: f[0])[1]


if __name__ == "__main__":
    for p, (A, b, _, a, plain) in METHODS.items():
        s, A, b = derive(p), np.array(A, float), np.array(b)
        old, new = error_constant(A, b, plain, np.zeros(p)), error_constant(A, b, a, s)
        print(f"order {p}: a={a}, shifts {s.tolist()}, error constant {new:.4f} (plain {old:.4f}),")
        axes = [np.abs(stability(A, b, a, s, d * np.logspace(-3, 5, 4000))).max() for d in (-1, 1j)]
        print(f"  R(-inf) {stability(A, b, a, s, -np.inf):.1e}, max |R|: {axes[0]:.6f} real, {axes[1]:.4f} imaginary")
