"""The voting page in a real Label Studio and a real Chromium, with the player in it. Screenshots: `LIKENESS_SHOTS`."""

import os
import re
import shutil
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import httpx
import pytest

from annotate.interface import instructions_html, labeling_xml, parse_result
from tests.live.hosted import Studio
from tests.live.player_clips import clip
from tests.live.player_site import Site, serving
from warehouse.records import Outcome

pytestmark = pytest.mark.live

SHOTS = os.environ.get("LIKENESS_SHOTS")
LARGE, SMALL = {"width": 1400, "height": 900}, {"width": 1280, "height": 720}
LONG_PROMPT = "A man in a grey wool sweater and a woman in a green raincoat stand side by side on a windy beach. " * 4


@dataclass(frozen=True, slots=True)
class Desk:
    """A project of Label Studio behind the site, and somebody who works on it."""

    site: Site
    studio: Studio
    client: httpx.Client
    project: int
    shots: Path

    def put_up(self, *tasks: dict[str, str]) -> None:
        answer = self.client.post(f"/api/projects/{self.project}/import", json=[{"data": task} for task in tasks])
        assert answer.status_code == 201, answer.text

    def results(self) -> list[list[Any]]:
        """What was answered, in the order of the tasks; a skipped or unanswered one is empty."""
        tasks = self.client.get(
            "/api/tasks", params={"project": self.project, "fields": "all", "page_size": 100}
        ).json()["tasks"]
        return [task["annotations"][0]["result"] if task["annotations"] else [] for task in tasks]

    def opened(self, page: Any) -> Any:
        page.goto(f"{self.site.origin}/user/login/")
        page.fill("input[name=email]", self.studio.operator)
        page.fill("input[name=password]", self.studio.password)
        page.keyboard.press("Enter")
        page.wait_for_url(lambda url: "login" not in url)
        page.goto(f"{self.site.origin}/projects/{self.project}/data?labeling=1")
        page.get_by_text("Labeling Instructions").wait_for()
        self.shoot(page, "instructions")
        page.keyboard.press("Escape")
        page.get_by_text("Labeling Instructions").wait_for(state="hidden")
        return page

    def shoot(self, page: Any, name: str) -> None:
        page.wait_for_timeout(700)
        page.screenshot(path=self.shots / f"{name}.png")


@pytest.fixture(scope="module")
def site(studio_on_sqlite: Studio, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Site]:
    folder = tmp_path_factory.mktemp("media")
    media = Path(os.environ.get("LIKENESS_MEDIA", Path(__file__).parents[3] / "shared" / "media"))
    clip(folder, "wide", num=72, size_px=(640, 360))
    clip(folder, "tall", num=48, size_px=(360, 640))
    for number, name in enumerate(("df_img10", "df_img16", "df_img20")):
        shutil.copy(media / "images" / f"{name}.jpg", folder / f"reference_{number}.jpg")
    with serving(Site(media=folder, label_studio=studio_on_sqlite.url)) as site:
        yield site


@pytest.fixture
def desk(site: Site, studio_on_sqlite: Studio, tmp_path: Path) -> Iterator[Desk]:
    shots = Path(SHOTS) if SHOTS else tmp_path
    with httpx.Client(base_url=site.origin, timeout=60) as client:
        page = client.get("/user/login/").text
        token = re.search(r'csrfmiddlewaretoken" value="([^"]+)', page)
        assert token
        account = {"email": studio_on_sqlite.operator, "password": studio_on_sqlite.password}
        client.post("/user/login/", data={"csrfmiddlewaretoken": token[1], **account}, headers={"Referer": site.origin})
        client.headers["X-CSRFToken"] = client.cookies["csrftoken"]
        client.headers["Referer"] = site.origin
        project = {"title": "pairs", "label_config": labeling_xml().strip(), "maximum_annotations": 1}
        rules = {"sampling": "Sequential sampling", "show_instruction": True, "enable_empty_annotation": False}
        told = {"expert_instruction": instructions_html()}
        answer = client.post("/api/projects", json=project | rules | told)
        assert answer.status_code == 201, answer.text
        yield Desk(site, studio_on_sqlite, client, answer.json()["id"], shots)


@pytest.fixture
def page(chromium: Any) -> Iterator[Any]:
    context = chromium.new_context(viewport=LARGE)
    yield context.new_page()
    context.close()


def task(
    a: str, b: str, *, num_references: int = 1, prompt: str = "A woman turns to the camera and smiles"
) -> dict[str, str]:
    names = [f"/likeness/media/reference_{number}.jpg" for number in range(num_references)]
    return {
        "prompt": prompt,
        "refs_html": "".join(f'<img src="{name}" alt="reference">' for name in names),
        "player": f"/likeness/player#a=/likeness/media/{a}.mp4&b=/likeness/media/{b}.mp4",
    }


def inner(page: Any) -> Any:
    return page.frame_locator("iframe[title='A/B player']")


def submitted(page: Any) -> None:
    """Ctrl+Enter, and the server's word that it has the vote."""
    with page.expect_response(lambda answer: "/annotations" in answer.url and answer.request.method == "POST") as got:
        page.keyboard.press("Control+Enter")
    assert got.value.status == 201


