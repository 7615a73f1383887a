"""Every text that the code says to people, read from its syntax: for the tests that nothing is left in English alone.

A text is told as its template: what the code puts in is ``{}``, braces of its own are doubled.
"""

from __future__ import annotations

import ast
import itertools
from collections.abc import Iterator
from dataclasses import dataclass, field
from functools import cache
from pathlib import Path

import kodomo_platform
from kodomo_platform import errors

ROOT = Path(kodomo_platform.__file__).parent
_ERRORS = {name for name, one in vars(errors).items() if isinstance(one, type) and issubclass(one, errors.KodomoError)}
# what is wrong, told as text by functions that others make faults of: module → functions
_TELLING = {
    "municipalities.checking": ("cron_faults",),
    "linkage.registry": ("floor_of",),
    "linkage.review": ("read_answers", "import_sheet"),
}
# whose notes and warnings are lists that are filled in many ways
_NOTING = ("scoring.bench",)
# words for kinds of data, told in faults
_WORDS = {"catalog.loading": ("BANNED_WORDS",)}

# lines that a command prints through `say`: module → functions that make them
_PRINTED = {"orchestration.installation": ("prepare",)}

Function = ast.FunctionDef | ast.AsyncFunctionDef


@dataclass
class Text:
    """One template, where it stands, and whether it is a message (``what``), a place, what was expected or an action."""

    template: str
    kind: str
    at: str


@dataclass
class _Module:
    name: str
    tree: ast.Module
    functions: dict[str, Function] = field(default_factory=dict)
    imported: dict[str, tuple[str, str]] = field(default_factory=dict)


@cache
def _module(name: str) -> _Module | None:
    file = ROOT.joinpath(*name.split(".")).with_suffix(".py") if name else ROOT / "__init__.py"
    if not file.exists():
        return None
    module = _Module(name, ast.parse(file.read_text(encoding="utf-8")))
    for node in ast.walk(module.tree):
        if isinstance(node, Function):
            module.functions.setdefault(node.name, node)
        elif isinstance(node, ast.ImportFrom) and (node.module or "").startswith("kodomo_platform."):
            for alias in node.names:
                module.imported[alias.asname or alias.name] = ((node.module or "").partition(".")[2], alias.name)
    return module


def modules() -> list[str]:
    """Every module of the package, dotted, without the package's name."""
    files = (path.relative_to(ROOT).with_suffix("") for path in sorted(ROOT.rglob("*.py")))
    return [".".join(file.parts) for file in files if file.name != "__init__" or len(file.parts) > 1]


def is_words(template: str) -> bool:
    """Whether there is something to translate: more than values and punctuation."""
    return any(letter.isalpha() for letter in template.replace("{}", ""))


class _Reader:
    """Reads the templates of expressions in one function (or in a module outside of functions)."""

    def __init__(self, module: _Module, function: Function | None, nested: set[str], depth: int = 0) -> None:
        self.module, self.function, self.nested, self.depth = module, function, nested, depth

    def read(self, node: ast.expr | None) -> list[str]:
        """Every template that ``node`` may be; ``{}`` stands for what only a run knows."""
        match node:
            case ast.Constant(value=str(text)):
                return [text.replace("{", "{{").replace("}", "}}")]
            case None | ast.Constant(value=None):
                return []
            case ast.JoinedStr(values=parts):
                return self._join([self._part(part) for part in parts])
            case ast.BinOp(op=ast.Add(), left=left, right=right):
                return self._join([self.read(left), self.read(right)])
            case ast.IfExp(body=body, orelse=orelse):
                return [*self.read(body), *self.read(orelse)]
            case ast.BoolOp(values=values):
                return [one for value in values for one in self.read(value)]
            case ast.Tuple(elts=elements) | ast.List(elts=elements):
                return [one for element in elements for one in self.read(element)]
            case ast.Call(func=ast.Name(id=name)):
                return self._returned(name)
            case ast.Name(id=name):
                return self._bound(name)
        return ["{}"]

    def _part(self, part: ast.expr) -> list[str]:
        if isinstance(part, ast.FormattedValue):
            inner = part.value
            said = self._bound(inner.id, in_loops=False) if isinstance(inner, ast.Name) else self.read(inner)
            self.nested.update(one for one in said if is_words(one) and (" " in one or one.isalpha()))
            return ["{}"]
        return self.read(part)

    @staticmethod
    def _join(parts: list[list[str]]) -> list[str]:
        return list(dict.fromkeys("".join(chosen) for chosen in itertools.product(*parts)))

    def _bound(self, name: str, *, in_loops: bool = True) -> list[str]:
        """What the name was given in this function; a loop over words is one over keys when they are put into a text."""
        found: list[str] = []
        for node in ast.walk(self.function) if self.function else ():
            match node:
                case ast.Assign(targets=[ast.Name(id=target)], value=value) if target == name:
                    found += self._deeper(value)
                case ast.NamedExpr(target=ast.Name(id=target), value=value) if target == name:
                    found += self._deeper(value)
                case ast.For(target=ast.Name(id=target), iter=ast.Tuple() as many) if target == name and in_loops:
                    found += self._deeper(many)
        return found or self._handed_over(name)

    def _handed_over(self, name: str) -> list[str]:
        """What callers in the same module give for a parameter."""
        parameters = [one.arg for one in self.function.args.args] if self.function else []
        if name not in parameters or self.depth > 3:
            return ["{}"]
        at, found = parameters.index(name), []
        for function, node in _functions(self.module):
            match node:
                case ast.Call(func=ast.Name(id=called), args=given) if (
                    self.function is not None and called == self.function.name and len(given) > at
                ):
                    found += _Reader(self.module, function, self.nested, self.depth + 1).read(given[at])
        return found or ["{}"]

    def _deeper(self, node: ast.expr) -> list[str]:
        return ["{}"] if self.depth > 3 else _Reader(self.module, self.function, self.nested, self.depth + 1).read(node)

    def _returned(self, name: str) -> list[str]:
        """What a function of the house that tells in words returns."""
        module, origin = self.module, name
        if name not in module.functions and name in module.imported:
            where, origin = module.imported[name]
            module = _module(where) or module
        function = module.functions.get(origin)
        if function is None or self.depth > 3:
            return ["{}"]
        reader = _Reader(module, function, self.nested, self.depth + 1)
        found = [one for node in ast.walk(function) if isinstance(node, ast.Return) for one in reader.read(node.value)]
        return found or ["{}"]


