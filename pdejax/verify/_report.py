"""Tables of errors under refinement, and what they say."""

import math
from collections.abc import Callable, Iterable

import equinox as eqx

# How far the last observed order may lie below the design order.
SLACK = 0.15


class Column(eqx.Module):
    """One error as a table is refined: its `design` order, the `floor` below which rounding and what is not refined
    decide, and the errors row by row.
    """

    name: str = eqx.field(static=True)
    design: float = eqx.field(static=True)
    floor: float = eqx.field(static=True)
    steps: tuple[float, ...] = eqx.field(static=True, default=())
    errors: tuple[float, ...] = eqx.field(static=True, default=())

    @property
    def orders(self) -> tuple[float | None, ...]:
        """Observed order between each row and the one before; `None` unless both errors are finite and above the
        floor.
        """
        used = [math.isfinite(e) and e > self.floor for e in self.errors]
        pairs = zip(used[:-1], used[1:], self.errors[:-1], self.errors[1:], self.steps[:-1], self.steps[1:])
        between = (math.log(e / f) / math.log(h / k) if a and b else None for a, b, e, f, h, k in pairs)
        return (None, *between)

    @property
    def observed(self) -> float | None:
        """The last order; `None` if there is none."""
        known = [order for order in self.orders if order is not None]
        return known[-1] if known else None

    @property
    def exact(self) -> bool:
        """Whether rounding is reached before an order shows."""
        return self.observed is None and bool(self.errors) and self.errors[-1] <= self.floor

    @property
    def settled(self) -> bool:
        """Whether two orders in succession are the design order, or the floor is reached."""
        known = [order for order in self.orders[-2:] if order is not None]
        near = len(known) == 2 and all(abs(order - self.design) <= SLACK for order in known)
        return near or (bool(self.errors) and self.errors[-1] <= self.floor)

    @property
    def ok(self) -> bool:
        """Whether the observed order is not below the design order, or the errors are rounding."""
        return self.exact or (self.observed is not None and self.observed >= self.design - SLACK)

    @property
    def verdict(self) -> str:
        """One line."""
        if self.exact:
            return f"{self.name}: exact to rounding"
        if self.observed is None:
            return f"FAILED {self.name}: no two rows above {self.floor:.0e} are finite, so no order shows"
        if not self.ok:
            return (
                f"FAILED {self.name}: the observed order {self.observed:.2f} is below the design order "
                f"{self.design:g} - {SLACK}"
            )
        return f"{self.name}: observed order {self.observed:.2f}, design order {self.design:g}"


class Table(eqx.Module):
    """Errors under refinement: `sizes` (steps or nodes) of `steps` (in time or space), and columns of errors."""

    title: str = eqx.field(static=True)
    heads: tuple[str, str] = eqx.field(static=True)
    sizes: tuple[int, ...] = eqx.field(static=True)
    steps: tuple[float, ...] = eqx.field(static=True)
    columns: tuple[Column, ...]

    @property
    def ok(self) -> bool:
        """Whether all columns are."""
        return all(column.ok for column in self.columns)

    def __str__(self) -> str:
        head = f"{self.heads[0]:>8}{self.heads[1]:>12}"
        lines = [f"{n:>8}{h:>12.4g}" for n, h in zip(self.sizes, self.steps, strict=True)]
        for column in self.columns:
            wide = max(len(column.name), 8) + 3
            head += f"{column.name:>{wide}}{'order':>8}"
            for i, (e, p) in enumerate(zip(column.errors, column.orders, strict=True)):
                lines[i] += f"{format(e, '.1e') if math.isfinite(e) else 'unstable':>{wide}}"
                lines[i] += f"{'' if p is None else format(p, '.2f'):>8}"
        lines = [line.rstrip() for line in lines]
        return "\n".join([self.title, head, *lines, *(f"  {column.verdict}" for column in self.columns)])


class Report(eqx.Module):
    """What `verify` found: the tables, and notes on what could not be looked at."""

    title: str = eqx.field(static=True)
    tables: tuple[Table, ...]
    notes: tuple[str, ...] = eqx.field(static=True, default=())

    @property
    def ok(self) -> bool:
        """Whether no observed order lies below its design order."""
        return all(table.ok for table in self.tables)

    def __str__(self) -> str:
        end = "verified" if self.ok else "NOT VERIFIED: see the lines that begin with FAILED"
        return "\n\n".join([self.title, *map(str, self.tables), *self.notes, end])


def refine(
    title: str,
    heads: tuple[str, str],
    columns: tuple[Column, ...],
    sizes: Iterable[int],
    step: Callable[[int], float],
    errors: Callable[[int], tuple[float, ...]],
) -> Table:
    """The table of `errors(n)` (one number per column) for growing `n`, until all columns have settled."""
    seen: tuple[int, ...] = ()
    for n in sizes:
        seen += (n,)
        columns = tuple(
            Column(c.name, c.design, c.floor, (*c.steps, step(n)), (*c.errors, float(e)))
            for c, e in zip(columns, errors(n), strict=True)
        )
        if all(column.settled for column in columns):
            break
    return Table(title, heads, seen, tuple(map(step, seen)), columns)
