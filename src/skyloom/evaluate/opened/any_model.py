"""Opening any model: a checkpoint or release of ours, a Hugging Face folder or hub name, a GGUF file. Report 4.

Input: a user's word for it. Output: an `OpenModel`: token ids to logits, with its tokenizer, context and device, and what
tables say of it. A model of a family that our decoder has (LLaMA, Mistral, Qwen2, Qwen3) runs on it (equal to
transformers' within 1e-4 of a logit in fp32, which tests hold it to); every other one runs on transformers. GGUF weights are turned
into numbers by transformers. No code of a model's folder is run unless the user says so, and pickled weights are not read.
"""

from __future__ import annotations

import contextlib
import sys
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from importlib.metadata import version
from typing import TYPE_CHECKING, TypedDict, cast

import torch
from safetensors import SafetensorError, safe_open
from torch import Tensor, nn

from skyloom.core.errors import ConfigError, DataError, IntegrityError
from skyloom.core.store import Store
from skyloom.evaluate import models
from skyloom.evaluate.opened.model_words import HubWords, OwnWords, Words, begin_of, files_digest
from skyloom.evaluate.opened.places import CHECKPOINT, GGUF, RELEASE, ModelPlace, locate
from skyloom.model.adopt import read_shape, weight_files
from skyloom.model.decoder import Decoder, holding
from skyloom.model.hf import from_hf
from skyloom.model.hf_config import FAMILIES, from_hf_config
from skyloom.tokenizer import Tokenizer

if TYPE_CHECKING:
    import transformers

LONGEST = 4096
"""Tokens of a context unless the user asks for more."""
DTYPES = {"float32": torch.float32, "bfloat16": torch.bfloat16, "float16": torch.float16, "float64": torch.float64}
AUTO = "auto"


class Described(TypedDict):
    """What every output says of a model."""

    model: str
    kind: str
    path: str
    sha256: str
    tokenizer_sha256: str
    vocabulary: int
    parameters: int
    dtype: str
    device: str
    context: int
    begins_with: str
    begin_id: int
    engine: str
    versions: dict[str, str]


@dataclass(frozen=True)
class OpeningOptions:
    """How models are opened. `dtype`: one of DTYPES, or "auto": fp32 on the processor, the weights' own on an accelerator.
    `context`: None for the model's, at most LONGEST."""

    dtype: str = AUTO
    device: str = "cpu"
    context: int | None = None
    offline: bool = False
    trust_code: bool = False


class OpenModel:
    """Token ids int64[batch, sequence] to logits [batch, sequence, vocabulary], position t predicting token t + 1."""

    def __init__(
        self, place: ModelPlace, name: str, words: Words, network: nn.Module, longest: int, opening: OpeningOptions
    ) -> None:
        self.place, self.name, self.words, self.network = place, name, words, network
        self.own = isinstance(network, Decoder)
        self.begin, self.begins_with = begin_of(words)
        matrix = _embedding(network)
        self.vocabulary = matrix.shape[0]
        self.device, self.dtype = matrix.device, matrix.dtype
        if opening.context is not None and opening.context > longest:
            raise ConfigError(f"{name} takes at most {longest:,} tokens, --context asks for {opening.context:,}")
        self.context = opening.context or min(longest, LONGEST)
        if self.begin >= self.vocabulary:
            raise DataError(f"{name}: its tokenizer begins texts with id {self.begin}, its embedding has {self.vocabulary:,} rows")

    def __call__(self, tokens: Tensor) -> Tensor:
        with torch.inference_mode():
            tokens = tokens.to(self.device)
            if self.own:
                logits: Tensor = self.network(tokens)
                return logits
            return cast(Tensor, self.network(input_ids=tokens, use_cache=False).logits)

    def encode(self, texts: Sequence[str], ids: Sequence[str] | None = None) -> list[list[int]]:
        """Token ids of texts without special tokens. DataError, with the text's id, for one beyond the embedding."""
        rows = self.words.encode(texts)
        for number, row in enumerate(rows):
            if row and max(row) >= self.vocabulary:
                raise DataError(
                    f"{self.name}: its tokenizer does not fit it: in text {ids[number] if ids else number} there is id {max(row)}, "
                    f"its embedding has {self.vocabulary:,} rows"
                )
        return rows

    def describe(self) -> Described:
        return {
            "model": self.name,
            "kind": self.place.kind,
            "path": str(self.place.path),
            "sha256": self.place.digest,
            "tokenizer_sha256": self.words.digest,
            "vocabulary": self.vocabulary,
            "parameters": sum(p.numel() for p in self.network.parameters()),
            "dtype": str(self.dtype).removeprefix("torch."),
            "device": str(self.device),
            "context": self.context,
            "begins_with": self.begins_with,
            "begin_id": self.begin,
            "engine": "skyloom" if self.own else "transformers",
            "versions": {name: version(name) for name in ("skyloom", "torch", "transformers", "tokenizers")},
        }


