"""Mutants of a module: small changes of its code, each of which some test should notice."""

from __future__ import annotations

import ast
import copy
import random
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from itertools import zip_longest
from pathlib import Path
from typing import Any

MODULE_LEVEL = "<module>"
"""Stands in place of a function's name for constants and class bodies."""

_NONE = ast.Constant(None)
_COMPARISONS: dict[type[ast.cmpop], tuple[type[ast.cmpop], ...]] = {
    ast.Lt: (ast.LtE, ast.GtE),
    ast.LtE: (ast.Lt, ast.Gt),
    ast.Gt: (ast.GtE, ast.LtE),
    ast.GtE: (ast.Gt, ast.Lt),
    ast.Eq: (ast.NotEq,),
    ast.NotEq: (ast.Eq,),
    ast.Is: (ast.IsNot,),
    ast.IsNot: (ast.Is,),
    ast.In: (ast.NotIn,),
    ast.NotIn: (ast.In,),
}
_ARITHMETIC: dict[type[ast.operator], type[ast.operator]] = {
    ast.Add: ast.Sub,
    ast.Sub: ast.Add,
    ast.Mult: ast.Add,
    ast.Div: ast.Mult,
    ast.FloorDiv: ast.Mult,
    ast.Mod: ast.Mult,
    ast.Pow: ast.Mult,
    ast.LShift: ast.RShift,
    ast.RShift: ast.LShift,
    ast.BitAnd: ast.BitOr,
    ast.BitOr: ast.BitAnd,
    ast.BitXor: ast.BitAnd,
}


Place = tuple[tuple[str, int | None], ...]
"""The way from a module to a node: names of fields, each with the index where it is a list."""


@dataclass(frozen=True)
class Mutant:
    """One change of one module."""

    path: Path
    function: str
    """`name` or `Class.name`; a nested function belongs to the one around it."""
    line: int
    statement: int
    """The line on which the statement around it begins."""
    scope: range
    """The lines of the function; empty at module level."""
    change: str
    """The code before and after, on one line."""
    place: Place
    variant: ast.AST

    def __str__(self) -> str:
        return f"{self.path}:{self.line} {self.function}: {self.change}"

    def tree(self) -> ast.Module:
        """The module with the change."""
        tree = ast.parse(self.path.read_text(encoding="utf-8"))
        parent = _at(tree, self.place[:-1])
        name, index = self.place[-1]
        if index is None:
            setattr(parent, name, self.variant)
        else:
            getattr(parent, name)[index] = self.variant
        return tree


def drawn(path: Path, number: int, seed: int) -> list[Mutant]:
    """Draw mutants of a module evenly over its functions: one of each in turn, until there are enough.

    Args:
        path: the module's file.
        number: how many; fewer, if there are no more.
        seed: the same seed and the same code give the same mutants.
    """
    by_function: dict[str, list[Mutant]] = {}
    for mutant in mutants(path):
        by_function.setdefault(mutant.function, []).append(mutant)
    for function, group in by_function.items():
        random.Random(f"{seed} {path} {function}").shuffle(group)  # noqa: S311
    turns = zip_longest(*by_function.values())
    return [mutant for turn in turns for mutant in turn if mutant][:number]


def mutants(path: Path) -> Iterator[Mutant]:
    """All mutants of a module."""
    tree = ast.parse(path.read_text(encoding="utf-8"))
    for function, place in _places(tree, ()):
        node = _at(tree, place)
        if isinstance(node, ast.stmt | ast.expr):
            for variant in map(copy.deepcopy, _variants(node)):
                ast.fix_missing_locations(ast.copy_location(variant, node))
                change = f"{_code(node)} -> {_code(variant)}"
                statement, scope = _around(tree, place)
                yield Mutant(path, function, node.lineno, statement, scope, change, place, variant)


# -- where something may be changed


def _at(node: ast.AST, place: Place) -> ast.AST:
    for name, index in place:
        node = getattr(node, name) if index is None else getattr(node, name)[index]
    return node


def _around(tree: ast.Module, place: Place) -> tuple[int, range]:
    """The first line of the innermost statement around a node, and the lines of the outermost function."""
    nodes = [_at(tree, place[:depth]) for depth in range(1, len(place) + 1)]
    statement = next(node.lineno for node in reversed(nodes) if isinstance(node, ast.stmt))
    functions = (node for node in nodes if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef))
    function = next(functions, None)
    return statement, range(function.lineno, (function.end_lineno or 0) + 1) if function else range(0)


def _places(
    node: ast.AST, place: Place, names: Sequence[str] = (), inside: bool = False
) -> Iterator[tuple[str, Place]]:
    """Each statement and expression that runs, with the function that it belongs to."""
    if isinstance(node, ast.stmt | ast.expr):
        yield (".".join(names) if inside else MODULE_LEVEL), place
    if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef | ast.ClassDef) and not inside:
        names, inside = (*names, node.name), not isinstance(node, ast.ClassDef)
    for name, value in ast.iter_fields(node):
        if isinstance(value, ast.AST):
            children: list[tuple[ast.AST, int | None]] = [(value, None)]
        elif isinstance(value, list):
            children = [(child, index) for index, child in enumerate(value) if isinstance(child, ast.AST)]
        else:
            continue
        for child, index in children:
            if not _never_runs(node, name, child):
                yield from _places(child, (*place, (name, index)), names, inside)


