"""Experiment trackers: the curves of a run in TensorBoard, Weights & Biases or MLflow while it goes on.

TensorBoard's files are written always. The two services are extras (`train.trackers`). They may be slow or unreachable, and a run
must neither wait for them nor die of them: each has a thread and a bounded queue of its own; what cannot be sent is counted,
the first problem is told once, and the count stands in `telemetry/trackers.json` and at the end of the log. A package that is
not installed is an error before the first step. Nothing here is part of a run's content.
"""

from __future__ import annotations

import importlib.util
import os
import queue
import threading
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Protocol, TypeAlias, TypedDict

from torch.utils.tensorboard import SummaryWriter

from skyloom.core.errors import ConfigError
from skyloom.core.progress import Progress
from skyloom.core.store import TELEMETRY, Store

BOARD = f"{TELEMETRY}tensorboard"
SENT = f"{TELEMETRY}trackers.json"
PROJECT = "skyloom"
WAITING = 10_000
"""Sets of figures that wait for a slow service at most; what comes then is lost to it, and counted."""
PATIENCE = 20.0
"""Seconds that the end of a run waits for what is still to be sent."""
RETRY = 60.0
"""Seconds after which a service that could not be reached is tried again."""

Figures: TypeAlias = Mapping[str, float]
Settings: TypeAlias = Mapping[str, object]
"""Tables of settings, whose values are tables again or what a service shows as text."""


class Sent(TypedDict):
    """What `telemetry/trackers.json` says of a service: the id of its run, sets of figures sent and lost, the first problem."""

    id: str
    sent: int
    lost: int
    problem: str


class Tracker(Protocol):
    """Shows figures by name (`train/loss`) over steps."""

    def add(self, figures: Figures, step: int) -> None: ...
    def flush(self) -> None: ...
    def close(self) -> None: ...


class Board:
    """TensorBoard's files in `telemetry/tensorboard`; what an earlier attempt wrote behind `first_step` is hidden."""

    def __init__(self, folder: Path, first_step: int) -> None:
        purged = first_step + 1 if first_step else 0  # the first of the steps that are hidden
        self._writer = SummaryWriter(str(folder), purge_step=purged)

    def add(self, figures: Figures, step: int) -> None:
        for name, value in figures.items():
            self._writer.add_scalar(name, value, step)

    def flush(self) -> None:
        self._writer.flush()

    def close(self) -> None:
        self._writer.close()


class Wandb:
    """A run at Weights & Biases; the usual WANDB_… variables say where. `id`: of the run to go on with, or ""."""

    def __init__(self, id: str, name: str, folder: Path, settings: Settings) -> None:
        import wandb

        offline = os.environ.get("WANDB_MODE", "online") != "online"
        if not offline and not wandb.login(prompt=False):
            raise RuntimeError("no API key (wandb login, or WANDB_API_KEY; WANDB_MODE=offline writes files only)")
        quiet = wandb.Settings(silent=True, console="off")
        self._run = wandb.init(
            project=os.environ.get("WANDB_PROJECT", PROJECT), name=name, id=id or None, resume="allow", dir=str(folder),
            config=dict(settings), settings=quiet,
        )  # fmt: skip
        self._run.define_metric("*", step_metric="step")  # a run that goes on repeats steps, which their own counter refuses
        self.id = str(self._run.id)

    def add(self, figures: Figures, step: int) -> None:
        self._run.log({**figures, "step": step})

    def close(self) -> None:
        self._run.finish()


class Mlflow:
    """A run of an MLflow server (MLFLOW_TRACKING_URI) in the experiment MLFLOW_EXPERIMENT_NAME or "skyloom"."""

    def __init__(self, id: str, name: str, folder: Path, settings: Settings) -> None:
        from mlflow.entities import Metric, Param
        from mlflow.tracking import MlflowClient

        self._client, self._metric = MlflowClient(), Metric
        if not id:
            title = os.environ.get("MLFLOW_EXPERIMENT_NAME", PROJECT)
            experiment = self._client.get_experiment_by_name(title)
            where = experiment.experiment_id if experiment else self._client.create_experiment(title)
            id = self._client.create_run(where, run_name=name).info.run_id
            params = [Param(key, str(value)[:500]) for key, value in _flat(settings)]
            for start in range(0, len(params), 100):  # a server takes no more at once
                self._client.log_batch(id, params=params[start : start + 100])
        self._client.update_run(id, status="RUNNING")
        self.id = id

    def add(self, figures: Figures, step: int) -> None:
        now = int(time.time() * 1000)
        self._client.log_batch(self.id, metrics=[self._metric(k, v, now, step) for k, v in figures.items()])

    def close(self) -> None:
        self._client.set_terminated(self.id)


class TrackerClient(Protocol):
    """A service that has been reached."""

    id: str

    def add(self, figures: Figures, step: int) -> None: ...
    def close(self) -> None: ...


