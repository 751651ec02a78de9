"""The report in a real browser: sorted, filtered, enlarged, read out, by mouse and keyboard."""

import shutil

import numpy as np
import pytest
from PIL import Image, ImageDraw

from pipeline.failures import Failure
from pipeline.job_settings import Job
from pipeline.records import Item, Origin, Truth
from pipeline.report.__main__ import main
from pipeline.report.contents import Run, contents, versions
from pipeline.report.draw import draw_all
from pipeline.report.failed import Failed
from pipeline.report.figures import Figures
from pipeline.report.galleries import Picks
from pipeline.report.page import render
from pipeline.stages.score import score
from pipeline.storage.journal_files import append, start
from tests.pipeline.encoded import encode_array

sync_api = pytest.importorskip("playwright.sync_api", reason="playwright is not installed")
BROWSER = next(filter(None, map(shutil.which, ("chromium", "chromium-browser"))), None)
pytestmark = pytest.mark.skipif(BROWSER is None, reason="there is no Chromium")

COUNT = 30
EVIL = "c/<script>alert(1)</script>.png"


def photo_and_masks(number):
    """A photo of a disk, a soft mask that is a little beside it, and the truth."""
    rng = np.random.default_rng(number)
    x, y, r = rng.integers(60, 140), rng.integers(50, 90), rng.integers(15, 40)
    photo = Image.fromarray(rng.integers(60, 120, (150, 200, 3), dtype=np.uint8))
    box = (x - r, y - r, x + r, y + r)
    ImageDraw.Draw(photo).ellipse(box, fill=(230, 180, 40))
    truth, mask = Image.new("L", photo.size), Image.new("L", photo.size)
    ImageDraw.Draw(truth).ellipse(box, fill=255)
    shift = number % 7 * 4
    soft = (box[0] + shift, box[1], box[2] + shift, box[3])
    ImageDraw.Draw(mask).ellipse(soft, fill=140 + 4 * (number % 28))
    return np.asarray(photo), np.asarray(mask), np.asarray(truth)


@pytest.fixture(scope="module")
def report(tmp_path_factory):
    """A report of disks, of which one photo is gone."""
    folder = tmp_path_factory.mktemp("out")
    (folder / "masks").mkdir()
    figures, picks, failed = Figures(), Picks(), Failed()
    for number in range(COUNT):
        photo, mask, truth = map(encode_array, photo_and_masks(number))
        files = {f"{number}.png": photo, f"masks/{number}.png": mask, f"{number}-truth.png": truth}
        for name, data in files.items():
            (folder / name).write_bytes(data)
        origin = Origin(
            f"masks/{number}.png",
            path=str(folder / ("gone.png" if number == 1 else f"{number}.png")),
            truth=str(folder / f"{number}-truth.png"),
        )
        key = EVIL if number == 0 else f"c/{number:02d}.png"
        item = Item(key, f"masks/{number}.png", "c", Truth(truth), origin=origin)
        row = score(item, photo_and_masks(number)[1])
        figures.add(row.values, row.size, row.status, row.level_counts)
        picks.add(row)
    failed.add(Failure(EVIL, "decode", "broken", "it is cut short"))
    run = Run(Job(str(folder), inputs=("photos",)), "FnApiRunner", 0.0, 90.0, versions())
    made = contents(run, figures, failed, {"files were passed over": (3, EVIL)}, picks.rows())
    path = folder / "report.html"
    path.write_bytes(render(made, draw_all(made.rows(), run.job)))
    return path


@pytest.fixture(scope="module")
def browser():
    with sync_api.sync_playwright() as playwright:
        # The sandbox of Chromium does not work for root in a container.
        launched = playwright.chromium.launch(executable_path=BROWSER, args=["--no-sandbox"])
        yield launched
        launched.close()


