"""The board as a person meets it, in a real Chromium."""

from __future__ import annotations

import json
import sys
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from board_runs import HOSTILE, learning, line, write_run
from browser import Page, Served, served
from selenium import webdriver
from selenium.webdriver.common.by import By
from selenium.webdriver.common.keys import Keys

sys.path.insert(0, str(Path(__file__).resolve().parents[2]))

from tools.chromium import browser

pytestmark = pytest.mark.slow

COLOURED = """
// how many pixels of a panel's canvas are like this colour, by column
const [panel, name, near] = arguments;
const canvas = document.querySelector(`[data-panel=${panel}] canvas`);
const probe = document.createElement("canvas").getContext("2d");
probe.fillStyle = getComputedStyle(document.documentElement).getPropertyValue(name);
probe.fillRect(0, 0, 1, 1);
const [r, g, b] = probe.getImageData(0, 0, 1, 1).data;
const { width, height } = canvas;
const pixels = canvas.getContext("2d").getImageData(0, 0, width, height).data;
const columns = {};
for (let y = 0; y < height; y++) for (let x = 0; x < width; x++) {
  const at = 4 * (y * width + x);
  const far = Math.abs(pixels[at] - r) + Math.abs(pixels[at + 1] - g) + Math.abs(pixels[at + 2] - b);
  if (pixels[at + 3] > 200 && far < near) (columns[x] ??= []).push(y);
}
return { width, height, columns };
"""


@pytest.fixture(scope="module")
def chromium() -> Iterator[webdriver.Chrome]:
    with browser() as driver:
        yield driver


@pytest.fixture
def board(runs_dir: Path) -> Iterator[Served]:
    with served(runs_dir) as running:
        yield running


@pytest.fixture
def page(chromium: webdriver.Chrome, board: Served) -> Iterator[Page]:
    opened = Page(chromium, board)
    opened.open(token=True)
    opened.wait_for("table.runs")
    chromium.get_log("browser")
    yield opened
    chromium.get("about:blank")
    chromium.execute_cdp_cmd("Emulation.clearDeviceMetricsOverride", {})


def add(folder: Path, *events: dict[str, Any]) -> None:
    with open(folder / "metrics.jsonl", "a") as file:
        file.writelines(map(line, events))


def beat(folder: Path, **about: Any) -> None:
    state = json.loads((folder / "run.json").read_text()) | {"heartbeat": time.time(), **about}
    (folder / "run.json").write_text(json.dumps(state))


def step_shown(page: Page) -> int:
    found = page.run("return document.querySelector('.pulse').textContent.match(/step ([\\d,]+)/)?.[1] ?? '0'")
    return int(found.replace(",", ""))


def test_a_live_run_appears_moves_and_ends_without_a_reload(page: Page, runs_dir: Path) -> None:
    events = learning(100)
    folder = write_run(runs_dir / "fresh", events[:30], status="running", heartbeat=time.time(), started=time.time())
    page.wait(lambda: "fresh" in page.text("table.runs"), "the new run in the list")
    page.run("window.sameDocument = true")
    page.driver.find_element(By.LINK_TEXT, "fresh").click()
    page.wait_for_charts()
    page.wait(lambda: step_shown(page) == events[29]["step"], "the step so far")
    for event in events[30:60]:
        add(folder, event)
    beat(folder)
    page.wait(lambda: step_shown(page) == events[59]["step"], "the new step")
    add(folder, *events[60:])
    beat(folder, status="finished")
    page.wait(lambda: page.text(".pulse") == "finished", "the end")
    assert page.run("return window.sameDocument")
    assert page.complaints() == []


def test_reload_and_a_killed_server_keep_the_view(page: Page, board: Served, runs_dir: Path) -> None:
    events = learning(200)
    folder = write_run(runs_dir / "long", events[:100], status="running", heartbeat=time.time())
    page.open("?run=long&log=1&smooth=0&x=epoch")
    page.wait_for_charts()
    page.driver.refresh()
    page.wait_for_charts()
    assert "log=1" in page.driver.current_url
    assert page.run("return document.querySelector('#axis').value") == "epoch"
    assert page.run("return [...document.querySelectorAll('.toggle')].map((b) => b.ariaPressed)") == ["false", "true"]
    assert "smoothed" not in page.text(".legend")
    page.run("window.sameDocument = true")
    board.kill()
    page.wait(lambda: "connection lost" in page.text(".pulse"), "the loss of the server is said")
    add(folder, *events[100:150])
    beat(folder)
    board.start()
    page.wait(lambda: step_shown(page) == events[149]["step"], "the page goes on by itself")
    assert page.run("return window.sameDocument")
    assert page.run("return document.querySelector('#axis').value") == "epoch"


