"""The page of Mapper graphs in a real browser: buttons change the colours, nodes tell their members, nothing is fetched."""

import numpy as np

from helpers.geometry.mapper import MapperSettings, graph_layout, mapper_graph, node_labels
from helpers.geometry.point_clouds import point_cloud
from helpers.reports.mapper_page import GraphSide, save_mapper_page
from tests.browser.chromium import IN_BROWSER

pytestmark = IN_BROWSER

FILLS = "[...document.querySelectorAll('circle')].map(c => getComputedStyle(c).fill)"


def ring(name, seed):
    """A ring of 200 features; the first quarter is a group of words, every second feature has a partner."""
    cloud = point_cloud("circle", n_points=200, d=16, noise=0.05, seed=seed)
    graph = mapper_graph(cloud.rows, MapperSettings())
    quarter = cloud.place < np.pi / 2
    words = [f"{name}{number}" for number in range(200)]
    labels = node_labels(graph, words, ["north" if here else "" for here in quarter])
    density = 10 ** (-1 - cloud.place / 2)
    partner = np.where(np.arange(200) % 2 == 0, cloud.place / 7, np.nan)
    return GraphSide(name, graph, graph_layout(graph), labels, words, np.arange(200), density, partner)


def test_colours_change_without_a_script(page, tmp_path):
    sides = [ring("a", 0), ring("b", 1)]
    save_mapper_page(sides, tmp_path / "mapper.html", title="Rings")
    page.load((tmp_path / "mapper.html").as_uri(), ready="document.readyState === 'complete'")
    n_nodes = sum(side.graph.n_nodes for side in sides)
    seen, keys = [], []
    for kind in ("group", "density", "partner"):
        x, y = page.run(
            f"(b => [b.x + b.width / 2, b.y + b.height / 2])(document.querySelector('input.{kind}').getBoundingClientRect())"
        )
        page.click(x, y)
        page.wait_for(f"document.querySelector('input.{kind}').checked")
        seen.append(page.run(FILLS))
        keys.append(
            page.run("[...document.querySelectorAll('.key')].filter(k => k.offsetHeight > 0).map(k => k.className)")
        )
    assert [len(fills) for fills in seen] == [n_nodes] * 3 and len({tuple(fills) for fills in seen}) == 3
    assert len(set(seen[0])) == 2 and len(set(seen[1])) > 5  # two groups, many densities
    assert keys == [["key group"], ["key density"], ["key partner"]]


def test_nodes_lie_inside_their_drawing_and_the_page_fits_a_phone(page, tmp_path):
    save_mapper_page([ring("a", 0)], tmp_path / "mapper.html", title="Rings")
    page.size(390, 800, phone=True)
    page.load((tmp_path / "mapper.html").as_uri(), ready="document.readyState === 'complete'")
    inside = """(box => [...document.querySelectorAll('circle')].every(c => (r => r.left >= box.left - 1 &&
        r.right <= box.right + 1 && r.top >= box.top - 1 && r.bottom <= box.bottom + 1)(c.getBoundingClientRect())))(
        document.querySelector('svg').getBoundingClientRect())"""
    assert page.run(inside)
    assert page.run("document.documentElement.scrollWidth") <= 390
    texts = page.run("[...document.querySelectorAll('circle title')].map(t => t.textContent)")
    assert all("features" in text and "correlation with the partner" in text for text in texts)
    assert page.run("[...document.querySelectorAll('circle')].every(c => c.tabIndex === 0)")
