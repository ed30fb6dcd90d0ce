import itertools
import math
from dataclasses import replace

import pytest
import torch
from torch import Tensor

from trainers.face_relations import FRAME_FEATURES, SUMMARY_FEATURES, Relations, relate
from trainers.reward_models.image_consistency import ImageConsistency, Scale, balanced
from trainers.snapshot_pairs import Evidence, collate

T, R, D = 4, 3, 8


def evidence(num_subjects: int = 2, *, seed: int = 0, num_frames: int = T) -> Evidence:
    generator = torch.Generator().manual_seed(seed)
    return Evidence(
        vector_STD=torch.randn(num_subjects, num_frames, D, generator=generator),
        is_seen_ST=torch.ones(num_subjects, num_frames, dtype=torch.bool),
        reference_SRD=torch.randn(num_subjects, R, D, generator=generator),
        has_reference_SR=torch.ones(num_subjects, R, dtype=torch.bool),
        position_T=torch.linspace(0, 1, num_frames),
        has_frame_T=torch.ones(num_frames, dtype=torch.bool),
        quality_Q=torch.rand(3, generator=generator),
    )


@pytest.fixture
def model() -> ImageConsistency:
    torch.manual_seed(0)
    made = ImageConsistency(width=8, dropout=0.1, subject_balance=0.5)
    made.fit_scale([evidence(seed=seed) for seed in range(20)])
    return made.eval()


def score(model: ImageConsistency, *given: Evidence) -> list[float]:
    with torch.no_grad():
        found: list[float] = model.score(given).tolist()
    return found


def frame_feature(relations: Relations, name: str) -> Tensor:
    return relations.frame_BSTF[..., FRAME_FEATURES.index(name)]


def summary(relations: Relations, name: str) -> Tensor:
    return relations.summary_BSF[..., SUMMARY_FEATURES.index(name)]


def hidden(one: Evidence, subject: int, frame: int) -> Evidence:
    """The same, with one face unread."""
    is_seen_ST, vector_STD = one.is_seen_ST.clone(), one.vector_STD.clone()
    is_seen_ST[subject, frame] = False
    vector_STD[subject, frame] = 0
    return replace(one, is_seen_ST=is_seen_ST, vector_STD=vector_STD)


def alone(*vectors: tuple[float, ...], references: tuple[tuple[float, ...], ...]) -> Evidence:
    return Evidence(
        vector_STD=torch.tensor([vectors]),
        is_seen_ST=torch.ones(1, len(vectors), dtype=torch.bool),
        reference_SRD=torch.tensor([references]),
        has_reference_SR=torch.ones(1, len(references), dtype=torch.bool),
        position_T=torch.linspace(0, 1, len(vectors)),
        has_frame_T=torch.ones(len(vectors), dtype=torch.bool),
        quality_Q=torch.full((3,), math.nan),
    )


def test_likeness_is_the_cosine_to_the_nearest_reference() -> None:
    relations = relate(collate([alone((2.0, 0.0), (3.0, 4.0), references=((5.0, 0.0), (0.0, 1.0)))]))
    assert frame_feature(relations, "likeness")[0, 0].tolist() == pytest.approx([1, 0.8])
    assert summary(relations, "likeness mean").item() == pytest.approx(0.9)
    assert summary(relations, "likeness least").item() == pytest.approx(0.8)
    assert summary(relations, "likeness slope").item() == pytest.approx(-0.2)


def test_a_still_face_stirs_least_and_a_copied_one_is_nearest() -> None:
    still = relate(collate([alone((1.0, 0.0), (1.0, 0.0), references=((1.0, 0.0),))]))
    moving = relate(collate([alone((1.0, 0.0), (1.0, 0.2), references=((1.0, 0.1),))]))
    assert frame_feature(still, "stir")[0, 0, 1].item() == pytest.approx(math.log(0.02))
    assert frame_feature(still, "distance")[0, 0].tolist() == pytest.approx([math.log(0.02)] * 2)
    for name in ("stir mean", "distance mean", "first to last", "spread"):
        assert summary(still, name).item() < summary(moving, name).item()


def test_the_face_before_is_the_last_one_seen() -> None:
    gap = hidden(evidence(1), 0, 1)
    relations = relate(collate([gap]))
    unit = torch.nn.functional.normalize(gap.vector_STD[0], dim=-1)
    stir = frame_feature(relations, "stir")[0, 0]
    assert stir.isnan().tolist() == [True, True, False, False]
    assert stir[2].item() == pytest.approx(math.log((unit[2] - unit[0]).norm().item() + 0.02), abs=1e-5)


