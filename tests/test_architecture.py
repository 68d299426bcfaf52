"""The house: data flows one way, reading needs no torch, and nothing knows the bundled model."""

from __future__ import annotations

import ast
import subprocess
import sys
from pathlib import Path

import pytest

import tunewright

PACKAGE = Path(tunewright.__file__).parent
# A part may import from its own row and from the rows below it.
ROWS = (
    {"cli"},
    {"board"},
    {"app"},
    {"reporter"},
    {"tuner"},
    {"examiner", "probes"},
    {"engine"},
    {"trainers"},
    {"planner", "prescribe"},
    {"doctor"},
    {"data", "curve", "record"},
    {"schema"},
)
LEVEL = {part: level for level, row in enumerate(ROWS) for part in row}
MODULES = sorted(path for path in PACKAGE.rglob("*.py") if path.parent != PACKAGE)


def imports_of(path: Path) -> list[str]:
    """The parts of tunewright a module imports, inside functions too."""
    found = []
    for node in ast.walk(ast.parse(path.read_text())):
        names = [node.module or ""] if isinstance(node, ast.ImportFrom) else []
        names += [alias.name for alias in node.names] if isinstance(node, ast.Import) else []
        found += [name.split(".")[1] for name in names if name.startswith("tunewright.")]
    return found


@pytest.mark.parametrize("path", MODULES, ids=lambda path: str(path.relative_to(PACKAGE)))
def test_imports_point_down(path: Path) -> None:
    part = path.relative_to(PACKAGE).parts[0]
    for other in imports_of(path):
        assert LEVEL[other] >= LEVEL[part], f"{part} may not import {other}"


def loaded_after(code: str) -> set[str]:
    out = subprocess.run(
        [sys.executable, "-c", f"{code}\nimport sys\nprint(*sys.modules)"], capture_output=True, text=True, check=True
    )
    return set(out.stdout.split())


HEAVY = {"torch", "transformers", "datasets", "peft", "pyarrow", "tensorboard", "matplotlib"}


def test_importing_the_package_loads_nothing_heavy() -> None:
    assert not loaded_after("import tunewright") & (HEAVY | {"numpy", "pydantic", "rich"})


@pytest.mark.parametrize(
    "module", ["app.diagnose", "app.next_recipe", "app.runs", "app.report", "doctor.explain", "board.serve"]
)
def test_reading_needs_no_torch(module: str) -> None:
    assert not loaded_after(f"import tunewright.{module}") & HEAVY


def test_every_name_of_the_api_resolves_to_a_verb() -> None:
    for name in tunewright.__all__:
        assert name == "__version__" or callable(getattr(tunewright, name))


def test_no_code_knows_the_bundled_model() -> None:
    for path in MODULES:
        tree = ast.parse(path.read_text())
        docs = {id(node.body[0].value) for node in ast.walk(tree) if _has_doc(node)}
        strings = [node for node in ast.walk(tree) if isinstance(node, ast.Constant) and isinstance(node.value, str)]
        assert not [node.value for node in strings if node.value == "tiny" and id(node) not in docs], path


def _has_doc(node: ast.AST) -> bool:
    kinds = (ast.Module, ast.ClassDef, ast.FunctionDef)
    return isinstance(node, kinds) and bool(node.body) and isinstance(node.body[0], ast.Expr)


def test_nothing_swallows_every_error() -> None:
    for path in MODULES:
        for node in ast.walk(ast.parse(path.read_text())):
            if isinstance(node, ast.ExceptHandler):
                named = getattr(node.type, "id", "")
                assert node.type is not None, path
                assert named not in ("Exception", "BaseException"), f"{path}:{node.lineno}"
