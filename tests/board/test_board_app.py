"""The board's addresses without a browser: what they answer, and whom they refuse."""

from __future__ import annotations

import json
import os
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from board_runs import HOSTILE, learning, line, write_run
from starlette.testclient import TestClient

from tunewright.app.runs import compare_runs, show_run
from tunewright.board.app import make_app
from tunewright.board.jobs import JOBS_FOLDER
from tunewright.board.live import ListWatch, RunWatch, SeriesWatch, encode
from tunewright.board.page import choosable, page, stylesheet
from tunewright.board.safety import POLICY
from tunewright.board.store import Store
from tunewright.reporter.html import render_html
from tunewright.reporter.view import read_view
from tunewright.reporter.words import figure

TOKEN = "a-token-of-this-test"
HOST = "http://127.0.0.1:8765"
BEARER = {"authorization": f"Bearer {TOKEN}"}


@pytest.fixture
def board(runs_dir: Path) -> Iterator[TestClient]:
    with TestClient(make_app(runs_dir, TOKEN), base_url=HOST, raise_server_exceptions=True) as client:
        yield client


def answer(board: TestClient, address: str) -> Any:
    response = board.get(address)
    assert response.status_code == 200, response.text
    return response.json()


def test_the_list_has_every_run_newest_first_with_its_tuning(board: TestClient) -> None:
    found = answer(board, "/api/runs")
    names = [run["name"] for run in found["runs"]]
    assert names[0] == "train-3"
    assert set(names) == {"train-1", "train-2", "train-3", "tune-1/run-1", "tune-1/run-2"}
    assert found["series"]["tune-1"]["best"] == "run-2"
    assert found["strangers"] == ["notes"]


def test_board_report_and_runs_show_say_the_same_numbers(board: TestClient, runs_dir: Path) -> None:
    folder = runs_dir / "train-1"
    shown = show_run(folder)["figures"]
    listed = next(run for run in answer(board, "/api/runs")["runs"] if run["name"] == "train-1")
    told = answer(board, "/api/page?run=train-1")
    assert listed["eval_loss"] == figure(shown.eval_loss)
    assert figure(shown.eval_loss) in told["verdict"]
    assert figure(shown.eval_loss) in render_html(read_view(folder))
    charts = answer(board, "/api/charts?run=train-1")
    best = next(mark for mark in charts["marks"] if mark["look"] == "best")
    assert best["label"] == f"best: {figure(shown.eval_loss)} at step {shown.best_step:,}"
    compared = answer(board, "/api/differences?run=train-1&run=train-2")
    known = compare_runs([folder, runs_dir / "train-2"])["results"]
    assert [row[1]["text"] for row in compared["results"]["rows"]] == [figure(one["eval_loss"]) for one in known]


def test_charts_have_every_line_their_marks_and_a_cursor(board: TestClient) -> None:
    charts = answer(board, "/api/charts?run=train-2")
    assert [panel["key"] for panel in charts["panels"]] == ["loss", "rate", "norm", "speed"]
    loss = next(line for line in charts["panels"][0]["lines"] if line["key"] == "loss")
    assert loss["not_finite"] == 4
    assert [stretch[2] for stretch in loss["lost"]] == [3, 1]
    assert None in loss["y"]
    assert 0.0 not in loss["y"]
    assert any(band["label"] == "non finite" for band in charts["bands"])


def test_a_tuning_tells_its_decisions(board: TestClient) -> None:
    told = answer(board, "/api/page?run=tune-1")
    assert told["kind"] == "tuning"
    assert told["runs"] == ["run-1", "run-2"]
    assert [one["text"] for one in told["decisions"]] == ["plan: lora", f"note: {HOSTILE}"]


def test_the_next_recipe_comes_with_what_is_different(board: TestClient) -> None:
    told = answer(board, "/api/next?run=train-1")
    assert {"keep", "why", "changes", "recipe", "diff", "can_start"} <= told.keys()
    changed = [row[0]["text"].split()[0] for row in told["changes"]["rows"]] if told["changes"] else []
    assert {one["text"].partition(":")[0] for one in told["diff"] if not one["text"].startswith(" ")} == set(changed)
    assert told["keep"] is (not changed)


