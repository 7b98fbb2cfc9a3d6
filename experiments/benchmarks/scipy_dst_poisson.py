"""Poisson's equation with constant coefficients and zero boundary values: pdejax against `scipy.fft.dstn`.

    python experiments/benchmarks/scipy_dst_poisson.py [--case 1025^2|129^3] [--dtype float64|float32] [--cores N]

`public` is `pj.solve(pj.SteadyProblem(pj.equations.Poisson(f), grid))` as a user writes it, problem and source field
built anew in each round; it also measures the residual of what it returns. `bare` is `calculus.inverse_laplacian` under
`jit`: two transforms and a division, as SciPy does with `idstn(dstn(b, 1) / L, 1)`. Errors are relative L2 distances to
SciPy's solution in float64, `residual` those of the discrete equations (float64). The last line is JSON.
"""

from timing import emit, options, race, rounded

chosen = options(__doc__, case="1025^2", dtype="float64", rounds=15)

import jax  # noqa: E402
import jax.numpy as jnp  # noqa: E402
import numpy as np  # noqa: E402
import scipy  # noqa: E402
import scipy.fft  # noqa: E402

import pdejax as pj  # noqa: E402

jax.config.update("jax_enable_x64", True)


def stencil(u, h):
    """The negative second differences of the inner values, in float64."""
    padded, inside = np.pad(u.astype(np.float64), 1), (slice(1, -1),) * u.ndim
    neighbours = sum(np.roll(padded, s, i) for i in range(u.ndim) for s in (-1, 1))
    return ((2 * u.ndim * padded - neighbours) / h**2)[inside]


def main() -> None:
    n, dims = (int(part) for part in chosen.case.split("^"))
    inside, held = (slice(1, -1),) * dims, pj.Dirichlet(0.0)
    grid = pj.Grid(**{name: pj.Uniform(n, lower=held, upper=held) for name in "xyz"[:dims]})
    one = (2 * (n - 1) * np.sin(np.pi * np.arange(1, n - 1) / (2 * (n - 1)))) ** 2
    eigenvalues = sum(np.meshgrid(*[one] * dims, indexing="ij", sparse=True))
    x = np.meshgrid(*[np.linspace(0, 1, n)] * dims, indexing="ij", sparse=True)
    rough = np.random.default_rng(0).standard_normal((n,) * dims)
    source = (np.exp(sum(x)) * np.sin(7 * x[0]) + rough).astype(chosen.dtype)
    b, table = np.ascontiguousarray(source[inside]), eigenvalues.astype(chosen.dtype)
    values = jnp.asarray(source)[None]

    def public():
        f = pj.GridField(values, grid)
        return pj.solve(pj.SteadyProblem(pj.equations.Poisson(f), grid)).value.values

    bare = jax.jit(lambda v: -pj.calculus.inverse_laplacian(pj.GridField(v, grid)).values)
    sides = {
        "public": lambda: jax.block_until_ready(public()),
        "bare": lambda: jax.block_until_ready(bare(values)),
        "scipy": lambda: scipy.fft.idstn(scipy.fft.dstn(b, 1) / table, 1),
    }
    line = race(sides, chosen)
    exact = scipy.fft.idstn(scipy.fft.dstn(b.astype(float), 1) / eigenvalues, 1)
    found = {"public": public()[0][inside], "bare": bare(values)[0][inside], "scipy": sides["scipy"]()}
    size = np.linalg.norm
    errors, residuals = {}, {}
    for name, u in found.items():
        u = np.asarray(u)
        errors[name] = rounded(size(u - exact) / size(exact), 3)
        residuals[name] = rounded(size(stencil(u, 1 / (n - 1)) - b) / size(b), 3)
    speed = {name: rounded(line["median_s"]["scipy"] / line["median_s"][name], 3) for name in ("public", "bare")}
    name = f"scipy_dst_poisson_{n}_{dims}_{chosen.dtype}_{chosen.cores}core"
    emit(
        name,
        (jax, scipy, pj),
        case=chosen.case,
        relative_error=errors,
        residual=residuals,
        speed_of_scipy=speed,
        **line,
    )


if __name__ == "__main__":
    main()
