import hashlib
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

from warehouse.errors import DiskFull, MediaMissing
from warehouse.media import MediaStore


@pytest.fixture
def store(tmp_path: Path) -> MediaStore:
    return MediaStore(tmp_path / "media")


def files(store: MediaStore) -> list[Path]:
    return [path for path in store.root.rglob("*") if path.is_file()]


def test_bytes_are_found_under_their_hash(store: MediaStore) -> None:
    sha256 = store.put(b"a video")
    assert sha256 == hashlib.sha256(b"a video").hexdigest()
    assert store.path_of(sha256) == store.root / sha256[:2] / sha256[2:4] / sha256
    assert store.path_of(sha256).read_bytes() == b"a video"


def test_a_second_put_writes_nothing(store: MediaStore) -> None:
    path = store.path_of(store.put(b"a video"))
    before = path.stat()
    store.put(b"a video")
    assert path.stat() == before


def test_many_may_put_the_same_and_other_bytes_at_once(store: MediaStore) -> None:
    contents = [bytes([number % 5]) * 100_000 for number in range(40)]
    with ThreadPoolExecutor(8) as hands:
        found = list(hands.map(store.put, contents))
    assert len(set(found)) == len(files(store)) == 5
    for sha256 in found:
        store.verify(sha256)


def test_a_put_that_breaks_off_leaves_no_file_under_the_hash(
    store: MediaStore, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("os.fsync", lambda descriptor: (_ for _ in ()).throw(OSError(28, "No space left on device")))
    with pytest.raises(DiskFull, match="no space left"):
        store.put(b"a video")
    assert files(store) == []


def test_an_altered_file_is_found(store: MediaStore) -> None:
    sha256 = store.put(b"a video")
    store.verify(sha256)
    store.path_of(sha256).write_bytes(b"a vidEo")
    with pytest.raises(MediaMissing, match=f"{sha256}: the media store holds other bytes"):
        store.verify(sha256)


def test_a_missing_file_is_told_by_its_hash_and_place(store: MediaStore) -> None:
    sha256 = hashlib.sha256(b"never put").hexdigest()
    for question in (store.path_of, store.verify):
        with pytest.raises(MediaMissing, match=f"{sha256}: not in the media store {store.root}"):
            question(sha256)


@pytest.mark.parametrize(
    "name",
    ["../../../etc/passwd", "", "abc", "0" * 63, "0" * 65, "A" * 64, "/" * 64, "../" + "0" * 61, "0" * 64 + "\n"],
)
def test_a_name_that_is_no_hash_leads_nowhere(store: MediaStore, name: str) -> None:
    for question in (store.path_of, store.verify, store.relative_path):
        with pytest.raises(ValueError, match="is no sha256"):
            question(name)
