"""Whether llama.cpp gives the ids and the next tokens of a released model, from the GGUF that `skyloom release gguf` writes.

    pip install llama-cpp-python
    python -m bench.release.llama_cpp FOLDER [--type f16] [--prompts 200] [--json agree]

Writes the GGUF of the release in FOLDER (or of the newest release of the run there) into a temporary folder and takes prompts
from the release's held-out documents, half English, half Chinese, cut at a drawn character: for each, the token ids (with <s> in
front) and the most probable next token by llama.cpp and by our decoder in fp32 with the weights rounded as in the file. Figures:
`ids` and `argmax`, the shares of prompts on which both agree, `agree`, the smaller one, and `logits`, the largest difference of a
logit of the last position.
"""

from __future__ import annotations

import argparse
import functools
import sys
import tempfile
from pathlib import Path

import gguf
import numpy as np
import numpy.typing as npt
import torch

from bench.answers import NotMeasuredError, answer_measured, offer
from bench.release.held_out_prompts import prompts
from skyloom.release.gguf_model import write_gguf
from skyloom.release.trace import open_corpus
from skyloom.release.weights import load_released

BARS = ("agree", "ids", "argmax", "logits")


def rounded(weight: torch.Tensor, kind: str) -> torch.Tensor:
    """The numbers that stand in the file."""
    if weight.ndim == 1:
        return weight
    if kind == "q8_0" and weight.shape[-1] % 32 == 0:
        packed = gguf.quantize(weight.numpy(), gguf.GGMLQuantizationType.Q8_0)
        return torch.from_numpy(gguf.dequantize(packed, gguf.GGMLQuantizationType.Q8_0))
    return weight.half().float()


def measure(folder: Path, kind: str, number: int) -> dict[str, float]:
    try:
        import llama_cpp
    except ImportError as problem:
        raise NotMeasuredError("llama-cpp-python is not installed: pip install llama-cpp-python") from problem
    release = open_corpus(folder).folder
    model, tokenizer, context = load_released(release)
    with torch.no_grad():
        for weight in model.parameters():
            weight.copy_(rounded(weight.detach().clone(), kind))
    same_ids = same_argmax = 0
    furthest = 0.0
    with tempfile.TemporaryDirectory() as place:
        written = write_gguf(release, Path(place, "model.gguf"), kind)
        theirs = llama_cpp.Llama(str(written.path), n_ctx=context, n_threads=1, logits_all=True, verbose=False)
        asked = prompts(release, number, context)
        for text in asked:
            ids = [tokenizer.bos_id, *tokenizer.encode(text)]
            got = theirs.tokenize(text.encode(), add_bos=True, special=False)
            same_ids += got == ids
            theirs.reset()
            theirs.eval(ids)
            last: npt.NDArray[np.float32] = np.array(theirs.scores[len(ids) - 1])
            with torch.no_grad():
                ours = model(torch.tensor([ids]))[0, -1].numpy()
            same_argmax += int(last.argmax()) == int(ours.argmax())
            furthest = max(furthest, float(np.abs(last - ours).max()))
    share = {"ids": same_ids / len(asked), "argmax": same_argmax / len(asked)}
    return {"prompts": len(asked), **share, "agree": min(share.values()), "logits": furthest}


def main() -> int:
    parser = argparse.ArgumentParser(description="llama.cpp beside our decoder on the GGUF of a release.")
    parser.add_argument("folder", type=Path, help="a release, or the folder of a run")
    parser.add_argument("--type", choices=("f16", "q8_0"), default="f16")
    parser.add_argument("--prompts", type=int, default=200)
    offer(parser, BARS)
    given = parser.parse_args()
    return answer_measured(given.json, functools.partial(measure, given.folder, given.type, given.prompts))


if __name__ == "__main__":
    sys.exit(main())
