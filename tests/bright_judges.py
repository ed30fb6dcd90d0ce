"""Models that judge videos by their brightness, behind a service on this machine; the model's name is its manner.

bright    names the brighter video, or a tie
shy       always says that it cannot tell
babbler   never answers in JSON
sloppy    answers in JSON when it is asked a second time
picky     refuses (HTTP 400) whatever shows a video darker than 100
left      always says A
"""

import base64
import json
from collections.abc import Mapping, Sequence
from typing import Any

import cv2
import numpy as np
from numpy.typing import NDArray

from tests.loopback import Loopback, Reply, Seen, said

Pictures = list[NDArray[np.uint8]]


def respond(seen: Seen) -> Reply:
    model, messages = seen.body["model"], seen.body["messages"]
    shown = pictures_of(messages)
    if not shown["A"]:
        return said("Yes.")  # it was only asked whether it is there
    level_a, level_b = (float(np.mean(shown[side])) for side in ("A", "B"))
    is_again = any(message["role"] == "assistant" for message in messages)
    if model == "picky" and min(level_a, level_b) < 100:
        return Reply(status=400, body=b'{"error": {"message": "too dark for me"}}')
    if model == "babbler" or (model == "sloppy" and not is_again):
        return said("They are both very nice!")
    brighter = "A" if level_a > level_b + 3 else "B" if level_b > level_a + 3 else "tie"
    overall = {"shy": "cannot tell", "left": "A"}.get(model, brighter)
    verdict = dict.fromkeys(("identity", "quality", "alignment", "overall"), overall)
    return said(json.dumps({"reason": f"{len(shown['references'])} people seen", **verdict}))


def pictures_of(messages: Sequence[Mapping[str, Any]]) -> dict[str, Pictures]:
    """The pictures of a request, under what was said before them: `references`, `A`, `B`."""
    found: dict[str, Pictures] = {"references": [], "A": [], "B": []}
    place = "references"
    content = next(message["content"] for message in messages if message["role"] == "user")
    for part in content if isinstance(content, list) else []:
        if part["type"] == "text" and part["text"].startswith(("Video A", "Video B")):
            place = part["text"][6]
        elif part["type"] == "image_url":
            encoded = base64.b64decode(part["image_url"]["url"].partition("base64,")[2])
            picture = cv2.imdecode(np.frombuffer(encoded, np.uint8), cv2.IMREAD_COLOR)
            found[place].append(np.asarray(picture, np.uint8))
    return found


def num_asked(server: Loopback, model: str = "") -> int:
    """How many requests showed two videos, to this model or to any."""
    return sum(
        bool(pictures_of(seen.body["messages"])["A"]) and model in ("", seen.body["model"]) for seen in server.seen
    )
