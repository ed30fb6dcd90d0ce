import pickle
from collections.abc import Callable, Sequence
from fractions import Fraction
from pathlib import Path
from typing import Any

import av
import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from numpy.typing import NDArray

from flows.engines.embedded.content_shots import ContentShots
from flows.stages import frames, looks
from flows.stages.decode import fitted
from flows.stages.encode import encode
from flows.stages.frames import Frame, Proxy, Video, VideoUnreadable
from flows.stages.looks import LOOK_STRIDE
from flows.stages.proxies import even_fitted
from flows.stages.quality import Quality
from flows.stages.shots import Shots
from flows.stages.stage import ClipItem, Done, SourceItem
from tests import factories
from warehouse.media import MediaStore
from warehouse.records import Clip

Picture = NDArray[np.uint8]


def numbered(num: int, *, width: int = 64, height: int = 48) -> list[Picture]:
    """Pictures that say their own index: eight upright stripes, white for a bit that is set."""
    places = np.arange(width) * 8 // width
    return [
        np.ascontiguousarray(np.broadcast_to(255 * (index >> places & 1)[None, :, None], (height, width, 3)), np.uint8)
        for index in range(num)
    ]


def indices_read(read: Sequence[Frame | Proxy]) -> list[int]:
    stripes = [np.array_split(frame.rgb.mean(axis=(0, 2)), 8) for frame in read]
    return [sum(int(stripe.mean() > 127) << place for place, stripe in enumerate(each)) for each in stripes]


def textured(num: int, *, width: int = 160, height: int = 120) -> list[Picture]:
    """A detailed pattern that slides, so that every frame takes its bytes."""
    noise = np.random.default_rng(0).integers(0, 255, (height, width, 3), dtype=np.uint8)
    return [np.roll(noise, 2 * index, 1) for index in range(num)]


def write(
    path: Path,
    pictures: Sequence[Picture],
    *,
    stamps: Sequence[int] | None = None,
    rate: Fraction = Fraction(24),
    tune: Callable[[Any], None] = lambda stream: None,
) -> Path:
    """A file of these pictures without B-frames; `stamps` are in 1/1000 s."""
    with av.open(path, "w") as container:
        stream = container.add_stream("libx264", rate=rate, options={"bf": "0", "crf": "10", "threads": "1"})
        stream.height, stream.width = pictures[0].shape[:2]
        stream.pix_fmt = "yuv420p"
        unit = Fraction(1, 1000) if stamps else 1 / rate
        stream.time_base = stream.codec_context.time_base = unit
        tune(stream)
        for index, picture in enumerate(pictures):
            frame = av.VideoFrame.from_ndarray(picture, format="rgb24")
            frame.pts, frame.time_base = (stamps[index] if stamps else index), unit
            container.mux(stream.encode(frame))
        container.mux(stream.encode())
    return path


def reason_of(path: Path) -> str:
    with pytest.raises(VideoUnreadable) as caught:
        _ = Video(path).num_frames
    assert path.name in caught.value.detail
    return caught.value.reason


