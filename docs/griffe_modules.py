"""Teaches the API pages two habits of the house: `from ._x import Foo as Foo` exports, equinox modules have fields."""

import dataclasses
import importlib
import inspect
from typing import Any

import griffe


class HouseStyle(griffe.Extension):
    """Marks what packages export as public and gives equinox modules the `__init__` that their fields make."""

    def on_package(self, *, pkg: griffe.Module, **kwargs: Any) -> None:
        _walk(pkg)


def _walk(parent: griffe.Module) -> None:
    for member in list(parent.members.values()):
        if member.is_alias:
            if parent.is_init_module and not member.name.startswith("_"):
                member.public = True
        elif member.is_module:
            _walk(member)  # type: ignore[arg-type]
        elif member.is_class and "__init__" not in member.members:
            _add_init(member)  # type: ignore[arg-type]


def _add_init(cls: griffe.Class) -> None:
    module, name = cls.path.rsplit(".", 1)
    runtime = getattr(importlib.import_module(module), name)
    # An inherited __init__ is shown too; an abstract class is not built by anybody.
    if not dataclasses.is_dataclass(runtime) or inspect.isabstract(runtime):
        return
    parameters = [
        griffe.Parameter(
            p.name,
            kind=griffe.ParameterKind(p.kind.description),
            annotation=getattr(cls.members.get(p.name), "annotation", None),
            default=None if p.default is p.empty else _text(p.default),
        )
        for p in inspect.signature(runtime).parameters.values()
    ]
    self = griffe.Parameter("self", kind=griffe.ParameterKind.positional_or_keyword)
    init = griffe.Function(
        "__init__", parameters=griffe.Parameters(self, *parameters), parent=cls, lineno=0, endlineno=0
    )
    cls.set_member("__init__", init)


def _text(value: object) -> str:
    """A default as one would type it."""
    return getattr(value, "__name__", None) or repr(value)