@pytest.fixture(scope="module")
def comparison(report):
    """The comparison of two outputs: in the second, every other mask is moved aside."""
    folder = report.parent
    for number, name in enumerate(("first", "second")):
        output, rows, figures = folder / name, [], Figures()
        (output / "masks").mkdir(parents=True)
        (output / "metrics").mkdir()
        for one in range(12):
            _, mask, truth = photo_and_masks(one)
            mask = np.roll(mask, 40 * number * (one % 2), axis=1)
            (output / f"masks/{one}.png").write_bytes(encode_array(mask))
            files = {"path": str(folder / f"{one}.png"), "truth": str(folder / f"{one}-truth.png")}
            truth, origin = Truth(encode_array(truth)), Origin(f"masks/{one}.png", **files)
            key = EVIL if one == 1 else f"c/{one:02d}.png"
            rows.append(score(Item(key, f"masks/{one}.png", "c", truth, origin=origin), mask))
            figures.add(rows[-1].values, rows[-1].size, "ok", rows[-1].level_counts)
        lines = [row.to_json() for row in sorted(rows, key=lambda row: row.key)]
        (output / "metrics" / "metrics-00000-of-00001.jsonl").write_text("\n".join(lines))
        job = Job(str(output), inputs=("photos",))
        start(job)
        append(str(output), rows)
        run = Run(job, "FnApiRunner", 0.0, 90.0, versions())
        made = contents(run, figures, Failed(), {}, {})
        (output / "journal" / "report.json").write_bytes(made.to_json())
    page = folder / "comparison.html"
    assert main([str(folder / "first"), str(folder / "second"), "--page", str(page)]) == 0
    return page


@pytest.fixture(params=[("light", 1400), ("dark", 400)], ids=["light", "dark"])
def page(request, browser, report):
    """The page, and after the test: nothing on the console, nothing asked of a network."""
    yield from opened_page(browser, report, *request.param)


@pytest.fixture
def page_of_two(browser, comparison):
    """Likewise the comparison."""
    yield from opened_page(browser, comparison, "dark", 400)


def opened_page(browser, path, scheme, width):
    context = browser.new_context(
        viewport={"width": width, "height": 900}, color_scheme=scheme, reduced_motion="reduce"
    )
    opened, said, asked = context.new_page(), [], []
    opened.on("console", lambda message: said.append(message.text))
    opened.on("pageerror", lambda error: said.append(str(error)))
    opened.on("dialog", lambda dialog: said.append(dialog.message))
    opened.on("request", lambda asking: asked.append(asking.url))
    opened.goto(path.as_uri())
    yield opened
    assert said == []
    assert [url for url in asked if not url.startswith(("file:", "data:"))] == []
    context.close()


def names(page):
    return page.locator("#table tbody tr:visible .open").all_inner_texts()


def choose_all(page):
    page.locator('[data-gallery=""]').click()


def test_pictures_are_whole_and_nothing_is_wider_than_the_screen(page):
    choose_all(page)
    broken = "[...document.images].filter(i => !(i.complete && i.naturalWidth)).length"
    page.wait_for_function("[...document.images].every(i => i.complete)")
    assert page.evaluate(broken) == 0
    assert page.evaluate("document.images.length") > 30
    assert page.evaluate("document.documentElement.scrollWidth") <= page.viewport_size["width"]
    assert EVIL in names(page)


def test_a_column_sorts_cards_and_lines(page):
    choose_all(page)
    button = page.locator('#table thead [data-sort="iou"]')
    for order, reverse in (("ascending", False), ("descending", True)):
        button.click()
        texts = page.locator("#table tbody tr:visible td:nth-of-type(7)").all_inner_texts()
        assert len(texts) > 20
        assert [float(text) for text in texts] == sorted(map(float, texts), reverse=reverse)
        assert button.locator("..").get_attribute("aria-sort") == order
        cards = page.locator("#cards li:visible .name").all_inner_texts()
        assert cards == [name.rpartition("/")[2] for name in names(page)]


def test_names_figures_and_galleries_filter(page):
    choose_all(page)
    page.get_by_label("Name").fill("0")
    assert all("0" in name for name in names(page))
    page.get_by_role("button", name="Reset").click()
    page.get_by_label("Only where").select_option("iou")
    page.get_by_label("from").fill("0.5")
    page.get_by_label("to", exact=True).fill("0.8")
    texts = page.locator("#table tbody tr:visible td:nth-of-type(7)").all_inner_texts()
    assert texts and all(0.5 <= float(text) <= 0.8 for text in texts)
    assert page.locator("#says").inner_text().startswith(f"{len(texts)} of ")
    page.get_by_role("button", name="Reset").click()
    page.locator('[data-gallery="worst_iou"]').click()
    texts = page.locator("#table tbody tr:visible td:nth-of-type(7)").all_inner_texts()
    assert len(texts) == 10
    assert [float(text) for text in texts] == sorted(map(float, texts))


