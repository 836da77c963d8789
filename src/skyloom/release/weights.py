"""The release folder of a finished run, which others load with `transformers`, read, check and cite.

Input: the folders of the run's steps. Output: one folder in the layout of a model on a hub:

    README.md  config.json  generation_config.json  model.safetensors  tokenizer.*     the final model and its card
    checkpoints/<stage>-<step>/                                                        the same for intermediate models
    corpus/  licenses/                                                                 the text with its own card; its licences
    evaluation/  exercises/                                                            the results that the cards quote; the items
    run/  report.html                                                                  ledgers, journals, versions; the run page
    recipe.toml  SHA256SUMS                                                            how to make it again, and proof

The report releases weights, intermediate checkpoints and a part of its corpus (abstract, 3.2); here nothing of the run
is left out. The weights go out under the names of `LlamaForCausalLM`, or of the family that was
continued (Mistral, Qwen2, Qwen3), so no code of ours is needed to use them. Equal
inputs give equal bytes. `check` proves a folder.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import PurePath

import safetensors
import safetensors.torch
import torch

from skyloom.core.config import build, plain, to_toml
from skyloom.core.errors import ConfigError, DataError, IntegrityError
from skyloom.core.json_files import PlainTable, RunFacts
from skyloom.core.progress import Progress
from skyloom.core.store import FileRecord, Store
from skyloom.model.config import ModelConfig
from skyloom.model.decoder import Decoder, holding
from skyloom.model.hf import from_hf, from_hf_config, to_hf, to_hf_config
from skyloom.release import canaries, claims, licenses, sums
from skyloom.release import corpus_shards as corpus
from skyloom.release.config import ReleaseConfig
from skyloom.release.folder import MODELS, RECIPE, ModelEntry, write_records
from skyloom.tokenizer.tokenizer import Tokenizer
from skyloom.train import checkpoint
from skyloom.train.stage_list import released_names, stage_tables

Page = Callable[[Store], FileRecord]
"""Writes the run page into a release."""


@dataclass(frozen=True)
class PublishedModel:
    """One model as it was written: its folder in the release (empty: the release itself) and where training stood."""

    folder: str
    stage: str
    step: int
    tokens: int
    config: ModelConfig


def release(
    inputs: Mapping[str, Store],
    out: Store,
    config: ReleaseConfig,
    recipe: PlainTable,
    *,
    run: RunFacts | None = None,
    page: Page | None = None,
    progress: Progress,
) -> list[FileRecord]:
    """Write the whole release to `out` and return the records of its files, `SHA256SUMS` last.

    `inputs`: finished steps by name: `corpus exercises tokenizer tokens evaluate leakage` and all stages, and `pages extract` if
    the corpus card is to tell the whole funnel. `recipe`: the resolved recipe as plain values, which names the stages; `run`:
    versions, machine, steps; `page` writes the run page. The cards are written last, from what lies in `out` by then. DataError
    if a step that a release needs is missing, IntegrityError if a checkpoint is damaged.
    """
    names = [str(stage["name"]) for stage in stage_tables(recipe)]
    missing = [name for name in ("corpus", "exercises", "tokenizer", *(names or ["training"])) if name not in inputs]
    if missing:
        raise DataError(f"a release needs the steps {', '.join(missing)}, which this run does not have")
    planted = canaries.read_canaries(inputs["exercises"])
    records, models = _models(inputs, out, config, released_names(recipe), progress)
    text = corpus.publish(inputs["corpus"], planted, out, round(config.shard_megabytes * 1e6), progress=progress)
    records += text.files
    records += write_records(inputs, out, run or {}, recipe)
    entries: list[ModelEntry] = [{"folder": m.folder, "stage": m.stage, "step": m.step, "tokens": m.tokens} for m in models]
    records.append(out.write_json(MODELS, entries))
    records.append(canaries.write_list(planted, out))
    records += licenses.write(inputs.get("pages"), text, out)
    records.append(out.write_text(RECIPE, to_toml({**_without_places(recipe), "release": plain(config)})))
    if page is not None:
        records.append(page(out))
    digests = {record.name: record.sha256 for record in text.files}
    records += [out.write_text(name, card) for name, card in claims.written_again(out, text, digests).items()]
    for warning in warnings(config, text):
        progress.log(f"release: {warning}")
    return [*records, sums.write(records, out)]


def warnings(config: ReleaseConfig, published: corpus.PublishedCorpus) -> list[str]:
    """What a publisher should put right first, in sentences; empty if nothing."""
    found = []
    if not config.authors:
        found.append("no authors are named; set release.authors before you publish")
    if not config.contact:
        found.append("no contact is named; set release.contact before you publish, so that people can reach you")
    if published.unknown and not config.allow_unknown_license:
        found.append(f"not to be published: {no_licence(published.unknown)}")
    return found


def no_licence(documents: int) -> str:
    """Why documents without a licence are not published, and what to do."""
    return (
        f"{documents:,} documents state no licence; set that of their source (corpus.sources.NAME.license), or decide to publish "
        "them (release build --allow-unknown-license)"
    )


def _without_places(recipe: PlainTable) -> PlainTable:
    """The recipe without the folder in which a given base lay on this machine; parts.json has the base's checksum."""
    tokenizer = recipe.get("tokenizer")
    if isinstance(tokenizer, dict) and (place := tokenizer.get("base_model")):
        return {**recipe, "tokenizer": {**tokenizer, "base_model": PurePath(str(place)).name}}
    return dict(recipe)