def test_compare_shows_lines_and_only_what_differs(page: Page, runs_dir: Path) -> None:
    (runs_dir / "train-2" / "recipe.yaml").write_text("model: acme/tiny\ndata: rows.jsonl\nlearning_rate: 0.004\n")
    for name in ("train-1", "train-2"):
        page.click(f'input[aria-label="choose {name}"]')
    page.keys("c")
    page.wait_for_charts()
    assert page.driver.find_element(By.TAG_NAME, "h1").text == "Compare 2 runs"
    page.wait_for('[aria-label="Settings that differ"]')
    settings = page.run("return document.querySelector('[aria-label=\"Settings that differ\"] tbody').textContent")
    assert "learning_rate" in settings
    assert "acme/tiny" not in settings
    names = page.run(
        "return [...document.querySelectorAll('[data-panel=eval] .legend li')].map((li) => li.textContent)"
    )
    assert names == ["train-1", "train-2"]
    assert page.complaints() == []


def test_keys_filter_walk_open_and_look(page: Page) -> None:
    page.keys("/")
    page.keys("train-1" + Keys.ESCAPE)
    assert "filter=train-1" in page.driver.current_url
    assert page.run("return document.querySelectorAll('table.runs tbody tr').length") == 1
    page.keys("j" + Keys.ENTER)
    page.wait_for_charts()
    page.keys("l")
    assert "log=1" in page.driver.current_url
    assert "Logarithmic" in page.text("[data-panel=loss] .chart-note")
    page.keys("s")
    page.wait(lambda: "smoothed" not in page.text(".legend"), "raw only")
    page.keys("x")
    page.wait(lambda: "x=epoch" in page.driver.current_url, "the next axis")
    page.keys("?")
    assert page.run("return document.querySelector('dialog').open")
    assert "filter" not in page.text("dialog")
    page.keys(Keys.ESCAPE)
    page.keys("k")
    page.wait(lambda: "run=train-1" not in page.driver.current_url, "the run before")
    assert page.complaints() == []


def test_dark_mode_follows_the_system_and_the_reader(page: Page) -> None:
    def paper() -> str:
        return str(page.run("return getComputedStyle(document.body).backgroundColor"))

    page.run("localStorage.clear()")
    scheme = [{"name": "prefers-color-scheme", "value": "dark"}]
    page.driver.execute_cdp_cmd("Emulation.setEmulatedMedia", {"features": scheme})
    page.open("?run=train-1")
    page.wait_for_charts()
    dark = paper()
    page.keys("d")
    light = paper()
    page.driver.refresh()
    page.wait_for_charts()
    assert (dark, light, paper()) == ("rgb(20, 24, 27)", "rgb(255, 255, 255)", light)
    page.driver.execute_cdp_cmd("Emulation.setEmulatedMedia", {"features": []})
    page.keys("d")
    assert paper() == dark
    page.run("localStorage.clear()")


@pytest.mark.parametrize(
    "query", ["", "?run=train-1", "?run=tune-1", "?page=compare&run=train-1&run=train-2", "?page=start"]
)
def test_no_page_is_wider_than_a_phone(page: Page, query: str) -> None:
    phone = {"width": 360, "height": 780, "deviceScaleFactor": 2, "mobile": True}
    page.driver.execute_cdp_cmd("Emulation.setDeviceMetricsOverride", phone)
    page.open(query)
    page.wait_for("h1")
    if "run=" in query:
        page.wait_for_charts()
    assert page.run("return document.documentElement.scrollWidth") <= 360


def test_strings_that_would_like_to_be_markup_stay_text(page: Page, runs_dir: Path) -> None:
    write_run(runs_dir / "odd", learning(40), command=HOSTILE, error=HOSTILE, status="failed", why=HOSTILE)
    finding = {
        "code": "TW1",
        "symptom": HOSTILE,
        "severity": "error",
        "steps": [3, 9],
        "why": HOSTILE,
        "causes": [HOSTILE],
    }
    (runs_dir / "odd" / "findings.json").write_text(json.dumps({"health": HOSTILE, "findings": [finding]}))
    (runs_dir / "odd" / "recipe.yaml").write_text(json.dumps({"model": HOSTILE, "data": HOSTILE}))
    for query in ("", "?run=odd", "?run=tune-1", "?page=compare&run=odd&run=train-3", "?run=" + "%3Cscript%3E"):
        page.open(query)
        page.wait_for("h1")
        page.wait(lambda: "Reading" not in page.text("main"), "the page")
        assert page.run("return [window.hurt, document.querySelectorAll('main script, main img').length]") == [None, 0]
    page.open("?run=odd")
    page.wait(lambda: HOSTILE in page.text("main"), "the text itself is shown")


def test_a_name_that_climbs_shows_nothing_of_the_disk(page: Page, runs_dir: Path) -> None:
    write_run(runs_dir.parent / "x", learning(20))
    page.open("?run=../../x")
    page.wait(lambda: "no run of that name" in page.text(".verdict"), "the refusal")
    assert page.run("return document.querySelectorAll('canvas').length") == 0


