"""The report's page, from a hand-made run: what it shows, and that it needs nothing but itself."""

import base64
import re
from dataclasses import replace
from html.parser import HTMLParser
from typing import Any

import numpy as np
import pytest

from annotate.agreement import of_counts
from annotate.annotators import Block, Quality, Side
from annotate.limits import Flag, Limits
from annotate.shares import Trend, share_of
from flows.agreement import Difference, Methods
from flows.report import charts, content, page
from flows.report.agreement_content import AgreementPart, Heat
from flows.report.charts import Curve, Measured, Outline
from warehouse.records import Outcome

PIXEL = "data:image/webp;base64," + base64.b64encode(b"a picture").decode()
CLIP = "data:video/mp4;base64," + base64.b64encode(b"a video").decode()
VOID = {"area", "base", "br", "col", "embed", "hr", "img", "input", "link", "meta", "source", "track", "wbr"}


def picture(**override: Any) -> content.Picture:
    values = {"uri": PIXEL, "width_px": 320, "height_px": 240, "alt": "a frame"}
    return content.Picture(**(values | override))


def span(**override: Any) -> content.Span:
    return content.Span(**({"file": "one.mp4", "frames": "frames 0 to 47"} | override))


def outline(**override: Any) -> Outline:
    square = ((0.1, 0.1), (0.5, 0.1), (0.5, 0.9))
    values = {"box": (0.1, 0.1, 0.5, 0.9), "face": (0.2, 0.15, 0.3, 0.3), "mask": (square,)}
    return Outline(**(values | override))


def reason(**override: Any) -> content.Reason:
    values = {"verdict": "dropped", "words": "too blurred", "gate": "blur >= 5", "num": 4310}
    return content.Reason(**(values | override))


def quality(**override: Any) -> Quality:
    """A flagged annotator of whom everything is known."""
    values: dict[str, Any] = {
        "name": "ann_1",
        "num_votes": 1234,
        "num_broken": 2,
        "num_unknown": 0,
        "ties": share_of(123, 1234),
        "agreement": share_of(617, 1234),
        "with_majority": share_of(900, 1200),
        "gold": share_of(9, 10),
        "repeats": share_of(7, 8),
        "swapped_repeats": share_of(3, 8),
        "side": Side(share=0.71, num=1111, p=1e-9),
        "seconds": 11.25,
        "too_fast": share_of(12, 1200),
        "blocks": tuple(
            Block(start=start, num_votes=50, agreement=agreement, seconds=9.0)
            for start, agreement in ((0, share_of(20, 50)), (50, None), (100, share_of(40, 50)))
        ),
        "drift": Trend(a_hundred=0.031, p=0.04),
        "flags": (Flag(limit="side_bias_p", limit_value=0.001, found=1e-9, num=1111, words="favours side A: 71%"),),
    }
    return Quality(**(values | override))


NOTHING_KNOWN: dict[str, Any] = dict.fromkeys(
    ["ties", "agreement", "with_majority", "gold", "repeats", "swapped_repeats", "side", "seconds", "too_fast", "drift"]
)


def agreement_part(**override: Any) -> AgreementPart:
    opposed = Difference(
        pair_id="pair_1f", num_a=2, num_tie=0, num_b=1, majority=Outcome.A, dawid_skene=None, posterior=(0.6, 0.1, 0.3)
    )
    curve = Curve(name="agreement", points=((0, 0.5), (50, 0.6)))
    values: dict[str, Any] = {
        "origin": "human",
        "num_counted": 1500,
        "num_repeats": 16,
        "num_gold": 12,
        "too_fast_s": 2.0,
        "overall": of_counts(np.array([[3, 0, 0]] * 60 + [[2, 0, 1]] * 30 + [[0, 1, 2]] * 10)),
        "without_flagged": of_counts(np.array([[3, 0, 0], [0, 0, 3]])),
        "annotators": (quality(), quality(name="ann_2", flags=(), blocks=(), num_broken=0, **NOTHING_KNOWN)),
        "num_annotators": 2,
        "left_out": ("ann_1",),
        "limits": Limits(),
        "heat": (
            Heat(name="ann_1", cells=(None, (0.62, 40))),
            Heat(name="ann_2", cells=((0.62, 40), None)),
        ),
        "learned_agreement": (curve,),
        "learned_seconds": (curve,),
        "methods": Methods(
            majority="majority_of_3",
            dawid_skene="dawid_skene_0.8",
            num_pairs=100,
            num_by_majority=99,
            num_by_dawid_skene=98,
            num_opposed=0,
            num_iterations=7,
            has_converged=True,
            differences=(opposed,),
        ),
        "differences": (opposed,),
    }
    return AgreementPart(**(values | override))


