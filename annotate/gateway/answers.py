"""What annotators' pages are told, composed here: a task as one person may see it, and what stands around it. Pure.

Nothing of a stored task goes out but what is named here: no purpose, no other people's answers, no file without a link
that was signed for the person who asks.
"""

import html
from collections.abc import Callable, Mapping, Sequence
from typing import Any
from urllib.parse import quote

from annotate.board import Answer, AnsweredTask
from annotate.gateway.rules import Asked
from annotate.gateway.sessions import Person

Link = Callable[[str], str]
"""The signed link to a media file."""

_PROJECT = {
    "id",
    "title",
    "description",
    "label_config",
    "expert_instruction",
    "show_instruction",
    "show_skip_button",
    "enable_empty_annotation",
    "show_annotation_history",
    "color",
    "maximum_annotations",
    "is_published",
    "is_draft",
    "show_collab_predictions",
    "sampling",
    "control_weights",
    "parsed_label_config",
    "config_has_control_tags",
    "skip_queue",
    "reveal_preannotations_interactively",
    "config_suitable_for_bulk_annotation",
}
_PERMISSIONS = {"projects.view", "tasks.view", "annotations.create", "annotations.view", "annotations.change"}
_WHOAMI = {"id", "first_name", "last_name", "username", "email", "last_activity", "avatar", "initials", "phone"}
MOST_HISTORY = 200
"""How far back the page's own "previous" goes."""


def task(found: AnsweredTask, *, person: Person, project: int, link: Link, draft: Mapping[str, Any] | None) -> Any:
    """A task as the labeling page takes it."""
    own = own_answer(found, person.user)
    annotations = [] if own is None else [annotation(own, person=person, project=project)]
    return {
        "id": found.number,
        "data": data(found, link),
        "annotations": annotations,
        "predictions": [],
        "drafts": [] if draft is None else [draft],
        "draft_exists": draft is not None,
        "annotators": [person.user for _ in annotations],
        "updated_by": [],
        "meta": {},
        "created_at": None,
        "updated_at": None,
        "is_labeled": False,
        "overlap": 1,
        "inner_id": found.number,
        "total_annotations": len(annotations),
        "cancelled_annotations": 0,
        "total_predictions": 0,
        "comment_count": 0,
        "unresolved_comment_count": 0,
        "last_comment_updated_at": None,
        "comment_authors": [],
        "project": project,
        "file_upload": None,
    }


def data(found: AnsweredTask, link: Link) -> Mapping[str, str]:
    """What the labeling configuration shows. `refs_html` is rendered as HTML, hence only our own tags are in it; the
    prompt is shown by a tag that takes it as text."""
    sides = {side: quote(link(name), safe="") for side, name in (("a", found.task.video_a), ("b", found.task.video_b))}
    told = found.task.faces
    faces = "" if told is None else "&face=" + ",".join(f"{each:.4f}" for each in told)
    pictures = [
        f'<img src="{html.escape(link(name))}" alt="reference {index}">'
        for index, name in enumerate(found.task.references, 1)
    ]
    return {
        "prompt": found.task.prompt or "",
        "refs_html": "".join(pictures),
        "player": f"/likeness/player#a={sides['a']}&b={sides['b']}{faces}",
    }


def own_answer(found: AnsweredTask, user: int) -> Answer | None:
    """The person's own answer on a task; the latest, should the board hold several."""
    own = [answer for answer in found.answers if str(answer.completed_by) == str(user)]
    return max(own, key=lambda answer: answer.id, default=None)


def annotation(own: Answer, *, person: Person, project: int) -> Any:
    """One's own answer, as Label Studio would give it."""
    return {
        "id": own.id,
        "result": list(own.result),
        "created_username": person.email,
        "created_ago": "",
        "completed_by": person.user,
        "was_cancelled": own.was_cancelled,
        "ground_truth": False,
        "created_at": own.created_at,
        "updated_at": own.updated_at,
        "draft_created_at": None,
        "lead_time": own.lead_time,
        "task": own.task,
        "project": project,
        "updated_by": person.user,
        "parent_prediction": None,
        "parent_annotation": None,
    }


def answer_of(said: Mapping[str, Any]) -> Answer:
    """An annotation as Label Studio gives it, as ours."""
    by = said["completed_by"]
    return Answer(
        id=int(said["id"]),
        task=int(said["task"]),
        completed_by=by["id"] if isinstance(by, Mapping) else by,
        result=tuple(said["result"] or ()),
        created_at=str(said["created_at"]),
        updated_at=str(said["updated_at"]),
        lead_time=None if said.get("lead_time") is None else float(said["lead_time"]),
        was_cancelled=bool(said.get("was_cancelled")),
    )


