"""report.html: whole in one file, escaped, with a picture for light and for dark."""

import base64
import html.parser
import json
import shutil
import subprocess
from xml.etree import ElementTree

import pytest

from keras_albert.report import render_html, write_report
from tests.keras_albert.report.runs import (
    RUNS,
    classification,
    many_classes,
    regression,
    write_history,
)

pytest.importorskip("matplotlib", reason="needs matplotlib, which the extra `plots` brings")

SVG = "data:image/svg+xml;base64,"
CHROMIUM = next(filter(None, map(shutil.which, ("chromium", "chromium-browser"))), None)
# Appended to a page that may run scripts: how many pictures there are, how many are broken, and
# how many pixels the page is wider than the window.
PROBE = """<script>
addEventListener("load", () => {
  const images = [...document.images];
  const broken = images.filter((image) => !image.naturalWidth).length;
  const page = document.documentElement;
  const wider = page.scrollWidth - page.clientWidth;
  const dark = images.filter((image) => image.currentSrc !== image.src).length;
  const found = { images: images.length, broken, wider, dark, title: document.title };
  document.body.innerHTML = "<pre>" + JSON.stringify(found) + "</pre>";
});
</script>"""


class Page(html.parser.HTMLParser):
    """The tags with their attributes, and the text, of a page."""

    def __init__(self, source):
        super().__init__()
        self.tags, self.open, self.text = [], [], ""
        self.feed(source)
        self.close()
        assert self.open == []

    def handle_starttag(self, tag, attrs):
        self.tags.append((tag, dict(attrs)))
        if tag not in ("meta", "img", "source"):
            self.open.append(tag)

    def handle_endtag(self, tag):
        assert self.open.pop() == tag

    def handle_data(self, data):
        self.text += data

    def of(self, tag):
        return [attributes for name, attributes in self.tags if name == tag]


@pytest.fixture
def source(tmp_path):
    """A function: the HTML of a run's report."""

    def write(run, **changed):
        paths = write_report(tmp_path, **{**run, **changed})
        assert paths[-1] == tmp_path / "report.html"
        return paths[-1].read_text(encoding="utf-8")

    return write


@pytest.mark.parametrize("run", RUNS)
def test_every_picture_is_in_the_page_for_light_and_dark(source, tmp_path, run):
    history = write_history(tmp_path / "metrics.jsonl")
    page = Page(source(RUNS[run](), history=history))
    images, dark = page.of("img"), page.of("source")
    assert len(images) == len(dark) >= 5  # four curves and one of the task
    for light, other in zip(images, dark, strict=True):
        assert light["alt"]
        pictures = [light["src"], other["srcset"]]
        assert pictures[0] != pictures[1]
        for picture in pictures:
            svg = base64.b64decode(picture.removeprefix(SVG))
            assert ElementTree.fromstring(svg).tag.endswith("svg")


@pytest.mark.parametrize("run", RUNS)
def test_the_page_loads_nothing_and_runs_nothing(source, run):
    text = source(RUNS[run]())
    page = Page(text)
    assert not {"script", "link", "iframe", "a"} & {tag for tag, _ in page.tags}
    assert "default-src 'none'" in text
    assert "url(" not in text and "@import" not in text


def test_texts_and_names_are_shown_and_not_obeyed(source):
    page = Page(source(classification(), title="<i>title</i>"))
    assert "<script>document.title = 'ran'</script><img src=x>" in page.text
    assert "<b>positive</b>" in page.text
    assert "<i>title</i>" in page.text
    assert "负面" in page.text
    assert "\x00" not in page.text and "\ufffd" in page.text


def test_a_small_confusion_matrix_is_a_table_and_a_large_one_a_picture(source):
    small, large = source(classification()), source(many_classes())
    assert 'style="--share: 0.500"' in small
    assert "--share: 0" not in large
    assert "Most frequent confusions" not in small
    assert "Most frequent confusions" in large
    assert "intent 29" in large


def test_labels_beyond_a_hundred_are_counted(source):
    count = 103
    changed = {
        "names": [f"intent {label}" for label in range(count)],
        "labels": [0, 1],
        "texts": ["a", "b"],
        "probabilities_or_predictions": [[1 / count] * count] * 2,
    }
    assert "And 3 more in report.json." in source(many_classes(), **changed)


def test_the_model_stands_beside_the_baselines(source):
    page = Page(source(regression(), baselines={"mean": {"pearson": None, "mse": 2.0}}))
    assert "Beside simple methods" in page.text
    assert "Mean of the training labels" in page.text
    assert "n/a" in page.text


def test_a_run_without_a_mistake_or_with_a_constant_says_so(source):
    changed = {"labels": [1, 1], "probabilities_or_predictions": [1, 1], "texts": ["a", "b"]}
    text = source(regression(), **changed)
    assert "There are none." in text
    assert "correlation with a constant has no value" in text


def test_the_same_report_is_the_same_page(source, tmp_path):
    text = source(classification(), history=write_history(tmp_path / "metrics.jsonl"))
    report = json.loads((tmp_path / "report.json").read_text(encoding="utf-8"))
    assert render_html(report) == text


@pytest.mark.slow
@pytest.mark.skipif(CHROMIUM is None, reason="needs chromium")
@pytest.mark.parametrize("width", [390, 1200])
@pytest.mark.parametrize("dark", [False, True])
@pytest.mark.parametrize("run", RUNS)
def test_a_browser_shows_every_picture_and_runs_nothing(source, tmp_path, run, dark, width):
    text = source(RUNS[run](), history=write_history(tmp_path / "metrics.jsonl"), title="quiet")
    policy = '<meta http-equiv="Content-Security-Policy"'
    probed = text.replace(policy, "<meta").replace("</body>", PROBE + "</body>")
    (tmp_path / "probed.html").write_text(probed, encoding="utf-8")
    ran = subprocess.run(
        [
            CHROMIUM,
            "--headless",
            "--no-sandbox",
            "--disable-gpu",
            "--disable-background-networking",
            f"--user-data-dir={tmp_path / 'profile'}",
            f"--window-size={width},2000",
            f"--blink-settings=preferredColorScheme={0 if dark else 1}",
            "--dump-dom",
            (tmp_path / "probed.html").as_uri(),
        ],
        capture_output=True,
        text=True,
        timeout=120,
        check=True,
    )
    found = json.loads(ran.stdout.partition("<pre>")[2].partition("</pre>")[0])
    assert found["images"] >= 5
    assert found["broken"] == 0
    assert found["dark"] == (found["images"] if dark else 0)
    assert found["wider"] <= 0
    assert found["title"] == "quiet"
