from ..fields import GridField
from ..grids import Fourier, Grid


def per_axis(name: str, value, ndim: int) -> tuple[int, ...]:
    """One positive integer per axis, from one for all or a sequence."""
    values = (value,) * ndim if isinstance(value, int) else tuple(value)
    if ndim < 1 or len(values) != ndim or not all(isinstance(v, int) and v >= 1 for v in values):
        raise ValueError(f"{name} is one integer >= 1 or {ndim} of them (ndim={ndim}), got {value!r}; write {name}=12.")
    return values


def modes_per_axis(modes, ndim: int) -> tuple[int | None, ...]:
    """Numbers of modes per axis, from one for all or a sequence in which None leaves an axis out."""
    if isinstance(modes, int):
        return per_axis("modes", modes, ndim)
    given = tuple(modes)
    kept = [m for m in given if m is not None]
    if len(given) != ndim or not kept:
        per_axis("modes", modes, ndim)
    per_axis("modes", kept, len(kept))
    return given


def check_counts(name: str, **counts) -> None:
    """**Raises** `ValueError` if one of the numbers a layer is built with is not a positive integer."""
    for argument, value in counts.items():
        if not isinstance(value, int) or value < 1:
            raise ValueError(f"{name} needs {argument} to be an integer >= 1, got {value!r}; write {argument}=4.")


def check_channels(name: str, wanted: int, field: GridField) -> None:
    """**Raises** `ValueError` if a field has not the channels a layer was built for."""
    if field.channels != wanted:
        raise ValueError(
            f"{name} was built with in_channels={wanted} and got a field with {field.channels} channels; "
            f"write in_channels={field.channels}, or choose channels with u[i] and stack."
        )


def check_ndim(name: str, wanted: int, grid: Grid) -> None:
    """**Raises** `ValueError` if a grid has not the dimension a layer was built for."""
    if len(grid.axes) != wanted:
        raise ValueError(
            f"{name} was built with ndim={wanted} and got a field on {grid}, which has {len(grid.axes)} axes; "
            f"write ndim={len(grid.axes)}."
        )


def check_modes(name: str, grid: Grid, modes: tuple[int | None, ...], padding: float) -> None:
    """**Raises** `ValueError` if an axis has no modes, or too few nodes for those a layer keeps."""
    for axis_name, axis, m in zip(grid.names, grid.axes, modes, strict=True):
        if m is None:
            continue
        kind, fourier = type(axis).__name__, isinstance(axis, Fourier)
        if not axis.is_spectral:
            raise ValueError(
                f"{name} needs axes with a basis and axis {axis_name!r} is {kind}; "
                f"write field.on(grid.replace({axis_name}=Cosine({axis.n}))) or give another axis of the same nodes."
            )
        if padding and not fourier:
            raise ValueError(
                f"padding={padding:g} continues fields along Fourier axes and axis {axis_name!r} is {kind}, "
                "whose basis does not wrap around; write padding=0."
            )
        wanted, most = (2 * m, int(axis.n * (1 + padding)) // 2) if fourier else (2 * m + 1, (axis.n - 1) // 2)
        if (axis.n * (1 + padding) if fourier else axis.n) < wanted:
            raise ValueError(
                f"{name} with modes={m} needs {wanted} nodes on the {kind} axis {axis_name!r} and got n={axis.n}; "
                f"write modes={max(most, 1)} or less, or a grid with n >= {wanted}."
            )