def report(**override: Any) -> content.ReportData:
    """A run that has come to its end."""
    stage = content.StageRow(
        name="quality",
        noun="clip",
        words="Measures sharpness",
        num_in=5000,
        passed=687,
        dropped=4310,
        failed=3,
        pending=0,
        reasons=(reason(), reason(verdict="failed", words="truncated", gate="", num=3)),
    )
    reference = content.ShownReference(picture=picture(), view="crop", is_resynthesised=False, identity_score=0.98)
    subject = content.ShownSubject(
        phrase="a woman in a red coat", identity="identity_1", num_clips=2, outline=outline(), references=(reference,)
    )
    side = content.Side(name="A", generator="original", severity=0.0, identity_mean=0.97, video=picture(uri=CLIP))
    vote = content.ShownVote(
        annotator="ann_1",
        origin="human",
        outcome="A",
        is_known=True,
        is_repeat=False,
        is_swapped=True,
        seconds=8.5,
        comment="B melts",
    )
    pair = content.ShownPair(
        pair_id="pair_1",
        kind="original_vs_generated",
        span=span(),
        prompt="A woman walks.",
        split="train",
        sides=(side, replace(side, name="B", generator="identity_drift", severity=0.8)),
        references=(reference,),
        votes=(vote, replace(vote, outcome="B", is_repeat=True, is_swapped=False, comment=None)),
        outcome="A",
        reason="majority",
    )
    accuracy = content.Accuracy(
        title="Ties left out",
        words="which one?",
        measured=(Measured(name="Reward model", value=0.914, low=0.873, high=0.964),),
        difference=Measured(name="difference", value=0.052, low=0.016, high=0.086),
    )
    curve = Curve(name="loss", points=((0, 1.0), (10, 0.5)))
    values: dict[str, Any] = {
        "title": "sample",
        "made_at": "Made 2026-01-01 00:00 UTC.",
        "story": ("26 source videos were cut into 28 clips.",),
        "figures": (content.Figure(value="5,000", name="clips"),),
        "arrivals": (content.Arrival(name="source", words="video files taken in", num=1234),),
        "stages": (stage,),
        "failures": (
            content.FailedGroup(
                stage="quality",
                reason="truncated",
                num=3,
                shown=(
                    content.FailedItem(
                        item_id="clip_9", span=span(file="cut.mp4"), exception="frame 3 of 90", picture=None
                    ),
                ),
            ),
        ),
        "sheets": (
            content.ContactSheet(
                stage="quality",
                reason=reason(),
                shown=(content.DroppedItem(item_id="clip_2", span=span(), picture=picture(), value="blur: 2.1"),),
            ),
        ),
        "scenes": (
            content.Scene(
                clip_id="clip_1", span=span(), caption="A woman walks.", picture=picture(), subjects=(subject,)
            ),
        ),
        "num_scenes": 687,
        "view_yields": (
            content.ViewYield(
                made_by="kontext",
                view="profile",
                num_made=50,
                num_kept=41,
                num_chosen=7,
                identity_mean=0.93,
                copy_paste_mean=None,
            ),
        ),
        "pairs": (pair,),
        "num_pairs": 9000,
        "labels": content.Labels(
            policy="majority_of_3",
            origin="human",
            rows=(content.LabelRow(split="train", num_a=40, num_tie=11, num_b=42, unsettled=(("split", 7),)),),
            annotators=(
                content.AnnotatorRow(
                    name="ann_1",
                    origin="human",
                    is_known=True,
                    num_votes=100,
                    num_a=41,
                    num_tie=15,
                    num_b=43,
                    num_broken=1,
                    num_settled=93,
                    num_with_label=83,
                ),
            ),
            rivals=(content.RivalRow(generator="identity_drift", original_won=30, tie=3, original_lost=2),),
        ),
        "agreement": agreement_part(),
        "reward": content.Reward(
            checkpoint_id="reward_model_1",
            snapshot_id="a" * 64,
            name="image consistency",
            num_train_pairs=192,
            num_test_pairs=67,
            num_test_ties=9,
            loss=curve,
            accuracy=curve,
            accuracies=(accuracy,),
        ),
        "policy": content.Policy(
            checkpoint_id="policy_1",
            snapshot_id="a" * 64,
            name="wan vace",
            rewards=(curve,),
            warm_up=(curve,),
            judged_on="5 held-out clips",
            before=0.71,
            after=0.83,
            facts=(("videos a group", "8"),),
            samples=(content.Samples(name="Before", clips=(picture(uri=CLIP, width_px=32, height_px=32),)),),
        ),
        "lineage": (content.Ancestor(noun="vote", num=777, detail="777 human", first_ids=("vote_1", "vote_2")),),
        "lineage_note": "",
        "reproduce": content.Reproduce(
            profile="embedded",
            recipe_key="f" * 64,
            command="likeness run --source videos",
            versions={"python": "3.11"},
            seeds={"pairs": "0"},
            stages=(("quality", "e" * 64),),
        ),
    }
    return content.ReportData(**(values | override))