def test_the_form_has_the_keys_of_the_recipe_with_their_bounds(board: TestClient) -> None:
    fields = {field["key"]: field for field in answer(board, "/api/form")["fields"]}
    assert fields["lr_scheduler_type"]["input"] == "choice"
    assert "cosine" in fields["lr_scheduler_type"]["choices"]
    assert fields["learning_rate"] | {} == {**fields["learning_rate"], "input": "number", "least": 0}
    assert fields["gradient_checkpointing"]["input"] == "switch"
    assert fields["max_length"]["input"] == "whole"


def test_more_than_ten_or_fewer_than_two_runs_are_not_compared(board: TestClient) -> None:
    for query in ("run=train-1", "&".join(f"run=r{number}" for number in range(11))):
        for address in ("compare", "differences"):
            response = board.get(f"/api/{address}?{query}")
            assert response.status_code == 400
            assert "expected 2 to 10" in response.json()["error"]["message"]


def test_compared_runs_have_one_axis_and_a_line_each(board: TestClient) -> None:
    compared = answer(board, "/api/compare?run=train-1&run=train-2&x=tokens")
    assert compared["axis"]["kind"] == "tokens"
    for panel in compared["panels"]:
        assert [line["name"] for line in panel["lines"]] == ["train-1", "train-2"]
        assert [line["look"] for line in panel["lines"]] == ["run0", "run1"]


# Damage: everything else still shows, the damaged one says what is wrong.


def test_damage_in_one_run_leaves_the_others_and_is_said(runs_dir: Path) -> None:
    write_run(runs_dir / "cut", learning(60))
    (runs_dir / "cut" / "run.json").write_text('{"status": "runn')
    write_run(runs_dir / "bare", learning(60))
    for name in ("run.json", "recipe.yaml", "plan.json"):
        (runs_dir / "bare" / name).unlink()
    write_run(runs_dir / "closed", learning(60))
    (runs_dir / "closed" / "metrics.jsonl").unlink()
    (runs_dir / "closed" / "metrics.jsonl").mkdir()  # what nobody can read, whoever runs the tests
    write_run(runs_dir / "mangled", learning(60))
    (runs_dir / "mangled" / "metrics.jsonl").write_bytes(b"\xff\xfe\x00" * 5_000 + b"\n{broken\n" * 50)
    (runs_dir / "mangled" / "recipe.yaml").write_text("a: [1, 2")
    (runs_dir / "tune-1" / "tuning.json").write_text("{")
    with TestClient(make_app(runs_dir, TOKEN), base_url=HOST) as board:
        runs = {run["name"]: run for run in answer(board, "/api/runs")["runs"]}
        assert {"cut", "bare", "closed", "mangled", "train-1", "tune-1/run-1"} <= runs.keys()
        assert runs["cut"]["status"] == "damaged"
        assert "run.json" in runs["cut"]["problems"][0]
        for name in ("cut", "bare"):
            assert answer(board, f"/api/charts?run={name}")["panels"]
        for name in ("closed", "mangled"):
            assert answer(board, f"/api/charts?run={name}")["problem"]
        for name in ("cut", "bare", "closed", "mangled"):
            told = answer(board, f"/api/page?run={name}")
            assert told["problems"], name
        assert answer(board, "/api/page?run=tune-1")["problems"]
        assert answer(board, "/api/charts?run=train-1")["problem"] == ""


@pytest.mark.slow
def test_two_million_rows_are_one_more_run(runs_dir: Path) -> None:
    folder = write_run(runs_dir / "endless", [])
    with open(folder / "metrics.jsonl", "w") as log:
        for step in range(1, 2_000_001):
            log.write(f'{{"step":{step},"loss":{9.0 if step == 1_234_567 else 2 - step / 2e6:.6f}}}\n')
    with TestClient(make_app(runs_dir, TOKEN), base_url=HOST) as board:
        loss = answer(board, "/api/charts?run=endless&smooth=0")["panels"][0]["lines"][0]
        assert (loss["points"], max(loss["y"])) == (2_000_000, 9.0)
        assert loss["drawn"] < 3_000
        assert answer(board, "/api/page?run=endless")["problems"] == []
        assert "train-1" in {run["name"] for run in answer(board, "/api/runs")["runs"]}