def in_sight(page: Any, *texts: str) -> None:
    """Every one of these stands whole on the screen, without scrolling, and nothing lies over it."""
    for text in texts:
        box = page.locator(".pair label").filter(has_text=re.compile(rf"^{text}\[")).first.bounding_box()
        assert box and box["x"] >= 0 and box["x"] + box["width"] <= page.viewport_size["width"]
        point = [box["x"] + box["width"] / 2, box["y"] + box["height"] - 2]
        assert page.evaluate("([x, y]) => document.elementFromPoint(x, y)?.closest('label')?.textContent", point)


def test_nine_quick_votes_after_clicks_into_the_video_all_arrive(desk: Desk, page: Any) -> None:
    desk.put_up(*[task("wide", "wide") for _ in range(9)])
    desk.opened(page)
    for number in range(9):
        inner(page).locator("html[data-state=playing]").wait_for()
        inner(page).locator("#pane-b").click()
        assert page.evaluate("document.activeElement.tagName") == "IFRAME"
        page.keyboard.press("123"[number % 3])
        submitted(page)
        page.wait_for_timeout(600)
    page.get_by_text("No More Tasks").wait_for()
    desk.shoot(page, "no_more_tasks")
    votes = [parse_result(result).outcome for result in desk.results()]
    assert votes == [Outcome.A, Outcome.TIE, Outcome.B] * 3


def test_everything_on_the_page_arrives_by_key_and_the_players_keys_do_not_vote(desk: Desk, page: Any) -> None:
    desk.put_up(task("wide", "wide"))
    desk.opened(page)
    inner(page).locator("html[data-state=playing]").wait_for()
    for key in ("3", "q", "s", "c", "8", "f", "v", "b", "ArrowRight", "r"):
        page.keyboard.press(key)
    inner(page).locator("html[data-state=paused]").wait_for()
    assert inner(page).locator("#faces").get_attribute("aria-pressed") == "true"
    page.keyboard.press("Space")
    inner(page).locator("html[data-state=playing]").wait_for()
    page.locator(".pair .comment input").fill("her hair changes, fast")
    desk.shoot(page, "voted")
    assert page.evaluate("document.activeElement.name") == "comment"
    submitted(page)  # from within the field
    (result,) = desk.results()
    parsed = parse_result(result)
    assert (parsed.outcome, parsed.face, parsed.quality, parsed.align) == (
        Outcome.B,
        Outcome.A,
        Outcome.TIE,
        Outcome.B,
    )
    assert (parsed.broken_a, parsed.broken_b, parsed.comment) == (True, False, "her hair changes, fast")


def test_a_click_on_a_vote_does_not_take_the_keys_away(desk: Desk, page: Any) -> None:
    desk.put_up(task("wide", "wide"))
    desk.opened(page)
    inner(page).locator("html[data-state=playing]").wait_for()
    page.locator(".pair .vote label").first.click()
    page.keyboard.press("3")
    page.keyboard.press("Space")
    inner(page).locator("html[data-state=paused]").wait_for()
    submitted(page)
    assert [parse_result(result).outcome for result in desk.results()] == [Outcome.B]


@pytest.mark.parametrize(
    ("name", "shown"),
    [
        ("landscape", task("wide", "wide")),
        ("three_references", task("wide", "wide", num_references=3, prompt=LONG_PROMPT)),
        ("portrait", task("tall", "tall", num_references=2)),
        ("broken", task("wide", "gone")),
    ],
    ids=lambda value: value if isinstance(value, str) else "",
)
def test_votes_are_in_sight_and_the_videos_are_large(desk: Desk, page: Any, name: str, shown: dict[str, str]) -> None:
    desk.put_up(shown)
    desk.opened(page)
    inner(page).locator("html[data-state=playing]").wait_for()
    for size in (LARGE, SMALL):
        page.set_viewport_size(size)
        desk.shoot(page, f"{name}_{size['height']}")
        in_sight(page, "A better", "Ties", "B better", "A broken", "B broken")
        video = inner(page).locator("#pane-a video").bounding_box()
        assert video["height"] > 0.35 * size["height"], "never tiny"
        overflow = "document.querySelector('.pair').getBoundingClientRect().bottom - innerHeight"
        assert page.evaluate(overflow) < 0
    if name == "broken":
        assert inner(page).get_by_text("no such file (404)").is_visible()


def test_the_page_is_dark_where_the_person_wants_it_dark(desk: Desk, page: Any) -> None:
    desk.put_up(task("wide", "wide"))
    desk.opened(page)
    page.get_by_text("Light", exact=True).click()
    page.locator("html[data-color-scheme=dark]").wait_for()
    inner(page).locator("html[data-theme=dark]").wait_for()
    page.keyboard.press("1")
    desk.shoot(page, "dark")


def test_a_prompt_cannot_bring_markup(desk: Desk, page: Any) -> None:
    desk.put_up(
        task("wide", "wide", prompt="<img src=x onerror='window.struck = 1'><script>window.struck = 1</script>")
    )
    desk.opened(page)
    inner(page).locator("html[data-state=playing]").wait_for()
    assert page.evaluate("window.struck") is None
    assert "<script>" in page.locator(".pair .say").inner_text()


def test_label_studio_keeps_the_page_and_the_guidelines_as_they_are(desk: Desk) -> None:
    kept = desk.client.get(f"/api/projects/{desk.project}").json()
    assert kept["label_config"] == labeling_xml().strip()
    assert kept["expert_instruction"] == instructions_html()
