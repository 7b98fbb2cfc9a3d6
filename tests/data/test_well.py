"""The Well's layout: what is written holds what its specification asks for, and comes back unchanged."""

import equinox as eqx
import h5py
import numpy as np
import pytest

from pdejax.data import Dataset, Take, read, read_well, write_well
from pdejax.grids import Chebyshev, Cosine, Dirichlet, Fourier, Free, Grid, Neumann, Periodic, Uniform

RNG = np.random.default_rng(0)


def steady() -> Dataset:
    grid = Grid(x=Uniform(7, lower=Dirichlet(2.0), upper=Free()), y=Fourier(8, length=2.0, start=-1.0))
    facts = {
        "equation": "-div(a grad u) = f",
        "parameters": {"tau": 3.0, "f": 1.0},
        "input_names": ["permeability"],
        "target_names": ["pressure"],
    }
    arrays = (RNG.standard_normal((5, 1, 7, 8)).astype(np.float32) for _ in range(2))
    return Dataset(*arrays, grid, name="darcy", metadata=facts)


def evolution() -> Dataset:
    grid = Grid(x=Fourier(10, length=1.0), y=Cosine(6, centred=True))
    names = {"input_names": ["velocity"], "target_names": ["velocity"], "times": [0.0, 0.5]}
    return Dataset(*RNG.standard_normal((2, 5, 2, 10, 6)), grid, name="flow", metadata=names)


def trajectories() -> Dataset:
    grid, times = Grid(x=Chebyshev(6)), Uniform(9, length=2.0)
    inputs, targets = RNG.standard_normal((5, 2, 6)), RNG.standard_normal((5, 3, 9, 6))
    return Dataset(inputs, targets, grid, name="kdv", target_grid=Grid(t=times, x=Chebyshev(6)))


def vector_trajectories() -> Dataset:
    grid = Grid(x=Uniform(6, lower=Neumann(0.0), upper=Neumann(1.0)), y=Uniform(5, lower=Periodic(), upper=Periodic()))
    names = {"input_names": ["a"], "target_names": ["velocity"]}
    later = Grid(t=Uniform(7), x=grid.axis("x"), y=grid.axis("y"))
    inputs, targets = RNG.standard_normal((5, 1, 6, 5)), RNG.standard_normal((5, 2, 7, 6, 5))
    return Dataset(inputs, targets, grid, metadata=names, target_grid=later)


def same(a: Dataset, b: Dataset) -> None:
    np.testing.assert_array_equal(a.inputs, b.inputs)
    np.testing.assert_array_equal(a.targets, b.targets)
    assert a.inputs.dtype == b.inputs.dtype and a.targets.dtype == b.targets.dtype
    assert (a.name, a.metadata) == (b.name, b.metadata)
    for p, q in ((a.grid, b.grid), (a.target_grid, b.target_grid)):
        assert bool(eqx.tree_equal(p, q))


@pytest.mark.parametrize("make", [steady, evolution, trajectories, vector_trajectories])
def test_round_trip(make, tmp_path):
    data = make()
    assert write_well(tmp_path / "data.hdf5", data) == tmp_path / "data.hdf5"
    same(read_well(tmp_path / "data.hdf5"), data)
    assert [f.name for f in tmp_path.iterdir()] == ["data.hdf5"]


@pytest.mark.parametrize("make", [steady, evolution, trajectories, vector_trajectories])
def test_files_hold_what_the_specification_asks_for(make, tmp_path):
    data = make()
    with h5py.File(write_well(tmp_path / "data.hdf5", data)) as file:
        assert isinstance(file.attrs["dataset_name"], str) and file.attrs["grid_type"] == "cartesian"
        assert file.attrs["n_spatial_dims"] == data.grid.ndim and file.attrs["n_trajectories"] == len(data)
        names = list(file["dimensions"].attrs["spatial_dims"])
        assert names == list(data.grid.names) and all(isinstance(name, str) for name in names)
        times = file["dimensions/time"].shape
        sizes = tuple(file["dimensions"][name].shape[-1] for name in names)
        assert sizes == data.grid.shape
        for item in [file["dimensions"][name] for name in ("time", *names)]:
            assert isinstance(item.attrs["sample_varying"], np.bool_) and isinstance(
                item.attrs["time_varying"], np.bool_
            )
        for name in file.attrs["simulation_parameters"]:
            assert name in file.attrs and file["scalars"][name].shape == ()
        assert list(file["scalars"].attrs["field_names"]) == list(file.attrs["simulation_parameters"])
        for order in range(3):
            group = file[f"t{order}_fields"]
            assert sorted(group.attrs["field_names"]) == sorted(group)
            for field in group.values():
                timed = times if field.attrs["time_varying"] else ()
                assert field.shape == (len(data), *timed, *sizes, *(len(sizes),) * order)
                assert field.attrs["sample_varying"] and len(field.attrs["dim_varying"]) == len(sizes)
        for condition in file["boundary_conditions"].values():
            (name,) = condition.attrs["associated_dims"]
            assert condition.attrs["bc_type"] in ("PERIODIC", "WALL", "OPEN")
            assert condition["mask"].shape == (sizes[names.index(name)],) and condition["mask"].dtype == bool
            assert len(condition.attrs["associated_fields"]) == 0


