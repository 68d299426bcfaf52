"""Work started from the board: the command it makes, and that no value of a form can become an option."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path
from typing import Any

import click
import pytest
from starlette.testclient import TestClient

from tunewright.board.app import make_app
from tunewright.board.jobs import Jobs, Order, next_order, tuning_order
from tunewright.board.serve import address_of, greeting, listen
from tunewright.cli.main import app as command_line
from tunewright.schema.errors import EnvironmentMissing, RecipeError, UsageError

TOKEN = "t"
BEARER = {"authorization": f"Bearer {TOKEN}"}


def read_as(order: Order, runs_dir: Path) -> dict[str, Any]:
    """The arguments as the command line itself understands them."""
    verb, *rest = order.arguments(runs_dir)
    command = command_line.every()[verb]
    return command.make_context(verb, rest, parent=click.Context(command_line)).params


def test_a_form_becomes_the_command_one_would_type(tmp_path: Path) -> None:
    asked = {"data": "rows.jsonl", "model": "acme/m", "goal": "eval", "budget": "30m", "settings": {"lora_rank": "8"}}
    given = read_as(tuning_order(tmp_path, asked), tmp_path)
    assert (given["data"], given["model"], given["goal"], given["budget"]) == ("rows.jsonl", "acme/m", "eval", "30m")
    assert given["settings"] == ("lora_rank=8",)
    assert (given["runs_dir"], given["name"]) == (tmp_path, "tune-1")


@pytest.mark.parametrize("value", ["--resume", "-q", "--help", "; rm -rf /", "$(id)", "a b", "--set=seed=1"])
def test_no_value_is_ever_read_as_an_option(tmp_path: Path, value: str) -> None:
    given = read_as(tuning_order(tmp_path, {"data": value, "model": value, "settings": {"template": value}}), tmp_path)
    assert (given["data"], given["model"], given["settings"]) == (value, value, (f"template={value}",))
    assert not given["resume"]


@pytest.mark.parametrize(
    ("asked", "said"),
    [
        ({}, "no data file"),
        ({"data": "rows.jsonl"}, "no model"),
        ({"data": "demo", "goal": "fame"}, "goal fame"),
        ({"data": "demo", "name": "../x"}, "name"),
        ({"data": "a\nb", "model": "m"}, "one line"),
        ({"data": "demo", "settings": ["x"]}, "settings"),
    ],
)
def test_what_a_form_cannot_mean_is_said(tmp_path: Path, asked: dict[str, Any], said: str) -> None:
    with pytest.raises(UsageError, match=said):
        tuning_order(tmp_path, asked)


def test_unknown_recipe_keys_are_refused_with_the_nearest(tmp_path: Path) -> None:
    with pytest.raises(RecipeError, match="learning_rate"):
        tuning_order(tmp_path, {"data": "demo", "settings": {"learning_rat": "1"}})


def test_names_are_free_ones(tmp_path: Path) -> None:
    (tmp_path / "tune-1").mkdir()
    assert tuning_order(tmp_path, {"data": "demo"}).name == "tune-2"
    with pytest.raises(UsageError, match="exists"):
        tuning_order(tmp_path, {"data": "demo", "name": "tune-1"})


def test_the_next_run_trains_the_recipe_that_was_shown(tmp_path: Path) -> None:
    order = next_order(tmp_path, "model: tiny\n")
    given = read_as(order, tmp_path)
    assert Path(given["data"]).read_text() == "model: tiny\n"
    assert (order.verb, given["name"]) == ("train", "train-1")


def test_what_a_job_says_is_kept_and_its_end_is_known(tmp_path: Path) -> None:
    jobs = Jobs(tmp_path)
    name = jobs.start(tuning_order(tmp_path, {"data": "no-such-file.jsonl", "model": str(tmp_path)}))
    jobs.processes[name].wait(60)
    state = jobs.state(name)
    assert (state["running"], state["exit"], state["can_stop"]) == (False, 2, False)
    assert "error:" in state["log"]
    after = Jobs(tmp_path)  # a board started later
    assert after.state(name)["log"] == state["log"]
    with pytest.raises(UsageError, match="did not start it"):
        after.stop(name)
    for strange in ("../x", "nothing", ""):
        with pytest.raises(UsageError, match="no work"):
            after.state(strange)


def test_stopping_asks_for_a_clean_end(tmp_path: Path) -> None:
    jobs = Jobs(tmp_path)
    waits = "import signal, sys, time; signal.signal(2, lambda *_: sys.exit(130)); print(1, flush=True); time.sleep(60)"
    process = subprocess.Popen([sys.executable, "-c", waits], stdout=subprocess.PIPE)
    assert process.stdout is not None
    process.stdout.readline()
    jobs.processes["tune-1"] = process
    jobs.stop("tune-1")
    assert process.wait(30) == 130
    process.stdout.close()
    jobs.stop("tune-1")  # over already: nothing happens


def test_preview_shows_the_command_and_starts_nothing(tmp_path: Path) -> None:
    with TestClient(make_app(tmp_path, TOKEN), base_url="http://localhost:8765") as board:
        shown = board.post("/api/preview", json={"data": "demo", "budget": "2epochs"}, headers=BEARER).json()["command"]
    assert (
        shown
        == f"tunewright tune --goal=balanced --budget=2epochs --runs-dir={tmp_path} --name=tune-1 --no-progress -- demo"
    )
    assert list(tmp_path.iterdir()) == []


def test_masks_of_the_data_say_what_is_trained_on(tmp_path: Path) -> None:
    with TestClient(make_app(tmp_path, TOKEN), base_url="http://localhost:8765") as board:
        found = board.post("/api/masks", json={"data": "demo", "model": "tiny"}, headers=BEARER).json()
        missing = board.post("/api/masks", json={"data": "no-such.jsonl", "model": "tiny"}, headers=BEARER)
    assert found["rows"] > 100
    trained = [piece["text"] for piece in found["masks"][0]["pieces"] if piece["trained"]]
    assert trained
    assert missing.status_code == 400
    assert "no-such.jsonl" in missing.json()["error"]["message"]


def test_a_taken_port_is_passed_over_unless_it_was_asked_for() -> None:
    taken = listen("127.0.0.1", 0)
    try:
        with pytest.raises(EnvironmentMissing, match="port"):
            listen("127.0.0.1", taken.getsockname()[1])
        one, other = listen("127.0.0.1", None), listen("127.0.0.1", None)
        assert one.getsockname()[1] != other.getsockname()[1]
        one.close()
        other.close()
    finally:
        taken.close()


def test_the_address_hides_the_token_from_logs_and_warns_when_others_can_come(tmp_path: Path) -> None:
    assert address_of("::1", 80, "a/b c", "t") == "http://[::1]:80/?run=a%2Fb%20c#token=t"
    assert any("other machines" in said for said in greeting(tmp_path, "http://x", is_local=False))
    assert not any("other machines" in said for said in greeting(tmp_path, "http://x", is_local=True))