def nothing_yet() -> content.ReportData:
    empty: dict[str, Any] = {"story": (), "figures": (), "arrivals": (), "stages": (), "failures": (), "sheets": ()}
    empty |= {"scenes": (), "view_yields": (), "pairs": (), "lineage": ()}
    nothing = {"num_scenes": 0, "num_pairs": 0, "labels": None, "agreement": None, "reward": None, "policy": None}
    return report(**empty, **nothing, lineage_note="Nothing has been trained yet.")


class Reader(HTMLParser):
    """Text, tags, and whether every element is closed where it should be."""

    def __init__(self, html: str) -> None:
        super().__init__()
        self.open: list[str] = []
        self.tags: list[tuple[str, dict[str, str | None]]] = []
        self.text = ""
        self.feed(html)
        self.text = " ".join(self.text.split())

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.text += " "
        self.tags.append((tag, dict(attrs)))
        if tag not in VOID:
            self.open.append(tag)

    def handle_startendtag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.append((tag, dict(attrs)))

    def handle_endtag(self, tag: str) -> None:
        self.text += " "
        assert self.open.pop() == tag

    def handle_data(self, data: str) -> None:
        if "style" not in self.open:
            self.text += data


def test_what_made_the_references_is_told_with_its_yield() -> None:
    assert "kontext profile 50 41 82% 0.93 - 7" in Reader(page.render(report())).text
    assert "What made the references" not in page.render(nothing_yet())


@pytest.mark.parametrize("data", [report(), nothing_yet()], ids=["whole", "empty"])
def test_every_element_is_closed_and_every_link_of_the_contents_leads_somewhere(data: content.ReportData) -> None:
    read = Reader(page.render(data))
    anchors = {attributes["id"] for _, attributes in read.tags if "id" in attributes}
    links = {(attributes["href"] or "")[1:] for tag, attributes in read.tags if tag == "a"}
    assert not read.open
    assert links and links <= anchors


