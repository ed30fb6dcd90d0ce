"""What can go wrong in training and is somebody's business. Part of the tree of `warehouse.errors`.

LikenessError
`- TrainerError            1
   |- CheckpointDamaged    7   weights or state are missing, or are not what was written
   |- OtherRun             2   the folder holds a run of another configuration or snapshot
   |- NotFinite            9   a loss or a gradient is NaN or infinite; the optimiser was not moved
   `- ReplayDiffers        9   a replayed roll-out is not the one that was made; nothing was trained on it
"""

from warehouse.errors import LikenessError


class TrainerError(LikenessError):
    pass


class CheckpointDamaged(TrainerError):
    exit_code = 7


class OtherRun(TrainerError):
    exit_code = 2


class NotFinite(TrainerError):
    exit_code = 9


class ReplayDiffers(TrainerError):
    exit_code = 9