def test_exchanged_faces_have_a_negative_margin() -> None:
    one = evidence(2)
    swapped = replace(one, vector_STD=one.reference_SRD[[1, 0], :1].expand(2, T, D))
    assert (frame_feature(relate(collate([swapped])), "margin") < 0).all()


def test_alone_there_is_no_margin() -> None:
    assert frame_feature(relate(collate([evidence(1)])), "margin").isnan().all()


def test_nothing_is_known_of_a_subject_never_seen() -> None:
    one = evidence(1)
    for frame in range(T):
        one = hidden(one, 0, frame)
    relations = relate(collate([one]))
    assert relations.frame_BSTF.isnan().all()
    assert summary(relations, "share seen").item() == 0
    assert relations.summary_BSF[0, 0].isnan().sum() == len(SUMMARY_FEATURES) - 1


def test_relations_do_not_change_when_all_vectors_are_turned_together() -> None:
    one = evidence()
    turn = torch.linalg.qr(torch.randn(D, D, generator=torch.Generator().manual_seed(1))).Q
    turned = replace(one, vector_STD=one.vector_STD @ turn, reference_SRD=one.reference_SRD @ turn)
    torch.testing.assert_close(relate(collate([one])).summary_BSF, relate(collate([turned])).summary_BSF)


@pytest.mark.parametrize("order", list(itertools.permutations(range(R))))
def test_the_order_of_references_does_not_matter(model: ImageConsistency, order: tuple[int, ...]) -> None:
    one = evidence()
    shuffled = replace(one, reference_SRD=one.reference_SRD[:, list(order)])
    assert score(model, shuffled) == pytest.approx(score(model, one), abs=1e-5)


def test_the_order_of_frames_matters(model: ImageConsistency) -> None:
    one = evidence()
    turned = replace(one, vector_STD=one.vector_STD.flip(1))
    assert score(model, turned) != pytest.approx(score(model, one), abs=1e-4)


def test_the_company_in_a_batch_does_not_matter(model: ImageConsistency) -> None:
    one, longer = evidence(1), evidence(3, num_frames=7)
    assert score(model, one, longer) == pytest.approx([*score(model, one), *score(model, longer)], abs=1e-5)


def test_an_unread_face_is_told_from_any_read_one(model: ImageConsistency) -> None:
    assert score(model, hidden(evidence(), 0, 1)) != pytest.approx(score(model, evidence()), abs=1e-4)


def test_a_candidate_without_any_face_or_frame_still_has_a_score(model: ImageConsistency) -> None:
    bare = hidden(evidence(1, num_frames=1), 0, 0)
    nothing = evidence(1, num_frames=0)
    assert all(map(math.isfinite, score(model, bare, nothing)))


def test_without_references_the_score_is_zero(model: ImageConsistency) -> None:
    one = evidence()
    assert score(model, replace(one, has_reference_SR=torch.zeros(2, R, dtype=torch.bool))) == [0]


def test_a_subject_without_references_does_not_count(model: ImageConsistency) -> None:
    has_reference_SR = torch.tensor([[True] * R, [False] * R])
    one = replace(evidence(), has_reference_SR=has_reference_SR)
    other = replace(one, vector_STD=torch.cat([one.vector_STD[:1], one.vector_STD[1:] + 1]))
    assert score(model, one) == pytest.approx(score(model, other), abs=1e-6)


def test_gradients_are_finite_where_much_is_unknown(model: ImageConsistency) -> None:
    model.train()
    model.score([hidden(evidence(1), 0, 0), evidence(3), evidence(1, num_frames=0)]).sum().backward()
    for name, parameter in model.named_parameters():
        assert parameter.grad is not None, name
        assert parameter.grad.isfinite().all(), name


def test_balance_is_between_the_average_and_the_least_of_the_known_subjects() -> None:
    reward_BS = torch.tensor([[1.0, 3.0, -9.0], [2.0, 2.0, 2.0], [5.0, 5.0, 5.0]])
    is_known_BS = torch.tensor([[True, True, False], [True, True, True], [False, False, False]])
    assert balanced(reward_BS, is_known_BS, 0.5).tolist() == [1.5, 2, 0]
    assert balanced(reward_BS, is_known_BS, 0.0).tolist() == [2, 2, 0]
    assert balanced(reward_BS, is_known_BS, 1.0).tolist() == [1, 2, 0]


def test_a_scale_gives_the_unknown_the_average() -> None:
    scale = Scale(2)
    scale.fit(torch.tensor([[1.0, math.nan], [3.0, math.nan]]))
    assert scale(torch.tensor([[1.0, 5.0], [3.0, math.nan], [math.nan, math.nan]])).tolist() == [
        [-1, 4],
        [1, 0],
        [0, 0],
    ]