def test_nothing_is_fetched_and_nothing_runs() -> None:
    html = page.render(report())
    read = Reader(html)
    tags = {tag for tag, _ in read.tags}
    fetched = [value for _, attributes in read.tags for name in ("src", "poster") if (value := attributes.get(name))]
    assert not tags & {"script", "link", "iframe", "object", "embed"}
    assert not re.search(r"https?://|url\(|@import", html)
    assert fetched and all(value.startswith("data:") for value in fetched)
    assert not any(name.startswith("on") for _, attributes in read.tags for name in attributes)


def test_pictures_and_videos_are_carried_whole() -> None:
    read = Reader(page.render(report()))
    carried = {value for _, attributes in read.tags if (value := attributes.get("src"))}
    assert carried == {PIXEL, CLIP}


EVIL = "<script>alert('\"&')</script>"


def test_text_from_captions_files_and_annotators_is_never_read_as_html() -> None:
    data = report()
    scene = replace(data.scenes[0], caption=EVIL, span=span(file=EVIL))
    subject = replace(scene.subjects[0], phrase=EVIL, identity=EVIL)
    vote = replace(data.pairs[0].votes[0], annotator=EVIL, comment=EVIL)
    failed = replace(data.failures[0].shown[0], exception=EVIL, span=span(file=EVIL))
    evil = replace(
        data,
        title=EVIL,
        scenes=(replace(scene, subjects=(subject,), picture=picture(alt=EVIL)),),
        pairs=(replace(data.pairs[0], prompt=EVIL, votes=(vote,)),),
        failures=(replace(data.failures[0], reason=EVIL, shown=(failed,)),),
        policy=None,
        reproduce=replace(data.reproduce, command=EVIL),
    )
    html = page.render(evil)
    read = Reader(html)
    assert "<script" not in html
    assert read.text.count(EVIL) >= 10
    assert not read.open


def test_names_in_charts_are_never_read_as_html() -> None:
    drawn = charts.whiskers([Measured(name=EVIL, value=0.5)], low=0, high=1) + charts.curves(
        [Curve(name="loss", points=((0, 1), (1, 2)))], x_name=EVIL
    )
    assert "<script" not in drawn
    assert drawn.count("&lt;script") == 2


def test_the_numbers_shown_are_the_run_s() -> None:
    text = Reader(page.render(report())).text
    assert "5,000 687 4,310 3 4,310 dropped: too blurred blur >= 5 3 failed: truncated" in text
    assert "truncated at stage quality 1 of 3" in text
    assert "Too blurred 1 of 4,310, gate blur >= 5" in text
    assert "video files taken in 1,234" in text
    assert "train 100 40 11 42 7 split" in text
    assert "ann_1 human 100 41 15 43 1 89%" in text
    assert "Reward model 91.4% (87.3 to 96.4)" in text
    assert "+5.2 points (+1.6 to +8.6)" in text
    assert "from 0.7100 to 0.8300" in text
    assert "777 votes 777 human" in text


def test_votes_of_a_pair_shown_again_or_swapped_say_so() -> None:
    text = Reader(page.render(report())).text
    assert "ann_1 human A 8.5 B melts ann_1 (asked again, not counted) human B 8.5" in text
    assert "1 of these 2 votes was cast with the two sides exchanged" in text


def test_each_section_says_in_one_line_that_there_is_nothing_yet() -> None:
    text = Reader(page.render(nothing_yet())).text
    for line in (
        "Nothing was taken in yet.",
        "No stage has run yet.",
        "Nothing failed.",
        "Nothing was dropped.",
        "No subject was found yet.",
        "No pair has been drawn yet.",
        "No pair has been voted on yet.",
        "No vote says yet how far annotators agree.",
        "No reward model has been trained yet.",
        "No policy has been trained yet.",
        "Nothing has been trained yet.",
    ):
        assert line in text


def test_the_same_data_give_the_same_page() -> None:
    assert page.render(report()) == page.render(report())


