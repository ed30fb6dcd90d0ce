"""Clips whose every frame tells its own number, and what reads it off the screen."""

import json
from fractions import Fraction
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from flows.shown_media import show_video
from flows.stages.encode import encode

NUM_BITS = 9
READ_NUMBERS = """[...document.querySelectorAll('video')].map((video) => {
  const canvas = document.createElement('canvas');
  [canvas.width, canvas.height] = [video.videoWidth, video.videoHeight];
  const context = canvas.getContext('2d');
  context.drawImage(video, 0, 0);
  const side = video.videoWidth / NUM_BITS;
  let number = 0;
  for (let bit = 0; bit < NUM_BITS; bit += 1) {
    const [red] = context.getImageData(side * (bit + 0.5), video.videoHeight * 0.9, 1, 1).data;
    if (red > 127) number += 2 ** bit;
  }
  return number;
})""".replace("NUM_BITS", str(NUM_BITS))
"""The numbers of the two frames on the screen."""


def clip(
    folder: Path, name: str, *, num: int, rate: int = 24, size_px: tuple[int, int] = (320, 180), noise: int = 0
) -> str:
    """Make a clip as annotators are served one; gives its name. `noise` makes its file big."""
    random = np.random.default_rng(len(name))
    source = folder / f"{name}.source.mp4"
    pictures = (_picture(number, size_px, random, noise) for number in range(num))
    source.write_bytes(encode(pictures, frame_rate=Fraction(rate)))
    show_video(source, folder / f"{name}.mp4")
    source.unlink()
    return f"{name}.mp4"


def _picture(number: int, size_px: tuple[int, int], random: np.random.Generator, noise: int) -> NDArray[np.uint8]:
    width, height = size_px
    picture: NDArray[np.uint8] = np.full((height, width, 3), 120, np.uint8)
    picture[:, :, 2] = np.linspace(60, 220, width).astype(np.uint8)
    if noise:
        picture = random.integers(120 - noise, 120 + noise, picture.shape).astype(np.uint8)
    picture[: height // 3, (number * 4) % width :][:, :20] = (230, 200, 40)
    for bit in range(NUM_BITS):
        left, right = bit * width // NUM_BITS, (bit + 1) * width // NUM_BITS
        picture[height * 4 // 5 :, left:right] = 255 if number >> bit & 1 else 0
    return picture


RECORD = """window.record = []; window.isRecording = true;
(function note() {
  const [a, b] = document.querySelectorAll('video');
  window.record.push([performance.now(), a.currentTime, b.currentTime, a.paused, b.paused, a.ended, b.ended]);
  if (window.isRecording) requestAnimationFrame(note);
})();"""
"""Note both clips' times at every frame of the page, until `window.isRecording` is false."""

HOST = """<!doctype html><title>host</title><body><input id="field"><pre id="log"></pre>
<iframe title="A/B player" width="1000" height="420" src=%s></iframe>
<script>
window.keys = [];
for (const type of ['keydown', 'keyup']) document.addEventListener(type, (event) => {
  if (event.key === '1') event.preventDefault();
  window.keys.push([type, event.key, event.keyCode, event.ctrlKey, event.target.tagName, event.defaultPrevented]);
});
</script>"""


def host_page(folder: Path, player: str) -> str:
    """A page around the player, which notes the keys that reach it; gives its name."""
    (folder / "host.html").write_text(HOST % json.dumps(player), encoding="utf-8")
    return "host.html"
