"""Is the reward model better than mean face similarity on people it never saw? Over three seeds, on the drawn sample.

The whole road to the snapshot is walked first, so this takes some minutes.
"""

import os
import subprocess
import sys
from pathlib import Path

import pytest

from flows.progress import Progress
from trainers.config import RewardConfig
from trainers.train_reward import train_reward
from warehouse import snapshot

SEEDS = (0, 1, 2)


@pytest.fixture(scope="module")
def frozen(tmp_path_factory: pytest.TempPathFactory) -> snapshot.Snapshot:
    """The drawn sample's snapshot; `LIKENESS_SNAPSHOT` names another one's folder."""
    if "LIKENESS_SNAPSHOT" in os.environ:
        return snapshot.open(os.environ["LIKENESS_SNAPSHOT"])
    home = tmp_path_factory.mktemp("home")
    environment = os.environ | {"LIKENESS_HOME": str(home), "LIKENESS_ORCHESTRATOR": "none"}
    likeness = [sys.executable, "-c", "from flows.cli import main; main()"]
    steps = [["sample", str(home / "sample")], ["ingest", "--source", str(home / "sample"), "--profile", "drawn"]]
    steps += [[verb, "--profile", "drawn"] for verb in ("curate", "generate", "publish", "collect", "freeze")]
    for step in steps:
        subprocess.run([*likeness, *step], env=environment, check=True)
    return snapshot.find(home / "snapshots", "")


@pytest.mark.bench
def test_the_reward_model_beats_mean_face_similarity_on_people_it_never_saw(
    frozen: snapshot.Snapshot, tmp_path: Path
) -> None:
    print(f"\nsnapshot {frozen.id[:12]}\n{'seed':<6}{'ties':<9}{'reward model':>14}{'similarity':>12}{'chance':>8}")
    gaps = []
    for seed in SEEDS:
        card = train_reward(
            frozen, RewardConfig(seed=seed), folder=tmp_path / str(seed), progress=Progress("reward").say
        )
        for ties in ("without_ties", "with_ties"):
            row = [card.metrics[ties][name]["accuracy"] for name in ("reward_model", "face_similarity", "chance")]
            print(f"{seed:<6}{ties[:-5]:<9}{row[0]:>14.3f}{row[1]:>12.3f}{row[2]:>8.3f}")
            gaps.append(row[0] - row[1])
    assert sum(gaps) / len(gaps) > 0