def test_an_unknown_similarity_is_said_and_not_shown_as_a_number() -> None:
    data = report()
    reference = replace(data.pairs[0].references[0], identity_score=None)
    text = Reader(page.render(replace(data, pairs=(replace(data.pairs[0], references=(reference,)),)))).text
    assert "no face read" in text


def test_agreement_is_told_with_its_interval_and_each_annotator_s_measures() -> None:
    text = Reader(page.render(report())).text
    part = agreement_part().overall
    assert part.alpha is not None and part.alpha_low is not None and part.alpha_high is not None
    assert f"is {part.alpha:.2f} (95% interval {part.alpha_low:.2f} to {part.alpha_high:.2f}" in text
    assert "Without the flagged annotators alpha is 1.00." in text
    row = "ann_1 flagged 1,234 2 broken 50% 47 to 53 75% 72 to 77 90% 60 to 98 88% 53 to 98 38% 14 to 69 10%"
    assert f"{row} 71% p < 0.001 11.2 1% +3.1, p 0.04" in text
    assert "ann_2 1,234 - - - - - - - - - no times" in text
    assert "ann_1 , whose votes the labels do without: favours side A: 71%" in text
    assert "1 ann_1 - 62% 2 ann_2 62% -" in text
    assert "( majority_of_3 ) settles 99" in text
    assert "pair 1f 2 0 1 A is better not settled 0.60, 0.10, 0.30" in text


def test_what_is_not_known_of_annotators_is_said_in_words() -> None:
    lonely = of_counts(np.array([[1, 0, 0]]))
    some = agreement_part(overall=lonely, num_gold=0, num_repeats=0, without_flagged=None, annotators=())
    text = Reader(page.render(report(agreement=some))).text
    assert "No pair has two counted votes: how far annotators agree is unknown." in text
    assert "There is no gold pair: nobody's answers can be called right." in text
    assert "No pair was shown again: whether annotators stand by their answers is unknown." in text
    assert "Nobody is beyond a limit" in text
    unasked = agreement_part(annotators=(quality(gold=None, flags=()),))
    assert "No gold pair was voted on." in Reader(page.render(report(agreement=unasked))).text
    same = of_counts(np.array([[3, 0, 0], [3, 0, 0]]))
    unanimous = agreement_part(overall=same)
    assert "alpha is undefined, as all votes say the same" in Reader(page.render(report(agreement=unanimous))).text


def test_an_estimate_that_often_opposes_the_majority_is_said_to() -> None:
    doubtful = replace(agreement_part().methods, num_opposed=10)
    text = Reader(page.render(report(agreement=agreement_part(methods=doubtful)))).text
    assert "10 they settle differently. They oppose each other often: some of these pairs should be looked at" in text
    assert "should be looked at" not in Reader(page.render(report())).text


def test_names_of_annotators_are_never_read_as_html_where_their_quality_is_told() -> None:
    evil = agreement_part(
        annotators=(quality(name=EVIL),), left_out=(EVIL,), heat=(Heat(name=EVIL, cells=(None, None)),) * 2
    )
    html = page.render(report(agreement=evil))
    assert "<script" not in html
    assert Reader(html).text.count(EVIL) >= 4


def test_a_line_without_axes_breaks_where_a_value_is_unknown() -> None:
    drawn = charts.spark([0.5, 0.6, None, 0.7], low=0, high=1)
    assert (drawn.count("<polyline"), drawn.count("<circle")) == (1, 1)
    assert charts.spark([], low=0, high=1).count("<polyline") == 0


@pytest.mark.parametrize(
    ("num", "noun", "told"),
    [(1, "vote", "1 vote"), (0, "vote", "0 votes"), (2000, "policy", "2,000 policies"), (3, "person", "3 people")],
)
def test_things_are_counted_in_words(num: int, noun: str, told: str) -> None:
    assert page.counted(num, noun) == told


def test_what_is_shown_of_how_much_is_said() -> None:
    assert page.shown_of(12, 4310) == "12 of 4,310"
    assert page.shown_of(3, 3) == "all 3"
