"""The A/B player in a real Chromium: two clips as one, whatever the network, the files and the person do."""

import os
import shutil
from collections.abc import Callable, Iterator
from itertools import pairwise
from pathlib import Path
from typing import Any

import pytest

from tests.live import player_clips
from tests.live.player_clips import READ_NUMBERS, RECORD, clip
from tests.live.player_site import Site, serving

pytestmark = pytest.mark.live

SHOTS = os.environ.get("LIKENESS_SHOTS")
MOST_DRIFT_S = 0.060
TIMES = "[...document.querySelectorAll('video')].map((video) => video.currentTime)"
TRANSFORMS = "[...document.querySelectorAll('.stage')].map((stage) => stage.style.transform)"
Opener = Callable[..., Any]


@pytest.fixture(scope="module")
def site(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Site]:
    folder = tmp_path_factory.mktemp("media")
    clip(folder, "three", num=72)
    clip(folder, "two", num=48)
    clip(folder, "ten_a", num=300)
    clip(folder, "ten_b", num=300)
    clip(folder, "tall", num=48, size_px=(180, 320))
    clip(folder, "heavy", num=240, size_px=(640, 360), noise=110)
    (folder / "damaged.mp4").write_bytes(b"no video at all" * 1000)
    with serving(Site(media=folder)) as site:
        yield site


@pytest.fixture
def page(chromium: Any) -> Iterator[Any]:
    context = chromium.new_context(viewport={"width": 1360, "height": 480})
    page = context.new_page()
    faults: list[str] = []
    page.on("pageerror", lambda error: faults.append(str(error)))
    page.on("console", lambda message: faults.append(message.text) if "Security Policy" in message.text else None)
    yield page
    context.close()
    assert not faults


@pytest.fixture
def player(site: Site, page: Any) -> Opener:
    """Opens the player with two clips; gives the page once both play, or once it is in another state."""

    def opened(a: str, b: str, *, more: str = "", state: str = "playing") -> Any:
        page.goto(f"{site.origin}/likeness/player#a={site.clip(a)}&b={site.clip(b)}{more}")
        page.locator(f"html[data-state={state}]").wait_for()
        return page

    return opened


def state_of(page: Any) -> str:
    return str(page.evaluate("document.documentElement.dataset.state"))


def recorded(page: Any, *, wait_s: float) -> list[list[Any]]:
    """What both clips did meanwhile, a row a frame of the page: ms, time of A and of B, paused, ended."""
    page.evaluate(RECORD)
    page.wait_for_timeout(1000 * wait_s)
    rows: list[list[Any]] = page.evaluate("(window.isRecording = false, window.record)")
    assert len(rows) > 5 * wait_s
    return rows


def paused(page: Any) -> None:
    page.keyboard.press("Space")
    page.locator("html[data-state=paused]").wait_for()


def stepped(page: Any, key: str) -> list[int]:
    """The numbers of the frames shown after a step."""
    page.keyboard.press(key)
    page.wait_for_timeout(400)
    numbers: list[int] = page.evaluate(READ_NUMBERS)
    return numbers


def test_both_play_by_themselves_and_the_page_says_when(player: Opener) -> None:
    page = player("three.mp4", "two.mp4")
    before = page.evaluate(TIMES)
    page.wait_for_timeout(500)
    after = page.evaluate(TIMES)
    assert all(late > early for early, late in zip(before, after, strict=True))
    marks = page.evaluate("performance.getEntriesByType('mark').map((mark) => mark.name)")
    assert marks == ["likeness:load", "likeness:playing"]
    assert "17 done · 43 to go" in page.locator("#progress").inner_text()
    assert page.evaluate("[...document.querySelectorAll('video')].every((video) => video.muted)")


def test_the_shorter_clip_waits_on_its_last_frame_and_both_start_again_together(player: Opener) -> None:
    page = player("three.mp4", "two.mp4")
    rows = recorded(page, wait_s=18)  # longer than a video that gets no bytes is waited for
    assert page.evaluate("document.documentElement.dataset.broken") == ""
    waiting = [row for row in rows if row[2] > 1.95 and 2.2 < row[1] < 2.9]
    assert waiting and all(not row[3] for row in waiting), "A goes on while B waits"
    starts = [index for index in range(1, len(rows)) if rows[index][1] < rows[index - 1][1] - 1]
    assert len(starts) >= 4
    for start in starts:
        assert rows[start][2] <= MOST_DRIFT_S, "B starts again when A does"
        assert rows[start - 1][1] > 2.9, "A was played to its end"