def history(dealt: Sequence[AnsweredTask], user: int) -> Any:
    """What the person was dealt, in order, for the page's "previous"."""
    found = [(task.number, own_answer(task, user)) for task in dealt[-MOST_HISTORY:]]
    return [{"taskId": number, "annotationId": own and own.id} for number, own in found]


def whoami(said: Mapping[str, Any]) -> Any:
    """Oneself, without what one could do if one got past the gateway, and without the operator's address."""
    kept = {key: value for key, value in said.items() if key in _WHOAMI}
    permissions = [name for name in said.get("permissions", []) if name in _PERMISSIONS]
    title = (said.get("active_organization_meta") or {}).get("title", "")
    return kept | {
        "active_organization": said.get("active_organization"),
        "active_organization_meta": {"title": title, "email": ""},
        "custom_hotkeys": {},
        "allow_newsletters": False,
        "permissions": permissions,
    }


def users(person: Person) -> Any:
    """The only account that a person may see."""
    initials = person.email[:2]
    return [
        {
            "id": person.user,
            "email": person.email,
            "username": person.email.partition("@")[0],
            "first_name": "",
            "last_name": "",
            "initials": initials,
            "avatar": None,
        }
    ]


def project(said: Mapping[str, Any], *, num_done: int, num_open: int) -> Any:
    """The project's page, with the person's own counts where Label Studio gives everybody's."""
    kept = {key: value for key, value in said.items() if key in _PROJECT}
    num_all = num_done + num_open
    counts = {
        "task_count": num_all,
        "task_number": num_all,
        "annotation_count": num_done,
        "num_tasks_with_annotations": num_done,
        "finished_task_number": num_done,
        "total_annotations_number": num_done,
        "useful_annotation_number": num_done,
        "queue_total": num_all,
        "queue_done": num_done,
        "skipped_annotations_number": 0,
        "ground_truth_number": 0,
        "total_predictions_number": 0,
    }
    refused = {
        "can_delete_tasks": False,
        "can_manage_annotations": False,
        "can_manage_tasks": False,
        "source_syncing": False,
        "target_syncing": False,
    }
    return kept | counts | refused | {"model_version": "", "created_by": None, "state": None}


def view(number: int, *, person: Person, project: int) -> Any:
    """The one tab of the page's data manager, which never shows in labeling."""
    settings = {
        "title": "Default",
        "type": "list",
        "target": "tasks",
        "hiddenColumns": {"explore": [], "labeling": []},
        "columnsWidth": {},
        "columnsDisplayType": {},
        "gridWidth": 4,
        "filters": {"conjunction": "and", "items": []},
    }
    return {"id": number, "order": 0, "data": settings, "user": person.user, "project": project}


_SHOWN = ("prompt", "refs_html", "player")


def _column(name: str, kind: str, **more: Any) -> Mapping[str, Any]:
    defaults = {"explore": True, "labeling": False}
    return {"id": name, "title": name, "type": kind, "target": "tasks", "visibility_defaults": defaults} | more


COLUMNS = {
    "columns": [
        *(_column(name, "String", parent="data", project_defined=True) for name in _SHOWN),
        _column("id", "Number", project_defined=False),
        _column("total_annotations", "Number", project_defined=False),
        {"id": "data", "title": "data", "type": "List", "target": "tasks", "children": list(_SHOWN)},
    ]
}
"""The page reads of a task's data what is a column here, and nothing else."""
TASK_LIST = {"tasks": [], "total": 0, "total_annotations": 0, "total_predictions": 0}
EMPTY_PAGE: Mapping[str, Any] = {"count": 0, "next": None, "previous": None, "results": []}
_NO_VERSION = {
    "version": "",
    "short_version": "",
    "latest_version_from_pypi": None,
    "latest_version_upload_time": None,
    "current_version_is_outdated": False,
}
VERSION = {"release": "", "edition": "Community", "label-studio-os-package": _NO_VERSION}


def draft_of(asked: Asked, said: Mapping[str, Any], *, number: int, at: str, person: Person) -> Any:
    """A half-made vote, as Label Studio would give it. Its id is the task's: one draft a person and task."""
    return dict(said) | {
        "id": number,
        "task": number,
        "annotation": asked.numbers.get("answer"),
        "user": person.email,
        "created_username": person.email,
        "created_ago": "",
        "created_at": at,
        "updated_at": at,
    }
