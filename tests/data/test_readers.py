"""Reading the formats people keep data in, real files first, and sentences for what cannot be read."""

import h5py
import numpy as np
import pytest
import scipy.io

from pdejax.data import Take, read
from pdejax.grids import Fourier, Grid, Uniform

RNG = np.random.default_rng(0)
A, U = RNG.standard_normal((4, 7, 9)), RNG.standard_normal((4, 7, 9))


def half_open(n: int) -> Grid:
    return Grid(x=Fourier(n, length=1.0), y=Fourier(n, length=1.0))


def test_darcy_file_made_by_others(shared_data):
    train = read(shared_data / "operator/darcy_train_16.npz", grid=half_open(16), values=(3.0, 12.0))
    assert train.inputs.shape == train.targets.shape == (1000, 1, 16, 16)
    assert train.inputs.dtype == train.targets.dtype == np.float32
    assert set(np.unique(train.inputs)) == {3.0, 12.0} and train.name == "darcy_train_16"
    plain = read(shared_data / "operator/darcy_train_16.npz", grid=half_open(16))
    assert set(np.unique(plain.inputs)) == {0.0, 1.0}
    # The grid of the call is a template: a file of another resolution needs no other grid.
    test = read(shared_data / "operator/darcy_test_16.npz", grid=half_open(32))
    assert len(test) == 50 and test.grid.shape == (16, 16)


def test_darcy_file_lies_on_half_open_nodes(shared_data):
    # A mean field that is symmetric about the centre of (0, 1)^2 has equal values at k / 16 and 1 - k / 16; the file
    # has them up to an offset of the nodes of about a thousandth and the scatter of a thousand samples.
    mean = read(shared_data / "operator/darcy_train_16.npz", grid=half_open(16)).targets[:, 0].mean(axis=0)
    for profile in (mean.mean(axis=0), mean.mean(axis=1)):
        np.testing.assert_allclose(profile[1:8], profile[:8:-1], rtol=0.04)


def test_burgers_trajectories_made_by_others(shared_data):
    path = shared_data / "operator/burgers_train_16.npz"
    grid = Grid(x=Fourier(16, length=1.0))
    last = read(path, "x", Take("y", -1), grid)
    assert last.inputs.shape == last.targets.shape == (800, 1, 16)
    trajectory = read(path, "x", "y", grid, target_grid=Grid(t=Uniform(17), x=Fourier(16, length=1.0)))
    assert trajectory.targets.shape == (800, 1, 17, 16)
    np.testing.assert_array_equal(trajectory.targets[:, :, 0], trajectory.inputs)
    assert read(path, "x", "y", grid).targets.shape == (800, 17, 16)  # times as channels


def test_matlab_files_of_both_kinds(tmp_path):
    scipy.io.savemat(tmp_path / "old.mat", {"coeff": A, "sol": U})
    with h5py.File(tmp_path / "new.mat", "w") as file:  # MATLAB stores columns first
        file["coeff"], file["sol"] = A.T, U.T
    for name in ("old.mat", "new.mat"):
        data = read(tmp_path / name, "coeff", "sol")
        np.testing.assert_array_equal(data.inputs[:, 0], A)
        np.testing.assert_array_equal(data.targets[:, 0], U)
        assert data.metadata["grid"] == "assumed closed unit box" and data.grid.names == ("x", "y")


def test_pdebench_arrays(tmp_path):
    u = RNG.standard_normal((5, 3, 16)).astype(np.float32)
    centres = (np.arange(16) + 0.5) / 16
    with h5py.File(tmp_path / "burgers.hdf5", "w") as file:
        file["tensor"], file["x-coordinate"], file["t-coordinate"] = u, centres.astype(np.float32), np.arange(4.0)
        file.attrs["Nu"] = 0.01
    data = read(tmp_path / "burgers.hdf5", Take("tensor", 0), Take("tensor", -1))
    np.testing.assert_array_equal(data.inputs[:, 0], u[:, 0])
    np.testing.assert_array_equal(data.targets[:, 0], u[:, -1])
    np.testing.assert_allclose(data.grid.axis("x").points, centres, atol=1e-6)
    assert data.metadata["Nu"] == 0.01
    periodic = read(tmp_path / "burgers.hdf5", Take("tensor", 0), Take("tensor", 1), Grid(x=Fourier(8, 1.0, 1 / 32)))
    assert periodic.grid.shape == (16,)


