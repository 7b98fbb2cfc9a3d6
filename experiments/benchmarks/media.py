"""Permeabilities at the nodes of the unit cube and the matrices of the seven-point (five-point) flux form."""

import numpy as np
import scipy.fft
import scipy.sparse as sparse

KINDS = ("threshold", "contrast", "lognormal", "constant")


def permeability(kind: str, n: int, ndim: int = 2, seed: int = 0) -> np.ndarray:
    """`threshold` 12 | 3, `contrast` 1e4 | 1, `lognormal` exp(2 g), of a Gaussian field g of spectrum (k^2 + 9)^-2."""
    modes = np.meshgrid(*[np.arange(n)] * ndim, indexing="ij", sparse=True)
    noise = np.random.default_rng(seed).standard_normal((n,) * ndim)
    g = scipy.fft.idctn(noise / (np.pi**2 * sum(k**2 for k in modes) + 9) ** (ndim / 2), norm="ortho")
    g = (g - g.mean()) / g.std()
    if kind == "constant":
        return np.ones((n,) * ndim)
    if kind == "lognormal":
        return np.exp(2 * g)
    high, low = {"threshold": (12.0, 3.0), "contrast": (1e4, 1.0)}[kind]
    return np.where(g >= 0, high, low)


def flux_matrix(a: np.ndarray) -> sparse.csr_array:
    """`-h^2 div(a grad u)` on the inner nodes, face coefficients the mean of two nodes, zero Dirichlet values."""
    shape = tuple(n - 2 for n in a.shape)
    number, inside = np.arange(np.prod(shape)).reshape(shape), (slice(1, -1),) * a.ndim
    diagonal, parts = np.zeros(shape), []
    for axis in range(a.ndim):
        for step in (-1, 1):
            face = (a + np.roll(a, -step, axis))[inside] / 2
            diagonal += face
            cut = [slice(None)] * a.ndim
            cut[axis] = slice(1, None) if step < 0 else slice(None, -1)
            here, there = number[tuple(cut)], np.roll(number, -step, axis)[tuple(cut)]
            parts.append((here.ravel(), there.ravel(), -face[tuple(cut)].ravel()))
    parts.append((number.ravel(), number.ravel(), diagonal.ravel()))
    rows, columns, values = (np.concatenate(x) for x in zip(*parts, strict=True))
    matrix = sparse.csr_array((values, (rows, columns)))
    # pyamg's kernels take 32-bit indices.
    matrix.indices, matrix.indptr = matrix.indices.astype(np.int32), matrix.indptr.astype(np.int32)
    return matrix


def smooth_and_rough(shape: tuple[int, ...]) -> np.ndarray:
    """Inner values of a field with long and short waves and a little noise, to make right-hand sides of."""
    out = 1e-3 * np.random.default_rng(1).standard_normal(shape)
    waves = np.ones(())
    for n in shape:
        x = np.linspace(0, 1, n + 2)[1:-1]
        wave = np.sin(np.pi * x) + 0.3 * np.sin(3 * np.pi * x) + 0.1 * np.sin(17 * np.pi * x)
        waves = np.multiply.outer(waves, wave)
    return out + waves
