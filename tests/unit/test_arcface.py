from pathlib import Path
from typing import Any

import numpy as np
import onnx
import pytest
from hypothesis import given
from hypothesis import strategies as st
from onnx import TensorProto, helper, numpy_helper

from flows.engines.arcface import SIDE_PX, TEMPLATE_32, ArcFace, aligned, similarity
from flows.engines.embedded.dlib_faces import DlibFaces
from flows.sources.actors import portrait
from tests.people import side_by_side
from warehouse.errors import EngineUnavailable

EYE_CORNERS = np.array([(66.0, 40.0), (58.0, 40.0), (30.0, 40.0), (38.0, 40.0), (48.0, 58.0)])
"""As dlib orders them: the eye at the picture's right, the one at its left, the base of the nose."""


def network(path: Path, *, normalises: bool = False, length: int = 512, side_px: int = SIDE_PX, num: Any = "n") -> Path:
    """A tiny random network in ArcFace's format. The weights are the same for every `normalises`."""
    rng = np.random.default_rng(0)
    weights = {
        "kernel": rng.normal(size=(8, 3, 16, 16)).astype(np.float32),
        "last": rng.normal(size=(8 * (side_px // 16) ** 2, length)).astype(np.float32),
        "middle": np.float32(127.5),
        "scale": np.float32(1 / 127.5),
    }
    first = [
        helper.make_node("Sub", ["input.1", "middle"], ["centred"]),
        helper.make_node("Mul", ["centred", "scale"], ["ready"]),
    ]
    nodes = [
        *(first if normalises else [helper.make_node("Identity", ["input.1"], ["ready"])]),
        helper.make_node("Conv", ["ready", "kernel"], ["seen"], strides=[16, 16]),
        helper.make_node("Relu", ["seen"], ["kept"]),
        helper.make_node("Flatten", ["kept"], ["flat"]),
        helper.make_node("MatMul", ["flat", "last"], ["683"]),
    ]
    graph = helper.make_graph(
        nodes,
        "arcface",
        [helper.make_tensor_value_info("input.1", TensorProto.FLOAT, [num, 3, side_px, side_px])],
        [helper.make_tensor_value_info("683", TensorProto.FLOAT, [num, length])],
        [numpy_helper.from_array(np.asarray(value), name) for name, value in weights.items()],
    )
    onnx.save(helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)], ir_version=8), path)
    return path


def engine(path: Path, **override: Any) -> ArcFace:
    return ArcFace(model=str(path), device="cpu", **override)


def test_faces_are_dlibs_and_vectors_the_networks(tmp_path: Path) -> None:
    picture = side_by_side(0, 3)
    ours = engine(network(tmp_path / "a.onnx")).read([picture], with_vectors=True)[0]
    dlibs = DlibFaces().read([picture], with_vectors=True)[0]
    assert [(face.box_px, face.score, face.frontalness) for face in ours] == [
        (face.box_px, face.score, face.frontalness) for face in dlibs
    ]
    vectors = [face.vector for face in ours if face.vector is not None]
    assert [vector.shape for vector in vectors] == [(512,)] * 2
    assert np.allclose([np.linalg.norm(vector) for vector in vectors], 1)
    assert vectors[0] @ vectors[1] < 0.999


def test_without_vectors_no_file_is_loaded(tmp_path: Path) -> None:
    path = tmp_path / "not_a_network.onnx"
    path.write_bytes(b"no network")
    (faces,) = engine(path).read([portrait(0, size_px=160)], with_vectors=False)
    assert [face.vector for face in faces] == [None]


def test_a_file_that_normalises_by_itself_gives_the_same_vectors(tmp_path: Path) -> None:
    picture = portrait(0, size_px=160)
    vectors = []
    for normalises in (False, True):
        path = network(tmp_path / f"{normalises}.onnx", normalises=normalises)
        (face,) = engine(path).read([picture], with_vectors=True)[0]
        vectors.append(face.vector)
    assert np.allclose(vectors[0], vectors[1], atol=1e-4)