def _never_runs(node: ast.AST, name: str, child: ast.AST) -> bool:
    """Types, decorators, docstrings and format specifications, which no test of behavior is about."""
    match child:
        case ast.Expr(ast.Constant()) | ast.Import() | ast.ImportFrom():
            return True
        case ast.Subscript(ast.Name("Literal" | "Callable")) | ast.If(ast.Name("TYPE_CHECKING")):
            return True
    return name in ("annotation", "returns", "decorator_list", "format_spec", "bases")


# -- what it may become


def _variants(node: ast.AST) -> Iterator[ast.AST]:
    """What a mutation makes of a statement or an expression."""
    match node:
        case ast.Compare(left, operators, comparators):
            for index, operator in enumerate(operators):
                for other in _COMPARISONS[type(operator)]:
                    yield ast.Compare(left, [*operators[:index], other(), *operators[index + 1 :]], comparators)
        case ast.BinOp(left, operator, right) if type(operator) in _ARITHMETIC:
            yield ast.BinOp(left, _ARITHMETIC[type(operator)](), right)
        case ast.BoolOp(operator, values):
            yield ast.BoolOp(ast.Or() if isinstance(operator, ast.And) else ast.And(), values)
            yield from values
        case ast.UnaryOp(ast.Not() | ast.USub(), operand):
            yield operand
        case ast.Constant(value):
            yield from (ast.Constant(other) for other in _constants(value))
        case ast.Call(function, arguments, keywords):
            for index, argument in enumerate(arguments):
                if not isinstance(argument, ast.Constant | ast.Starred):
                    yield ast.Call(function, [*arguments[:index], _NONE, *arguments[index + 1 :]], keywords)
            for index, keyword in enumerate(keywords):
                others = [*keywords[:index], *keywords[index + 1 :]]
                yield ast.Call(function, arguments, others)
                yield ast.Call(function, arguments, [*others, ast.keyword(keyword.arg, _NONE)])
            if isinstance(function, ast.Attribute) and not arguments:
                yield function.value
        case ast.List(elements, ast.Load()) | ast.Tuple(elements, ast.Load()) | ast.Set(elements) if len(elements) > 1:
            for index, _ in enumerate(elements):
                variant = copy.copy(node)
                variant.elts = [*elements[:index], *elements[index + 1 :]]
                yield variant
        case ast.JoinedStr():
            yield ast.Constant("")
        case ast.Slice(low, high, step):
            if low:
                yield ast.Slice(None, high, step)
            if high:
                yield ast.Slice(low, None, step)
        case ast.IfExp(test, body, otherwise):
            yield ast.IfExp(_negated(test), body, otherwise)
            yield body
            yield otherwise
        case ast.GeneratorExp() | ast.ListComp() | ast.SetComp() | ast.DictComp():
            yield from _unfiltered(node)
        case ast.stmt():
            yield from _statements(node)


def _statements(node: ast.stmt) -> Iterator[ast.stmt]:
    match node:
        case ast.If(test, body, otherwise):
            for changed in (_negated(test), ast.Constant(True), ast.Constant(False)):
                yield ast.If(changed, body, otherwise)
        case ast.While(test, body, otherwise):
            yield ast.While(_negated(test), body, otherwise)
        case ast.Return(value) if value is not None and not _is_none(value):
            yield ast.Return(_NONE)
            yield ast.Return(_negated(value))
        case ast.Assign(targets, value):
            yield ast.Pass()
            if not isinstance(value, ast.Constant):
                yield ast.Assign(targets, _NONE)
        case ast.AugAssign(target, operator, value):
            yield ast.Pass()
            if type(operator) in _ARITHMETIC:
                yield ast.AugAssign(target, _ARITHMETIC[type(operator)](), value)
        case ast.Expr(value) if not isinstance(value, ast.Constant | ast.Yield | ast.YieldFrom):
            yield ast.Pass()
        case ast.Raise() | ast.Delete():
            yield ast.Pass()
        case ast.Break():
            yield ast.Continue()
        case ast.Continue():
            yield ast.Break()


def _constants(value: Any) -> list[Any]:
    match value:
        case bool():
            return [not value]
        case int() | float():
            return [value + 1, value - 1]
        case str():
            return [f"XX{value}XX"] + [""] * (value != "")
        case bytes():
            return [b"XX" + value + b"XX"] + [b""] * (value != b"")
        case _:
            return []


def _unfiltered(node: ast.GeneratorExp | ast.ListComp | ast.SetComp | ast.DictComp) -> Iterator[ast.AST]:
    """The comprehension with each of its conditions negated."""
    for loop, generator in enumerate(node.generators):
        for index, test in enumerate(generator.ifs):
            variant = copy.deepcopy(node)
            variant.generators[loop].ifs[index] = _negated(test)
            yield variant


def _negated(test: ast.expr) -> ast.expr:
    return ast.UnaryOp(ast.Not(), test)


def _is_none(node: ast.expr) -> bool:
    return isinstance(node, ast.Constant) and node.value is None


def _code(node: ast.AST) -> str:
    """The code of a node, or of the head of a statement with a body, on one line of at most 60 characters."""
    if isinstance(node, ast.If | ast.While):
        return f"{type(node).__name__.lower()} {_code(node.test)}"
    text = " ".join(ast.unparse(node).split())
    return text if len(text) <= 60 else f"{text[:28]} ... {text[-27:]}"
