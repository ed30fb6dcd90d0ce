"""ArcFace identity vectors (Deng et al. 2019) from an ONNX file of the user's, on faces that dlib found.

What the network is shown is insightface's recipe (`arcface_onnx.py`, `face_align.py`; MIT): a 112 x 112 picture in
which the face's points lie where a template has them, RGB, (x - 127.5) / 127.5. Files exported from MXNet subtract and
multiply by themselves, in their first nodes; there the pixels go in as they are. Which it is, is read from the file.

insightface aligns by five points: the eyes' middles, the tip of the nose, the corners of the mouth. dlib gives the
corners of the eyes and the base of the nose: the eyes' middles are the means of their corners, and the base of the nose
is put where it is seen in the template's scale: 0.734 of the eyes' distance below them (median of 42 frontal faces of
real footage), which is between the template's nose tip (0.571) and mouth (1.155).
"""

import functools
from collections.abc import Iterator, Sequence
from pathlib import Path

import cv2
import numpy as np
from numpy.typing import NDArray

from flows.engines import loading, weights
from flows.engines.embedded import dlib_detector
from flows.engines.embedded.dlib_detector import FoundFace
from flows.engines.ports import Face, Picture, Vector
from warehouse.errors import EngineUnavailable

Points = NDArray[np.float64]

SIDE_PX = 112
LENGTH = 512
TEMPLATE_32: Points = np.array([(38.2946, 51.6963), (73.5318, 51.5014), (56.056, 77.47)])
"""Left eye, right eye (as the picture shows them) and base of the nose in the aligned picture: the first two are
insightface's, the third lies on the line from between them to between its mouth corners, 0.734 eye distances down."""
_FIRST_NODES = 8
"""How far insightface looks for a file's own normalisation."""


class ArcFace:
    """`FaceReader`: dlib finds and aligns, the file of `model` recognises.

    `model`: the ONNX file, a folder, or a hub name with `file` in it. Its input must be (n, 3, 112, 112), its output
    (n, 512). `side_px` and `max_upscale` are the detector's, as in `DlibFaces`, which shares it.

    `same_person_similarity`: 0.28 is the cosine at which one in a thousand pairs of two people of LFW is accepted (Deb
    et al. 2019, AdvFaces). Other files than the authors' may want another.
    """

    def __init__(
        self,
        *,
        model: str,
        revision: str = "main",
        file: str = "w600k_r50.onnx",
        device: str = "auto",
        same_person_similarity: float = 0.28,
        side_px: int = 1024,
        max_upscale: float = 2.5,
    ) -> None:
        if device not in ("auto", "cpu", "cuda"):
            raise ValueError(f"device = {device!r}; take auto, cpu or cuda")
        if not -1 <= same_person_similarity <= 1:
            raise ValueError(f"same_person_similarity = {same_person_similarity}: a cosine lies between -1 and 1")
        self.same_person_similarity = same_person_similarity
        self._source = model, revision, file, device
        self._detector = side_px, max_upscale
        digest = weights.short(loading.checkpoint_revision(model, revision, file))
        self.model = f"arcface-{digest}"
        detector = dlib_detector.revision(dlib_detector.LANDMARKS)
        self.revision = f"arcface-1-{digest}-{same_person_similarity}-dlib-{detector}-{side_px}px-{max_upscale}x"

    def load(self) -> None:
        """Load the weights now; otherwise they load at first use. `EngineUnavailable` where they cannot."""
        _loaded(*self._source)

    def read(self, pictures: Sequence[Picture], *, with_vectors: bool) -> Sequence[tuple[Face, ...]]:
        """The faces of each picture, left to right. Vectors are L2-normalised: a cosine is a dot product."""
        found = [dlib_detector.detector(*self._detector).find(picture) for picture in pictures]
        if with_vectors:
            self._recognise(pictures, found)
        return [
            tuple(face.seen(face.vectors[self.model] if with_vectors else None) for face in faces) for faces in found
        ]

    def _recognise(self, pictures: Sequence[Picture], found: Sequence[Sequence[FoundFace]]) -> None:
        """Give a vector to every face that has none of this network yet."""
        new = [
            (face, aligned(picture, face.points_52))
            for picture, faces in zip(pictures, found, strict=True)
            for face in faces
            if self.model not in face.vectors
        ]
        if new:
            vectors = _loaded(*self._source).vectors(np.stack([chip for _, chip in new]))
            for (face, _), vector in zip(new, vectors, strict=True):
                face.vectors[self.model] = vector


def aligned(picture: Picture, points_52: Points) -> Picture:
    """A face turned, scaled and moved to the template: (112, 112, 3) RGB. `points_52` as in `FoundFace`."""
    seen = np.stack([points_52[2:4].mean(0), points_52[0:2].mean(0), points_52[4]])
    matrix = similarity(seen, TEMPLATE_32)
    return np.asarray(cv2.warpAffine(picture, matrix, (SIDE_PX, SIDE_PX), flags=cv2.INTER_LINEAR), dtype=np.uint8)