def test_a_killed_run_is_interrupted_not_running(runs_dir: Path) -> None:
    write_run(runs_dir / "killed", learning(60), status="running", heartbeat=time.time() - 3_600)
    with TestClient(make_app(runs_dir, TOKEN), base_url=HOST) as board:
        assert answer(board, "/api/page?run=killed")["status"] == "interrupted"
        listed = {run["name"]: run["status"] for run in answer(board, "/api/runs")["runs"]}
        assert listed["killed"] == "interrupted"


# Safety.


@pytest.mark.parametrize(
    "name",
    [
        "../../etc",
        "..",
        "/etc",
        "train-1/../../x",
        "train-1/..",
        "",
        ".",
        "a\\..\\b",
        "x" * 5_000,
        "train-1\x00",
        "out",
    ],
)
@pytest.mark.parametrize("address", ["charts", "page", "next", "live"])
def test_names_that_leave_the_runs_folder_mean_nothing(
    board: TestClient, runs_dir: Path, name: str, address: str
) -> None:
    write_run(runs_dir.parent / "outside", learning(20))
    os.symlink(runs_dir.parent / "outside", runs_dir / "out")
    response = board.get(f"/api/{address}", params={"run": name})
    assert response.status_code == 404
    assert response.json()["error"]["code"] == "no_such_run"
    assert str(runs_dir) not in response.text


@pytest.mark.parametrize("host", ["127.0.0.1:8765", "localhost:8765", "[::1]:8765", "localhost:9999", "127.0.0.1"])
def test_loopback_names_are_answered_on_any_port_as_forwarding_needs(board: TestClient, host: str) -> None:
    assert board.get("/api/runs", headers={"host": host}).status_code == 200
    assert board.get("/api/runs", headers={"host": host, "origin": f"http://{host}"}).status_code == 200


@pytest.mark.parametrize("host", ["evil.example", "127.0.0.1.evil.example:8765", "localhost@evil.example", "", "[::2]"])
def test_other_names_are_refused(board: TestClient, host: str) -> None:
    assert board.get("/api/runs", headers={"host": host}).status_code == 403


@pytest.mark.parametrize(
    "origin", ["http://evil.example", "null", "http://127.0.0.1:3000", "file://", "http://localhost:8765"]
)
def test_pages_of_other_sites_are_refused_even_with_the_token(board: TestClient, origin: str) -> None:
    for method, address in (("GET", "/api/runs"), ("POST", "/api/start")):
        assert board.request(method, address, headers={"origin": origin, **BEARER}).status_code == 403


@pytest.mark.parametrize("address", ["start", "start-next", "stop", "masks", "preview"])
def test_nothing_is_started_without_the_token(board: TestClient, runs_dir: Path, address: str) -> None:
    for headers in ({}, {"authorization": "Bearer wrong"}, {"cookie": "tunewright-8765=wrong"}):
        response = board.post(f"/api/{address}", json={"data": "demo"}, headers=headers)
        assert response.status_code == 401
        assert response.json()["error"]["code"] == "token"
    assert not (runs_dir / JOBS_FOLDER).exists()


def test_the_token_becomes_a_cookie_no_script_can_read(board: TestClient) -> None:
    assert board.post("/api/unlock", json={"token": "wrong"}).status_code == 401
    assert answer(board, "/api/access") == {"token": False}
    given = board.post("/api/unlock", json={"token": TOKEN}).headers["set-cookie"].lower()
    assert "httponly" in given
    assert "samesite=strict" in given
    assert answer(board, "/api/access") == {"token": True}