def test_boundary_conditions_by_end(tmp_path):
    with h5py.File(write_well(tmp_path / "data.hdf5", steady())) as file:
        kinds = {name: group["mask"][()].nonzero()[0].tolist() for name, group in file["boundary_conditions"].items()}
    assert kinds == {"x_wall": [0], "x_open": [6], "y_periodic": [0, 7]}


def test_a_file_of_that_layout_from_elsewhere(tmp_path):
    # As the specification has it: absent sample, time and space axes, a vector field, periodic in y.
    rho, velocity = RNG.standard_normal((3, 4, 7, 8)), RNG.standard_normal((3, 4, 7, 8, 2))
    profile = RNG.standard_normal((3, 8))
    with h5py.File(tmp_path / "well.hdf5", "w") as file:
        file.attrs.update(dataset_name="made", grid_type="cartesian", n_spatial_dims=2, n_trajectories=3, nu=0.5)
        file["dimensions/time"] = np.arange(4.0)
        file["dimensions/x"], file["dimensions/y"] = np.linspace(0, 1, 7), np.arange(8) / 4
        file["dimensions"].attrs["spatial_dims"] = ["x", "y"]
        condition = file.create_group("boundary_conditions/y_periodic")
        condition.attrs.update(bc_type="PERIODIC", associated_dims=["y"])
        for path, values, dims, sample, time in (
            ("t0_fields/rho", rho, [True, True], True, True),
            ("t0_fields/profile", profile, [False, True], True, False),
            ("t0_fields/height", profile[0, :7], [True, False], False, False),
            ("t1_fields/velocity", velocity, [True, True], True, True),
        ):
            file[path] = values
            file[path].attrs.update(dim_varying=dims, sample_varying=sample, time_varying=time)
    path = tmp_path / "well.hdf5"
    data = read(path, (Take("velocity", 0), "profile", "height"), Take("rho", -1))
    np.testing.assert_array_equal(data.inputs[:, :2], np.moveaxis(velocity[:, 0], -1, 1))
    np.testing.assert_array_equal(data.inputs[:, 2], np.broadcast_to(profile[:, None], (3, 7, 8)))
    np.testing.assert_array_equal(data.inputs[:, 3], np.broadcast_to(profile[0, :7, None], (3, 7, 8)))
    np.testing.assert_array_equal(data.targets[:, 0], rho[:, -1])
    assert isinstance(data.grid.axis("x"), Uniform) and data.grid.axis("y") == Fourier(8, length=2.0)
    assert data.metadata["nu"] == 0.5
    with pytest.raises(ValueError, match="height, profile, rho, velocity"):
        read_well(path)
    with pytest.raises(ValueError, match="does not vary in time"):
        read(path, Take("profile", 0), "rho")


def test_nothing_is_overwritten_or_lost(tmp_path, monkeypatch):
    path = write_well(tmp_path / "data.hdf5", steady())
    before = path.read_bytes()
    with pytest.raises(FileExistsError, match="overwrite=True"):
        write_well(path, steady())

    def interrupted(*args):
        raise KeyboardInterrupt

    monkeypatch.setattr("pdejax.data._well._write_axes", interrupted)
    with pytest.raises(KeyboardInterrupt):
        write_well(path, evolution(), overwrite=True)
    assert path.read_bytes() == before and len(list(tmp_path.iterdir())) == 1
    monkeypatch.undo()
    write_well(path, evolution(), overwrite=True)
    assert read_well(path).name == "flow"


def test_bad_names_and_data(tmp_path):
    data, path = steady(), tmp_path / "data.hdf5"
    one = data.metadata | {"target_names": ["permeability"]}
    with pytest.raises(ValueError, match="both input and target"):
        write_well(path, Dataset(data.inputs, data.targets, data.grid, metadata=one))
    few = data.metadata | {"target_names": ["u", "v", "w"]}
    with pytest.raises(ValueError, match="1 target channels need as many"):
        write_well(path, Dataset(data.inputs, data.targets, data.grid, metadata=few))
    data.inputs[4] = np.nan
    with pytest.raises(ValueError, match="first in sample 4"):
        write_well(path, data)
    assert list(tmp_path.iterdir()) == []
