"""A video inside a tar, split or not, is read where it lies, byte for byte and picture for picture."""

import hashlib
import os
import random
from fractions import Fraction
from pathlib import Path

import numpy as np
import pytest

from flows.sources.tar_splits import Member, TarDamaged, members
from flows.stages.encode import encode
from flows.stages.footage import Footage
from flows.stages.frames import Video, VideoUnreadable
from tests import factories
from tests.tars import packed, write_splits

FILES = {"a.mp4": b"first" * 321, "deep/b.mp4": random.Random(7).randbytes(5000), "notes.txt": b"", "c.mp4": b"last"}


def footage(first: Path, name: str) -> Footage:
    (found,) = [member for member in members(first) if member.name == name]
    return Footage(path=first, member=name, offset=found.offset, num_bytes=found.num_bytes)


@pytest.fixture(params=[(), (600,), (1024, 3000, 3001, 3002), tuple(range(700, 9000, 700))], ids=str)
def first(request: pytest.FixtureRequest, tmp_path: Path) -> Path:
    """The tar in one piece, or its first split; cuts fall into headers, into members and between them."""
    content = packed(FILES)
    if not request.param:
        (tmp_path / "whole.tar").write_bytes(content)
        return tmp_path / "whole.tar"
    return write_splits(tmp_path / "cut.tar", content, request.param)[0]


def test_every_member_is_listed_and_reads_as_it_was_packed(first: Path) -> None:
    assert [(each.name, each.num_bytes, each.is_whole) for each in members(first)] == [
        (name, len(content), True) for name, content in FILES.items()
    ]
    for name, content in FILES.items():
        found = footage(first, name)
        with found.open() as file:
            assert file.read() == content
        assert found.digest() == hashlib.sha256(content).hexdigest()
        assert found.stat()[0] == len(content)


def test_a_member_is_read_from_any_place_in_pieces_of_any_size(first: Path) -> None:
    content, dice = FILES["deep/b.mp4"], random.Random(1)
    with footage(first, "deep/b.mp4").open() as file:
        for _ in range(200):
            at, num = dice.randrange(len(content) + 50), dice.randrange(1, 3000)
            assert file.seek(at) == file.tell() == at
            assert file.read(num) == content[at : at + num]
        assert file.seek(-10, os.SEEK_END) == len(content) - 10
        assert file.read() == content[-10:]
        assert file.read() == b""
        file.seek(5)
        assert file.seek(-2, os.SEEK_CUR) == 3
        with pytest.raises(ValueError, match="seek to byte -1"):
            file.seek(-1)


def test_a_video_decodes_from_a_split_tar_as_from_its_own_file(tmp_path: Path) -> None:
    pictures = np.random.default_rng(0).integers(0, 255, (30, 64, 96, 3), dtype=np.uint8)
    content = encode(pictures, frame_rate=Fraction(25))
    (tmp_path / "own.mp4").write_bytes(content)
    tar = packed({"before.mp4": content[:999], "part/film.mp4": content, "after.mp4": b"x"})
    first = write_splits(tmp_path / "x.tar", tar, [2000, len(tar) // 2, len(tar) // 2 + 1])[0]
    inside, alone = Video(footage(first, "part/film.mp4")), Video(tmp_path / "own.mp4")
    assert inside.num_frames == 30
    assert inside.times == alone.times
    assert inside.end == alone.end
    assert all((a.rgb == b.rgb).all() for a, b in zip(inside.proxies, alone.proxies, strict=True))
    again = list(inside.read(3, 9, longest_side_px=96))
    assert [frame.index for frame in again] == [3, 4, 5, 6, 7, 8]


def test_a_missing_split_is_told_by_the_tar_and_by_what_lies_in_it(tmp_path: Path) -> None:
    content = packed({"a.mp4": bytes(3000), "b.mp4": bytes(3000)})
    splits = write_splits(tmp_path / "x.tar", content, [2000, 5000])
    last = footage(splits[0], "b.mp4")
    splits[1].unlink()
    with pytest.raises(OSError, match=r"2000 bytes of .*; a split is missing"):
        last.open()
    with pytest.raises(OSError, match="a split is missing"):
        last.stat()
    with pytest.raises(VideoUnreadable, match=r"cannot be opened: b\.mp4: x\.tar\.split\.000"):
        _ = Video(last).num_frames
    listed = []
    with pytest.raises(TarDamaged, match=r"x\.tar\.split\.000"):
        listed.extend(members(splits[0]))
    assert all(not each.is_whole for each in listed)


@pytest.mark.parametrize(
    "content", [b"", b"no tar at all" * 99, b"\x1f\x8b" + bytes(600)], ids=["empty", "text", "gzip"]
)
def test_what_is_no_tar_is_damaged(tmp_path: Path, content: bytes) -> None:
    (tmp_path / "x.tar").write_bytes(content)
    with pytest.raises(TarDamaged):
        list(members(tmp_path / "x.tar"))


def test_a_source_says_where_its_bytes_are() -> None:
    assert Footage.of(factories.source()) == Footage(path=Path("/nowhere/one.mp4"))
    inside = Footage.of(factories.source(path="/x/a.tar.split.000", member="p/f.mp4", offset=512, num_bytes=9))
    assert inside == Footage(path=Path("/x/a.tar.split.000"), member="p/f.mp4", offset=512, num_bytes=9)
    assert inside.name == "f.mp4"


def test_many_members_are_listed_without_being_kept(tmp_path: Path) -> None:
    (tmp_path / "x.tar").write_bytes(packed({f"{number}.mp4": b"v" for number in range(300)}))
    found = list(members(tmp_path / "x.tar"))
    assert len(found) == 300
    assert found[-1] == Member(name="299.mp4", offset=299 * 1024 + 512, num_bytes=1, is_whole=True)