def open_model(text: str, opening: OpeningOptions = OpeningOptions(), name: str = "") -> OpenModel:
    """Read a model. ConfigError or DataError if there is none or it cannot be opened, IntegrityError for damaged weights."""
    device = _device(opening.device)
    place = locate(text, offline=opening.offline, trust_code=opening.trust_code)
    words, network, longest = _checkpoint(place) if place.kind == CHECKPOINT else _for_transformers(place, opening)
    dtype = _dtype(opening.dtype, device, network)
    with _room(place):
        network = network.to(device=device, dtype=dtype).eval().requires_grad_(False)
    return OpenModel(place, name or place.name, words, network, longest, opening)


def open_words(text: str, opening: OpeningOptions = OpeningOptions()) -> Words:
    """The tokenizer of a model alone; its weights are not read. Errors as `open_model`."""
    place = locate(text, offline=opening.offline, trust_code=opening.trust_code)
    if place.kind in (CHECKPOINT, RELEASE):
        return OwnWords(Tokenizer.load(place.tokenizer), place.name)
    return HubWords(*_tokenizer(place, opening))


def _device(name: str) -> torch.device:
    try:
        device = torch.device(name)
    except RuntimeError as problem:
        raise ConfigError(f"'{name}' is no device; give cpu or cuda") from problem
    if device.type == "cuda" and not torch.cuda.is_available():
        raise ConfigError("--device cuda: this machine has no CUDA device that torch can use")
    return device


def _dtype(name: str, device: torch.device, network: nn.Module) -> torch.dtype:
    if name == AUTO:
        return torch.float32 if device.type == "cpu" else next(network.parameters()).dtype
    if name not in DTYPES:
        raise ConfigError(f"'{name}' is no dtype; there are {', '.join(DTYPES)} and {AUTO}")
    return DTYPES[name]


@contextlib.contextmanager
def _room(place: ModelPlace) -> Iterator[None]:
    try:
        yield
    except torch.OutOfMemoryError as problem:
        raise ConfigError(f"{place.path} does not fit into the device's memory; give --dtype bfloat16 or --device cpu") from problem


def _checkpoint(place: ModelPlace) -> tuple[Words, nn.Module, int]:
    loaded = models.load(Store(place.path))
    return OwnWords(Tokenizer.load(place.tokenizer), place.name), loaded.decoder, loaded.context


def _for_transformers(place: ModelPlace, opening: OpeningOptions) -> tuple[Words, nn.Module, int]:
    own = _own_decoder(place) if place.kind != GGUF else None
    if place.kind == RELEASE and own is not None:
        return OwnWords(Tokenizer.load(place.path), place.name), own, own.config.context
    words = HubWords(*_tokenizer(place, opening))
    if own is not None:
        return words, own, own.config.context
    network = _network(place, opening)
    longest = getattr(network.config, "max_position_embeddings", None) or getattr(network.config, "n_positions", None) or LONGEST
    return words, _converted(network) or network, int(longest)


