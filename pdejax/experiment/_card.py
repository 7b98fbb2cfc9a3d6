"""The card of a trained model: its size and cost, the waves it sees, and how it carries over to other grids."""

import json
from collections.abc import Callable, Iterator, Mapping
from typing import Any

import yaml

from ._assemble import data_keys, dataset, loss, windows
from ._build import Keys
from ._directory import RunDirectory, write_json
from ._environment import configure
from ._errors import sentence
from ._voice import Voice
from ._words import by_grid

# Enough for a mean error of two digits, and quick where a data set has thousands.
_SAMPLES = 64
# What is put in, every how many nodes of the stored ones that takes, and how many its output has for each of them.
_GRIDS = (("as stored", 1, 1), ("every 2nd node", 2, 1), ("every 4th node", 4, 1), ("resampled by its basis", 1, 2))


def read_card(directory: RunDirectory, voice: Voice) -> dict[str, Any]:
    """The card of a run, from `card.json` where it belongs to the present model file, else measured and kept there."""
    state = directory.model.stat()
    stamp = [state.st_size, state.st_mtime_ns]
    if directory.card.is_file():
        card = json.loads(directory.card.read_text())
        if card.get("stamp") == stamp:
            return card
    voice.say("card         is measured once: the model is compiled for its own grid and some others")
    plain = yaml.safe_load(directory.config.read_text())
    configure(plain["precision"], directory.path.parent / ".cache")
    from ..training import load_model

    model = load_model(directory.model)
    card = {"stamp": stamp, **size(model)}
    if plain["data"]["test"] is not None:
        data = dataset(plain["data"]["test"], "data.test", data_keys(plain), voice.console)
        data = windows(data, model)[:_SAMPLES]
        card |= _cost(model, loss(plain["loss"], Keys(plain["seed"])), data, plain["training"]["batch_size"])
        card |= {"modes": modes(model, data.grid, data.target_grid), "samples": len(data)}
        card["resolutions"] = list(_resolutions(model, data, plain["evaluation"]["batch_size"]))
    write_json(directory.card, card)
    return card


def size(model: Any) -> dict[str, Any]:
    """Number of trainable parameters and bytes of all arrays."""
    import equinox as eqx
    import jax

    from ..nn import trainable

    leaves = jax.tree.leaves(eqx.filter(model, trainable(model)))
    arrays = jax.tree.leaves(eqx.filter(model, eqx.is_array))
    return {"parameters": sum(leaf.size for leaf in leaves), "bytes": sum(leaf.nbytes for leaf in arrays)}


def modes(model: Any, *grids: Any) -> list[dict[str, Any]]:
    """The most modes that a spectral layer keeps along each axis, of the first grid it fits; nothing without such."""
    import jax

    found = [node.modes for node in jax.tree.leaves(model, is_leaf=_is_spectral) if _is_spectral(node)]
    unnamed = tuple(f"axis {i}" for i in range(max(map(len, found), default=0)))
    for names in (*(grid.names for grid in grids), unnamed):
        columns = zip(*(m for m in found if len(m) == len(names)), strict=True)
        kept = [max((m for m in column if m is not None), default=None) for column in columns]
        if kept:
            return [{"axis": name, "modes": m} for name, m in zip(names, kept, strict=True) if m is not None]
    return []


def card_lines(card: Mapping[str, Any]) -> Iterator[str]:
    """The card in lines of text."""
    yield f"parameters   {card['parameters']:,} ({_bytes(card['bytes'])})"
    if "flops" in card:
        loops = ", a loop counted once" if card["loops"] else ""
        memory = "" if card["forward_bytes"] is None else f", {_bytes(card['forward_bytes'])} of temporaries"
        yield f"forward      {card['flops'] / 1e6:,.3g} MFLOP a sample on {by_grid(card['shape'])}{loops}{memory}"
    if card.get("gradient_bytes") is not None:
        yield f"gradient     {_bytes(card['gradient_bytes'])} of temporaries for a batch of {card['batch_size']}"
    if card.get("modes"):
        text = ", ".join(f"{row['axis']}: {row['modes']} (waves down to 1/{row['modes']})" for row in card["modes"])
        yield f"modes        {text}"
    if "resolutions" in card:
        yield f"grids        relative L2 errors of {card['samples']} test samples; change of the output at shared nodes"
    for row in card.get("resolutions", ()):
        facts = row.get("refused") or f"error {row['error']:.4f}, change {row['change']:.4f}"
        yield f"  {by_grid(row['shape'] or ()) or '-':<15} {row['input']:<23} {facts}"