def test_points_that_are_not_finite_are_drawn_as_marks(page: Page) -> None:
    page.open("?run=train-2")
    page.wait_for_charts()
    assert "4 not finite" in page.text("[data-panel=loss] .legend")
    drawn = page.run(COLOURED, "loss", "--bad", 60)
    low = [int(x) for x, ys in drawn["columns"].items() if any(y > drawn["height"] * 0.75 for y in ys)]
    plot = drawn["width"]
    for share in (61 / 200, 150 / 200):  # crosses near the foot, where steps 60 to 62 and 150 are
        assert any(abs(x - (72 + share * (plot - 72 - 14))) < 0.03 * plot for x in low), share


def test_five_spikes_of_one_point_in_ten_thousand_are_all_seen(page: Page, runs_dir: Path) -> None:
    spikes = (1_000, 3_017, 5_555, 7_203, 9_100)
    write_run(runs_dir / "spiky", learning(10_000, spikes=spikes, every=1_000))
    page.open("?run=spiky&smooth=0")
    page.wait_for_charts()
    assert "of 10,000 points" in page.text("[data-panel=loss] .chart-note")
    drawn = page.run(COLOURED, "loss", "--c-train", 150)
    high = sorted(int(x) for x, ys in drawn["columns"].items() if any(y < drawn["height"] * 0.4 for y in ys))
    groups = [x for place, x in enumerate(high) if not place or x - high[place - 1] > 8]
    assert len(groups) == len(spikes)


def test_a_part_is_drawn_out_with_the_mouse_and_given_back(page: Page) -> None:
    from selenium.webdriver.common.action_chains import ActionChains

    page.open("?run=train-1")
    page.wait_for_charts()
    over = page.wait_for("[data-panel=loss] .u-over")
    ActionChains(page.driver).move_to_element_with_offset(over, -200, 0).click_and_hold().move_by_offset(
        200, 0
    ).release().perform()
    page.wait(lambda: "from=" in page.driver.current_url, "the zoom in the address")
    page.wait_for_charts()
    page.keys("0")
    page.wait(lambda: "from=" not in page.driver.current_url, "the whole curve")


def test_a_tuning_tells_its_decisions_as_they_are_made(page: Page, runs_dir: Path) -> None:
    page.open("?run=tune-1")
    page.wait(lambda: "plan: lora" in page.text(".decisions"), "the first decision")
    with open(runs_dir / "tune-1" / "decisions.jsonl", "a") as file:
        file.write(line({"t": time.time(), "text": "next: half the learning rate"}))
    page.wait(lambda: "next: half the learning rate" in page.text(".decisions"), "the new decision")


def test_a_tuning_is_started_from_the_form(page: Page, runs_dir: Path) -> None:
    page.open("?page=start")
    page.wait_for("#field-lora_rank")
    page.wait_for("#field-data").send_keys("demo")
    page.wait_for("#field-budget").send_keys("1runs")
    page.wait_for("#field-name").send_keys("from-the-form")
    page.driver.find_element(By.CSS_SELECTOR, "details.more summary").click()
    page.wait_for("#field-max_steps").send_keys("6")
    page.wait(lambda: "--set=max_steps=6" in page.text(".command"), "the command")
    page.driver.find_element(By.CSS_SELECTOR, "button[type=submit]").click()
    page.wait(lambda: "run=from-the-form" in page.driver.current_url, "its page")
    page.wait(lambda: "plan:" in page.text(".decisions"), "its first decision")
    assert (runs_dir / "from-the-form" / "decisions.jsonl").is_file()
    page.wait(lambda: "finished" in page.text(".pulse"), "its end")


def test_without_the_token_nothing_can_be_started(chromium: webdriver.Chrome, board: Served) -> None:
    chromium.delete_all_cookies()
    page = Page(chromium, board)
    page.open("?page=start")
    page.wait_for("#token")
    page.wait_for("#token").send_keys(board.token)
    page.run("[...document.querySelectorAll('button')].find((b) => b.textContent === 'Unlock').click()")
    page.wait(
        lambda: page.run("return !document.querySelector('#token') && !!document.querySelector('#field-data')"),
        "unlocked",
    )
    assert board.token not in page.driver.current_url


@pytest.mark.parametrize("theme", ["light", "dark"])
@pytest.mark.parametrize(
    "query", ["", "?run=train-2", "?run=tune-1", "?page=compare&run=train-1&run=train-2", "?page=start"]
)
def test_axe_finds_no_serious_fault(page: Page, query: str, theme: str) -> None:
    page.run("localStorage.setItem('tunewright-theme', arguments[0])", theme)
    page.open(query)
    page.wait_for("h1")
    if "run=" in query:
        page.wait_for_charts()
    page.wait(lambda: "Reading" not in page.text("main"), "the page")
    assert page.faults() == []
    page.run("localStorage.clear()")
