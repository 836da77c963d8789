"""Measures a release again from its own weights and text (`skyloom release check --recompute`).

Input: a release folder. Output: for each kind of result a proof that returns a sentence, or raises with the differences:

- *exercises*: written again from the recipe's seed, they are those of the release, and the listed canaries are among them;
- *tokens*: the corpus and the canaries, encoded again with the released tokenizer, are the token shards that training read;
- *perplexity*, *choices*, *samples*: the evaluation, done again with the released weights;
- *leakage*: the audit, done again;
- *journals*: the held-out losses and scores that training wrote down at the steps whose checkpoints are released.

Other processors add in another order, so losses may differ by TOLERANCE, and one item in a hundred may be chosen otherwise. Where
training or the released weights are bfloat16, journals or results were measured at another precision: COARSE applies.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from functools import cached_property
from typing import Any, TypeVar

from skyloom.core.config import build
from skyloom.core.engine import Engine
from skyloom.core.errors import IntegrityError
from skyloom.core.json_files import ChoiceEntry
from skyloom.core.progress import Progress
from skyloom.core.records import Json
from skyloom.core.store import Store
from skyloom.corpus import stem
from skyloom.data import pack
from skyloom.data.config import PackConfig
from skyloom.evaluate.config import UNITS, EvaluateConfig
from skyloom.evaluate.models import LoadedModel
from skyloom.evaluate.report import UNIGRAM, evaluate
from skyloom.evaluate.tasks import EXERCISES as EXERCISE_SCORES
from skyloom.evaluate.tasks import scorer
from skyloom.leakage.config import LeakageConfig
from skyloom.leakage.gap import audit
from skyloom.release import canaries, corpus_shards, evidence
from skyloom.release.folder import EVALUATION, EXERCISES, open_release, records_of
from skyloom.release.likeness import unlike
from skyloom.release.weights import load_released
from skyloom.score.intervals import figure, wilson
from skyloom.suites import HeldoutSetsConfig, heldout_sets
from skyloom.tokenizer.tokenizer import Tokenizer
from skyloom.train.config import TrainConfig
from skyloom.train.stage_list import CHANGED, FINAL, Planting, Stage, planting, released_names, stage_tables
from skyloom.train.watch import Monitor

TOLERANCE, COARSE = 1e-3, 2e-2
"""Largest difference of a recomputed figure, times the larger of 1 and the figure: in fp32; where bfloat16 was used."""
NOT_MEASURED = "not measured in this run"
ITEMS = 100
"""Of so many multiple-choice items one may be answered otherwise."""

Config = TypeVar("Config")


class Recomputation:
    """The proofs of one release, sharing what they read; `scratch`: an empty local folder that the caller removes."""

    def __init__(self, release: Store, scratch: Store, progress: Progress) -> None:
        self.release, self.scratch, self.progress = release, scratch, progress
        self.opened = open_release(release)
        self.found = evidence.read(records_of(release))

    def proofs(self) -> list[tuple[str, Callable[[], str]]]:
        """Name and proof of each result, in order; a proof raises IntegrityError where a claim does not hold."""
        return [
            ("exercises again", self.exercises),
            ("tokens again", self.tokens),
            ("perplexity again", self.perplexity),
            ("choices again", self.choices),
            ("samples again", self.samples),
            ("leakage again", self.leakage),
            ("journals again", self.journals),
        ]

    def exercises(self) -> str:
        """Same seed, same exercises: a changed answer key, or a canary that is not listed, shows here."""
        self._refuse_earlier_control()
        made = self.scratch.child("exercises")
        counts = stem.generate(self._config(stem.StemConfig, "exercises"), made, progress=self.progress)
        wrong = []
        for name in made.names("exercises-"):
            if not self._given.exists(name):
                wrong.append(f"{EXERCISES}/{name} is missing")
            elif not self._given.read_table(name).equals(made.read_table(name)):
                wrong.append(f"{EXERCISES}/{name} is not what the recipe's seed gives")
        if canaries.read_list(self.release) != canaries.read_canaries(made):
            wrong.append(f"{canaries.LIST} does not name the canaries of the recipe")
        return _judged(wrong, f"{sum(counts.values()):,} exercises in {len(counts)} splits are those of the recipe's seed")

    def tokens(self) -> str:
        """Same text, same tokenizer, same tokens: a document changed, added or left out shows here."""
        if self.found.tokens is None:
            raise IntegrityError("the release has no run/tokens/tokens.json, so nothing says what training read")
        if gone := sum(row["split"] == "train" for row in self.found.removed):
            return f"not done again: {gone:,} documents that training read were removed after the release"
        wrong = list(unlike(self.found.tokens, self._tokens.read_json(pack.MANIFEST), 0.0, "tokens.json"))
        total = sum(domain["tokens"] for domain in self.found.tokens["domains"].values())
        return _judged(wrong, f"{total:,} tokens of {len(self.found.tokens['domains'])} domains are those that were packed")

    def perplexity(self) -> str:
        if self.found.perplexity is None:
            return NOT_MEASURED
        if self._heldout_removed:
            return self._heldout_removed
        stated, again = self._evaluation("perplexity.json")
        if self.found.removed:
            stated, again = _without_unigram(stated), _without_unigram(again)
        if self._evaluate.reference != UNITS:  # that tokenizer is not in the release
            stated, again = _without_reference(stated), _without_reference(again)
        wrong = list(unlike(stated, again, self._tolerance, "perplexity.json"))
        return _judged(wrong, f"{len(stated['rows'])} rows agree within {self._tolerance:g}")

    def choices(self) -> str:
        if self.found.choice is None:
            return NOT_MEASURED
        stated, again = self._evaluation("choice.json")
        rows: list[ChoiceEntry] = stated["rows"]
        wrong = list(unlike(_without(stated, "rows"), _without(again, "rows"), 0.0, "choice.json"))
        if len(rows) != len(again["rows"]):
            wrong.append(f"choice.json has {len(rows)} rows, recomputed {len(again['rows'])}")
        for row, other in zip(rows, again["rows"], strict=False):
            wrong += _choice(row, other)
        return _judged(wrong, f"{len(rows)} rows agree (at most one answer in {ITEMS} may differ)")

    def samples(self) -> str:
        """Text is drawn with a seed; weights that were rounded for the release draw other text, so it is not compared."""
        if self._coarse:
            return "not compared: the released weights are bfloat16, the samples were written with fp32 weights"
        if self.found.samples is None:
            return NOT_MEASURED
        stated, again = self._evaluation("samples.json")
        return _judged(list(unlike(stated, again, 0.0, "samples.json")), f"{len(stated)} samples are written again")

    def leakage(self) -> str:
        if self.found.leakage is None:
            return NOT_MEASURED
        self._refuse_earlier_control()
        out = self.scratch.child("leakage")
        planted = self._planting
        config = self._config(LeakageConfig, "leakage")
        audit(
            self._models, self._given, self._tokenizer, out, config, corpus=self._documents, planted=planted, progress=self.progress
        )
        stated = self.release.read_json(f"{EVALUATION}/leakage.json")
        again = out.read_json("leakage.json")
        if self.found.removed:  # words of items are looked for in the corpus, which has become smaller
            stated, again = _without(stated, "corpus", "words"), _without(again, "corpus", "words")
        wrong = list(unlike(stated, again, self._tolerance, "leakage.json"))
        return _judged(wrong, f"losses, gaps and verdicts agree within {self._tolerance:g}")

    def journals(self) -> str:
        """Each released checkpoint that lies at a monitoring point has the losses that training wrote down there."""
        if self._heldout_removed:
            return self._heldout_removed
        train = self._config(TrainConfig, "train")
        tolerance = COARSE if train.precision != "fp32" or self._coarse else TOLERANCE
        sets = heldout_sets(
            self._documents,
            self._given,
            self._config(HeldoutSetsConfig, "heldout" if "heldout" in self.opened.recipe else "heldout_sets"),
        )
        wrong: list[str] = []
        seen = 0
        for entry in self.opened.models:
            at = (entry["stage"], entry["step"])
            noted = {row["set"]: row for row in self.found.heldout or [] if (row["stage"], row["step"]) == at}
            scores = [r for r in self.found.scores or [] if (r["stage"], r["step"]) == at and r["benchmark"] == EXERCISE_SCORES]
            if not noted and not scores:
                continue
            seen += 1
            own = self._train(entry["stage"])
            monitor = Monitor(sets, self._tokenizer.encode_column, self._tokenizer.bos_id, own, self.progress)
            asked = scorer(self._given, self._tokenizer, own)
            model, _, _ = load_released(self.release.child(entry["folder"]) if entry["folder"] else self.release)
            place = f"heldout.jsonl[{entry['stage']} {entry['step']}"
            for name, losses in monitor.score(model).items() if noted else ():
                if name not in noted:
                    wrong.append(f"{place}] has no line of {name}")
                    continue
                again = {"loss": losses.loss, "bits_per_byte": losses.bits_per_byte, "scored_tokens": int(losses.tokens.sum())}
                stated = {key: noted[name][key] for key in again}  # type: ignore[literal-required]
                wrong += unlike(stated, again, tolerance, f"{place} {name}]")
            for row, other in zip(scores, asked(model) if asked and scores else (), strict=False):
                if abs((row["accuracy"] or 0.0) - (other["accuracy"] or 0.0)) * row["items"] > max(1, row["items"] // ITEMS) + 1e-9:
                    wrong.append(
                        f"scores.jsonl[{entry['stage']} {entry['step']} {row['lang']}].accuracy is {row['accuracy']}, "
                        f"recomputed {other['accuracy']}"
                    )
        tasks = sorted({row["benchmark"] for row in self.found.scores or []} - {EXERCISE_SCORES})
        left = f"; not done again, as their items are not in the release: {', '.join(tasks)}" if tasks else ""
        watched = f"{seen} of {len(self.opened.models)} models were watched in training; they agree within {tolerance:g}"
        return _judged(wrong, watched + left)

    def _refuse_earlier_control(self) -> None:
        if earlier := canaries.earlier_control(self.release):
            raise IntegrityError(earlier)

    def _config(self, kind: type[Config], key: str) -> Config:
        return build(kind, self.opened.recipe.get(key, {}), origin=self.release.url("recipe.toml"), key=key)

    def _evaluation(self, name: str) -> tuple[Any, Any]:
        """A result as it is recorded and as it is found again."""
        return self.release.read_json(f"{EVALUATION}/{name}"), self._evaluated.read_json(name)

    @property
    def _heldout_removed(self) -> str:
        """Why results on held-out text cannot be had again; "" if they can."""
        gone = sum(row["split"] == "valid" for row in self.found.removed)
        return f"not done again: {gone:,} held-out documents were removed after the release" if gone else ""

    @property
    def _coarse(self) -> bool:
        return self.opened.config.dtype != "float32"

    @property
    def _tolerance(self) -> float:
        return COARSE if self._coarse else TOLERANCE

    @property
    def _given(self) -> Store:
        return self.release.child(EXERCISES)

    @cached_property
    def _tokenizer(self) -> Tokenizer:
        return Tokenizer.load(self.release)

    @cached_property
    def _evaluate(self) -> EvaluateConfig:
        return self._config(EvaluateConfig, "evaluate")

    @cached_property
    def _models(self) -> dict[str, LoadedModel]:
        """The models of the tables: the last one of each released stage by its name, "final" the release itself."""
        *compared, last = released_names(self.opened.recipe)
        if "stages" not in self.opened.recipe and compared:  # an earlier version compared the last of them, under this name
            stages = {compared[-1]: "stage1"}
        else:
            stages = {name: name for name in compared}
        found = {}
        for stage, name in stages.items():
            its = [model for model in self.opened.models if model["folder"] and model["stage"] == stage]
            if not its:
                raise IntegrityError(f"the release has no checkpoint of {stage}, so its figures cannot be measured again")
            decoder, _, context = load_released(self.release.child(max(its, key=lambda m: m["step"])["folder"]))
            found[name] = LoadedModel(decoder, min(context, self._train(stage).context))
        decoder, _, context = load_released(self.release)
        return {**found, FINAL: LoadedModel(decoder, min(context, self._train(last).context))}

    def _train(self, stage: str) -> TrainConfig:
        """The settings of training in a stage."""
        own: dict[str, Any] = next((dict(one) for one in stage_tables(self.opened.recipe) if one["name"] == stage), {})
        table = {**self.opened.recipe.get("train", {}), **{key: own[key] for key in CHANGED if key in own}}
        return build(TrainConfig, table, origin=self.release.url("recipe.toml"), key="train")

    @property
    def _planting(self) -> Planting | None:
        """Which stage read the canaries, None if none did."""
        if not self.found.canaries_read:
            return None
        if "stages" not in self.opened.recipe:
            return Planting()
        key, origin = "stages", self.release.url("recipe.toml")
        return planting([build(Stage, dict(one), origin=origin, key=key) for one in stage_tables(self.opened.recipe)])

    @cached_property
    def _documents(self) -> Store:
        """The corpus as the pipeline's Parquet shards. What only generated exercises have (`meta`) is theirs by their ids."""
        out = self.scratch.child("documents")
        metas: dict[str, str] = {}
        for name in self._given.names("exercises-"):
            table = self._given.read_table(name, ["id", "meta"])
            metas.update(zip(table["id"].to_pylist(), table["meta"].to_pylist(), strict=True))
        for number, (split, name) in enumerate((s, n) for s in corpus_shards.SPLITS for n in self.release.names(f"corpus/{s}-")):
            rows = [document for _, document in corpus_shards.read_documents(self.release, name)]
            out.write_table(f"documents-{number:05d}.parquet", corpus_shards.table_of(rows, split, metas))
        return out

    @cached_property
    def _tokens(self) -> Store:
        out = self.scratch.child("tokens")
        config = self._config(PackConfig, "tokens")
        pack.pack(self._documents, self._given, self.release, out, config, engine=Engine(), progress=self.progress)
        return out

    @cached_property
    def _evaluated(self) -> Store:
        """The evaluation of the released weights."""
        out = self.scratch.child("evaluate")
        table = {**self.opened.recipe.get("evaluate", {}), "reference": UNITS}
        config = build(EvaluateConfig, table, origin=self.release.url("recipe.toml"), key="evaluate")
        evaluate(self._models, self._documents, self._given, self._tokens, self._tokenizer, out, config, progress=self.progress)
        return out