def test_a_large_view_by_keyboard_has_a_slider_and_every_view(page):
    choose_all(page)
    page.locator("#cards li:visible .card").nth(3).focus()
    page.keyboard.press("Enter")
    dialog = page.get_by_role("dialog")
    assert dialog.is_visible()
    first = page.locator("#large-name").inner_text()
    slider = page.get_by_role("slider")
    slider.focus()
    page.keyboard.press("End")
    assert slider.input_value() == "100"
    assert page.locator(".stage .edge").get_attribute("style") == "left: 100%;"
    assert page.locator("#large-name").inner_text() == first
    for view in ("Mask over photo", "Photo", "Mask", "Truth", "Hits and misses"):
        page.get_by_role("button", name=view, exact=True).click()
        assert page.locator("#stage img").count() == (
            2 if view in ("Mask over photo", "Hits and misses") else 1
        )
    assert page.locator("#legend").is_visible()
    page.keyboard.press("ArrowRight")
    assert page.locator("#large-name").inner_text() != first
    page.keyboard.press("Escape")
    assert not dialog.is_visible()


def test_a_photo_that_is_gone_is_said(page):
    choose_all(page)
    page.locator(".open", has_text="01.png").click()
    assert "The photo cannot be shown" in page.locator("#troubles").inner_text()
    page.get_by_role("button", name="Mask", exact=True).click()
    page.get_by_role("button", name="Close").click()


def test_pictures_side_by_side(page):
    choose_all(page)
    page.get_by_label("Cards show").select_option("panes")
    page.get_by_label("Name").fill("05")
    first = page.locator("#cards li:visible").first
    assert first.locator(".pane").count() == 4
    assert first.locator(".panes .facts").all_inner_texts() == [
        "input", "truth", "mask", "hits and misses",
    ]  # fmt: skip


def test_a_comparison_is_sorted_filtered_and_enlarged(page_of_two):
    page = page_of_two
    page.wait_for_function("[...document.images].every(i => i.complete && i.naturalWidth)")
    assert page.evaluate("document.documentElement.scrollWidth") <= page.viewport_size["width"]
    assert EVIL in names(page)
    page.locator('[data-gallery="worse"]').click()
    worse = names(page)
    assert worse and all(name == EVIL or int(name[2:4]) % 2 for name in worse)
    choose_all(page)
    button = page.locator('#table thead [data-sort="iou_change"]')
    button.click()
    column = page.locator("#table thead button").evaluate_all(
        "all => all.findIndex(one => one.dataset.sort === 'iou_change')"
    )
    texts = page.locator(f"#table tbody tr:visible td:nth-of-type({column})").all_inner_texts()
    changes = [float(text.replace("\N{MINUS SIGN}", "-")) for text in texts]
    assert len(changes) == 6 and changes == sorted(changes) and changes[0] < -0.1
    page.get_by_label("Name").fill("03")
    page.locator("#cards li:visible .card").first.click()
    for view in ("Second over photo", "Truth", "Hits and misses: second", "First over photo"):
        page.get_by_role("button", name=view, exact=True).click()
        assert page.locator("#stage img").count() == (1 if view == "Truth" else 2)
    page.keyboard.press("Escape")
    axe = pytest.importorskip("axe_playwright_python.sync_playwright").Axe()
    assert serious(axe.run(page)) == []


def test_axe_finds_no_serious_fault(page):
    axe = pytest.importorskip("axe_playwright_python.sync_playwright").Axe()
    choose_all(page)
    for step in ("page", "large view"):
        if step == "large view":
            page.locator("#cards li:visible .card").first.click()
        assert serious(axe.run(page)) == [], step


def serious(found):
    """The faults that axe calls serious."""
    return [
        (one["id"], one["nodes"][0]["html"])
        for one in found.response["violations"]
        if one["impact"] in ("serious", "critical")
    ]
