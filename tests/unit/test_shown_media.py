import hashlib
import shutil
from collections.abc import Sequence
from concurrent.futures import ProcessPoolExecutor
from fractions import Fraction
from pathlib import Path
from typing import Any

import av
import numpy as np
import pytest
from numpy.typing import NDArray
from PIL import Image

from annotate import links
from annotate.home import BoardHome
from flows.shown_media import publish_media, show_picture, show_video
from tests import broken_footage
from warehouse.errors import MediaMissing


def video_file(folder: Path, **overrides: Any) -> Path:
    path = folder / "source"
    path.write_bytes(broken_footage.video(1, **overrides))
    return path


def tagged_video(folder: Path, *, has_sound: bool = False, is_index_first: bool = True) -> Path:
    """Well coded, but packed with what must not be served."""
    bare, path = folder / "bare.mp4", folder / "tagged.mp4"
    show_video(video_file(folder), bare)
    options = {"movflags": "+faststart"} if is_index_first else {}
    with av.open(str(bare)) as given, av.open(str(path), "w", options=options) as container:
        container.metadata["title"] = "made by generator nine"
        stream = container.add_stream_from_template(given.streams.video[0])
        if has_sound:
            sound: Any = container.add_stream("aac", rate=16000)
            frame = av.AudioFrame.from_ndarray(np.zeros((1, 16000), np.float32), format="fltp", layout="mono")
            frame.sample_rate = 16000
            container.mux([*sound.encode(frame), *sound.encode()])
        for packet in given.demux(given.streams.video[0]):
            if packet.dts is not None:
                packet.stream = stream
                container.mux(packet)
    return path


def pictures(path: Path) -> list[tuple[Fraction, NDArray[np.uint8]]]:
    with av.open(str(path)) as container:
        frames = [
            (frame.pts * frame.time_base, frame.to_ndarray(format="rgb24")) for frame in container.decode(video=0)
        ]
    return [(time - frames[0][0], picture) for time, picture in frames]


def assert_fit(path: Path) -> None:
    """What every browser plays and scrubs, looked at without the code under test."""
    content = path.read_bytes()
    assert 0 < content.index(b"moov") < content.index(b"mdat")
    with av.open(str(path)) as container:
        assert [stream.type for stream in container.streams] == ["video"]
        stream = container.streams.video[0]
        assert (stream.codec_context.name, stream.codec_context.pix_fmt) == ("h264", "yuv420p")
        assert stream.width % 2 == stream.height % 2 == 0
        assert set(container.metadata) <= {"major_brand", "minor_version", "compatible_brands"}
        packets = [packet for packet in container.demux(stream) if packet.pts is not None]
        times = sorted((packet.pts * packet.time_base, packet.is_keyframe) for packet in packets)
    last = times[0][0]
    assert times[0][1]
    for time, is_key in times:
        last = time if is_key else last
        assert time - last <= 1


@pytest.mark.parametrize(
    "overrides",
    [
        {"codec": "mpeg4"},
        {"codec": "mpeg4", "width": 63, "height": 47},
        {"codec": "libvpx-vp9", "container": "webm"},
        {"codec": "libx265", "pixels": "yuv420p10le"},
        {"pixels": "yuv444p"},
        {"pixels": "yuv420p10le"},
        {"container": "matroska"},
        {"container": "matroska", "streams": 2},
    ],
    ids=str,
)
def test_whatever_comes_in_every_browser_can_play_what_goes_out(tmp_path: Path, overrides: dict[str, Any]) -> None:
    source = video_file(tmp_path, **overrides)
    show_video(source, tmp_path / "shown.mp4")
    assert_fit(tmp_path / "shown.mp4")
    before, after = pictures(source), pictures(tmp_path / "shown.mp4")
    assert len(before) == len(after) == broken_footage.NUM_FRAMES
    height, width = before[0][1].shape[:2]
    for (_, given), (_, shown) in zip(before, after, strict=True):
        assert abs(given.astype(int) - shown[:height, :width]).mean() < 6


def test_a_variable_frame_rate_stays(tmp_path: Path) -> None:
    source = video_file(tmp_path, codec="mpeg4", times=broken_footage.uneven)
    show_video(source, tmp_path / "shown.mp4")
    assert_fit(tmp_path / "shown.mp4")
    gaps = np.diff([float(time) for time, _ in pictures(tmp_path / "shown.mp4")])
    assert gaps == pytest.approx(np.diff([broken_footage.uneven(number) / 24000 for number in range(12)]), abs=1e-4)
    assert max(gaps) > 2.9 * min(gaps)


