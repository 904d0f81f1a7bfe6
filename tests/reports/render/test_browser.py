"""The page in headless Chromium: drawn without a complaint, without a scroll bar across, and usable by keyboard."""

import pytest

from hpo.reports.comparison.table import compared
from hpo.reports.render.html import render
from tests.browser import browser
from tests.reports.comparison.simulated import searched
from tests.reports.factory import study

BY_KEYBOARD = """(() => {
  const press = (one, key, shiftKey) => one.dispatchEvent(new KeyboardEvent("keydown", {key, shiftKey, bubbles: true}));
  const said = () => document.getElementById("parallel-status").textContent;
  const handle = document.querySelector("#figure-parallel [role=slider]");
  const found = [said()];
  press(handle, "ArrowRight", true); found.push(said(), handle.getAttribute("aria-valuetext"));
  press(handle, "Escape"); found.push(said());
  const history = document.getElementById("figure-history");
  press(history, "End"); found.push(history.querySelector(".tip").textContent);
  press(history, "Escape"); found.push(history.querySelector(".tip").hidden);
  return found;
})()"""


@pytest.fixture(scope="module")
def tab():
    with browser() as found:
        yield found


@pytest.fixture(scope="module")
def page(tmp_path_factory):
    path = tmp_path_factory.mktemp("page") / "index.html"
    path.write_text(render(study(100)), encoding="utf-8")
    return path


@pytest.fixture(scope="module")
def comparison(tmp_path_factory):
    path = tmp_path_factory.mktemp("comparison") / "compare.html"
    compared([searched("a", mean=0.9), searched("b", mean=0.8), searched("c", mean=0.85)]).write_html(path)
    return path


@pytest.mark.parametrize("dark", [False, True], ids=["light", "dark"])
@pytest.mark.parametrize("width", [390, 1440])
def test_the_page_fits_and_is_drawn_without_a_complaint(tab, page, width, dark):
    tab.open(page, width=width, dark=dark)
    assert tab.run("document.documentElement.scrollWidth <= innerWidth")
    assert (
        tab.run("[...document.querySelectorAll('.figure')].filter((one) => !one.querySelector('svg path')).length") == 0
    )
    beyond = "one.getBoundingClientRect().right > innerWidth + 1 && !one.closest('.scroll, pre')"
    assert tab.run(f"[...document.querySelectorAll('main *')].filter((one) => {beyond}).length") == 0
    assert tab.complaints == []


@pytest.mark.parametrize("dark", [False, True], ids=["light", "dark"])
@pytest.mark.parametrize("width", [390, 1440])
@pytest.mark.parametrize("kind", ["page", "comparison"])
def test_a_page_has_no_barriers(tab, request, kind, width, dark):
    tab.open(request.getfixturevalue(kind), width=width, dark=dark)
    assert tab.run("document.documentElement.scrollWidth <= innerWidth")
    assert tab.barriers() == []


def test_barriers_are_found(tab, tmp_path):
    page = tmp_path / "index.html"
    page.write_text("<!doctype html><html lang='en'><title>t</title><main><h1>t</h1><img src='data:,'></main></html>")
    tab.open(page, width=390, dark=False)
    assert [line.split(":")[0] for line in tab.barriers()] == ["critical image-alt"]


def test_labels_of_an_axis_do_not_overlap(tab, page):
    tab.open(page, width=390, dark=False)
    script = """[...document.querySelectorAll(".figure > svg")].flatMap((svg) => {
      const boxes = [...svg.querySelectorAll("text")].map((one) => [one.textContent, one.getBoundingClientRect()]);
      const meet = (one, other) => one.left < other.right - 1 && other.left < one.right - 1 &&
        one.top < other.bottom - 4 && other.top < one.bottom - 4;
      return boxes.flatMap(([a, one], i) =>
        boxes.slice(i + 1).filter(([, other]) => meet(one, other)).map(([b]) => a + "|" + b));
    })"""
    assert tab.run(script) == []


def test_trials_are_chosen_and_points_read_by_keyboard(tab, page):
    tab.open(page, width=1440, dark=False)
    everything, some, bound, again, tip, hidden = tab.run(BY_KEYBOARD)
    assert everything.startswith("All ")
    assert " of 94 trials with optimizer." in some
    assert bound
    assert again == everything
    assert tip.startswith("trial 9")
    assert hidden


def test_smoothed_curves_leave_the_raw_ones_visible(tab, page):
    tab.open(page, width=1440, dark=True)
    count = "document.querySelectorAll('#figure-curves .mark.curve').length"
    raw = tab.run(count)
    choose = "document.getElementById('smoothing').value = 'simple'; "
    tab.run(f"{choose} document.getElementById('smoothing').dispatchEvent(new Event('input'))")
    assert tab.run(count) == 2 * raw
    assert tab.run("document.getElementById('window-control').hidden") is False
    tab.run("document.getElementById('logarithmic').click()")
    assert tab.complaints == []