def _choice(row: ChoiceEntry, other: ChoiceEntry) -> Iterable[str]:
    """What is wrong with a row of choice.json: another answer than ours too often, or figures that do not follow from it."""
    where = f"choice.json[{row['model']} {row['lang']}]"
    if (row["model"], row["lang"], row["items"]) != (other["model"], other["lang"], other["items"]):
        yield f"{where} has {row['items']} items, recomputed {other['model']} {other['lang']} {other['items']}"
    elif abs(row["correct"] - other["correct"]) > max(1, row["items"] // ITEMS):
        yield f"{where}.correct is {row['correct']} of {row['items']}, recomputed {other['correct']}"
    share = wilson(row["correct"], row["items"])
    derived: dict[str, Json] = {"accuracy": figure(share.value), "low": figure(share.low), "high": figure(share.high)}
    yield from unlike({key: row[key] for key in derived}, derived, 1e-6, where)  # type: ignore[literal-required]


def _without(table: Mapping[str, Json], *keys: str) -> dict[str, Json]:
    return {key: value for key, value in table.items() if key not in keys}


def _without_unigram(table: dict[str, Any]) -> dict[str, Any]:
    """perplexity.json without what rests on the counts of training tokens, which removed documents change."""
    rows = {key: [r for r in v if UNIGRAM not in (r.get("model"), r.get("other"))] for key, v in table.items() if type(v) is list}
    return {**_without(table, "sanity"), **{key: kept for key, kept in rows.items() if key != "sanity"}}


def _without_reference(table: dict[str, Any]) -> dict[str, Any]:
    """perplexity.json without the columns that a tokenizer decides which is not in the release."""
    columns = ("reference_loss", "reference_perplexity")
    kept = {key: [_without(row, *columns) for row in table[key]] for key in ("rows", "average")}
    return {**_without(table, "reference"), **kept}


def _judged(wrong: list[str], right: str) -> str:
    if wrong:
        more = f"; and {len(wrong) - 4} more" if len(wrong) > 4 else ""
        raise IntegrityError("; ".join(wrong[:4]) + more)
    return right