def _is_spectral(node: Any) -> bool:
    import equinox as eqx

    kept = getattr(node, "modes", None) if isinstance(node, eqx.Module) else None
    return isinstance(kept, tuple) and all(m is None or isinstance(m, int) for m in kept)


def _cost(model: Any, criterion: Callable, data: Any, batch_size: int) -> dict[str, Any]:
    """What XLA says of the compiled forward pass of a sample, and of the gradient of a batch."""
    import equinox as eqx
    import jax
    import jax.numpy as jnp

    from ..fields import GridField
    from ..nn import trainable

    arrays, static = eqx.partition(model, trainable(model))
    dtype = jnp.result_type(data.targets)

    def forward(arrays: Any, a: Any) -> Any:
        return eqx.combine(arrays, static)(GridField(a, data.grid))

    def objective(arrays: Any, inputs: Any, targets: Any) -> Any:
        def one(a: Any, u: Any) -> Any:
            return criterion(forward(arrays, a), GridField(u, data.target_grid))

        return jnp.mean(jax.vmap(one)(inputs, targets))

    sample, target = (jax.ShapeDtypeStruct(values.shape[1:], dtype) for values in (data.inputs, data.targets))
    batch = (jax.ShapeDtypeStruct((batch_size, *one.shape), dtype) for one in (sample, target))
    compiled = jax.jit(lambda arrays, a: forward(arrays, a).values).lower(arrays, sample).compile()
    return {
        "shape": list(data.grid.shape),
        "flops": (compiled.cost_analysis() or {}).get("flops"),
        "loops": " while(" in (compiled.as_text() or ""),
        "forward_bytes": _temporaries(compiled),
        "gradient_bytes": _temporaries(jax.jit(jax.grad(objective)).lower(arrays, *batch).compile()),
        "batch_size": batch_size,
    }


def _temporaries(compiled: Any) -> int | None:
    return getattr(compiled.memory_analysis(), "temp_size_in_bytes", None)


def _resolutions(model: Any, data: Any, batch_size: int) -> Iterator[dict[str, Any]]:
    """Errors on the run's own grid, on coarser ones that its nodes contain, and on the one with a node in every gap.

    `change` compares with the output on the own grid at the nodes both have.
    """
    from ..data import Dataset
    from ..training import evaluate

    def answered(samples: Any) -> Any:
        found = evaluate(model, samples, batch_size=batch_size).predictions
        return Dataset(samples.inputs, found, samples.grid, target_grid=samples.target_grid)

    own = answered(data)
    for name, coarser, finer in _GRIDS:
        row: dict[str, Any] = {"input": name, "shape": None}
        try:
            samples = data.subsample(coarser) if finer == 1 else _resampled(data)
            row["shape"] = list(samples.grid.shape)
            after = answered(samples).subsample(finer)
            pairs = {"error": data.subsample(coarser), "change": own.subsample(coarser)}
            row |= {key: _mean_error(after, before) for key, before in pairs.items()}
        except (TypeError, ValueError) as error:
            row["refused"] = sentence(error)
        yield row


def _resampled(data: Any) -> Any:
    """The samples on the grid with one more node in every gap of space, between their nodes by their bases."""
    import jax
    import jax.numpy as jnp

    from ..data import Dataset
    from ..fields import GridField

    def finer(values: Any, grid: Any) -> tuple[Any, Any]:
        fine = grid.replace(**{name: grid.axis(name).refined() for name in grid.space_names})
        return jax.vmap(lambda v: GridField(v, grid).resample(fine).values)(jnp.asarray(values)), fine

    (inputs, grid), (targets, target_grid) = finer(data.inputs, data.grid), finer(data.targets, data.target_grid)
    return Dataset(inputs, targets, grid, target_grid=target_grid)


def _mean_error(predicted: Any, truth: Any) -> float:
    import jax
    import jax.numpy as jnp

    from ..objectives import relative_l2

    return float(jnp.mean(jax.vmap(relative_l2)(predicted.target_fields(), truth.target_fields())))


def _bytes(count: int) -> str:
    """A number of bytes as people write it."""
    return f"{count / 1e6:.3g} MB" if count >= 1e5 else f"{count / 1e3:.3g} kB"