def test_a_file_of_a_fixed_batch_size_gives_the_same_vectors(tmp_path: Path) -> None:
    picture = side_by_side(0, 3, 1)
    free, fixed = (
        engine(network(tmp_path / f"{num}.onnx", num=num)).read([picture], with_vectors=True)[0] for num in ("n", 2)
    )
    assert len(free) == 3
    for one, other in zip(free, fixed, strict=True):
        assert one.vector is not None and np.allclose(one.vector, other.vector, atol=1e-5)


@pytest.mark.parametrize("wrong", [{"length": 128}, {"side_px": 128}])
def test_a_file_of_another_shape_is_unavailable_and_says_what_fits(tmp_path: Path, wrong: dict[str, Any]) -> None:
    reader = engine(network(tmp_path / "wrong.onnx", **wrong))
    with pytest.raises(EngineUnavailable, match=r"an ArcFace file takes \(n, 3, 112, 112\)"):
        reader.read([portrait(0, size_px=160)], with_vectors=True)


def test_a_file_that_is_no_network_is_unavailable(tmp_path: Path) -> None:
    path = tmp_path / "broken.onnx"
    path.write_bytes(b"no network")
    with pytest.raises(EngineUnavailable, match="give an ONNX file"):
        engine(path).read([portrait(0, size_px=160)], with_vectors=True)
    with pytest.raises(EngineUnavailable, match="give an ONNX file"):
        engine(path).load()


def test_a_folder_without_the_file_is_unavailable_at_once(tmp_path: Path) -> None:
    with pytest.raises(EngineUnavailable, match="no such checkpoint"):
        engine(tmp_path)


def test_vectors_of_two_files_have_two_models_and_two_revisions(tmp_path: Path) -> None:
    one, other = (engine(network(tmp_path / f"{flag}.onnx", normalises=flag)) for flag in (False, True))
    assert one.model != other.model and one.revision != other.revision
    assert one.model.startswith("arcface-")
    assert engine(tmp_path / "True.onnx", same_person_similarity=0.4).revision != other.revision


@pytest.mark.parametrize("wrong", [{"device": "tpu"}, {"same_person_similarity": 28}])
def test_what_cannot_be_meant_is_refused(tmp_path: Path, wrong: dict[str, Any]) -> None:
    with pytest.raises(ValueError, match=next(iter(wrong))):
        ArcFace(model=str(network(tmp_path / "a.onnx")), **wrong)


@given(
    angle=st.floats(-3, 3),
    scale=st.floats(0.1, 9),
    x=st.floats(-200, 200),
    y=st.floats(-200, 200),
)
def test_a_moved_turned_scaled_set_of_points_is_taken_back(angle: float, scale: float, x: float, y: float) -> None:
    turn = scale * np.array([[np.cos(angle), -np.sin(angle)], [np.sin(angle), np.cos(angle)]])
    matrix = similarity(TEMPLATE_32 @ turn.T + (x, y), TEMPLATE_32)
    back = (TEMPLATE_32 @ turn.T + (x, y)) @ matrix[:, :2].T + matrix[:, 2]
    assert np.allclose(back, TEMPLATE_32, atol=1e-6)


def test_an_aligned_face_has_its_eyes_where_the_template_has_them() -> None:
    picture = np.zeros((100, 100, 3), dtype=np.uint8)
    picture[38:43, 60:65] = (255, 0, 0)  # the middle of the eye at the picture's right
    picture[38:43, 32:37] = (0, 255, 0)
    chip = aligned(picture, EYE_CORNERS)
    assert chip.shape == (SIDE_PX, SIDE_PX, 3)
    for channel, (x, y) in ((1, TEMPLATE_32[0]), (0, TEMPLATE_32[1])):
        rows, columns = np.nonzero(chip[:, :, channel] > 127)
        assert abs(columns.mean() - x) < 1.5 and abs(rows.mean() - y) < 3
