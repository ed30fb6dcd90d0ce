"""Spans that are read from the key frame before them are bit for bit those of a pass from the file's start."""

from fractions import Fraction
from pathlib import Path
from typing import Any

import av
import numpy as np
import pytest
from numpy.typing import NDArray

from flows.stages import decode, frames
from flows.stages.frames import Video

NUM_FRAMES, KEY_EVERY = 48, 12
Picture = NDArray[np.uint8]

CODECS: dict[str, tuple[str, str, dict[str, str]]] = {
    "B-frames": ("mp4", "libx264", {"bf": "3"}),
    "B-frames in matroska": ("mkv", "libx264", {"bf": "3"}),
    "open groups": ("mp4", "libx264", {"x264-params": "open-gop=1:bframes=3:scenecut=0"}),
    "open groups in matroska": ("mkv", "libx264", {"x264-params": "open-gop=1:bframes=3:scenecut=0"}),
    "no key frames but refreshed step by step": ("mkv", "libx264", {"x264-params": "intra-refresh=1:bframes=0"}),
    "HEVC": ("mp4", "libx265", {"x265-params": "log-level=none:open-gop=1:bframes=3:pools=1:frame-threads=1"}),
    "VP9": (
        "webm",
        "libvpx-vp9",
        {"auto-alt-ref": "1", "lag-in-frames": "16", "deadline": "realtime", "cpu-used": "8"},
    ),
    "MPEG-4 in AVI": ("avi", "mpeg4", {"bf": "0"}),
    "MPEG-4 with B-frames in AVI": ("avi", "mpeg4", {"bf": "2"}),
    "MPEG-2 in a transport stream": ("ts", "mpeg2video", {"bf": "2"}),
    "FFV1": ("mkv", "ffv1", {}),
    "H.264 without a container": ("h264", "libx264", {"bf": "0"}),
}


def pictures() -> list[Picture]:
    """Noise that slides over a changing ground: no frame is like another, and none can be guessed from another."""
    noise = np.random.default_rng(0).integers(0, 120, (64, 96, 3), dtype=np.uint8)
    return [np.roll(noise, 5 * index, 1) + np.uint8(2 * index) for index in range(NUM_FRAMES)]


def write(path: Path, codec: str, options: dict[str, str], stamps: list[int] | None = None) -> Path:
    with av.open(path, "w") as container:
        threads = {"threads": "1"} if codec != "libx265" else {}
        stream = container.add_stream(
            codec, rate=24, options=options | threads | {"g": str(KEY_EVERY), "sc_threshold": "0"}
        )
        stream.width, stream.height, stream.pix_fmt = 96, 64, "yuv420p"
        unit = Fraction(1, 1000) if stamps else Fraction(1, 24)
        stream.codec_context.time_base = unit
        for index, picture in enumerate(pictures()):
            frame = av.VideoFrame.from_ndarray(picture, format="rgb24")
            frame.pts, frame.time_base = stamps[index] if stamps else index, unit
            container.mux(stream.encode(frame))
        container.mux(stream.encode())
    return path


@pytest.fixture(scope="module")
def files(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Path]:
    folder = tmp_path_factory.mktemp("codecs")
    return {
        name: write(folder / f"{number}.{suffix}", codec, options)
        for number, (name, (suffix, codec, options)) in enumerate(CODECS.items())
    }


def whole(path: Path) -> list[Picture]:
    return [frame.rgb for frame in Video(path).read(0, NUM_FRAMES, longest_side_px=96)]


def assert_spans_are_those_of_a_whole_pass(video: Video, expected: list[Picture]) -> None:
    for start, end in ((1, 3), (11, 13), (12, 13), (25, 40), (47, 48), (40, 60)):
        read = list(video.read(start, end, longest_side_px=96))
        assert [frame.index for frame in read] == list(range(start, min(end, NUM_FRAMES)))
        assert [frame.time for frame in read] == list(video.times[start:end])
        assert all(np.array_equal(frame.rgb, expected[frame.index]) for frame in read)


@pytest.mark.parametrize("name", CODECS)
def test_a_span_read_from_its_key_frame_is_that_of_a_whole_pass(files: dict[str, Path], name: str) -> None:
    assert_spans_are_those_of_a_whole_pass(Video(files[name]), whole(files[name]))


def test_variable_frame_rates_are_found_by_their_times(tmp_path: Path) -> None:
    stamps = np.cumsum([850, *np.random.default_rng(1).integers(5, 90, NUM_FRAMES - 1)]).tolist()
    path = write(tmp_path / "vfr.mkv", "libx264", {"bf": "3"}, stamps)
    assert Video(path).end < 3  # although it begins at 0.85 s, which matroska counts as part of its length
    assert_spans_are_those_of_a_whole_pass(Video(path), whole(path))


@pytest.mark.parametrize("name", ["B-frames", "B-frames in matroska", "VP9", "MPEG-4 in AVI", "FFV1"])
def test_only_from_the_key_frame_on_is_decoded(files: dict[str, Path], name: str) -> None:
    video = Video(files[name])
    assert (video.num_frames, video.num_decoded) == (NUM_FRAMES, NUM_FRAMES)
    list(video.read(38, 40, longest_side_px=96))
    assert video.num_passes == 2
    assert video.num_decoded - NUM_FRAMES <= 40 - 36


def test_many_clips_of_one_film_cost_two_passes_together(files: dict[str, Path]) -> None:
    video = Video(files["B-frames"])
    for start in range(0, NUM_FRAMES, 6):
        list(video.read(start, start + 6, longest_side_px=96))
    assert video.num_decoded <= NUM_FRAMES * 2.6  # half of the spans begin in the middle of a group


def test_whoever_reads_the_start_of_a_file_pays_no_whole_pass(files: dict[str, Path]) -> None:
    video = Video(files["B-frames"])
    assert len(list(video.read(0, 5, longest_side_px=96))) == 5
    assert (video.num_passes, video.num_decoded) == (1, 5)


@pytest.mark.parametrize(("first", "num"), [(0, 48), (0, 30), (12, 1), (26, 5), (26, 0), (45, 9)])
def test_a_container_that_seeks_anywhere_and_a_decoder_that_stumbles_there_are_made_up_for(
    files: dict[str, Path], first: int, num: int
) -> None:
    expected = whole(files["FFV1"])

    def astray(path: Any, entry: decode.Entry) -> Any:
        for place, decoded in enumerate(decode.decode(path)):
            if place >= first:
                yield decoded
            if place == first + num:
                raise decode.VideoUnreadable("decoder error", "from here on")

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(frames, "decode_from", astray)
        assert_spans_are_those_of_a_whole_pass(Video(files["FFV1"]), expected)


def test_pictures_that_differ_at_the_right_time_are_noticed(
    files: dict[str, Path], monkeypatch: pytest.MonkeyPatch
) -> None:
    other = files["VP9"]
    monkeypatch.setattr(frames, "decode_from", lambda path, entry: decode.decode(other))
    video = Video(files["FFV1"])
    assert_spans_are_those_of_a_whole_pass(video, whole(files["FFV1"]))
    assert video.num_decoded > 2 * NUM_FRAMES  # it went back to the start