def test_a_long_take_gets_key_frames(tmp_path: Path) -> None:
    source = video_file(tmp_path, num=100)
    show_video(source, tmp_path / "shown.mp4")
    assert_fit(tmp_path / "shown.mp4")
    assert len(pictures(tmp_path / "shown.mp4")) == 100


def test_what_is_fit_already_is_copied_byte_for_byte(tmp_path: Path) -> None:
    show_video(video_file(tmp_path), tmp_path / "once.mp4")
    show_video(tmp_path / "once.mp4", tmp_path / "twice.mp4")
    assert (tmp_path / "once.mp4").read_bytes() == (tmp_path / "twice.mp4").read_bytes()


@pytest.mark.parametrize(
    "packing",
    [{}, {"has_sound": True}, {"is_index_first": False}, {"has_sound": True, "is_index_first": False}],
    ids=str,
)
def test_what_is_only_packed_badly_keeps_its_very_pictures(tmp_path: Path, packing: dict[str, bool]) -> None:
    source = tagged_video(tmp_path, **packing)
    assert b"generator nine" in source.read_bytes()
    show_video(source, tmp_path / "shown.mp4")
    assert_fit(tmp_path / "shown.mp4")
    assert b"generator nine" not in (tmp_path / "shown.mp4").read_bytes()
    before, after = pictures(source), pictures(tmp_path / "shown.mp4")
    assert [time for time, _ in before] == [time for time, _ in after]
    assert all((given == shown).all() for (_, given), (_, shown) in zip(before, after, strict=True))


def rotated(folder: Path) -> Path:
    """A video that says it is to be turned by 90 degrees (the matrix in its header is written over)."""
    path = folder / "rotated.mp4"
    show_video(video_file(folder), path)
    content, one = path.read_bytes(), 0x10000
    upright = b"".join(value.to_bytes(4, "big") for value in (one, 0, 0, 0, one, 0, 0, 0, 0x40000000))
    turned = b"".join(value.to_bytes(4, "big", signed=True) for value in (0, one, 0, -one, 0, 0, 0, 0, 0x40000000))
    assert content.count(upright) == 2, "the film's and the track's"
    path.write_bytes(turned.join(content.rsplit(upright, 1)))
    return path


def test_a_turned_video_is_shown_upright(tmp_path: Path) -> None:
    source = rotated(tmp_path)
    show_video(source, tmp_path / "shown.mp4")
    assert_fit(tmp_path / "shown.mp4")
    given, shown = pictures(source)[0][1], pictures(tmp_path / "shown.mp4")[0][1]
    assert shown.shape[:2] == given.shape[1::-1]
    assert abs(np.rot90(given, -1).astype(int) - shown).mean() < 6


@pytest.mark.parametrize("content", [b"", b"no video at all", broken_footage.truncated(3), broken_footage.audio(3)])
def test_an_unreadable_video_is_named_and_nothing_is_written(tmp_path: Path, content: bytes) -> None:
    source = tmp_path / "ruined.mp4"
    source.write_bytes(content)
    with pytest.raises(MediaMissing, match=r"ruined\.mp4: cannot be shown"):
        show_video(source, tmp_path / "out" / "shown.mp4")
    assert not (tmp_path / "out").exists()


def picture_file(folder: Path, form: str, **options: Any) -> Path:
    path = folder / f"picture.{form.lower()}"
    pixels = np.random.default_rng(1).integers(0, 255, (6, 8, 3)).repeat(8, 0).repeat(8, 1).astype(np.uint8)
    Image.fromarray(pixels).save(path, form, **options)
    return path


@pytest.mark.parametrize(("form", "suffix"), [("JPEG", ".jpg"), ("PNG", ".png")])
def test_a_bare_picture_is_copied_byte_for_byte(tmp_path: Path, form: str, suffix: str) -> None:
    source, target = picture_file(tmp_path, form), tmp_path / f"shown{suffix}"
    show_picture(source, target)
    assert target.read_bytes() == source.read_bytes()


def exif(*, orientation: int) -> Image.Exif:
    tags = Image.Exif()
    tags[0x010E], tags[0x0112] = "made by generator nine", orientation
    return tags


