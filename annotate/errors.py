"""What can go wrong between a pair and its label.

LikenessError                 (warehouse.errors)
`- AnnotateError          9
   |- AnswerUnreadable    9   a board's answer whose vote is missing, doubled, or not one the page offers
   |- BoardRefused        9   the board would not take what it was given
   |- BoardDamaged        9   a file of the board's folder holds what is not its own
   |- BoardDown           9   the board's server does not answer, or was never started
   |- LinkRefused         9   a media link that is forged, expired, or somebody else's
   |- NotDealt            9   an answer to a task that is not this person's to answer
   `- OriginsMixed        9   votes of people, models and simulations met in one label (also a ValueError)
"""

from warehouse.errors import LikenessError


class AnnotateError(LikenessError):
    exit_code = 9


class AnswerUnreadable(AnnotateError):
    pass


class BoardRefused(AnnotateError):
    pass


class BoardDamaged(AnnotateError):
    pass


class BoardDown(AnnotateError):
    pass


class LinkRefused(AnnotateError):
    pass


class NotDealt(AnnotateError):
    pass


class OriginsMixed(AnnotateError, ValueError):
    pass
