"""Makes `grounding_dino.json`: what the authors' code, unrepaired, answers under transformers 4.57.

Run once, in an environment of its own (transformers 4.57 and 5 exclude each other), from the root of the checkout:

    python3.11 -m venv /tmp/gd457
    /tmp/gd457/bin/pip install torch==2.14.1 torchvision==0.29.1 'transformers==4.57.*' 'numpy==2.2.*' setuptools wheel
    /tmp/gd457/bin/pip install groundingdino-py==0.4.0 --no-build-isolation
    OMP_NUM_THREADS=1 /tmp/gd457/bin/python -m tests.golden.make_grounding_dino --write

Network, weights, picture and caption come from `tests/tiny_grounding.py`, drawn by name with numpy: the test draws the
same ones under transformers 5. The network is built, loaded and asked by the package's own `load_model` and `predict`.
"""

import json
import re
import sys
import tempfile
from pathlib import Path

import groundingdino
import torch
import transformers
from groundingdino.datasets import transforms
from groundingdino.util.inference import load_model, predict, preprocess_caption
from PIL import Image
from transformers import BertConfig, BertModel

from tests import tiny_grounding as tiny

CAPTION = "a woman in a red coat. a man with a hat. person."
BOX_THRESHOLD, TEXT_THRESHOLD = 0.6, 0.55
GOLDEN = Path(__file__).with_name("grounding_dino.json")


def main() -> None:
    assert transformers.__version__.startswith("4.57."), f"this is transformers {transformers.__version__}"
    with tempfile.TemporaryDirectory() as folder:
        model = _model(Path(folder))
    image = _image()
    with torch.no_grad():
        outputs = model(image[None], captions=[preprocess_caption(CAPTION)])
    boxes, scores, phrases = predict(model, image, CAPTION, BOX_THRESHOLD, TEXT_THRESHOLD, device="cpu")
    num_tokens = len(model.tokenizer(CAPTION)["input_ids"])
    golden = {
        "made_with": {"torch": torch.__version__.split("+")[0], "transformers": transformers.__version__},
        "caption": CAPTION,
        "box_threshold": BOX_THRESHOLD,
        "text_threshold": TEXT_THRESHOLD,
        "pred_logits": _rounded(outputs["pred_logits"][0, :, :num_tokens]),
        "pred_boxes": _rounded(outputs["pred_boxes"][0]),
        "boxes": _rounded(boxes),
        "scores": [round(score, 6) for score in scores.tolist()],
        "phrases": phrases,
    }
    text = _a_row_a_line(golden)
    if "--write" in sys.argv:
        GOLDEN.write_text(text + "\n")
    else:
        print(text)


def _model(folder: Path) -> torch.nn.Module:
    """The tiny network, built twice: to be drawn and saved, and to be loaded as the authors load it."""
    torch.manual_seed(0)
    bert = tiny.write_text_encoder(folder / "bert")
    BertModel(tiny.bert_config(BertConfig)).save_pretrained(bert)
    given = Path(groundingdino.__file__).parent / "config" / "GroundingDINO_SwinT_OGC.py"
    changes = [*tiny.OVERRIDES, f"text_encoder_type = {str(bert)!r}"]
    config = folder / "tiny_config.py"
    config.write_text("\n".join([given.read_text(), *changes, ""]))
    checkpoint = folder / "tiny.pth"
    torch.save({"model": {}}, checkpoint)
    model = load_model(str(config), str(checkpoint), device="cpu")
    tiny.draw_weights(model)
    torch.save({"model": model.state_dict()}, checkpoint)
    return load_model(str(config), str(checkpoint), device="cpu")


def _image() -> torch.Tensor:
    """As the authors' `load_image`, from memory. The picture's short side is the one asked for: nothing is resized."""
    steps = [
        transforms.RandomResize([128], max_size=1333),
        transforms.ToTensor(),
        transforms.Normalize([0.485, 0.456, 0.406], [0.229, 0.224, 0.225]),
    ]
    image, _ = transforms.Compose(steps)(Image.fromarray(tiny.picture()), None)
    return image


def _rounded(rows: torch.Tensor) -> list[list[float]]:
    return [[round(value, 6) for value in row] for row in rows.tolist()]


def _a_row_a_line(golden: dict[str, object]) -> str:
    text = json.dumps(golden, indent=1)
    return re.sub(r"\[[^\[\]\"]*\]", lambda row: "[" + ", ".join(row[0][1:-1].replace(",", " ").split()) + "]", text)


if __name__ == "__main__":
    main()