def test_drift_stays_below_60_ms_for_ten_seconds_and_is_made_good(player: Opener) -> None:
    page = player("ten_a.mp4", "ten_b.mp4")
    rows = recorded(page, wait_s=10)
    drift = max(abs(row[1] - row[2]) for row in rows if not (row[3] or row[4]))
    print(f"most drift in {len(rows)} samples of 10 s: {1000 * drift:.1f} ms")
    assert drift <= MOST_DRIFT_S
    page.evaluate("document.querySelectorAll('video')[1].playbackRate = 0.8")
    page.evaluate("document.querySelectorAll('video')[1].currentTime -= 0.2")
    assert any(abs(row[1] - row[2]) > 0.1 for row in recorded(page, wait_s=0.3)), "the nudge was felt"
    page.wait_for_timeout(1200)
    a, b = page.evaluate(TIMES)
    assert abs(a - b) <= MOST_DRIFT_S


def test_both_hold_while_one_is_late_and_go_on_together(site: Site, player: Opener) -> None:
    content = (site.media / "heavy.mp4").stat().st_size
    site.bytes_per_s["heavy.mp4"] = content / 10 / 2  # half of what it takes
    try:
        page = player("ten_a.mp4", "heavy.mp4")
        page.locator("html[data-state=held]").wait_for()
        site.bytes_per_s["heavy.mp4"] = 2000  # hardly anything
        page.wait_for_timeout(500)
        rows = [row for row in recorded(page, wait_s=0.5) if row[3] and row[4]]
        assert rows, "both are stopped"
        assert max(row[1] - row[2] for row in rows) <= MOST_DRIFT_S
        assert page.locator("#pane-b .waiting").is_visible() and not page.locator("#pane-a .waiting").is_visible()
        site.bytes_per_s["heavy.mp4"] = 1e9
        page.locator("html[data-state=playing]").wait_for()
        rows = [row for row in recorded(page, wait_s=1.5) if not (row[3] or row[4])]
        assert rows and max(abs(row[1] - row[2]) for row in rows) <= MOST_DRIFT_S
    finally:
        site.bytes_per_s["heavy.mp4"] = 1e9


def test_a_video_whose_bytes_stop_coming_is_told_and_the_other_goes_on(site: Site, player: Opener) -> None:
    site.bytes_per_s["heavy.mp4"] = (site.media / "heavy.mp4").stat().st_size / 20
    try:
        page = player("ten_a.mp4", "heavy.mp4")
        site.bytes_per_s["heavy.mp4"] = 0
        page.get_by_text("Video B does not load any further.").wait_for(timeout=60_000)
        page.locator("html[data-state=playing]").wait_for()
        rows = recorded(page, wait_s=1)
        assert rows[-1][1] > rows[0][1]
    finally:
        site.bytes_per_s["heavy.mp4"] = 1e9


def test_a_step_moves_one_frame_on_both_sides(player: Opener) -> None:
    page = player("ten_a.mp4", "ten_b.mp4")
    page.wait_for_timeout(1500)
    paused(page)
    first = stepped(page, "ArrowRight")
    assert first[0] == first[1] > 10
    for on in (1, 2, 3):
        assert stepped(page, "ArrowRight") == [first[0] + on] * 2
    for back in (2, 1, 0, -1):
        assert stepped(page, "ArrowLeft") == [first[0] + back] * 2
    assert f"frame {first[0]} / 300" in page.locator("#clock").inner_text()
    page.locator("#forth").click()
    page.wait_for_timeout(400)
    assert page.evaluate(READ_NUMBERS) == [first[0]] * 2


def test_scrubbing_moves_both_and_going_on_is_as_before(player: Opener) -> None:
    page = player("ten_a.mp4", "ten_b.mp4")
    box = page.locator("#line").bounding_box()
    page.mouse.move(box["x"] + 0.1 * box["width"], box["y"] + 7)
    page.mouse.down()
    for share in (0.3, 0.5, 0.8):
        page.mouse.move(box["x"] + share * box["width"], box["y"] + 7, steps=4)
        page.wait_for_timeout(400)
        a, b = page.evaluate(TIMES)
        assert a == b == pytest.approx(share * 12.5, abs=0.3)
    page.mouse.up()
    page.locator("html[data-state=playing]").wait_for()
    assert page.evaluate(TIMES)[0] > 9
    page.keyboard.press("r")
    page.wait_for_timeout(300)
    assert page.evaluate(TIMES)[0] < 2


