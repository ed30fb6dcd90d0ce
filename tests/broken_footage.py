"""A folder of small videos of which some are broken, each in its own way, and what must become of each.

The good ones are 64 x 48, a dozen frames, all different; captions lie beside them.
"""

import csv
import io
import tempfile
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from fractions import Fraction
from pathlib import Path
from typing import Any

import av
import numpy as np

NUM_FRAMES = 12
RATE = Fraction(24)


@dataclass(frozen=True, slots=True)
class Fault:
    """One way to be out of the ordinary."""

    name: str
    make: Callable[[int], bytes]
    """The file's content, from a number that makes it unlike the others."""
    becomes: str
    """`done`, `failed` at stage shots, or `listed` only."""
    reason: str | None
    """Of the failure, or of the listing's problem."""
    caption: str = "somebody"


def frames(seed: int, *, width: int = 64, height: int = 48, num: int = NUM_FRAMES) -> Iterator[np.ndarray]:
    """Soft blobs that wander, so that every seed looks like itself."""
    random = np.random.default_rng(seed)
    coarse = random.integers(40, 220, (4, 5, 3)).astype(np.float32)
    for number in range(num):
        rows = np.linspace(0, 3, height) + 0.02 * number
        columns = np.linspace(0, 4, width)
        yield coarse[np.clip(rows.round(), 0, 3).astype(int)][:, columns.round().astype(int)].astype(np.uint8)


def video(
    seed: int,
    *,
    container: str = "mp4",
    codec: str = "libx264",
    pixels: str = "yuv420p",
    width: int = 64,
    height: int = 48,
    num: int = NUM_FRAMES,
    times: Callable[[int], int] = lambda number: number * 1000,
    streams: int = 1,
) -> bytes:
    """A whole file; `times` in ticks of 1/24000 s."""
    options = {"movflags": "faststart"} if container == "mp4" else {}
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "video"  # a real file: faststart reads it again
        with av.open(path, "w", format=container, options=options) as output:
            _fill(output, seed, codec, pixels, (width, height), num, times, streams)
        return path.read_bytes()


def _fill(
    output: Any,
    seed: int,
    codec: str,
    pixels: str,
    size_px: tuple[int, int],
    num: int,
    times: Callable[[int], int],
    streams: int,
) -> None:
    width, height = size_px
    made = [output.add_stream(codec, rate=RATE) for _ in range(streams)]
    for stream in made:
        stream.width, stream.height, stream.pix_fmt = width, height, pixels
        stream.codec_context.time_base = Fraction(1, 24000)
        stream.options = {"preset": "ultrafast", "threads": "1"} if codec == "libx264" else {}
    for which, stream in enumerate(made):
        for number, rgb in enumerate(frames(seed + 7 * which, width=width, height=height, num=num)):
            frame = av.VideoFrame.from_ndarray(rgb, format="rgb24")
            frame.pts, frame.time_base = times(number), Fraction(1, 24000)
            output.mux(stream.encode(frame))
        output.mux(stream.encode())


def audio(seed: int) -> bytes:
    sink = io.BytesIO()
    with av.open(sink, "w", format="mp4") as output:
        stream = output.add_stream("aac", rate=16000)
        sound = np.random.default_rng(seed).normal(0, 0.1, (1, 16000)).astype(np.float32)
        frame = av.AudioFrame.from_ndarray(sound, format="fltp", layout="mono")
        frame.sample_rate = 16000
        output.mux(stream.encode(frame))
        output.mux(stream.encode())
    return sink.getvalue()


def truncated(seed: int) -> bytes:
    whole = video(seed)
    return whole[: len(whole) * 3 // 5]


def without_rate(seed: int) -> bytes:
    """Every picture at time 0: no frames a second to speak of."""
    sink = io.BytesIO()
    with av.open(sink, "w", format="nut") as output:
        stream: Any = output.add_stream("rawvideo", rate=RATE)
        stream.width, stream.height, stream.pix_fmt = 64, 48, "yuv420p"
        for rgb in frames(seed):
            frame = av.VideoFrame.from_ndarray(rgb, format="rgb24").reformat(format="yuv420p")
            frame.pts, frame.time_base = 0, Fraction(1, 24)
            for packet in stream.encode(frame):
                packet.pts = packet.dts = 0
                output.mux(packet)
    return sink.getvalue()


def uneven(number: int) -> int:
    """Frame times of a variable rate: every third frame stays three times as long."""
    return 1000 * (number + 2 * (number // 3))


QUOTED = 'She says: "it\'s,\nwell; fine"\n\n-- DROP TABLE source; \t\u202e end'

FAULTS = (
    Fault("truncated", truncated, "failed", "decoder error"),
    Fault("zero_bytes", lambda seed: b"", "failed", "not a video"),
    Fault("audio_only", audio, "failed", "no video stream"),
    Fault(
        "wrong_suffix", lambda seed: b"%PDF-1.7 this is no video " + str(seed).encode() * 50, "failed", "not a video"
    ),
    Fault("no_rate", without_rate, "failed", "timestamps do not increase"),
    Fault("odd_size", lambda seed: video(seed, codec="mpeg4", width=63, height=47), "done", None),
    Fault("variable_rate", lambda seed: video(seed, times=uneven), "done", None),
    Fault("two_streams", lambda seed: video(seed, streams=2, container="matroska"), "done", None),
    Fault("quoted_caption", video, "done", None, caption=QUOTED),
    Fault("outside", lambda seed: b"", "listed", "outside the root"),
)


def write(folder: Path, *, num: int, share_broken: float = 0.03) -> dict[str, Fault]:
    """Fill an empty folder with `num` entries and their captions; gives the faulty ones by their listed name."""
    each = max(1, round(num * share_broken / len(FAULTS)))
    faulty: dict[str, Fault] = {}
    rows: list[tuple[str, str]] = []
    for which, fault in enumerate(FAULTS):
        for copy in range(each):
            seed = 10_000 + which * 1000 + copy
            if fault.name == "outside":
                name = f"../outside/{copy}.mp4"
                (folder.parent / "outside").mkdir(exist_ok=True)
                (folder.parent / "outside" / f"{copy}.mp4").write_bytes(video(seed))
            else:
                name = f"{which:02}_{fault.name}_{copy}.mp4"
                (folder / name).write_bytes(fault.make(seed))
            faulty[name] = fault
            rows.append((name, f"{fault.caption}" if fault.caption == QUOTED else f"{fault.caption} {seed}"))
    for seed in range(num - len(faulty)):
        name = f"good_{seed:05}.mp4"
        (folder / name).write_bytes(video(seed))
        rows.append((name, f"a good one, number {seed}"))
    with (folder / "captions.csv").open("w", newline="", encoding="utf-8") as file:
        writer = csv.writer(file)
        writer.writerow(("path", "caption"))
        writer.writerows(rows)
    return faulty
