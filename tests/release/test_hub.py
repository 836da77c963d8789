"""A release on a hub: pushed, pulled elsewhere, refused and cut short in every way that a hub knows; the hub is one of our own here."""

from __future__ import annotations

import hashlib
import logging
import shutil
import time
from collections.abc import Iterator
from pathlib import Path

import huggingface_hub
import pytest
import yaml
from click.testing import CliRunner, Result

from skyloom.cli import main
from skyloom.core.errors import ConfigError, DataError, IntegrityError, SkyloomError, StorageError
from skyloom.core.progress import Progress
from skyloom.core.store import Store
from skyloom.release import sums
from skyloom.release.check import check
from skyloom.release.hub import hub_client
from skyloom.release.hub.linked import checked_names
from skyloom.release.hub.pull import pull
from skyloom.release.hub.push import push
from tests.planted.hub_server import TOKEN, Fault, HubServer
from tests.planted.small_release import resign

MODEL, CORPUS = ("models", "me/small"), ("datasets", "me/small-corpus")
SILENT = Progress.silent()


@pytest.fixture
def hub(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Iterator[HubServer]:
    with HubServer() as server:
        monkeypatch.setenv("HF_TOKEN", TOKEN)
        _endpoint(monkeypatch, server.url)
        monkeypatch.setattr("huggingface_hub.constants.HF_HUB_DISABLE_XET", True)
        monkeypatch.setattr("huggingface_hub.constants.HF_HUB_CACHE", str(tmp_path / "cache"))
        monkeypatch.setattr("time.sleep", _brief)
        yield server


def _endpoint(monkeypatch: pytest.MonkeyPatch, url: str) -> None:
    """What HF_ENDPOINT does, which the library reads when it is imported."""
    monkeypatch.setattr("huggingface_hub.constants.ENDPOINT", url)
    monkeypatch.setattr("huggingface_hub.constants.HUGGINGFACE_CO_URL_TEMPLATE", url + "/{repo_id}/resolve/{revision}/{filename}")


_sleep = time.sleep


def _brief(seconds: float) -> None:
    """Waits of the library between tries are shortened; what they are is its own business."""
    _sleep(min(seconds, 0.01))


@pytest.fixture
def quick(monkeypatch: pytest.MonkeyPatch) -> None:
    """The checks of a sound release are left out, where a test is about what comes after them."""
    monkeypatch.setattr("skyloom.release.hub.push.check", lambda *args, **more: [])


def _push(folder: Path, **more: object) -> tuple[str, str]:
    settings = {"agreed": lambda plan: True, "progress": SILENT, **more}
    return push(folder, "me/small", **settings)  # type: ignore[arg-type]


def _pull(folder: Path) -> Path:
    return pull("me/small", folder, progress=SILENT)


def test_a_release_that_is_pushed_and_pulled_elsewhere_passes_its_checks(hub: HubServer, measured: Path, tmp_path: Path) -> None:
    before = (measured / "SHA256SUMS").read_bytes()
    assert _push(measured) == (f"{hub.url}/me/small", f"{hub.url}/datasets/me/small-corpus")
    assert (measured / "SHA256SUMS").read_bytes() == before and not hub.asked("PUT", "settings")
    model, corpus = hub.repositories[MODEL], hub.repositories[CORPUS]
    assert model.private and corpus.private
    assert not [name for name in model.files if name.startswith(("corpus/", "licenses/"))]
    assert {"README.md", "SHA256SUMS", "licenses/README.md", "train-00000.jsonl.zst"} <= set(corpus.files)
    card, data = (repository.files["README.md"].decode() for repository in (model, corpus))
    assert "https://huggingface.co/datasets/me/small-corpus" in card and "https://huggingface.co/me/small)" in data
    assert "me/small-corpus" in yaml.safe_load(card.split("---\n")[1])["datasets"]
    folder = _pull(tmp_path / "elsewhere 别处")
    assert not (tmp_path / "elsewhere 别处.part").exists()
    assert {path.name for path in folder.iterdir()} >= {"README.md", "corpus", "licenses", "model.safetensors"}
    findings = check(folder)
    assert all(f.ok for f in findings), findings


def test_the_same_push_again_sends_no_file_and_another_version_leaves_nothing_stale(
    hub: HubServer, quick: None, measured: Path, tmp_path: Path
) -> None:
    _push(measured)
    commits, sent = len(hub.repositories[MODEL].commits), hub.asked("PUT", "^/storage/")
    _push(measured)
    assert len(hub.repositories[MODEL].commits) == commits and hub.asked("PUT", "^/storage/") == sent
    other = Path(shutil.copytree(measured, tmp_path / "other"))
    (other / "report.html").write_text("页")
    resign(other)
    _push(other)
    (other / "report.html").unlink()
    resign(other)
    _push(other)
    assert "report.html" not in hub.repositories[MODEL].files and ".gitattributes" in hub.repositories[MODEL].files
    assert sums.differences(Store(_pull(tmp_path / "again"))) == []


def test_a_release_whose_checks_fail_is_not_pushed(hub: HubServer, measured: Path, tmp_path: Path) -> None:
    broken = Path(shutil.copytree(measured, tmp_path / "broken"))
    (broken / "evaluation/choice.json").write_text("{}")
    with pytest.raises(DataError, match=r"is not pushed.*choice\.json"):
        _push(broken)
    assert hub.seen == [] and hub.repositories == {}


def test_nothing_is_sent_before_somebody_agrees(
    hub: HubServer, quick: None, measured: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    answers: list[str] = []

    def called(*more: str, answer: str = "") -> Result:
        return CliRunner().invoke(main, ["release", "push", str(measured), "me/small", *more], input=answer)

    for answer in ("n\n", ""):
        done = called(answer=answer)
        answers.append(done.output)
        assert done.exit_code == 3 and "nothing was pushed" in done.output and hub.repositories == {}
    assert "dataset me/small-corpus" in answers[0] and "private" in answers[0]
    assert called(answer="y\n").exit_code == 0 and hub.repositories[MODEL].private
    assert called("--yes", "--corpus-repo", "me/text").exit_code == 0 and ("datasets", "me/text") in hub.repositories


def test_public_is_said_twice_or_not_at_all(hub: HubServer, quick: None, measured: Path) -> None:
    """Private first, public when all is there; a public repository takes nothing that was not called public."""
    _push(measured)
    _push(measured, public=True)
    assert not hub.repositories[MODEL].private and not hub.repositories[CORPUS].private
    with pytest.raises(ConfigError, match="everybody can read it: say --public"):
        _push(measured)


def test_a_signed_release_is_pushed_as_it_is_or_not_at_all(hub: HubServer, quick: None, measured: Path, tmp_path: Path) -> None:
    signed = Path(shutil.copytree(measured, tmp_path / "signed"))
    (signed / "SHA256SUMS.sig").write_text("a signature 签名")
    with pytest.raises(DataError, match=r"is signed.*release\.repository=me/small"):
        _push(signed)
    _push(measured)
    linked = _pull(tmp_path / "linked")
    (linked / "SHA256SUMS.sig").write_text("a signature 签名")
    _push(linked)
    assert (_pull(tmp_path / "pulled") / "SHA256SUMS.sig").read_text() == "a signature 签名"


@pytest.mark.parametrize(
    ("status", "kind", "words"),
    [
        (401, ConfigError, "hf auth login"),
        (403, ConfigError, "right to write"),
        (404, ConfigError, "no such repository"),
        (409, StorageError, "at the same time"),
        (429, StorageError, "too many requests"),
        (503, StorageError, "run the command again"),
    ],
)
@pytest.mark.parametrize("step", ["/preupload/", "/commit/", "/storage/|/resolve/"])
def test_every_refusal_is_told_in_a_sentence_without_the_token(
    hub: HubServer, quick: None, measured: Path, tmp_path: Path, caplog: pytest.LogCaptureFixture, status: int,
    kind: type[SkyloomError], words: str, step: str,
) -> None:  # fmt: skip
    says = f"拒绝 refused for {TOKEN}"
    methods = ("PUT", "POST", "GET", "HEAD")
    hub.faults = [Fault(method, step, times=10_000, status=status, says=says) for method in methods]
    caplog.set_level(logging.DEBUG, "skyloom")
    with pytest.raises(kind, match=words) as found:
        _push(measured)
        _pull(tmp_path / "pulled")
    assert TOKEN not in str(found.value) and found.value.__cause__ is None
    assert "\n" not in str(found.value)
    assert TOKEN not in caplog.text


def test_the_token_is_in_no_file_of_ours(hub: HubServer, quick: None, measured: Path, tmp_path: Path) -> None:
    _push(measured)
    _pull(tmp_path / "pulled")
    held = [p for p in tmp_path.rglob("*") if p.is_file() and TOKEN.encode() in p.read_bytes()]
    assert held == [] and all(TOKEN.encode() not in data for r in hub.repositories.values() for data in r.files.values())


def test_a_wrong_token_and_a_strange_name_are_user_mistakes(
    hub: HubServer, quick: None, measured: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    for name in ("small", "me/", "me/a--b", "me/模型", "../x", "me/x/y"):
        with pytest.raises(ConfigError, match="names no repository"):
            push(measured, name, agreed=lambda plan: True, progress=SILENT)
    with pytest.raises(ConfigError, match="two repositories"):
        _push(measured, corpus_repository="me/small")
    with pytest.raises(ConfigError, match="right to write"):
        push(measured, "other/small", agreed=lambda plan: True, progress=SILENT)
    monkeypatch.setenv("HF_TOKEN", "hf_wrong")
    with pytest.raises(ConfigError, match="hf auth login"):
        _push(measured)


def test_a_busy_hub_is_asked_again(hub: HubServer, quick: None, measured: Path, tmp_path: Path) -> None:
    hub.faults = [
        Fault("POST", "/preupload/", status=429),
        Fault("PUT", "/storage/", status=503),
        Fault("HEAD", "/resolve/", status=503),
    ]
    _push(measured)
    assert sums.differences(Store(_pull(tmp_path / "pulled"))) == []


def test_a_push_that_was_cut_goes_on_without_sending_files_again(
    hub: HubServer, quick: None, measured: Path, tmp_path: Path
) -> None:
    hub.faults = [Fault("POST", "models/me/small/commit", status=500)]
    with pytest.raises(StorageError, match="run the command again"):
        _push(measured)
    assert "SHA256SUMS" not in hub.repositories[MODEL].files
    with pytest.raises(ConfigError, match="no such repository, revision or file"):
        _pull(tmp_path / "early")
    sent = {path for method, path in hub.seen if method == "PUT"}
    hub.seen = []
    _push(measured)
    assert len(sent) > 3 and not sent & {path for method, path in hub.seen if method == "PUT"}
    assert sums.differences(Store(_pull(tmp_path / "pulled"))) == []


def test_a_line_that_drops_in_the_middle_of_a_file_is_taken_up_there(
    hub: HubServer, quick: None, measured: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Within one pull; where the hub stays away, the next pull keeps all files that were whole."""
    _push(measured)
    monkeypatch.setattr("huggingface_hub.constants.DOWNLOAD_CHUNK_SIZE", 1000)
    weights = hub.repositories[MODEL].files["model.safetensors"]
    place = f"/storage/{_sha(weights)}"
    hub.faults = [Fault("GET", place, cut=5000)]
    assert (_pull(tmp_path / "first") / "model.safetensors").read_bytes() == weights
    assert hub.ranges == ["bytes=5000-"]
    hub.faults = [Fault("GET", place, cut=5000), Fault("GET", place, times=100, status=500)]
    with pytest.raises(StorageError, match="run the command again"):
        _pull(tmp_path / "second")
    assert not (tmp_path / "second").exists()
    whole = {p.name for p in (tmp_path / "second.part/model").iterdir() if p.is_file()}
    hub.faults, hub.seen = [], []
    assert (_pull(tmp_path / "second") / "model.safetensors").read_bytes() == weights
    assert hub.asked("GET", place) == 1 and "SHA256SUMS" in whole
    assert [name for name in whole if hub.asked("GET", f"/small/resolve/[^/]+/{name}$")] == []


def test_a_hub_that_does_not_answer_is_given_up(
    hub: HubServer, quick: None, measured: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("huggingface_hub.constants.HF_HUB_DOWNLOAD_TIMEOUT", 0.2)
    monkeypatch.setattr(hub_client, "PATIENCE", 0.2)
    hub.faults = [Fault("GET", "/api/models/", times=100, seconds=3)]
    monkeypatch.setattr("time.sleep", lambda s: _sleep(s if s == 3 else min(s, 0.01)))
    with pytest.raises(StorageError, match="cannot be reached"):
        _push(measured)
    hub.faults = []
    _endpoint(monkeypatch, "http://127.0.0.1:9")
    with pytest.raises(StorageError, match=r"127\.0\.0\.1:9 cannot be reached"):
        _pull(tmp_path / "none")


def test_other_bytes_than_were_released_are_refused_and_thrown_away(
    hub: HubServer, quick: None, measured: Path, tmp_path: Path
) -> None:
    _push(measured)
    shard = hub.repositories[CORPUS].files["valid-00000.jsonl.zst"]
    hub.faults = [Fault("GET", f"/storage/{_sha(shard)}", spoil=True)]
    with pytest.raises(IntegrityError, match=r"another valid-00000\.jsonl\.zst than was released"):
        _pull(tmp_path / "pulled")
    assert not (tmp_path / "pulled").exists() and not list((tmp_path / "pulled.part").rglob("valid-00000.jsonl.zst"))
    assert sums.differences(Store(_pull(tmp_path / "pulled"))) == []


def test_a_list_that_names_places_elsewhere_is_refused(hub: HubServer, quick: None, measured: Path, tmp_path: Path) -> None:
    _push(measured)
    model = hub.repositories[MODEL]
    kept = model.files["SHA256SUMS"]
    for name in ("../out", "/etc/x", "a/../../b", "a\\b", "./x", "a//b"):
        model.files["SHA256SUMS"] = kept + f"{'0' * 64}  {name}\n".encode()
        model.commits.append(_sha(name.encode())[:40])
        with pytest.raises(IntegrityError, match="no name of a file in a release"):
            _pull(tmp_path / "pulled")
    assert checked_names(["corpus/训练-1.zst", "README.md"], "here") == ["corpus/训练-1.zst", "README.md"]


def test_pull_does_not_touch_a_folder_that_is_there(hub: HubServer, measured: Path, tmp_path: Path) -> None:
    (tmp_path / "mine").mkdir()
    (tmp_path / "mine" / "notes.txt").write_text("我的")
    done = CliRunner().invoke(main, ["release", "pull", "me/small", str(tmp_path / "mine")])
    assert done.exit_code == 2 and "is there already" in done.output and hub.seen == []


def test_offline_is_said(hub: HubServer, measured: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(huggingface_hub.constants, "HF_HUB_OFFLINE", True)
    with pytest.raises(StorageError, match="HF_HUB_OFFLINE"):
        _pull(tmp_path / "none")


def _sha(data: bytes) -> str:
    return hashlib.sha256(data).hexdigest()