def test_speed_and_skips_are_shared(player: Opener) -> None:
    page = player("ten_a.mp4", "ten_b.mp4")
    page.keyboard.press("v")
    page.keyboard.press("v")
    page.wait_for_timeout(200)
    rows = recorded(page, wait_s=2)
    played = (rows[-1][1] - rows[0][1]) / (rows[-1][0] - rows[0][0]) * 1000
    assert played == pytest.approx(0.25, abs=0.05)
    paused(page)
    before = page.evaluate(TIMES)
    page.keyboard.press("Shift+ArrowRight")
    page.wait_for_timeout(400)
    assert page.evaluate(TIMES) == pytest.approx([before[0] + 0.5] * 2, abs=0.06)


def test_zoom_shows_the_same_part_on_both_sides(player: Opener) -> None:
    page = player("ten_a.mp4", "ten_b.mp4")
    whole = page.evaluate(TRANSFORMS)
    assert whole[0] == whole[1] and "scale(1)" in whole[0]
    box = page.locator("#pane-b").bounding_box()
    page.mouse.move(box["x"] + box["width"] * 0.7, box["y"] + box["height"] * 0.4)
    page.mouse.wheel(0, -500)
    page.wait_for_timeout(150)
    zoomed = page.evaluate(TRANSFORMS)
    assert zoomed[0] == zoomed[1] != whole[0]
    page.mouse.down()
    page.mouse.move(box["x"] + box["width"] * 0.5, box["y"] + box["height"] * 0.5, steps=5)
    page.mouse.up()
    dragged = page.evaluate(TRANSFORMS)
    assert dragged[0] == dragged[1] != zoomed[0]
    assert state_of(page) == "playing", "a drag is no click"
    page.locator("#pane-a").dblclick()
    page.wait_for_timeout(150)
    assert page.evaluate(TRANSFORMS) == whole
    page.keyboard.press("+")
    page.keyboard.press("f")
    page.keyboard.press("0")
    assert page.evaluate(TRANSFORMS) == whole


def test_the_faces_zoom_goes_to_the_face_that_the_link_names(player: Opener) -> None:
    page = player("ten_a.mp4", "ten_b.mp4", more="&face=0.7,0.6,0.1,0.2")
    page.keyboard.press("f")
    middle = """(() => {
      const pane = document.querySelector('#pane-a').getBoundingClientRect();
      const video = document.querySelector('#pane-a video').getBoundingClientRect();
      const x = (pane.left + pane.width / 2 - video.left) / video.width;
      return [x, (pane.top + pane.height / 2 - video.top) / video.height, video.height * 0.2 / pane.height];
    })()"""
    x, y, share = page.evaluate(middle)
    assert (x, y) == (pytest.approx(0.75, abs=0.02), pytest.approx(0.7, abs=0.02))
    assert share > 0.4, "the face fills a good part of the pane"
    assert page.locator("#faces").get_attribute("aria-pressed") == "true"
    page.keyboard.press("f")
    assert "scale(1)" in page.evaluate(TRANSFORMS)[0]


@pytest.mark.parametrize(
    ("link", "told"),
    [("gone.mp4", "the server has no such file (404)"), ("damaged.mp4", "the file is damaged")],
)
def test_a_broken_video_is_told_on_its_side_and_the_other_plays(player: Opener, link: str, told: str) -> None:
    page = player("two.mp4", link)
    page.get_by_text(told).wait_for()
    assert told in page.locator("#pane-b .broken").inner_text()
    assert not page.locator("#pane-a .broken").is_visible()
    assert page.evaluate("document.documentElement.dataset.broken") == "b"
    rows = recorded(page, wait_s=3)
    assert any(late[1] < early[1] for early, late in pairwise(rows)), "A loops alone"


def test_a_video_that_comes_late_can_be_tried_again(site: Site, player: Opener) -> None:
    page = player("late.mp4", "two.mp4")
    page.get_by_text("no such file").wait_for()
    shutil.copy(site.media / "two.mp4", site.media / "late.mp4")
    page.locator("#pane-a .broken button").click()
    page.locator("html[data-broken='']").wait_for()
    page.locator("html[data-state=playing]").wait_for()
    rows = [row for row in recorded(page, wait_s=1.5) if not (row[3] or row[4])]
    assert rows and max(abs(row[1] - row[2]) for row in rows) <= MOST_DRIFT_S


def test_missing_links_and_links_to_elsewhere_are_told(site: Site, page: Any) -> None:
    page.goto(f"{site.origin}/likeness/player#a=https://elsewhere.example/a.mp4&b=/logout/")
    page.locator("html[data-state=broken]").wait_for()
    assert page.get_by_text("There is no video A.").is_visible()
    assert page.get_by_text("There is no video B.").is_visible()


