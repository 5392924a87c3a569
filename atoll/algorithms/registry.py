"""The algorithms that are installed: the files of this folder, and what third parties add.

A file joins by holding a generator function named as itself whose first parameter is `setting`; its
keyword arguments are its options. A third party adds one through the entry-point group
`atoll.algorithms`, whose entry names a module of the same form.
"""

from __future__ import annotations

import functools
import importlib
import importlib.metadata
import inspect
import pkgutil
from collections.abc import Callable, Mapping
from difflib import get_close_matches
from types import ModuleType
from typing import Any, Literal, Union, get_args, get_origin, get_type_hints

from atoll.algorithms.core import Program, SiteFunction
from atoll.algorithms.options import ColumnName, FormulaText, ModelDocument, StratumName
from atoll.errors import StudyError
from atoll.study.dictionary import Dictionary
from atoll.study.formula import parse
from atoll.study.horizon import refuse_ahead
from atoll.study.view import Model

GROUP = "atoll.algorithms"


@functools.cache
def _modules() -> dict[str, ModuleType]:
    """Modules that ask questions, by name: this folder first; a third party cannot replace one of ours."""
    package = importlib.import_module("atoll.algorithms")
    found = {}
    for info in sorted(pkgutil.iter_modules(package.__path__), key=lambda info: info.name):
        module = importlib.import_module(f"atoll.algorithms.{info.name}")
        if any(isinstance(entry, SiteFunction) and entry.module == info.name for entry in vars(module).values()):
            found[info.name] = module
    for entry in importlib.metadata.entry_points(group=GROUP):
        found.setdefault(entry.name, entry.load())
    return found


@functools.cache
def _algorithms() -> dict[str, ModuleType]:
    return {name: module for name, module in _modules().items() if _is_algorithm(getattr(module, name, None))}


def _is_algorithm(function: object) -> bool:
    return inspect.isgeneratorfunction(function) and next(iter(inspect.signature(function).parameters), "") == "setting"


def names() -> tuple[str, ...]:
    """Names of all installed algorithms."""
    return tuple(_algorithms())


def module(name: str) -> ModuleType:
    """The module of an installed algorithm; its `EXAMPLES` are options over the teaching table of the tests.

    Raises
    ------
    StudyError
        With the nearest installed name.
    """
    modules = _algorithms()
    if name not in modules:
        near = get_close_matches(name, modules, 1)
        raise StudyError(
            f"There is no algorithm {name!r}.",
            f"Did you mean {near[0]!r}?" if near else f"Installed are {', '.join(modules)}.",
            code="UNKNOWN_ALGORITHM",
            subject="algorithm",
        )
    return modules[name]


def get(name: str) -> Callable[..., Program]:
    """The hub's half of an algorithm; raises as `module`."""
    function: Callable[..., Program] = getattr(module(name), name)
    return function


def site_function(name: str) -> SiteFunction[..., Any]:
    """The `@at_site` function that a question names, as `algorithm.function`. Nothing else can be called."""
    module_name, _, function_name = name.partition(".")
    function = getattr(_modules().get(module_name), function_name, None)
    if not isinstance(function, SiteFunction) or function.name != name:
        raise StudyError(
            "A question names a function that is not installed here.",
            "Install the same version of Atoll, and of its extensions, at hub and sites.",
            code="UNKNOWN_ALGORITHM",
        )
    return function


def options_of(name: str) -> dict[str, inspect.Parameter]:
    """The options of an algorithm, with resolved annotations and defaults."""
    function = get(name)
    hints = get_type_hints(function)
    parameters = list(inspect.signature(function).parameters.values())[1:]
    return {p.name: p.replace(annotation=hints[p.name]) for p in parameters}


def check(algorithm: str, options: Mapping[str, Any], columns: Dictionary) -> dict[str, Any]:
    """The options as the algorithm takes them: types checked, lists as tuples.

    Raises
    ------
    StudyError
        One sentence with what was found and what is possible; `subject` is the option.
    """
    known = options_of(algorithm)
    for name in options:
        if name not in known:
            near = get_close_matches(name, known, 1)
            raise StudyError(
                f"{algorithm} has no option {name!r}.",
                f"Did you mean {near[0]!r}?" if near else f"Its options are {', '.join(known)}.",
                code="OPTION_INVALID",
                subject=name,
            )
    for name, parameter in known.items():
        if parameter.default is inspect.Parameter.empty and name not in options:
            raise StudyError(
                f"{algorithm} needs {name!r}.", f"Add `{name}: …` to the analysis.", code="OPTION_INVALID", subject=name
            )
    return {name: _checked(name, value, known[name].annotation, columns) for name, value in options.items()}


