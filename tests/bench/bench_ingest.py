"""How fast a part file of OpenS2V ingests, and in how much memory, beside a loop that only parses it.

The file is generated: rows as the real ones are, 10 to 14 masks each, 2 GB by default (`LIKENESS_BENCH_BYTES`), on the
disk of pytest's temporary folder, and removed afterwards. Each side runs in a process of its own, whose peak is read.
"""

import hashlib
import json
import os
import resource
import subprocess
import sys
import time
from dataclasses import dataclass
from pathlib import Path

import cv2
import numpy as np
import pytest

from flows.ingest import ingest
from flows.progress import Progress
from flows.settings import Settings
from flows.stages import annotated, masks
from flows.stages.footage import Footage
from flows.stages.frames import Video
from tests.tars import packed, write_splits
from warehouse import tables
from warehouse.database import Warehouse
from warehouse.records import Source

pytestmark = pytest.mark.bench

NUM_BYTES = int(float(os.environ.get("LIKENESS_BENCH_BYTES", 2e9)))
NUM_VIDEOS = 400
MEMORY_LIMIT_MB = 400

WIDTH_PX, HEIGHT_PX = 1280, 720
CLASSES = ("person", "woman", "man", "individual", "blue top", "necklace", "glasses", "white lace top", "park", "grass")
CAPTION = (
    "The video features {num} individuals outdoors on a grassy area, likely during the daytime given the bright light "
    "and shadows cast on the ground. The person in the centre wears a {thing} and turns to the others, who listen, nod "
    "and laugh; behind them trees sway a little. The camera stays where it is and slowly moves closer to their faces. "
)

PARSE_ONLY = """
import sys, ijson.backends.yajl2_c as ijson
with open(sys.argv[1], "rb") as file:
    print(sum(1 for _ in ijson.kvitems(file, "", buf_size=1 << 18)))
"""
INGEST = "from flows.cli import main; main()"
MEASURED = """
import sys
sys.argv = sys.argv[1:]
try:
    exec(sys.argv[0])
finally:
    with open("/proc/self/status") as status:
        print(next(line for line in status if line.startswith("VmHWM")), file=sys.stderr)
"""


@dataclass(frozen=True, slots=True, kw_only=True)
class Run:
    """One process."""

    seconds: float
    cpu_s: float
    peak_mb: float
    output: str


def mask_pool(dice: np.random.Generator, num: int) -> list[masks.Rle]:
    """Masks with ragged edges, as long in characters as a segmenter's."""
    made = []
    for _ in range(num):
        canvas = np.zeros((HEIGHT_PX, WIDTH_PX), np.uint8)
        middle = dice.integers((100, 100), (WIDTH_PX - 100, HEIGHT_PX - 100))
        angles = np.linspace(0, 2 * np.pi, 60, endpoint=False)
        radius = dice.uniform(30, 260) * (1 + 0.25 * dice.standard_normal(60))
        outline = middle + np.stack([np.cos(angles) * radius, np.sin(angles) * radius], 1)
        cv2.fillPoly(canvas, [outline.astype(np.int32)], 1)
        made.append(masks.encode(canvas.astype(bool)))
    return made


def row(dice: np.random.Generator, pool: list[masks.Rle], video: str) -> dict[str, object]:
    num = int(dice.integers(10, 15))
    start = int(dice.integers(0, 200))
    names = [str(name) for name in dice.choice(CLASSES, num)]
    corners = np.sort(dice.uniform(0, HEIGHT_PX, (num, 2, 2)), 1).reshape(num, 4)
    chosen = [pool[at] for at in dice.integers(0, len(pool), num)]
    return {
        "metadata": {
            "cut": [start, start + 95],
            "crop": [0, WIDTH_PX, 0, HEIGHT_PX],
            "tech": float(dice.uniform(0, 5)),
            "motion": float(dice.uniform(0, 1)),
            "fps": 29.969999313354492,
            "num_frames": 95,
            "resolution": {"height": HEIGHT_PX, "width": WIDTH_PX},
            "path": video,
            "aesthetic": float(dice.uniform(3, 7)),
            "face_cut": [start, start + 95],
            "face_cap_qwen": (CAPTION * 3).format(num=num, thing=names[0]),
        },
        "word_tags": {"background": ["park"], "subject": ["woman"], "object": names[:3], "pre_define": ["person"]},
        "annotation": {
            "ann_frame_data": {
                "ann_frame_idx": 0,
                "annotations": [
                    {"class_name": name, "bbox": box, "gme_score": 0.3 + at / 97, "aes_score": 4 + at / 31}
                    for at, (name, box) in enumerate(zip(names, corners.tolist(), strict=True))
                ],
                "box_format": "xyxy",
                "img_width": WIDTH_PX,
                "img_height": HEIGHT_PX,
            },
            "mask_map": {str(at): {"class_name": name} for at, name in enumerate(names, start=1)},
            "mask_annotation": {
                "0": {
                    str(at): {"size": [HEIGHT_PX, WIDTH_PX], "counts": mask.counts.decode(), "score": [0.99]}
                    for at, mask in enumerate(chosen, start=1)
                }
            },
        },
    }


def write_part(path: Path, num_bytes: int) -> int:
    """A part file of about that size; how many rows it has."""
    dice = np.random.default_rng(0)
    pool = mask_pool(dice, 500)
    num = 0
    with path.open("w", encoding="utf-8") as file:
        file.write("{")
        while file.tell() < num_bytes:
            video = f"video_{num % NUM_VIDEOS}_part1"
            key = f"{video}_step1-{num}-95_step2-0-95_step4_step5_step6"
            file.write(f"{', ' if num else ''}{json.dumps(key)}: {json.dumps(row(dice, pool, f'{video}.mp4'))}")
            num += 1
        file.write("}")
    return num