def test_a_board_for_other_machines_wants_the_token_for_reading_too(runs_dir: Path) -> None:
    app = make_app(runs_dir, TOKEN, hosts=["box.example"], open_read=False)
    with TestClient(app, base_url="http://box.example:8765") as board:
        assert board.get("/").status_code == 200
        assert board.get("/api/runs").status_code == 401
        assert board.get("/api/runs", headers=BEARER).status_code == 200


def test_every_answer_carries_the_policy_and_no_page_has_a_script_in_it(board: TestClient) -> None:
    for address in ("/", "/static/board.js", "/api/runs", "/nowhere", "/static/../app.py"):
        headers = board.get(address).headers
        assert headers["content-security-policy"] == POLICY
        assert headers["x-content-type-options"] == "nosniff"
    assert "unsafe" not in POLICY
    for text in page().split("<script")[1:]:
        assert text.partition(">")[2].startswith("</script>")


def test_only_the_static_files_are_served(board: TestClient) -> None:
    for address in ("/static/../app.py", "/static/%2e%2e/app.py", "/static//etc/passwd", "/static/pages", "/app.py"):
        assert board.get(address).status_code == 404


@pytest.mark.parametrize("body", [b"[1]", b"{", b"x" * 300_000, b"\xff"])
def test_a_body_that_is_no_form_is_one_line(board: TestClient, body: bytes) -> None:
    response = board.post("/api/start", content=body, headers=BEARER)
    assert response.status_code == 400
    assert response.json()["error"]["message"]


def test_no_script_of_ours_writes_markup() -> None:
    static = Path(make_app.__code__.co_filename).parent / "static"
    for path in static.rglob("*.js"):
        text = path.read_text()
        for word in ("innerHTML", "outerHTML", "insertAdjacentHTML", "document.write", "eval(", "new Function"):
            assert word not in text, f"{path.name}: {word}"


def test_the_style_has_one_list_of_dark_colours_which_a_reader_may_choose() -> None:
    style = stylesheet()
    assert ':root[data-theme="dark"]' in style
    assert style.count("--paper: #14181b") == 2  # by the system, and by choice
    assert choosable("a { }") == "a { }"


# What is new.


def test_a_run_tells_its_new_points_and_that_its_words_are_old(runs_dir: Path) -> None:
    store = Store(runs_dir)
    events = learning(120)
    folder = write_run(runs_dir / "live", events[:60], status="running", heartbeat=time.time())
    first = RunWatch(store, "live", "", "step", True)
    assert [name for name, _ in first()] == ["anew", "state"]
    assert first() == []
    with open(folder / "metrics.jsonl", "a") as file:
        file.writelines(map(line, events[60:63]))
    ((name, data), *_) = first()
    assert name == "points"
    assert data["lines"]["loss"]["x"] == [59, 60, 61]
    state = json.loads((folder / "run.json").read_text()) | {"status": "finished"}
    (folder / "run.json").write_text(json.dumps(state))
    assert ("changed", {}) in first()
    again = RunWatch(Store(runs_dir), "live", data["cursor"], "step", True)  # a new server, the same page
    assert [name for name, _ in again()] == ["state"]


def test_a_tuning_and_the_list_tell_when_something_is_new(runs_dir: Path) -> None:
    series, runs = SeriesWatch(Store(runs_dir), "tune-1"), ListWatch(runs_dir)
    assert [name for name, _ in series()] == ["state"]
    assert [name for name, _ in runs()] == ["runs"]
    assert (series(), runs()) == ([], [])
    with open(runs_dir / "tune-1" / "decisions.jsonl", "a") as file:
        file.write(line({"t": 1.7e9, "text": "next: lower the rate"}))
    write_run(runs_dir / "train-4", learning(20))
    assert ("changed", {}) in series()
    assert [name for name, _ in runs()] == ["runs"]


def test_an_event_is_one_line_of_json() -> None:
    sent = encode("points", {"text": "a\nb", "loss": float("nan")}).decode()
    assert sent == 'event: points\ndata: {"text":"a\\nb","loss":"NaN"}\n\n'