@pytest.fixture(scope="module")
def steady(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """48 numbered frames at 24 a second."""
    path = tmp_path_factory.mktemp("steady") / "steady.mp4"
    path.write_bytes(encode(numbered(48), frame_rate=Fraction(24)))
    return path


@pytest.fixture(scope="module")
def all_looks(tmp_path_factory: pytest.TempPathFactory) -> Video:
    """20 frames at 4 a second: every frame is kept as a look."""
    path = tmp_path_factory.mktemp("slow") / "slow.mp4"
    path.write_bytes(encode(numbered(20), frame_rate=1 / LOOK_STRIDE))
    return Video(path)


def test_the_same_pictures_are_encoded_to_the_same_bytes() -> None:
    first, second = (encode(iter(textured(6)), frame_rate=Fraction(30000, 1001)) for _ in range(2))
    assert first == second
    assert first.index(b"moov") < first.index(b"mdat")  # the index comes first


def test_encoded_pictures_come_back_at_their_times_and_nearly_in_their_colours(tmp_path: Path) -> None:
    colours = [(200, 40, 30), (20, 180, 60), (30, 50, 220)]
    (tmp_path / "a.mp4").write_bytes(
        encode((np.full((32, 32, 3), colour, np.uint8) for colour in colours), frame_rate=Fraction(30000, 1001))
    )
    video = Video(tmp_path / "a.mp4")
    assert list(video.times) == [Fraction(1001 * index, 30000) for index in range(3)]
    assert video.end == Fraction(1001, 10000)
    assert video.frame_rate == Fraction(30000, 1001)
    for frame, colour in zip(video.proxies, colours, strict=True):
        assert np.abs(frame.rgb.astype(int) - colour).max() <= 6


def test_odd_sizes_are_padded_to_even_by_repeating_the_edge(tmp_path: Path) -> None:
    picture = np.full((31, 45, 3), 90, np.uint8)
    picture[:, -1], picture[-1] = 200, 200
    (tmp_path / "odd.mp4").write_bytes(encode([picture] * 2, frame_rate=Fraction(24)))
    video = Video(tmp_path / "odd.mp4")
    assert (video.width_px, video.height_px) == (46, 32)
    assert video.proxies[0].rgb[:, -1].mean() > 180
    assert video.proxies[0].rgb[-1].mean() > 180


@pytest.mark.parametrize("shapes", [[], [(32, 32, 3), (32, 34, 3)]])
def test_no_pictures_or_pictures_of_two_sizes_are_the_callers_mistake(shapes: list[tuple[int, ...]]) -> None:
    with pytest.raises(ValueError, match="picture"):
        encode((np.zeros(shape, np.uint8) for shape in shapes), frame_rate=Fraction(24))


@given(width=st.integers(1, 5000), height=st.integers(1, 5000), side=st.integers(1, 1000))
def test_a_fitted_size_keeps_the_aspect_to_half_a_pixel_and_never_grows(width: int, height: int, side: int) -> None:
    fit_width, fit_height = fitted(width, height, side)
    assert 1 <= fit_width <= min(width, side)
    assert 1 <= fit_height <= min(height, side)
    scale = min(1, Fraction(side, max(width, height)))
    assert max(fit_width, fit_height) == min(side, max(width, height))
    assert fit_width == 1 or abs(fit_width - width * scale) <= Fraction(1, 2)
    assert fit_height == 1 or abs(fit_height - height * scale) <= Fraction(1, 2)


def test_a_full_hd_picture_is_fitted_to_a_proxy() -> None:
    assert fitted(1920, 1080, 256) == even_fitted(1920, 1080, 256) == (256, 144)


def test_every_frame_has_a_proxy_in_order(steady: Path) -> None:
    video = Video(steady)
    assert video.num_frames == 48
    assert indices_read(video.proxies) == [frame.index for frame in video.proxies] == list(range(48))
    assert [frame.time for frame in video.proxies] == list(video.times)


def test_variable_frame_rate_keeps_the_containers_times(tmp_path: Path) -> None:
    stamps = [0, 42, 125, 167, 250, 1000]
    video = Video(write(tmp_path / "vfr.mkv", numbered(6), stamps=stamps))
    assert list(video.times) == [Fraction(stamp, 1000) for stamp in stamps]
    assert video.end > video.times[-1]


def test_times_count_from_the_first_frame_wherever_the_container_begins(tmp_path: Path) -> None:
    video = Video(write(tmp_path / "late.mkv", numbered(3), stamps=[850, 900, 950]))
    assert list(video.times) == [Fraction(0), Fraction(1, 20), Fraction(1, 10)]


def test_frames_without_timestamps_come_at_the_average_rate(tmp_path: Path) -> None:
    video = Video(write(tmp_path / "raw.h264", numbered(4), rate=Fraction(10)))
    assert video.num_frames == 4
    assert list(video.times) == [index / video.frame_rate for index in range(4)]
    assert video.end > video.times[-1]


@pytest.mark.parametrize("degrees", [0, 90, 180, 270])
def test_rotation_flags_are_applied(tmp_path: Path, degrees: int) -> None:
    picture = np.full((48, 64, 3), 30, np.uint8)
    picture[:16, :16] = 220  # top left
    path = write(tmp_path / "turned.mp4", [picture] * 2, tune=lambda stream: stream.set_display_rotation(degrees))
    with av.open(path) as container:
        told = next(container.decode(video=0)).rotation
    expected = np.rot90(picture, told // 90)  # both count anticlockwise
    video = Video(path)
    assert (video.height_px, video.width_px) == expected.shape[:2]
    for shown in (video.proxies[0], video.look(0, 2, 1)[0], next(video.read(0, 1, longest_side_px=64))):
        assert np.abs(shown.rgb.astype(int) - expected).mean() < 6


def test_mirroring_flags_are_applied(tmp_path: Path) -> None:
    picture = np.full((48, 64, 3), 30, np.uint8)
    picture[:16, :16] = 220
    path = write(tmp_path / "mirrored.mp4", [picture], tune=lambda stream: stream.set_display_rotation(0, hflip=True))
    assert np.abs(Video(path).proxies[0].rgb.astype(int) - picture[:, ::-1]).mean() < 6


def test_proxies_and_looks_have_their_sizes_and_boxes_scale_back(tmp_path: Path) -> None:
    (tmp_path / "wide.mp4").write_bytes(encode(numbered(2, width=1920, height=800), frame_rate=Fraction(24)))
    video = Video(tmp_path / "wide.mp4")
    assert video.proxies[0].rgb.shape == (106, 256, 3)  # sides are even
    assert video.look(0, 2, 1)[0].rgb.shape == (320, 768, 3)
    assert video.look_scale == 2.5


def test_a_small_video_is_never_enlarged(steady: Path) -> None:
    video = Video(steady)
    assert video.proxies[0].rgb.shape == video.look(0, 48, 1)[0].rgb.shape == (48, 64, 3)
    assert video.look_scale == 1.0


@given(data=st.data(), num=st.integers(1, 25))
def test_looks_are_distinct_in_order_and_inside_their_span(all_looks: Video, data: st.DataObject, num: int) -> None:
    start = data.draw(st.integers(0, 19))
    end = data.draw(st.integers(start + 1, 20))
    indices = [frame.index for frame in all_looks.look(start, end, num)]
    assert indices == sorted(set(indices))
    assert all(start <= index < end for index in indices)
    assert len(indices) == min(num, end - start)


def test_looks_are_taken_from_the_middles_of_equal_parts(all_looks: Video) -> None:
    assert [frame.index for frame in all_looks.look(0, 20, 4)] == [2, 7, 12, 17]
    assert indices_read(all_looks.look(0, 20, 4)) == [2, 7, 12, 17]


def test_looks_are_kept_a_quarter_second_apart_without_another_pass(steady: Path) -> None:
    video = Video(steady)
    assert [frame.index for frame in video.look(0, 48, 99)] == [0, 6, 12, 18, 24, 30, 36, 42]
    assert video.num_passes == 1


def test_a_span_between_two_looks_is_decoded_again(steady: Path) -> None:
    video = Video(steady)
    assert indices_read(video.look(1, 6, 2)) == [2, 4]
    assert video.num_passes == 2


def test_a_long_video_keeps_a_bounded_number_of_looks(steady: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(looks, "MAX_LOOKS", 4)
    video = Video(steady)
    assert [frame.index for frame in video.look(0, 48, 99)] == [0, 12, 24, 36]  # the stride has doubled once


@pytest.mark.parametrize(("start", "end", "num"), [(3, 3, 1), (-1, 2, 1), (0, 49, 1), (0, 48, 0)])
def test_a_look_outside_the_video_is_the_callers_mistake(steady: Path, start: int, end: int, num: int) -> None:
    with pytest.raises(ValueError, match="looks in frames"):
        Video(steady).look(start, end, num)


def test_a_span_is_read_half_open_at_the_size_asked_for(steady: Path) -> None:
    video = Video(steady)
    read = list(video.read(10, 14, longest_side_px=32))
    assert [frame.index for frame in read] == indices_read(read) == [10, 11, 12, 13]
    assert [frame.time for frame in read] == list(video.times[10:14])
    assert read[0].rgb.shape == (24, 32, 3)


def test_release_lets_go_and_the_next_question_decodes_again(steady: Path) -> None:
    video = Video(steady)
    assert video.num_passes == 0
    assert (video.num_frames, video.num_passes) == (48, 1)
    video.release()
    assert (video.num_frames, video.num_passes) == (48, 2)


def test_shots_quality_and_looks_together_decode_once(steady: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    decoded = []
    monkeypatch.setattr(frames, "decode", lambda path, through=frames.decode: (decoded.append(path), through(path))[1])
    video, media = Video(steady), MediaStore(Path("/nowhere"))
    item = SourceItem(source=factories.source(), video=video, media=media, facts={}, fact_key="fact_1")
    [cut] = Shots(detector=ContentShots())([item])
    assert isinstance(cut, Done)
    for clip in cut.made:
        assert isinstance(clip, Clip)
        [measured] = Quality()(
            [
                ClipItem(
                    source=factories.source(),
                    clip=clip,
                    video=video,
                    media=media,
                    facts={},
                    fact_key="fact_2",
                    subjects=(),
                    references=(),
                )
            ]
        )
        assert isinstance(measured, Done)
    video.look(0, 48, 4)
    assert decoded == [steady]
    assert video.num_passes == 1


@pytest.mark.parametrize(
    ("name", "content", "reason"),
    [
        ("empty.mp4", b"", "not a video"),
        ("text.mp4", b"this is no video\n" * 99, "not a video"),
        ("notes.txt", b"this is no video either\n" * 99, "not a video"),
        ("zeros.mp4", bytes(9999), "not a video"),
    ],
)
def test_a_file_that_is_no_video_says_so(tmp_path: Path, name: str, content: bytes, reason: str) -> None:
    (tmp_path / name).write_bytes(content)
    assert reason_of(tmp_path / name) == reason


@pytest.mark.parametrize("suffix", ["png", "jpg"])
def test_a_photograph_is_not_a_video(tmp_path: Path, suffix: str) -> None:
    av.VideoFrame.from_ndarray(textured(1)[0], format="rgb24").to_image().save(tmp_path / f"photo.{suffix}")
    assert reason_of(tmp_path / f"photo.{suffix}") == "not a video"


def test_a_missing_file_and_a_folder_cannot_be_opened(tmp_path: Path) -> None:
    assert reason_of(tmp_path / "missing.mp4") == "cannot be opened"
    assert reason_of(tmp_path) == "cannot be opened"


def test_a_file_of_sound_alone_has_no_video_stream(tmp_path: Path) -> None:
    with av.open(tmp_path / "sound.mp4", "w") as container:
        stream = container.add_stream("aac", rate=44100)
        silence = av.AudioFrame.from_ndarray(np.zeros((1, 44100), np.float32), format="flt", layout="mono")
        silence.rate = 44100
        container.mux(stream.encode(silence))
        container.mux(stream.encode())
    assert reason_of(tmp_path / "sound.mp4") == "no video stream"


@pytest.mark.parametrize("share", [0.3, 0.7, 0.99])
def test_an_mp4_cut_short_in_the_middle_of_a_frame_is_a_decoder_error(tmp_path: Path, share: float) -> None:
    whole = encode(textured(24), frame_rate=Fraction(24))
    (tmp_path / "short.mp4").write_bytes(whole[: int(len(whole) * share)])
    assert reason_of(tmp_path / "short.mp4") == "decoder error"


def test_a_matroska_file_cut_short_is_truncated(tmp_path: Path) -> None:
    whole = write(tmp_path / "whole.mkv", textured(48)).read_bytes()
    assert Video(tmp_path / "whole.mkv").num_frames == 48
    (tmp_path / "short.mkv").write_bytes(whole[: len(whole) * 3 // 4])
    assert reason_of(tmp_path / "short.mkv") == "truncated"


def test_damage_in_the_middle_is_not_painted_over(tmp_path: Path) -> None:
    whole = bytearray(encode(textured(24), frame_rate=Fraction(24)))
    third = len(whole) // 3
    whole[third : 2 * third] = bytes(third)
    (tmp_path / "damaged.mp4").write_bytes(whole)
    assert reason_of(tmp_path / "damaged.mp4") == "decoder error"


def test_an_edit_list_that_shows_less_than_the_file_holds_is_no_truncation(tmp_path: Path) -> None:
    content = bytearray(encode(numbered(48), frame_rate=Fraction(24)))
    entry = content.index(b"elst") + 12
    ticks_before = int.from_bytes(content[entry + 4 : entry + 8], "big")
    content[entry : entry + 8] = (500).to_bytes(4, "big") + (ticks_before + 12288).to_bytes(
        4, "big"
    )  # 0.5 s from 1 s on
    (tmp_path / "trimmed.mp4").write_bytes(content)
    assert indices_read(Video(tmp_path / "trimmed.mp4").proxies) == list(range(24, 36))


def test_a_picture_size_that_changes_midway_is_unreadable(tmp_path: Path) -> None:
    parts = [write(tmp_path / f"{side}.h264", textured(4, width=side, height=side)).read_bytes() for side in (64, 96)]
    (tmp_path / "joined.h264").write_bytes(b"".join(parts))
    assert reason_of(tmp_path / "joined.h264") == "picture size changes"


def test_timestamps_that_stand_still_are_unreadable(tmp_path: Path) -> None:
    path = write(tmp_path / "still.mkv", numbered(3), stamps=[0, 1, 2])
    content = path.read_bytes()
    second = content.index(b"\x00\x01\x00", content.index(b"\x1f\x43\xb6\x75"))
    path.write_bytes(content[:second] + b"\x00\x00\x00" + content[second + 3 :])  # the second block's own time
    assert reason_of(path) == "timestamps do not increase"


def test_the_unreadable_tell_reason_and_detail_across_processes() -> None:
    error = pickle.loads(pickle.dumps(VideoUnreadable("truncated", "a.mp4: 1 s of 2 s")))
    assert (error.reason, str(error)) == ("truncated", "truncated: a.mp4: 1 s of 2 s")
