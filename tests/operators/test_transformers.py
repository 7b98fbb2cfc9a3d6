import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
import pytest

import pdejax as pj
from pdejax.nn import Chained, FourierAttention, GalerkinAttention, Parallel, SoftmaxAttention
from pdejax.operators import FactFormer, GalerkinTransformer, ImplicitFactFormer

KEY = jax.random.key(0)
MODELS = {
    "galerkin": lambda d: GalerkinTransformer(1, 1, 3, 8, 1, d, attention=GalerkinAttention(heads=2), key=KEY),
    "fourier": lambda d: GalerkinTransformer(1, 1, 3, 8, 1, d, attention=FourierAttention(heads=2), key=KEY),
    "chained": lambda d: FactFormer(1, 1, 3, 8, 1, d, contraction=Chained(heads=2), key=KEY),
    "parallel": lambda d: ImplicitFactFormer(1, 1, 3, 8, 2, d, contraction=Parallel(heads=2), key=KEY),
}


def size_of(model):
    return sum(leaf.size for leaf in jax.tree.leaves(eqx.filter(model, eqx.is_inexact_array)))


@pytest.mark.slow
@pytest.mark.parametrize("kind", (pj.Fourier, pj.Sine, pj.Cosine, pj.Chebyshev))
@pytest.mark.parametrize("name", MODELS)
def test_quadrature_converges_faster_than_powers(name, kind):
    """Attention over all points is an integral: refinement changes the result by less and less."""
    model = MODELS[name](1)
    apply = eqx.filter_jit(lambda m, a: m(a).values)

    def on(n):
        axis = kind(n, 1.0, 0.0)
        own = {pj.Sine: lambda x: jnp.sin(jnp.pi * x), pj.Cosine: lambda x: jnp.cos(jnp.pi * x)}
        first = own.get(kind, lambda x: jnp.sin(2 * jnp.pi * x))
        wave = lambda x: first(x) * jnp.exp(jnp.cos(2 * jnp.pi * x))
        return apply(model, pj.GridField.from_function(wave, pj.Grid(x=axis)))

    outputs = [on(n + (kind is not pj.Fourier)) for n in (16, 32, 64, 128)]
    differences = [float(jnp.max(jnp.abs(a - b[:, ::2]))) for a, b in zip(outputs, outputs[1:], strict=False)]
    assert differences[-1] < 1e-3 * differences[0] or differences[-1] < 1e-12


@pytest.mark.parametrize("name", [*MODELS, "softmax"])
def test_cost_is_linear_in_the_points_but_for_softmax(name):
    softmax = lambda d: GalerkinTransformer(1, 1, 3, 8, 1, d, attention=SoftmaxAttention(heads=2), key=KEY)
    model = {**MODELS, "softmax": softmax}[name](2)

    def flops(n):
        apply = lambda v: model(pj.GridField(v, pj.Grid(x=pj.Fourier(n), y=pj.Fourier(16)))).values
        return jax.jit(apply).lower(jnp.ones((1, n, 16))).compile().cost_analysis()["flops"]

    ratio = flops(64) / flops(32)
    # The body of a loop over points is counted once.
    assert ratio > 3 if name == "softmax" else 1.2 < ratio < 2.05


def test_the_attention_is_an_argument():
    """Softmax costs the square of the points; a rule without norms has no weights for them."""
    softmax = GalerkinTransformer(1, 1, 3, 8, 1, 1, attention=SoftmaxAttention(heads=2), key=KEY)
    assert size_of(MODELS["galerkin"](1)) - size_of(softmax) == 4 * 8
    assert size_of(MODELS["galerkin"](1)) == size_of(MODELS["fourier"](1))


def test_implicit_factformer_takes_euler_steps():
    model = ImplicitFactFormer(2, 3, 2, 6, 3, 2, contraction=Chained(heads=2), key=KEY)
    grid = pj.Grid(x=pj.Sine(7), y=pj.Fourier(6))
    a = pj.GridField(jax.random.normal(KEY, (2, 7, 6)), grid)

    @eqx.filter_jit
    def unrolled(model, a):
        v = model.around.lift(a)
        v = v.with_values(v.values + model.code(v.grid, v.dtype))
        for _ in range(3):
            v = v.with_values(v.values + model.block(v).values / 3)
        return model.around.project(v, a)

    np.testing.assert_allclose(eqx.filter_jit(model)(a).values, unrolled(model, a).values, atol=1e-12)
    deeper = ImplicitFactFormer(2, 3, 2, 6, 9, 2, contraction=Chained(heads=2), key=KEY)
    assert size_of(model) == size_of(deeper)
    # Every axis has its own result, which one more matrix takes in.
    parallel = ImplicitFactFormer(2, 3, 2, 6, 3, 2, contraction=Parallel(heads=2), key=KEY)
    assert size_of(parallel) - size_of(model) == 6 * 6


def test_bad_arguments_are_told():
    with pytest.raises(ValueError, match="depth"):
        GalerkinTransformer(1, 1, 3, 8, 0, 1, key=KEY)
    with pytest.raises(ValueError, match="width=9"):
        FactFormer(1, 1, 3, 8, 1, 1, contraction=Chained(heads=3), key=KEY)
    with pytest.raises(ValueError, match="modes"):
        ImplicitFactFormer(1, 1, 0, 8, 1, 1, key=KEY)
