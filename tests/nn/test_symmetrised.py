import jax
import jax.numpy as jnp
import numpy as np
import pytest

import pdejax as pj
from pdejax.nn import FarEnds, Symmetrised, box_images, exchanges

CLOSED = pj.Grid(x=pj.Uniform(6), y=pj.Uniform(6))


def test_images_of_a_square_are_its_group():
    """Eight different maps, each undone by its inverse, closed under composition."""
    a = pj.GridField(jnp.arange(36.0).reshape(1, 6, 6), CLOSED)
    seen = {image(a).values.tobytes() for image in box_images(2)}
    assert len(seen) == 8 and len(exchanges(3)) == 6
    for image in box_images(2):
        np.testing.assert_array_equal(image.back(image(a)).values, a.values)
        assert {other(image(a)).values.tobytes() for other in box_images(2)} == seen
    np.testing.assert_array_equal(box_images(2)[1](a).values, a.values[:, :, ::-1])


@pytest.mark.parametrize("images", (exchanges(2), box_images(2)))
def test_symmetrised_model_is_equivariant(images):
    a = pj.GridField(jax.random.normal(jax.random.key(0), (1, 6, 6)), CLOSED)
    model = Symmetrised(lambda u: u.with_values(jnp.cumsum(u.values, axis=1)), images)
    for image in images:
        np.testing.assert_allclose(image(model(a)).values, model(image(a)).values, atol=1e-14)
    assert not np.allclose(model(a).values, jnp.cumsum(a.values, axis=1))


def test_bad_grids_are_told():
    flat = pj.GridField(jnp.zeros((1, 6, 8)), pj.Grid(x=pj.Uniform(6), y=pj.Uniform(8)))
    with pytest.raises(ValueError, match="differ"):
        exchanges(2)[1](flat)
    with pytest.raises(ValueError, match="ndim=2"):
        exchanges(2)[1](pj.GridField(jnp.zeros((1, 6)), pj.Grid(x=pj.Uniform(6))))
    with pytest.raises(ValueError, match="mirror image"):
        box_images(1)[1](pj.GridField(jnp.zeros((1, 6)), pj.Grid(x=pj.Fourier(6))))


def test_far_ends_close_the_box_around_the_model():
    seen = []

    def model(u):
        seen.append(u)
        return u.with_values(2 * u.values)

    a = pj.GridField(
        jnp.arange(12.0).reshape(1, 3, 4), pj.Grid(x=pj.Fourier(3, length=1.0), y=pj.Fourier(4, length=2.0))
    )
    np.testing.assert_array_equal(FarEnds(model)(a).values, 2 * a.values)
    (closed,) = seen
    assert closed.grid.shape == (4, 5) and [axis.length for axis in closed.grid.axes] == [1.0, 2.0]
    np.testing.assert_array_equal(closed.values[0, -1, :-1], a.values[0, -1])
