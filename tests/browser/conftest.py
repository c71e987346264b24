"""One browser for the tests of a file; no test may leave an error on the console or ask anything of the network."""

from __future__ import annotations

import pytest

from tests.browser.chromium import CHROMIUM, NO_CHROMIUM, open_browser
from tests.browser.map_page import MapPage
from tests.browser.maps import small_map


@pytest.fixture(scope="module")
def browser(tmp_path_factory):
    if CHROMIUM is None:
        pytest.skip(NO_CHROMIUM)
    with open_browser(tmp_path_factory.mktemp("browser")) as page:
        yield page


@pytest.fixture
def page(browser):
    """The browser's page, which must end a test without an error and without an outside request."""
    browser.size(1400, 1000)
    yield browser
    browser.run("new Promise(resolve => setTimeout(resolve, 50))")
    assert browser.errors == []
    assert browser.outside == []


@pytest.fixture(scope="module")
def small_file(browser, tmp_path_factory):
    browser.size(1400, 1000)
    return MapPage.of(browser, small_map(), tmp_path_factory.mktemp("map"))


@pytest.fixture
def small(small_file, page):
    """The small map, as after opening."""
    if page.run("location.href.split('#')[0]") != small_file.address:
        small_file.load(small_file.address)
    small_file.reset()
    return small_file