def _own_decoder(place: ModelPlace) -> Decoder | None:
    """Our decoder with the weights of a folder, or None if its model is another one."""
    try:
        shape = read_shape(place.path)
    except ConfigError:
        return None
    weights: dict[str, Tensor] = {}
    for path in weight_files(place.path):
        try:
            with safe_open(path, "pt") as file:
                weights |= {name: file.get_tensor(name) for name in file.keys()}  # noqa: SIM118 - it is no mapping
        except SafetensorError as problem:
            raise IntegrityError(f"{path} is damaged or cut short: {problem}") from problem
    weights = {name: tensor for name, tensor in weights.items() if not name.endswith("rotary_emb.inv_freq")}
    return holding(shape, from_hf(weights, shape))


def _converted(network: transformers.PreTrainedModel) -> Decoder | None:
    """Our decoder with the weights of a model that transformers read from another format, or None for one that is not ours."""
    if type(network).__name__ not in {family.architecture for family in FAMILIES.values()}:
        return None
    table = network.config.to_dict()
    table.pop("quantization_config", None)
    table.pop("unk_token_id", None)
    try:
        shape = from_hf_config(table)
    except ConfigError:
        return None
    return holding(shape, from_hf(network.state_dict(), shape))


def _tokenizer(place: ModelPlace, opening: OpeningOptions) -> tuple[transformers.PreTrainedTokenizerBase, str, str]:
    import transformers

    folder, file = _source(place)
    with _readable(place, "tokenizer"):
        read = transformers.AutoTokenizer.from_pretrained(
            folder, local_files_only=True, trust_remote_code=opening.trust_code, **file
        )
    files = [place.path] if place.kind == GGUF else [p for p in place.path.iterdir() if "token" in p.name or p.name == "vocab.json"]
    return read, place.name, files_digest(files)


def _network(place: ModelPlace, opening: OpeningOptions) -> transformers.PreTrainedModel:
    import transformers

    folder, file = _source(place)
    auto = "auto" if opening.dtype == AUTO and not opening.device.startswith("cpu") else DTYPES.get(opening.dtype, torch.float32)
    with _readable(place, "causal language model"):
        network: transformers.PreTrainedModel = transformers.AutoModelForCausalLM.from_pretrained(
            folder, dtype=auto, local_files_only=True, trust_remote_code=opening.trust_code, **file
        )
    return network


def _source(place: ModelPlace) -> tuple[str, dict[str, str]]:
    """The folder, and what names the file in it."""
    return (str(place.path.parent), {"gguf_file": place.path.name}) if place.kind == GGUF else (str(place.path), {})


@contextlib.contextmanager
def _readable(place: ModelPlace, what: str) -> Iterator[None]:
    """What transformers raises (anything) as a sentence with its first line; its progress bars are not shown."""
    import transformers

    transformers.utils.logging.disable_progress_bar()  # type: ignore[no-untyped-call]
    try:
        with contextlib.redirect_stderr(_Quiet()):
            yield
    except SafetensorError as problem:
        raise IntegrityError(f"{place.path} has damaged weights: {problem}") from problem
    except Exception as problem:
        words = (str(problem).strip().splitlines() or [repr(problem)])[0][:300]
        raise DataError(f"{place.path} cannot be read as a {what}: {words}") from problem


class _Quiet:
    """A standard error that forgets progress bars of libraries. Signals and errors are told elsewhere."""

    def write(self, text: str) -> int:
        return len(text)

    def flush(self) -> None: ...

    def isatty(self) -> bool:
        return False

    def fileno(self) -> int:
        return sys.__stderr__.fileno() if sys.__stderr__ else 2


def _embedding(network: nn.Module) -> Tensor:
    if isinstance(network, Decoder):
        assert network.embedding is not None
        return network.embedding.weight
    return cast(Tensor, cast("transformers.PreTrainedModel", network).get_input_embeddings().weight)