def similarity(points_N2: Points, onto_N2: Points) -> Points:
    """The rotation, scale and shift, (2, 3), that takes one set of points nearest to another: no mirroring.

    Least squares in closed form (Umeyama 1991), for the plane: with points as complex numbers it is one division.
    """
    before, after = (points @ np.array([1, 1j]) for points in (points_N2, onto_N2))
    spread = before - before.mean()
    factor = np.vdot(spread, after - after.mean()) / max(float(np.vdot(spread, spread).real), 1e-9)
    shift = after.mean() - factor * before.mean()
    return np.array([[factor.real, -factor.imag, shift.real], [factor.imag, factor.real, shift.imag]])


class _Recogniser:
    """One ONNX file, ready to run."""

    def __init__(self, path: Path, device: str) -> None:
        with loading.translated(str(path)):
            import onnxruntime

            options = onnxruntime.SessionOptions()
            options.intra_op_num_threads = 1  # workers are processes, one a core
            options.log_severity_level = 3
            providers = _providers(device, onnxruntime.get_available_providers())
            try:
                self._session = onnxruntime.InferenceSession(str(path), options, providers=providers)
            except Exception as error:  # its errors share no class but this
                raise EngineUnavailable(f"{path}: {str(error).splitlines()[0]}; give an ONNX file") from error
        (given,), made = self._session.get_inputs()[:1], self._session.get_outputs()
        if list(given.shape[1:]) != [3, SIDE_PX, SIDE_PX] or list(made[0].shape[1:]) != [LENGTH]:
            raise EngineUnavailable(
                f"{path}: takes {given.shape}, gives {made[0].shape}; an ArcFace file takes (n, 3, 112, 112) and gives"
                f" (n, {LENGTH}): give one, such as w600k_r50.onnx"
            )
        self._input = given.name
        self._num_at_once = given.shape[0] if isinstance(given.shape[0], int) else None
        self._offset, self._scale = (0.0, 1.0) if _normalises_itself(path) else (127.5, 1 / 127.5)

    def vectors(self, chips: NDArray[np.uint8]) -> list[Vector]:
        """(n, 112, 112, 3) RGB to n vectors of length 1."""
        pixels = ((chips.astype(np.float32) - self._offset) * self._scale).transpose(0, 3, 1, 2)
        size = self._num_at_once or len(pixels)
        raw = np.concatenate([self._run(pixels[start : start + size], size) for start in range(0, len(pixels), size)])
        return list((raw / np.maximum(np.linalg.norm(raw, axis=1, keepdims=True), 1e-9)).astype(np.float32))

    def _run(self, pixels: NDArray[np.float32], size: int) -> NDArray[np.float32]:
        """A file of a fixed batch size gets its last batch filled up."""
        filled = np.concatenate([pixels, np.zeros((size - len(pixels), *pixels.shape[1:]), np.float32)])
        made: NDArray[np.float32] = self._session.run(None, {self._input: filled})[0]
        return made[: len(pixels)]


def _providers(device: str, available: Sequence[str]) -> list[str]:
    has_cuda = "CUDAExecutionProvider" in available
    if device == "cuda" and not has_cuda:
        raise EngineUnavailable(
            "device = 'cuda', but onnxruntime has no CUDA here; install onnxruntime-gpu, or take cpu"
        )
    return [*(["CUDAExecutionProvider"] if has_cuda and device != "cpu" else []), "CPUExecutionProvider"]


def _normalises_itself(path: Path) -> bool:
    """Whether a file's first nodes subtract and multiply, or are MXNet's input normalisation: insightface's rule."""
    kinds = []
    for node, _ in zip(_messages(_only(_messages(path.read_bytes(), 7)), 1), range(_FIRST_NODES), strict=False):
        name, kind = (_only(_messages(node, number), b"").decode() for number in (3, 4))
        kinds.append("bn_data" if name == "bn_data" else kind)
    return {"Sub", "Mul"} <= set(kinds) or "bn_data" in kinds[:3]


def _only(messages: Iterator[bytes], otherwise: bytes | None = None) -> bytes:
    found = next(messages, otherwise)
    assert found is not None, "onnxruntime loaded it, so there is a graph"
    return found


def _messages(content: bytes, number: int) -> Iterator[bytes]:
    """The length-delimited fields of one number in a protobuf message, in order: all that is needed of an ONNX file.

    A model's graph is field 7; a graph's nodes are field 1; a node's name is field 3, its operator field 4.
    """
    position = 0
    while position < len(content):
        tag, position = _varint(content, position)
        wire = tag & 7
        if wire == 0:
            _, position = _varint(content, position)
        elif wire == 2:
            length, position = _varint(content, position)
            if tag >> 3 == number:
                yield content[position : position + length]
            position += length
        else:
            position += {1: 8, 5: 4}[wire]


def _varint(content: bytes, position: int) -> tuple[int, int]:
    """A number and where it ends."""
    value = shift = 0
    while True:
        byte = content[position]
        value |= (byte & 127) << shift
        position, shift = position + 1, shift + 7
        if byte < 128:
            return value, position


@functools.cache
def _loaded(model: str, revision: str, file: str, device: str) -> _Recogniser:
    return _Recogniser(loading.checkpoint_path(model, revision, file), device)
