"""The report: what it reads, what it says, and that it works in a real browser at phone and desktop width."""

from __future__ import annotations

import json
import math
import re
import shutil
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from typer.testing import CliRunner

from hnn_envs import __version__
from hnn_envs.benchmarks.stability.suite import run
from hnn_envs.cli import app
from hnn_envs.errors import ResultsError
from hnn_envs.evaluation.records import Row, write_rows
from hnn_envs.report import write_report
from hnn_envs.report.sources import collect
from hnn_envs.report.tables import number, targets_table
from hnn_envs.systems import get_spec

SYSTEMS = ("mass-spring", "pendulum", "real-pendulum", "two-body", "three-body")


@pytest.fixture(scope="module")
def results(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Short results of all suites that a page shows."""
    folder = tmp_path_factory.mktemp("results")
    rows = run(SYSTEMS, ["ode", "hnn"], steps=120, starts=4, jobs=1, folder=folder / "stability")
    write_rows(folder / "stability" / "stability.json", rows)
    paper = [
        Row("paper", "pendulum", "paper/hnn", "test_loss", 3.5e-2, 1e-3, "", 3.56e-2),
        Row("paper", "pendulum", "paper/hnn", "energy_mse", math.inf, None, "", 2.49e-2),
    ]
    write_rows(folder / "paper.json", paper)
    speed = [
        Row("speed", "pendulum", name, "microseconds_per_step", us, 0.1, "us") for name, us in (("ode", 5), ("hnn", 9))
    ]
    write_rows(folder / "speed.json", speed)
    return folder


@pytest.fixture(scope="module")
def page(results: Path) -> Path:
    path = results / "page" / "report.html"
    write_report([results], path)
    return path


class TestSources:
    def test_it_finds_all_results_of_a_folder(self, results: Path) -> None:
        material = collect([results])
        assert {row.suite for row in material.rows} == {"stability", "paper", "speed"}
        assert {curve["system"] for curve in material.curves} == set(SYSTEMS)
        assert set(material.machines) == {"stability.json", "paper.json", "speed.json"}

    @pytest.mark.parametrize("content", ["", "{", '{"rows": [{}], "version": "@"}', '{"rows": 3, "version": "@"}'])
    def test_a_damaged_file_is_named(self, tmp_path: Path, content: str) -> None:
        path = tmp_path / "broken.json"
        path.write_text(content.replace("@", __version__))
        with pytest.raises(ResultsError, match=r"broken\.json"):
            collect([path])

    def test_a_file_of_another_version_is_named(self, results: Path, tmp_path: Path) -> None:
        for name in ("paper.json", "stability/curves.json"):
            content = json.loads((results / name).read_text())
            path = tmp_path / "old.json"
            path.write_text(json.dumps({**content, "version": "0.0.1"}))
            with pytest.raises(ResultsError, match=r"old\.json are of hnn_envs 0\.0\.1"):
                collect([path])

    def test_damaged_curves_are_named(self, results: Path, tmp_path: Path) -> None:
        content = json.loads((results / "stability/curves.json").read_text())
        path = tmp_path / "curves.json"
        del content["curves"][0]["first"]
        path.write_text(json.dumps(content))
        with pytest.raises(ResultsError, match="first"):
            collect([path])
        path.write_text(json.dumps({**content, "format": 99}))
        with pytest.raises(ResultsError, match="format 99"):
            collect([path])

    def test_nothing_says_how_to_make_something(self, tmp_path: Path) -> None:
        with pytest.raises(ResultsError, match="hnn-envs benchmark stability"):
            collect([tmp_path])
        with pytest.raises(ResultsError, match="does not exist"):
            collect([tmp_path / "nowhere"])

    def test_other_files_are_left_alone(self, results: Path, tmp_path: Path) -> None:
        shutil.copy(results / "paper.json", tmp_path)
        (tmp_path / "settings.json").write_text('["not", "results"]')
        assert len(collect([tmp_path]).rows) == 2


class TestContent:
    def test_it_needs_no_network(self, page: Path) -> None:
        text = page.read_text()
        assert not re.findall(r"""<(?:script|link|img|iframe)[^>]*(?:src|href)=["']?https?:""", text)
        assert "@@" not in re.sub(r"<script>.*?</script>", "", text, flags=re.DOTALL)

    def test_its_tables_hold_the_numbers(self, page: Path) -> None:
        text = page.read_text()
        assert "0.035 <small>&plusmn; 1&times;10" in text or "0.035" in text
        assert "diverged" in text
        assert "What was asked" in text

    def test_numbers_read_well(self) -> None:
        assert number(0.0356) == "0.0356"
        assert number(2.8e-5) == "2.8&times;10<sup>&minus;5</sup>"
        assert number(31831.0) == "3.2&times;10<sup>4</sup>"
        assert number(math.inf) == "diverged"
        assert number(None) == "-"

    def test_targets_are_judged(self) -> None:
        def verdicts(error: float) -> str:
            return targets_table([Row("stability", "pendulum", "hnn", "max_relative_energy_error", error)], get_spec)

        assert 'class="met"' in verdicts(1e-5)
        assert 'class="missed"' in verdicts(1e-2)

    def test_strings_cannot_end_their_script(self, results: Path, tmp_path: Path) -> None:
        content = json.loads((results / "stability/curves.json").read_text())
        content["curves"][1]["dynamics"] = "</script><b>hnn"
        (tmp_path / "curves.json").write_text(json.dumps(content))
        write_report([tmp_path], tmp_path / "page.html")
        assert "</script><b>" not in (tmp_path / "page.html").read_text()

    def test_the_command(self, results: Path, tmp_path: Path) -> None:
        out = tmp_path / "report.html"
        done = CliRunner().invoke(app, ["report", str(results), "--out", str(out)])
        assert done.exit_code == 0, done.output
        assert out.is_file()
        assert CliRunner().invoke(app, ["report", str(tmp_path / "none.json")]).exit_code == 1


FLAGS = (
    "--headless --no-sandbox --disable-gpu --disable-quic --no-first-run --disable-background-networking "
    "--disable-component-update --disable-sync --disable-dev-shm-usage"
)
WIDTHS = {"desktop": (1280, 900), "phone": (390, 844)}


def find(*names: str) -> str | None:
    return next((path for name in names if (path := shutil.which(name))), None)


@pytest.fixture(scope="module")
def browser(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Any]:
    """A headless Chromium."""
    webdriver = pytest.importorskip("selenium.webdriver", reason="Selenium comes with the dev extra")
    binary, driver = find("chromium", "chromium-browser", "google-chrome"), find("chromedriver")
    if binary is None or driver is None:
        pytest.skip("no browser: apt-get install chromium chromium-driver, which .ci/run does where it can")
    options = webdriver.ChromeOptions()
    for flag in FLAGS.split():
        options.add_argument(flag)
    options.add_argument(f"--user-data-dir={tmp_path_factory.mktemp('chromium')}")
    options.binary_location = binary
    options.set_capability("goog:loggingPrefs", {"browser": "ALL"})
    opened = webdriver.Chrome(options=options, service=webdriver.ChromeService(driver))
    yield opened
    opened.quit()


class Shown:
    """The page in the browser, at a width."""

    def __init__(self, browser: Any, page: Path, width: int, height: int) -> None:
        self.browser = browser
        size = {"width": width, "height": height, "deviceScaleFactor": 1, "mobile": width < 500}
        browser.execute_cdp_cmd("Emulation.setDeviceMetricsOverride", size)
        browser.get(page.as_uri())
        self.until("return document.querySelectorAll('#energy .trace').length > 0")

    def run(self, script: str) -> Any:
        return self.browser.execute_script(script)

    def until(self, script: str, seconds: float = 30) -> None:
        end = time.monotonic() + seconds
        while not self.run(script):
            assert time.monotonic() < end, script
            time.sleep(0.05)

    def click(self, selector: str) -> None:
        self.browser.find_element("css selector", selector).click()

    def painted(self) -> str:
        return str(self.run("return document.getElementById('canvas').toDataURL()"))


@pytest.fixture(params=WIDTHS)
def shown(request: pytest.FixtureRequest, browser: Any, page: Path) -> Iterator[Shown]:
    view = Shown(browser, page, *WIDTHS[request.param])
    yield view
    assert browser.get_log("browser") == []  # no errors, no warnings, whatever was clicked


class TestInChromium:
    def test_it_fits_its_window(self, shown: Shown) -> None:
        wide = "return document.documentElement.scrollWidth > document.documentElement.clientWidth"
        assert not shown.run(wide)
        small = shown.run("return [...document.querySelectorAll('button')].filter(b => b.offsetHeight < 32).length")
        assert small == 0  # too small for a finger

    def test_every_figure_of_every_system_draws(self, shown: Shown) -> None:
        counts = "return ['energy', 'error', 'first', 'last'].map(id => $(id).querySelectorAll('.trace').length)"
        for system in SYSTEMS:
            shown.click(f"[data-system='{system}']")
            shown.until(
                f"return $('first').data && document.querySelector('[aria-pressed=true]').textContent == '{system}'"
            )
            assert all(count >= 2 for count in shown.run(counts)), system
        assert shown.run("return $('valid').querySelectorAll('.point').length") > 0
        assert shown.run("return $('speed').querySelectorAll('.point').length") > 0
        assert shown.run("return $('energy').layout.yaxis.type") == "log"

    def test_figures_are_as_wide_as_their_place(self, shown: Shown) -> None:
        pairs = (
            "[...document.querySelectorAll('.figure')].map(f => [f.clientWidth, f.querySelector('svg').clientWidth])"
        )
        for place, drawn in shown.run(f"return {pairs}"):
            assert 0 <= place - drawn <= 2

    def test_the_animation_plays_pauses_and_is_scrubbed(self, shown: Shown) -> None:
        first = shown.painted()
        shown.click("#play")
        shown.until("return stage.frame > 2")
        shown.click("#play")
        assert shown.run("return $('play').textContent") == "Play"
        assert shown.painted() != first
        shown.run("$('scrub').value = 0; $('scrub').dispatchEvent(new Event('input'))")
        assert shown.painted() == first
        shown.click("#speed-button")
        assert shown.run("return stage.speed") == 2

    def test_a_physics_can_be_hidden(self, shown: Shown) -> None:
        both = shown.painted()
        shown.click("#legend input")
        assert shown.painted() != both
        shown.click("#legend input")
        assert shown.painted() == both