def test_pdebench_darcy_and_several_quantities(tmp_path):
    with h5py.File(tmp_path / "darcy.h5", "w") as file:
        file["nu"], file["tensor"] = A, U[:, None]
        file["x-coordinate"], file["y-coordinate"] = np.linspace(0, 1, 7), np.linspace(0, 1, 9)
    data = read(tmp_path / "darcy.h5", "nu", "tensor")
    np.testing.assert_array_equal(data.targets[:, 0], U)
    both = read(tmp_path / "darcy.h5", "nu", ("nu", "tensor"))
    np.testing.assert_array_equal(both.targets, np.stack([A, U], axis=1))


def test_pdebench_one_group_per_sample(tmp_path):
    u = RNG.standard_normal((4, 3, 7, 9, 2))  # sample, time, x, y, channel
    with h5py.File(tmp_path / "reaction.h5", "w") as file:
        for i, sample in enumerate(u):
            file[f"{i:04d}/data"] = sample
            file[f"{i:04d}/grid/x"], file[f"{i:04d}/grid/y"] = np.linspace(-1, 1, 7), np.linspace(-1, 1, 9)
            file[f"{i:04d}/grid/t"] = np.arange(3.0)
    data = read(tmp_path / "reaction.h5", Take("data", 0), Take("data", 2))
    np.testing.assert_array_equal(data.inputs, np.moveaxis(u[:, 0], -1, 1))
    np.testing.assert_array_equal(data.targets, np.moveaxis(u[:, 2], -1, 1))
    assert data.grid.names == ("x", "y") and data.grid.axis("x").start == -1


def test_channels_last_is_recognised_by_the_grid(tmp_path):
    np.savez(tmp_path / "last.npz", x=np.stack([A, U], axis=-1), y=A)
    data = read(tmp_path / "last.npz", grid=Grid(x=Uniform(7), y=Uniform(9)))
    np.testing.assert_array_equal(data.inputs, np.stack([A, U], axis=1))


@pytest.fixture
def folder(tmp_path):
    np.savez(tmp_path / "darcy.npz", permeability=A, pressure=U, flag=A > 0)
    np.savez(tmp_path / "unequal.npz", x=A, y=U[:3])
    bad = U.copy()
    bad[2, 3, 3] = np.inf
    np.savez(tmp_path / "bad.npz", x=A, y=bad)
    np.savez(tmp_path / "other.npz", x=A, y=U[:, ::2])
    for name in ("torch.pt", "table.csv", "fake.h5"):
        (tmp_path / name).write_bytes(b"not one of ours")
    return tmp_path


@pytest.mark.parametrize(
    ("arguments", "error", "words"),
    [
        (("dacry.npz",), FileNotFoundError, "did you mean 'darcy.npz'"),
        (("nowhere/darcy.npz",), FileNotFoundError, "its folder .* does not exist"),
        ((".",), IsADirectoryError, "darcy.npz"),
        (
            ("darcy.npz", "permeabilty", "pressure"),
            LookupError,
            r"did you mean 'permeability'\? it holds flag \(4, 7, 9\)",
        ),
        (("darcy.npz", "x", "pressure"), LookupError, "it holds flag"),
        (("torch.pt",), ValueError, r"np.savez\('data.npz'"),
        (("table.csv",), ValueError, "suffix '.csv'"),
        (("fake.h5",), ValueError, "not an HDF5 file"),
        (("unequal.npz",), ValueError, "4 inputs but 3 targets"),
        (("bad.npz",), ValueError, "targets of data set 'bad' are not finite in 1 of 4 samples, first in sample 2"),
        (("other.npz",), ValueError, "give target_grid"),
        (("darcy.npz", "permeability", "pressure", Grid(x=Fourier(9))), None, None),
        (
            ("darcy.npz", "permeability", "pressure", Grid(x=Uniform(7), y=Uniform(7), z=Uniform(7))),
            ValueError,
            "neither",
        ),
        (("darcy.npz", Take("permeability", 7), "pressure"), ValueError, "no index 7"),
    ],
)
def test_bad_input(folder, arguments, error, words):
    name, *rest = arguments
    if error is None:  # one axis and an extra dimension: the first is read as channels
        assert read(folder / name, *rest).inputs.shape == (4, 7, 9)
        return
    with pytest.raises(error, match=words):
        read(folder / name, *rest)


def test_values_are_for_boolean_inputs(folder):
    with pytest.raises(ValueError, match="not boolean; leave values out"):
        read(folder / "darcy.npz", "permeability", "pressure", values=(3.0, 12.0))
    data = read(folder / "darcy.npz", "flag", "pressure", values=(3.0, 12.0))
    np.testing.assert_array_equal(data.inputs[:, 0], np.where(A > 0, 12.0, 3.0))