def _models(
    inputs: Mapping[str, Store], out: Store, config: ReleaseConfig, stages: Sequence[str], progress: Progress
) -> tuple[list[FileRecord], list[PublishedModel]]:
    """Write the final model at the top, and all kept checkpoints of the released `stages` below `checkpoints/`."""
    final = inputs[stages[-1]].child(checkpoint.FINAL)
    sources = [("", final)]
    for stage in stages:
        kept = [inputs[stage].child(checkpoint.folder_of(step)) for step in checkpoint.steps(inputs[stage])]
        if stage != stages[-1]:
            kept.append(inputs[stage].child(checkpoint.FINAL))  # the report keeps its Stage-1 model, the better *language* model
        sources += [(f"checkpoints/{stage}-{checkpoint.read_state(place)['step']:07d}", place) for place in kept]
    records: list[FileRecord] = []
    models = []
    with progress.task("release models", len(sources), "models") as bar:
        for folder, place in sources:
            made, written = write_model(place, inputs["tokenizer"], out, folder, config.dtype)
            models.append(made)
            records += written
            bar.advance()
    return records, models


def write_model(place: Store, tokenizer: Store, out: Store, folder: str, dtype: str) -> tuple[PublishedModel, list[FileRecord]]:
    """One loadable model from the checkpoint in `place`: weights, configs and tokenizer.

    IntegrityError if the checkpoint is damaged, ConfigError if the tokenizer is not the model's or transformers has no such block.
    """
    found = checkpoint.read(place, moments=False)
    shape = build(ModelConfig, found.state["model"], origin=place.url(checkpoint.STATE))
    tokens = Tokenizer.load(tokenizer)
    if tokens.vocab_size != shape.vocabulary:
        raise ConfigError(
            f"the tokenizer in {tokenizer.root} has {tokens.vocab_size:,} tokens, the model in {place.root} {shape.vocabulary:,}: "
            "give the tokenizer that it was trained with"
        )
    kind = getattr(torch, dtype)
    weights = {name: tensor.to(kind).contiguous() for name, tensor in to_hf(found.weights, shape).items()}
    ids = {"bos_token_id": tokens.bos_id, "eos_token_id": tokens.eos_id, "pad_token_id": tokens.pad_id}
    root = f"{folder}/" if folder else ""
    records = [
        out.write_bytes(f"{root}model.safetensors", safetensors.torch.save(weights, metadata={"format": "pt"})),
        out.write_json(f"{root}config.json", to_hf_config(shape, bos_id=tokens.bos_id, eos_id=tokens.eos_id, dtype=dtype)),
        out.write_json(f"{root}generation_config.json", {**ids, "do_sample": True, "temperature": 0.8, "top_p": 0.95}),
        *(_tokenizer_file(tokenizer, name, out, root, shape.context) for name in tokens.files),
    ]
    state = found.state
    return PublishedModel(folder, state["stage"], state["step"], state["tokens"], shape), records


def _tokenizer_file(tokenizer: Store, name: str, out: Store, root: str, context: int) -> FileRecord:
    """A file of the tokenizer as it is published; its settings for transformers say what belongs to the model too.

    A decoder continues the last token of a row, so a batch of prompts must be padded on the left; transformers pads on the right
    where nothing is said, and takes any length for possible.
    """
    if name != "tokenizer_config.json":
        return out.write_bytes(f"{root}{name}", tokenizer.read_bytes(name))
    return out.write_json(f"{root}{name}", {**tokenizer.read_json(name), "padding_side": "left", "model_max_length": context})


def load_released(folder: Store) -> tuple[Decoder, Tokenizer, int]:
    """Our own decoder (fp32, for inference), tokenizer and context of a released model, or of one of its checkpoints.

    StorageError if a file is missing, ConfigError or IntegrityError if the weights are not those of such a decoder.
    """
    shape = from_hf_config(folder.read_json("config.json"))
    try:
        state = safetensors.torch.load(folder.read_bytes("model.safetensors"))
    except safetensors.SafetensorError as problem:
        raise IntegrityError(f"{folder.url('model.safetensors')} is damaged: {problem}") from problem
    model = holding(shape, {name: tensor.float() for name, tensor in from_hf(state, shape).items()})
    return model, Tokenizer.load(folder), shape.context
