"""Everything that can go wrong and is somebody's business.

LikenessError                 exit code 1
|- BadInput                   2   the caller gave what cannot be used
|  |- BadRecipe               2   an unknown gate, stage, profile or threshold
|  `- BadCaptions             2   a caption file that lacks a needed column or cannot be parsed
|- WarehouseLocked            3   another process holds the warehouse
|- WarehouseNewer             4   its schema is from a later version of Likeness
|- DiskFull                   5   no space left where a file had to be written
|- Unbalanced                 6   in != passed + dropped + failed, or another invariant is broken
|- SnapshotDamaged            7   a file of a snapshot is missing or is not what the manifest says
|- MediaMissing               7   a file of the media store is missing or is not what its name says
|- NothingToDo                8   a step has no input: the steps before it left nothing
`- EngineUnavailable         10   weights, a package or a service that a stage needs is not there; nothing failed for it
"""


class LikenessError(Exception):
    """A person at the command line sees its text as one line, and its exit code."""

    exit_code = 1


class BadInput(LikenessError, ValueError):
    exit_code = 2


class BadRecipe(BadInput):
    pass


class BadCaptions(BadInput):
    pass


class WarehouseLocked(LikenessError):
    exit_code = 3


class WarehouseNewer(LikenessError):
    exit_code = 4


class DiskFull(LikenessError):
    exit_code = 5


class Unbalanced(LikenessError):
    exit_code = 6


class SnapshotDamaged(LikenessError):
    exit_code = 7


class MediaMissing(LikenessError):
    exit_code = 7


class NothingToDo(LikenessError):
    exit_code = 8


class EngineUnavailable(LikenessError):
    exit_code = 10