def columns_of(algorithm: str, options: Mapping[str, Any]) -> tuple[str, ...]:
    """The columns that the options of an algorithm point at, in their order; `options` as `check` gives them."""
    found: list[str] = []
    for name, parameter in options_of(algorithm).items():
        pointed = (parameter.annotation, *get_args(parameter.annotation))
        value = options.get(name)
        if value is not None and any(kind in (ColumnName, StratumName) for kind in pointed):
            found += value if isinstance(value, tuple) else [value]
    return tuple(dict.fromkeys(name for name in found if name != "site"))


def _checked(name: str, value: Any, annotation: Any, columns: Dictionary) -> Any:
    """One value against its annotation."""
    origin, arguments = get_origin(annotation), get_args(annotation)
    if origin is Literal:
        if value not in arguments:
            raise _impossible(name, value, f"one of {', '.join(map(str, arguments))}")
        return value
    if origin is Union or type(annotation).__name__ == "UnionType":
        if value is None:
            return None
        return _checked(name, value, next(a for a in arguments if a is not type(None)), columns)
    if origin is tuple:
        if isinstance(value, str) or not isinstance(value, list | tuple):
            raise _impossible(name, value, "a list")
        return tuple(_checked(name, entry, arguments[0], columns) for entry in value)
    pointed = _POINTERS.get(annotation)
    return pointed(name, value, columns) if pointed else _plain(name, value, annotation)


def _plain(name: str, value: Any, annotation: Any) -> Any:
    if annotation is float and isinstance(value, int | float) and not isinstance(value, bool):
        if not abs(value) < 1e300:
            raise _impossible(name, value, "a finite number")
        return float(value)
    if not isinstance(value, annotation) or (annotation is int and isinstance(value, bool)):
        raise _impossible(
            name, value, {bool: "true or false", int: "a whole number", float: "a number"}.get(annotation, "text")
        )
    return value


def check_column(name: str, value: Any, columns: Dictionary) -> str:
    """The column that the option `name` points at; raises StudyError when there is none, or it identifies persons."""
    if not isinstance(value, str):
        raise _impossible(name, value, "the name of a column")
    if value not in columns:
        near = get_close_matches(str(value), columns, 1)
        raise StudyError(
            f"{name}: there is no column {value!r} in the dataset.",
            f"Did you mean {near[0]!r}?" if near else f"It has {', '.join(columns)}.",
            code="MISSING_COLUMN",
            subject=name,
        )
    if columns[value].type == "person":
        raise StudyError(
            f"{name}: {value!r} identifies persons and cannot be analysed.",
            "Choose another column.",
            code="COLUMN_UNFIT",
            subject=name,
        )
    return value


def _stratum(name: str, value: Any, columns: Dictionary) -> str:
    return "site" if value == "site" else check_column(name, value, columns)


def _formula(name: str, value: Any, columns: Dictionary) -> str:
    if not isinstance(value, str):
        raise _impossible(name, value, "text such as `y ~ age + C(sex)`")
    formula = parse(value)
    for column in formula.columns:
        check_column(name, column, columns)
    refuse_ahead(name, formula.covariates, columns)
    return value


def _model(name: str, value: Any, columns: Dictionary) -> dict[str, Any]:
    if isinstance(value, str):  # the name of an earlier analysis of the same study
        return value  # type: ignore[return-value]
    if not isinstance(value, Mapping):
        raise _impossible(name, value, "an earlier analysis of the study, or a model with terms, coefficients and link")
    try:
        if "design" in value:
            Model.from_document(value)
        return dict(value)
    except (KeyError, TypeError, ValueError, AttributeError):
        raise StudyError(
            f"{name}: its design cannot be read.",
            "Take the `model` of a fitted result as it is.",
            code="MODEL_INVALID",
            subject=name,
        ) from None


_POINTERS: dict[Any, Callable[[str, Any, Dictionary], Any]] = {
    ColumnName: check_column,
    StratumName: _stratum,
    FormulaText: _formula,
    ModelDocument: _model,
}


def _impossible(name: str, value: Any, wanted: str) -> StudyError:
    return StudyError(f"{name}: {value!r} is not possible.", f"Give {wanted}.", code="OPTION_INVALID", subject=name)
