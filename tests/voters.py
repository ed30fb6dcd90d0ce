"""People who vote in a browser: they log in, look at the two videos on the screen, and use the keyboard only.

What they vote by is what they see: the brightness of the picture in each video of the player (`pair_stages`).
"""

import asyncio
import tempfile
import time
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:  # at run time only `make test-live` has it
    from playwright.async_api import Browser, Frame, Page, Response

CHROMIUM = "/usr/bin/chromium"
SWITCHES = [
    "--no-sandbox",
    "--disable-gpu",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
    "--no-first-run",
]
TIE_LEVELS = 10
"""Brightness differences that nobody sees, in 8-bit levels: encoding makes a level or two."""
LEVELS = """() => [...document.querySelectorAll('video')].map(video => {
  const canvas = Object.assign(document.createElement('canvas'), {width: 8, height: 8});
  const context = canvas.getContext('2d');
  context.drawImage(video, 0, 0, 8, 8);
  const pixels = context.getImageData(0, 0, 8, 8).data;
  return pixels.filter((_, place) => place % 4 === 0).reduce((sum, value) => sum + value, 0) / 64;
})"""
SUBMIT = "[aria-label='Submit current annotation']:enabled"
PATIENCE_MS = 60_000
AGAIN_S = 10.0
"""After this long without another pair a person presses Ctrl+Enter again."""


@dataclass
class Person:
    """Somebody with an account, and what they did."""

    email: str
    password: str
    keys: list[str] = field(default_factory=list)
    """The votes given, by key: 1, 2 or 3."""
    waits_s: list[float] = field(default_factory=list)
    """From submitting a vote to the next pair playing."""
    num_presses_lost: int = 0
    """How often Ctrl+Enter had to be pressed again."""
    refused: list[str] = field(default_factory=list)
    """What the page asked for and did not get, but for what it is never given."""

    async def log_in(self, browser: "Browser", origin: str) -> "Page":
        page = await (await browser.new_context(viewport={"width": 1400, "height": 900})).new_page()
        page.set_default_timeout(PATIENCE_MS)
        page.on("response", self._heard)
        await page.goto(origin)
        await page.fill("input[name=email]", self.email)
        await page.fill("input[name=password]", self.password)
        await page.keyboard.press("Enter")
        await page.wait_for_selector("iframe[title='A/B player']")
        await page.keyboard.press("Escape")  # the guidelines, which are shown first
        return page

    async def vote_until_done(self, page: "Page", most: int = 10**6) -> None:
        """By keyboard alone, until nothing is left or `most` votes are given."""
        shown = ""
        while len(self.keys) < most:
            since = time.perf_counter()
            player = await self._next_pair(page, shown)
            if player is None:
                return
            if shown:
                self.waits_s.append(time.perf_counter() - since)
            shown = player.url
            a, b = await player.evaluate(LEVELS)
            key = "2" if abs(a - b) <= TIE_LEVELS else "1" if a > b else "3"
            await page.keyboard.press(key)
            await page.locator(SUBMIT).wait_for()  # as a person does, who sees the vote light up first
            await page.keyboard.press("Control+Enter")
            self.keys.append(key)

    async def _next_pair(self, page: "Page", shown: str) -> "Frame | None":
        """The player of another pair than the one at `shown`, when both videos play; None: there is none."""
        give_up = time.monotonic() + PATIENCE_MS / 1000
        press_again = time.monotonic() + AGAIN_S
        while time.monotonic() < give_up:
            if shown and time.monotonic() > press_again:
                press_again += AGAIN_S
                self.num_presses_lost += 1
                await page.keyboard.press("Control+Enter")
            for frame in page.frames:
                if "/likeness/player" in frame.url and frame.url != shown and await _is_playing(frame):
                    return frame
            if await page.get_by_text("No More Tasks").or_(page.get_by_text("All tasks in the queue")).count():
                return None
            await asyncio.sleep(0.01)
        picture = Path(tempfile.gettempdir()) / f"likeness-stuck-{self.email}.png"
        await page.screenshot(path=picture)
        raise TimeoutError(f"{self.email}: after {len(self.keys)} votes no other pair came; see {picture}")

    def _heard(self, response: "Response") -> None:
        if response.status >= 400 and "heidi-tips" not in response.url and "next_task" not in response.url:
            self.refused.append(f"{response.status} {response.url}")


async def _is_playing(frame: "Frame") -> bool:
    from playwright.async_api import Error

    try:
        return bool(await frame.evaluate("document.documentElement.dataset.state === 'playing'"))
    except Error:  # the frame is being replaced: its successor is looked at next
        return False


def vote(origin: str, people: list[Person], *, shots: Path | None = None, most: int = 10**6) -> None:
    """Let people vote side by side, each in a browser session of their own; pictures of the first one's page.

    In a thread of its own: the tests' shared browser has an event loop in theirs.
    """
    with ThreadPoolExecutor(max_workers=1) as thread:
        thread.submit(lambda: asyncio.run(_vote(origin, people, shots, most))).result()


async def _vote(origin: str, people: list[Person], shots: Path | None, most: int) -> None:
    from playwright.async_api import async_playwright

    async with async_playwright() as playwright:
        browser = await playwright.chromium.launch(executable_path=CHROMIUM, args=SWITCHES)
        pages = await asyncio.gather(*(person.log_in(browser, origin) for person in people))
        if shots is not None:
            await pages[0].wait_for_timeout(500)
            await pages[0].screenshot(path=shots / "voting.png")
        await asyncio.gather(*(person.vote_until_done(page, most) for person, page in zip(people, pages, strict=True)))
        if shots is not None:
            await pages[0].wait_for_timeout(500)
            await pages[0].screenshot(path=shots / "after.png")
        await browser.close()