def test_another_pair_in_the_same_frame_plays_from_its_start(site: Site, player: Opener) -> None:
    page = player("ten_a.mp4", "gone.mp4")
    page.keyboard.press("f")
    page.wait_for_timeout(1500)
    page.evaluate(f"location.hash = 'a={site.clip('three.mp4')}&b={site.clip('two.mp4')}'")
    page.locator("html[data-broken='']").wait_for()
    page.locator("html[data-state=playing]").wait_for()
    assert max(page.evaluate(TIMES)) < 1.5
    assert "scale(1)" in page.evaluate(TRANSFORMS)[0]


def test_portrait_clips_fill_the_height_and_stand_close_together(player: Opener) -> None:
    page = player("tall.mp4", "tall.mp4")
    a, b = (page.locator(f"#pane-{side} video").bounding_box() for side in "ab")
    pane = page.locator("#pane-a").bounding_box()
    assert a["height"] == pytest.approx(pane["height"], abs=6)
    assert a["height"] / a["width"] == pytest.approx(320 / 180, abs=0.02)
    assert b["x"] - a["x"] - a["width"] < 0.6 * a["width"]


@pytest.fixture
def host(site: Site, page: Any) -> Any:
    """A page with a field and the player in it, both clips playing."""
    link = f"/likeness/player#a={site.clip('ten_a.mp4')}&b={site.clip('ten_b.mp4')}"
    page.goto(site.origin + site.clip(player_clips.host_page(site.media, link)))
    page.frame_locator("iframe").locator("html[data-state=playing]").wait_for()
    return page


def test_keys_that_the_player_does_not_use_reach_the_page_around_it(host: Any) -> None:
    host.frame_locator("iframe").locator("#pane-a").click()
    assert host.evaluate("document.activeElement.tagName") == "IFRAME"
    for key in ("1", "q", "Control+Enter", "f"):
        host.keyboard.press(key)
    down = [row[1:] for row in host.evaluate("window.keys") if row[0] == "keydown"]
    assert down == [
        ["1", 49, False, "BODY", True],
        ["q", 81, False, "BODY", False],
        ["Control", 17, True, "BODY", False],
        ["Enter", 13, True, "BODY", False],
    ]
    up = [row[1] for row in host.evaluate("window.keys") if row[0] == "keyup"]
    assert up == ["1", "q", "Enter", "Control"]


def test_the_players_keys_work_from_the_page_around_it_unless_somebody_types(host: Any) -> None:
    inner = host.frame_locator("iframe")
    host.locator("#field").click()
    host.keyboard.type("a f b")
    assert host.locator("#field").input_value() == "a f b"
    inner.locator("html[data-state=playing]").wait_for()
    assert inner.locator("#zoom").inner_text().startswith("1\u00d7")
    host.evaluate("document.activeElement.blur()")
    host.keyboard.press("Space")
    inner.locator("html[data-state=paused]").wait_for()
    host.keyboard.press("f")
    assert not inner.locator("#zoom").inner_text().startswith("1\u00d7")
    host.evaluate("document.querySelector('iframe').remove()")
    host.keyboard.press("Space")
    assert host.evaluate("window.keys.at(-1).slice(0, 2)") == ["keyup", " "], "a player that is gone takes no key"


def test_a_click_plays_and_pauses_and_so_does_space_on_a_button_that_has_the_focus(player: Opener) -> None:
    page = player("ten_a.mp4", "ten_b.mp4")
    page.locator("#pane-a").click()
    page.locator("html[data-state=paused]").wait_for()
    page.locator("#in").click()
    zoom = page.locator("#zoom").inner_text()
    page.keyboard.press("Space")
    page.locator("html[data-state=playing]").wait_for()
    assert page.locator("#zoom").inner_text() == zoom, "space does not press the button as well"


def test_real_footage_plays_in_step(site: Site, player: Opener, media_root: Path) -> None:
    from flows.shown_media import show_video

    for side in "AB":
        show_video(media_root / "videos" / f"videoalign_example_1_{side}.mp4", site.media / f"real_{side}.mp4")
    page = player("real_A.mp4", "real_B.mp4")
    rows = recorded(page, wait_s=10)
    running = [row for row in rows if not (row[3] or row[4]) and max(row[1:3]) < 5]
    assert running and max(abs(row[1] - row[2]) for row in running) <= MOST_DRIFT_S
    if SHOTS:
        page.screenshot(path=Path(SHOTS) / "player_alone.png")