def measured(code: str, *arguments: str, home: Path) -> Run:
    environment = {**os.environ, "LIKENESS_HOME": str(home), "LIKENESS_ORCHESTRATOR": "none"}
    started, before = time.monotonic(), resource.getrusage(resource.RUSAGE_CHILDREN)
    done = subprocess.run(
        [sys.executable, "-c", MEASURED, code, *arguments], env=environment, text=True, capture_output=True, check=False
    )
    seconds, after = time.monotonic() - started, resource.getrusage(resource.RUSAGE_CHILDREN)
    assert done.returncode == 0, done.stderr
    peak = next(line for line in done.stderr.splitlines() if line.startswith("VmHWM"))
    cpu_s = after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime
    return Run(seconds=seconds, cpu_s=cpu_s, peak_mb=int(peak.split()[1]) / 1024, output=done.stdout)


def lay_out(root: Path) -> Path:
    """An OpenS2V folder with many small videos; where its part file goes."""
    for folder in ("Videos/total_part1", "Jsons/mask_and_bbox"):
        (root / folder).mkdir(parents=True)
    for number in range(NUM_VIDEOS):
        (root / f"Videos/total_part1/video_{number}_part1.mp4").write_bytes(os.urandom(4096))
    return root / "Jsons/mask_and_bbox/total_part1.json"


@pytest.mark.parametrize("share", [0.1, 1.0], ids=["a tenth", "whole"])
def test_a_part_file_ingests_in_bounded_memory_beside_a_loop_that_only_parses_it(tmp_path: Path, share: float) -> None:
    root, home = tmp_path / "opens2v", tmp_path / "home"
    part = lay_out(root)
    try:
        num = write_part(part, int(NUM_BYTES * share))
        gb = part.stat().st_size / 1e9
        print(f"\n{num} rows, {gb:.2f} GB, {gb * 1e6 / num:.1f} kB a row; {os.cpu_count()} cores")
        runs = {
            "ijson.kvitems alone": measured(PARSE_ONLY, str(part), home=home),
            "likeness ingest": measured(INGEST, "ingest", "--source", str(root), home=home),
            "the same again": measured(INGEST, "ingest", "--source", str(root), home=home),
        }
    finally:
        part.unlink(missing_ok=True)
    for name, run in runs.items():
        speed = f"{num / run.seconds:>9.0f} rows/s{run.seconds:>9.1f} s{run.cpu_s:>9.1f} s of CPU"
        print(f"{name:<22}{speed}{run.peak_mb:>8.0f} MB peak")
    stored = sum(path.stat().st_size for path in (home / "media").rglob("*") if path.is_file())
    print(f"annotations {stored / 1e6:.0f} MB, warehouse {(home / 'warehouse.duckdb').stat().st_size / 1e6:.0f} MB")
    assert runs["ijson.kvitems alone"].output.strip() == str(num)
    with Warehouse.at(home / "warehouse.duckdb").session() as session:
        question = "SELECT count(*), count(DISTINCT source_id), count(annotation_sha256) FROM source"
        assert session.execute(question).fetchone() == (num, num, num)
    assert max(run.peak_mb for run in runs.values()) < MEMORY_LIMIT_MB


def test_the_real_clip_is_the_same_from_its_file_and_from_a_split_tar(
    media_root: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    clip = media_root / "videos/opens2v_gm1252760410_part2.mp4"
    rows = media_root / "metadata/opens2v_data_process/step5/merge_final_json/dataset1.json"
    name = "gm1252760410-365677148_part2.mp4"
    for layout in ("file", "tar"):
        for folder in ("Videos/total_part1", "Jsons/mask_and_bbox"):
            (tmp_path / layout / folder).mkdir(parents=True)
        (tmp_path / layout / "Jsons/mask_and_bbox/total_part1.json").write_bytes(rows.read_bytes())
    (tmp_path / "file/Videos/total_part1" / name).write_bytes(clip.read_bytes())
    content = packed({"total_part1/other.mp4": clip.read_bytes()[:5000], f"total_part1/{name}": clip.read_bytes()})
    write_splits(tmp_path / "tar/Videos/total_part1/a.tar", content, [len(content) // 2])
    found = {}
    for layout in ("file", "tar"):
        monkeypatch.setenv("LIKENESS_HOME", str(tmp_path / f"home {layout}"))
        settings = Settings.read()
        arrived = ingest(settings, tmp_path / layout, None, progress=Progress("ingest"))
        print(f"\n{layout}: {dict(arrived)}", end="")
        with settings.warehouse.session() as session:
            (source,) = tables.from_arrow(Source, session.execute("FROM source").to_arrow_table())
        given = annotated.of(source, settings.media)
        assert given is not None
        assert (len(given.masks), given.face_cut) == (14, (0, 95))
        video = Video(Footage.of(source))
        pictures = b"".join(frame.rgb.tobytes() for frame in video.read(0, 95, longest_side_px=1280))
        found[layout] = (source.source_id, tuple(video.times), video.end, hashlib.sha256(pictures).hexdigest())
    print(f"\n{len(found['tar'][1])} frames at full size: sha256 {found['tar'][3][:16]} from both")
    assert found["file"] == found["tar"]
