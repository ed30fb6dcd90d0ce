"""`/v1/embeddings` of a Qwen2-VL, as GME makes them: the last layer's state at the end of the prompt, at length 1.

Run as `python -m tests.embedding_server FOLDER PORT`. It reads both ways of giving pictures that `ChatHttp` knows.
"""

import base64
import io
import sys
from typing import Any

import torch
import uvicorn
from fastapi import FastAPI, HTTPException
from PIL import Image
from transformers import AutoModelForImageTextToText, AutoProcessor

END = "<|endoftext|>"


class Embedder:
    def __init__(self, folder: str) -> None:
        self.processor = AutoProcessor.from_pretrained(folder)
        self.network = AutoModelForImageTextToText.from_pretrained(folder, use_safetensors=True).eval()

    def vector(self, messages: list[dict[str, Any]]) -> list[float]:
        """The vector of one conversation."""
        inputs = self.processor.apply_chat_template(
            [[_message(each) for each in messages]],
            add_generation_prompt=True,
            tokenize=False,
        )
        pictures = [part["image"] for each in messages for part in _message(each)["content"] if "image" in part]
        encoded = self.processor(text=[inputs[0] + END], images=[pictures] if pictures else None, return_tensors="pt")
        with torch.inference_mode():
            states = self.network(**encoded, output_hidden_states=True).hidden_states[-1]
        row: list[float] = torch.nn.functional.normalize(states[0, -1].float(), dim=0).tolist()
        return row


def _message(message: dict[str, Any]) -> dict[str, Any]:
    content = message["content"]
    parts = [{"type": "text", "text": content}] if isinstance(content, str) else [_part(part) for part in content]
    return {"role": message["role"], "content": parts}


def _part(part: dict[str, Any]) -> dict[str, Any]:
    if part.get("type") == "text":
        return part
    return {"type": "image", "image": _picture(part["image_url"]["url"])}


def _picture(url: str) -> Image.Image:
    return Image.open(io.BytesIO(base64.b64decode(url.partition(",")[2]))).convert("RGB")


def _as_messages(item: dict[str, str]) -> list[dict[str, Any]]:
    if "text" in item:
        return [{"role": "user", "content": item["text"]}]
    return [{"role": "user", "content": [{"type": "image_url", "image_url": {"url": item["image"]}}]}]


def application(folder: str) -> FastAPI:
    embedder, app = Embedder(folder), FastAPI()

    @app.get("/health")
    def health() -> dict[str, str]:
        return {"status": "ok"}

    @app.post("/v1/embeddings")
    def embeddings(body: dict[str, Any]) -> dict[str, Any]:
        if body["model"] != "gme":
            raise HTTPException(404, f"no model {body['model']}")
        asked = [body["messages"]] if "messages" in body else [_as_messages(item) for item in body["input"]]
        rows = [{"index": index, "embedding": embedder.vector(each)} for index, each in enumerate(asked)]
        return {"object": "list", "data": rows, "model": body["model"]}

    return app


if __name__ == "__main__":
    uvicorn.run(application(sys.argv[1]), host="127.0.0.1", port=int(sys.argv[2]), log_level="warning")