SERVICES: dict[str, tuple[str, Callable[[str, str, Path, Settings], TrackerClient]]] = {
    "wandb": ("wandb", Wandb),
    "mlflow": ("mlflow", Mlflow),
}
"""Package and client of each name in `train.trackers`; the extra is called as the name."""


class Remote:
    """A service on a thread of its own, which never raises and never keeps the run waiting but for `PATIENCE` at its end."""

    def __init__(self, name: str, connect: Callable[[str], TrackerClient], id: str, progress: Progress) -> None:
        """`connect`: makes the client of the run `id` ("": a new one)."""
        self.name, self.id = name, id
        self.sent = self.failed = self.dropped = 0
        self.problem = ""
        self._connect, self._progress = connect, progress
        self._queue: queue.Queue[tuple[dict[str, float], int] | None] = queue.Queue(WAITING)
        self._over = threading.Event()
        self._thread = threading.Thread(target=self._work, name=f"tracker-{name}", daemon=True)
        self._thread.start()

    def add(self, figures: Figures, step: int) -> None:
        try:
            self._queue.put_nowait((dict(figures), step))
        except queue.Full:
            self.dropped += 1
            self._tell("it is too slow")

    def flush(self) -> None:
        """It sends as fast as it can."""

    def close(self) -> None:
        """Wait a while for what is left, and say what was lost."""
        try:
            self._queue.put(None, timeout=PATIENCE)
        except queue.Full:
            self._over.set()
        self._thread.join(PATIENCE)
        if self._thread.is_alive():
            self._over.set()
            self.dropped += self._queue.qsize()
            self.problem = self.problem or "it does not answer"
        lost = self.failed + self.dropped
        if lost:
            self._progress.log(
                f"{self.name}: {lost:,} of {lost + self.sent:,} sets of figures were not sent ({self.problem}); the files of the "
                "run and TensorBoard have all of them"
            )

    def told(self) -> Sent:
        return {"id": self.id, "sent": self.sent, "lost": self.failed + self.dropped, "problem": self.problem}

    def _work(self) -> None:
        client: TrackerClient | None = None
        refused = -RETRY
        while (item := self._queue.get()) is not None and not self._over.is_set():
            try:
                if client is None and time.monotonic() - refused >= RETRY:
                    refused = time.monotonic()
                    client = self._connect(self.id)
                    self.id = client.id
                if client is None:
                    self.failed += 1
                    continue
                client.add(*item)
                self.sent += 1
            except Exception as problem:  # whatever a service does must not end the run: it is counted and told
                self.failed += 1
                self._tell(_words(problem))
        try:
            if client is not None and not self._over.is_set():
                client.close()
        except Exception as problem:  # as above
            self._tell(_words(problem))

    def _tell(self, problem: str) -> None:
        if not self.problem:
            self.problem = problem
            self._progress.log(f"warning: {self.name} does not take figures ({problem}); the run goes on, and this is said once")


def _words(problem: Exception) -> str:
    return f"{type(problem).__name__}: {(str(problem).strip().splitlines() or [''])[0][:200]}"


def _flat(settings: Settings, key: str = "") -> Iterator[tuple[str, object]]:
    """Tables of settings as `train.seed` and its value."""
    for name, value in settings.items():
        if isinstance(value, Mapping):
            yield from _flat(value, f"{key}{name}.")
        else:
            yield f"{key}{name}", value


def check_trackers(names: Sequence[str]) -> None:
    """ConfigError naming the extra if the package of a tracker is not installed."""
    for name in names:
        package, _ = SERVICES[name]
        if importlib.util.find_spec(package) is None:
            raise ConfigError(
                f"train.trackers names {name}, which is not installed: pip install 'skyloom[{name}]', or leave it out"
            )


def connect(names: Sequence[str], out: Store, settings: Settings, progress: Progress) -> list[Remote]:
    """The services of `names` for the run in `out`, going on with the runs there that its earlier attempts began."""
    check_trackers(names)
    known = _sent_before(out, progress) if names and out.exists(SENT) else {}
    folder = out.path(TELEMETRY) if out.local else Path()
    label = "/".join(out.root.split("/")[-2:])
    made = []
    for name in names:
        _, service = SERVICES[name]

        def reach(id: str, service: Callable[..., TrackerClient] = service) -> TrackerClient:
            folder.mkdir(parents=True, exist_ok=True)
            return service(id, label, folder, settings)

        made.append(Remote(name, reach, known.get(name, ""), progress))
    return made


def _sent_before(out: Store, progress: Progress) -> dict[str, str]:
    """The ids of the runs at the services, by service; none if the file that holds them is damaged: it is no part of the run."""
    try:
        return {name: str(about.get("id", "")) for name, about in out.read_json(SENT).items()}
    except (ValueError, AttributeError) as problem:
        progress.log(f"{out.url(SENT)} is damaged; the services get new runs ({problem})")
        return {}