def _functions(module: _Module) -> Iterator[tuple[Function | None, ast.AST]]:
    """Every node with the innermost function around it."""

    def below(node: ast.AST, function: Function | None) -> Iterator[tuple[Function | None, ast.AST]]:
        for child in ast.iter_child_nodes(node):
            yield function, child
            yield from below(child, child if isinstance(child, Function) else function)

    yield from below(module.tree, None)


def _spoken(module: _Module, function: Function | None, node: ast.AST) -> Iterator[tuple[str, ast.expr]]:
    """The expressions of ``node`` that people read as a part of an error, with what they are."""
    match node:
        case ast.Call(func=ast.Name(id=name), args=[what, *_], keywords=keywords) if name in _ERRORS:
            yield "what", what
            yield from ((word.arg, word.value) for word in keywords if word.arg in ("where", "expected", "action"))
        case ast.Call(func=ast.Name(id="Fault"), args=[_, _, _, message]):
            yield "what", message
        case ast.Call(func=ast.Attribute(attr="fault" | "_fault"), args=[*_, message]):
            yield "what", message
        case ast.Yield(value=ast.Tuple(elts=[_, message])) if (
            function is not None and isinstance(function.returns, ast.Name) and function.returns.id == "Found"
        ):
            yield "what", message
        case ast.Return(value=ast.expr() as message) | ast.Call(func=ast.Attribute(attr="append"), args=[message]) if (
            function is not None and function.name in _TELLING.get(module.name, ())
        ):
            yield "what", message
        case (
            ast.Call(func=ast.Attribute(attr="append"), args=[(ast.Constant() | ast.JoinedStr()) as note])
            | ast.AugAssign(target=ast.Name(id="notes" | "warned"), value=ast.ListComp(elt=note))
            | ast.Assign(targets=[ast.Name(id="notes" | "warned")], value=ast.List(elts=[ast.Starred(), note]))
            | ast.Assign(targets=[ast.Subscript()], value=(ast.Constant(value=str()) | ast.Tuple()) as note)
        ) if module.name in _NOTING:
            yield "what", note
        case ast.Call(func=ast.Attribute(attr="append", value=ast.Attribute(attr="warnings")), args=[warning]):
            yield "what", warning
        case ast.Assign(targets=[ast.Name(id=name)], value=ast.Dict(values=words)) if name in _WORDS.get(
            module.name, ()
        ):
            yield from (("what", word) for word in words)


def error_texts() -> list[Text]:
    """Every template of an error or a fault."""
    return _texts(_spoken)


def output_texts() -> list[Text]:
    """Every template that a command prints through ``say``."""

    def printed(module: _Module, function: Function | None, node: ast.AST) -> Iterator[tuple[str, ast.expr]]:
        if isinstance(node, ast.Call) and isinstance(node.func, ast.Name) and node.func.id == "say":
            yield from (("what", argument) for argument in node.args)
        elif function is not None and function.name in _PRINTED.get(module.name, ()):
            match node:
                case ast.Call(func=ast.Attribute(attr="append"), args=[line]) | ast.Assign(value=ast.List(elts=[line])):
                    yield "what", line

    return _texts(printed)


def _texts(spoken) -> list[Text]:  # type: ignore[no-untyped-def]
    found: list[Text] = []
    for name in modules():
        module = _module(name)
        assert module is not None
        for function, node in _functions(module):
            for kind, expression in spoken(module, function, node):
                nested: set[str] = set()
                at = f"{name}:{expression.lineno}"
                for template in [*_Reader(module, function, nested).read(expression), *sorted(nested)]:
                    # a key, a path or a pattern is the same in every language
                    words = " " in template.strip() or (kind == "expected" and template.isalpha())
                    if is_words(template) and (kind == "what" or words):
                        found.append(Text(template, kind, at))
    return found
