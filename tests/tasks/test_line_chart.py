"""Plots: well-formed, escaped, in bounds, whatever was logged."""

from __future__ import annotations

import re
from xml.etree import ElementTree

from hypothesis import given, settings
from hypothesis import strategies as st

from tasks.reports.line_chart import HEIGHT, WIDTH, line_chart, ticks

CURVES = st.dictionaries(
    st.text(alphabet="ab<>&\"'", max_size=8),
    st.lists(
        st.tuples(st.floats(0, 1e7), st.floats(allow_nan=True, allow_infinity=True, width=32))
    ),
    max_size=4,
)


@settings(deadline=None)
@given(st.text(alphabet="ab<>&\"'", max_size=8), CURVES)
def test_any_curves_make_a_picture_within_its_frame(title: str, curves: dict) -> None:
    picture = line_chart(title, "a & b", curves)
    root = ElementTree.fromstring(picture)
    assert root.attrib["aria-label"] == title
    assert "nan" not in picture
    assert "inf" not in picture
    for path in root.iter("{http://www.w3.org/2000/svg}path"):
        if "stroke" in path.attrib and "h" not in path.attrib["d"]:
            for x, y in re.findall(r"([-\d.]+) ([-\d.]+)", path.attrib["d"]):
                assert 0 <= float(x) <= WIDTH
                assert 0 <= float(y) <= HEIGHT


def test_nothing_from_outside_is_loaded() -> None:
    picture = line_chart("Loss", "nats", {"training": [(1, 2.0), (2, 1.0)]})
    assert re.findall(r"https?://[^\"]+", picture) == ["http://www.w3.org/2000/svg"]
    assert "<script" not in picture


def test_a_falling_curve_falls_in_the_picture() -> None:
    picture = line_chart("Loss", "", {"training": [(0, 3.0), (10, 2.0), (20, 1.0)]})
    (path,) = [p for p in re.findall(r'd="M([^"]+)" stroke', picture) if "L" in p]
    places = [tuple(map(float, place.split())) for place in path.split("L")]
    assert places == sorted(places), "from left to right, and downwards: y grows"
    assert [y for _x, y in places] == sorted(y for _x, y in places)


def test_ticks_are_round_and_inside() -> None:
    assert ticks(0.13, 2.4) == [0.5, 1.0, 1.5, 2.0]
    assert ticks(0, 600) == [0, 200, 400, 600]
    assert [round(t, 6) for t in ticks(0, 2e-4)] == [0, 5e-5, 1e-4, 1.5e-4, 2e-4]