def text_chunk() -> Any:
    from PIL.PngImagePlugin import PngInfo

    info = PngInfo()
    info.add_text("parameters", "made by generator nine")
    return info


@pytest.mark.parametrize(
    ("form", "options"),
    [
        ("JPEG", {"exif": exif(orientation=1)}),
        ("JPEG", {"exif": exif(orientation=6)}),
        ("JPEG", {"comment": b"made by generator nine"}),
        ("PNG", {"pnginfo": text_chunk()}),
        ("WEBP", {"exif": exif(orientation=1), "lossless": True}),
    ],
    ids=["exif", "turned", "comment", "text", "webp"],
)
def test_a_picture_loses_its_tags_and_stands_upright(tmp_path: Path, form: str, options: dict[str, Any]) -> None:
    source = picture_file(tmp_path, form, **options)
    target = tmp_path / ("shown.jpg" if form == "JPEG" else "shown.png")
    assert b"generator nine" in source.read_bytes()
    show_picture(source, target)
    assert b"generator nine" not in target.read_bytes()
    with Image.open(source) as before, Image.open(target) as after:
        wanted = before.rotate(-90, expand=True) if options.get("exif", {}).get(0x0112) == 6 else before
        assert after.size == wanted.size
        difference = np.asarray(after.convert("RGB")).astype(int) - np.asarray(wanted.convert("RGB"))
        assert abs(difference).mean() < 4


def test_an_unreadable_picture_is_named(tmp_path: Path) -> None:
    (tmp_path / "ruined.jpg").write_bytes(b"no picture")
    with pytest.raises(MediaMissing, match=r"ruined\.jpg: cannot be shown"):
        show_picture(tmp_path / "ruined.jpg", tmp_path / "shown.jpg")


def named(*paths: Path) -> dict[str, Path]:
    return {hashlib.sha256(path.read_bytes()).hexdigest(): path for path in paths}


def test_publishing_gives_every_file_its_secret_name_and_a_second_time_does_nothing(tmp_path: Path) -> None:
    home = BoardHome(tmp_path / "board")
    key = home.secrets().link_key
    sources = named(video_file(tmp_path))
    (sha256,) = sources
    names = publish_media(home, sources, kind="video")
    assert names == {sha256: links.media_name(sha256, ".mp4", key=key)}
    assert_fit(home.media / names[sha256])
    before = (home.media / names[sha256]).stat()
    assert publish_media(home, sources, kind="video") == names
    after = (home.media / names[sha256]).stat()
    assert (before.st_ino, before.st_mtime_ns) == (after.st_ino, after.st_mtime_ns)


def test_pictures_are_called_after_what_they_are_not_after_what_they_are_named(tmp_path: Path) -> None:
    home = BoardHome(tmp_path / "board")
    sources = named(picture_file(tmp_path, "JPEG").rename(tmp_path / "one"), picture_file(tmp_path, "PNG"))
    names = publish_media(home, sources, kind="picture")
    assert [Path(name).suffix for name in names.values()] == [".jpg", ".png"]
    assert {path.name for path in home.media.iterdir()} == set(names.values())


def _publish(root: Path, sources: dict[str, Path]) -> Sequence[str]:
    return tuple(publish_media(BoardHome(root), sources, kind="video").values())


def test_two_processes_may_publish_the_same_files_at_once(tmp_path: Path) -> None:
    sources: dict[str, Path] = {}
    for number in range(6):
        path = tmp_path / f"{number}.mp4"
        path.write_bytes(broken_footage.video(number, codec="mpeg4"))
        sources |= named(path)
    BoardHome(tmp_path / "board").secrets()
    with ProcessPoolExecutor(2) as pool:
        one, other = pool.map(_publish, [tmp_path / "board"] * 2, [sources] * 2)
    assert one == other
    media = BoardHome(tmp_path / "board").media
    assert sorted(path.name for path in media.iterdir()) == sorted(one), "and nothing half written beside them"
    for name in one:
        assert_fit(media / name)


def test_a_file_that_is_gone_is_named_and_the_others_are_published(tmp_path: Path) -> None:
    home = BoardHome(tmp_path / "board")
    there = tmp_path / "there.mp4"
    shutil.copy(video_file(tmp_path), there)
    with pytest.raises(MediaMissing, match=r"gone\.mp4: is not there"):
        publish_media(home, {**named(there), "f" * 64: tmp_path / "gone.mp4"}, kind="video")
    assert len(list(home.media.glob("*.mp4"))) == 1
