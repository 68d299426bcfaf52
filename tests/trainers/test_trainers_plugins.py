"""The plug-ins of Axolotl and ms-swift against the interfaces these tools have."""

from __future__ import annotations

import runpy
import subprocess
import sys
from pathlib import Path
from types import ModuleType, SimpleNamespace

import pytest
from pydantic import ValidationError

from tunewright.trainers import swift
from tunewright.trainers.callback import TunewrightCallback


@pytest.fixture
def axolotl_base(monkeypatch: pytest.MonkeyPatch) -> None:
    """Axolotl's class for plugins, as far as ours uses it."""
    for name in ("axolotl", "axolotl.integrations", "axolotl.integrations.base"):
        monkeypatch.setitem(sys.modules, name, ModuleType(name))
    sys.modules["axolotl.integrations.base"].BasePlugin = type("BasePlugin", (), {})  # type: ignore[attr-defined]
    monkeypatch.delitem(sys.modules, "tunewright.trainers.axolotl.plugin", raising=False)


def test_axolotl_finds_the_plugin_by_its_name_and_gets_a_callback(axolotl_base: None, tmp_path: Path) -> None:
    import tunewright.trainers.axolotl as package

    plugin = package.Plugin()
    settings = SimpleNamespace(tunewright_folder=str(tmp_path / "run"), tunewright_stop_on=["non_finite"])
    (callback,) = plugin.add_callbacks_pre_trainer(settings, model=None)
    assert isinstance(callback, TunewrightCallback)
    assert callback._stop_on == {"non_finite"}
    (plain,) = plugin.add_callbacks_pre_trainer(
        SimpleNamespace(tunewright_folder=None, tunewright_stop_on=None), model=None
    )
    assert plain._stop_on == frozenset()


def test_the_keys_of_the_plugin_are_checked_when_axolotl_reads_them(axolotl_base: None) -> None:
    import tunewright.trainers.axolotl as package

    module, _, name = package.Plugin().get_input_args().rpartition(".")
    keys = getattr(sys.modules[module], name)
    assert keys(tunewright_stop_on=["divergence", "TW101"]).tunewright_folder is None
    with pytest.raises(ValidationError, match="no such symptom: divergense"):
        keys(tunewright_stop_on=["divergense"])


def test_the_package_names_nothing_else(axolotl_base: None) -> None:
    import tunewright.trainers.axolotl as package

    with pytest.raises(AttributeError, match="no attribute 'Plugins'"):
        _ = package.Plugins


def test_ms_swift_makes_the_callbacks_from_its_own_map(monkeypatch: pytest.MonkeyPatch) -> None:
    made: dict[str, type] = {}
    for name in ("swift", "swift.callbacks"):
        monkeypatch.setitem(sys.modules, name, ModuleType(name))
    sys.modules["swift.callbacks"].callbacks_map = made  # type: ignore[attr-defined]
    runpy.run_path(str(swift.PLUGIN))
    args, trainer = SimpleNamespace(), SimpleNamespace()
    assert made["tunewright"](args, trainer)._stop_on == frozenset()
    assert "divergence" in made["tunewright_stop"](args, trainer)._stop_on


def test_nothing_beside_the_swift_plugin_hides_an_installed_package() -> None:
    beside = {path.stem for path in swift.PLUGIN.parent.iterdir()}
    assert not beside & {"trl", "unsloth", "axolotl", "llamafactory", "swift", "transformers", "torch", "peft"}


def test_where_the_plugin_is_can_be_asked() -> None:
    said = subprocess.run(
        [sys.executable, "-m", "tunewright.trainers.swift"], capture_output=True, text=True, check=True
    ).stdout
    assert said.strip() == str(swift.PLUGIN)
    assert swift.PLUGIN.is_file()
