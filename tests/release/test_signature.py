"""A signature binds the sums of a release to a key: another key, other sums or another purpose do not pass."""

from __future__ import annotations

import shutil
import subprocess
from pathlib import Path

import pytest

from skyloom.core.errors import ConfigError, IntegrityError, StorageError
from skyloom.core.store import Store
from skyloom.release import sums
from skyloom.release.signature import NAMESPACE, checked, sign

pytestmark = pytest.mark.skipif(shutil.which("ssh-keygen") is None, reason="the program ssh-keygen (OpenSSH) is not installed")
needs_minisign = pytest.mark.skipif(shutil.which("minisign") is None, reason="the program minisign is not installed")
STAND_IN, OTHER = "RW" + "Qabc+/" * 9, "RW" + "other9" * 9


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """What a signature is about: a folder with sums."""
    store = Store(tmp_path / "发布 release")
    sums.write([store.write_text("README.md", "text 文字")], store)
    return store.path()


@pytest.fixture
def key(tmp_path: Path) -> Path:
    return make_key(tmp_path / "one")


def make_key(path: Path) -> Path:
    subprocess.run(["ssh-keygen", "-q", "-t", "ed25519", "-N", "", "-C", "发布者 someone", "-f", path], check=True)
    return path


def test_unsigned_is_said_and_is_wrong_where_a_signer_is_asked_for(folder: Path, key: Path) -> None:
    assert checked(folder).startswith("unsigned")
    with pytest.raises(IntegrityError, match="unsigned"):
        checked(folder, f"{key}.pub")


def test_a_signature_is_made_checked_and_no_part_of_the_sums(folder: Path, key: Path) -> None:
    made = sign(folder, key)
    assert made.name == "SHA256SUMS.sig" and sums.differences(Store(folder)) == []
    public = key.with_suffix(".pub")
    assert checked(folder, str(public)).startswith("signed by the given key (SHA256:")
    assert checked(folder, public.read_text()) == checked(folder, str(public))
    assert "give --signer" in checked(folder)
    sign(folder, key)  # once more asks nothing


def test_another_key_other_sums_and_another_purpose_do_not_pass(folder: Path, key: Path, tmp_path: Path) -> None:
    sign(folder, key)
    other = make_key(tmp_path / "two")
    with pytest.raises(IntegrityError, match="no signature of these sums by the given key"):
        checked(folder, f"{other}.pub")
    kept = (folder / "SHA256SUMS").read_text()
    (folder / "SHA256SUMS").write_text(kept.replace("a", "b"))
    for signer in ("", f"{key}.pub"):
        with pytest.raises(IntegrityError, match="no signature of these sums"):
            checked(folder, signer)
    (folder / "SHA256SUMS").write_text(kept)
    (folder / "SHA256SUMS.sig").unlink()
    command = ["ssh-keygen", "-q", "-Y", "sign", "-n", f"not-{NAMESPACE}", "-f", key, folder / "SHA256SUMS"]
    subprocess.run(command, check=True, capture_output=True)
    with pytest.raises(IntegrityError, match="no signature of these sums"):
        checked(folder, f"{key}.pub")


def test_what_cannot_sign_says_so(folder: Path, tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match="there is no key"):
        sign(folder, tmp_path / "none")
    (tmp_path / "bad").write_text("not a key 不是密钥\n")
    (tmp_path / "bad").chmod(0o600)
    with pytest.raises(ConfigError, match="cannot sign"):
        sign(folder, tmp_path / "bad")
    with pytest.raises(StorageError, match="not a release"):
        sign(tmp_path, tmp_path / "bad")


@pytest.fixture
def minisign(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A stand-in for minisign that takes a signature for good if it names the key and the bytes of the sums."""
    script = tmp_path / "bin" / "minisign"
    script.parent.mkdir()
    script.write_text(
        "#!/bin/sh\n"
        'while [ $# -gt 0 ]; do case $1 in -S|-V) what=$1; shift;; -s) key=$(tail -n1 "$2"); shift 2;; -P) key=$2; shift 2;; '
        "-m) file=$2; shift 2;; -x) out=$2; shift 2;; esac; done\n"
        'sum="$key $(sha256sum < "$file")"\n'
        'if [ "$what" = -S ]; then echo "$sum" > "$out"; else [ "$(cat "$out")" = "$sum" ] || { echo "no match" >&2; exit 1; }; fi\n'
    )
    script.chmod(0o755)
    monkeypatch.setenv("PATH", f"{script.parent}:/usr/bin:/bin")
    key = tmp_path / "mini.key"
    key.write_text(f"untrusted comment: minisign key\n{STAND_IN}\n")
    return key


def test_a_key_of_minisign_goes_to_minisign(folder: Path, minisign: Path, key: Path) -> None:
    assert sign(folder, minisign).name == "SHA256SUMS.minisig"
    assert "was not checked" in checked(folder)
    assert checked(folder, str(minisign)) == f"signed by the given key ({STAND_IN})"
    with pytest.raises(IntegrityError, match="no signature of these sums by the given key: no match"):
        checked(folder, OTHER)
    with pytest.raises(IntegrityError, match=r"no SHA256SUMS\.sig"):
        checked(folder, f"{key}.pub")


def test_a_private_key_is_no_signer_and_reaches_no_command_line(folder: Path, minisign: Path, key: Path, tmp_path: Path) -> None:
    """A mistake that would show the secret key to everybody who lists processes."""
    sign(folder, minisign)
    secret = tmp_path / "secret.key"
    secret.write_text(f"untrusted comment: minisign secret key 密钥\nRWRTY0Iy{'A' * 204}\n")
    for signer in (secret, key):
        with pytest.raises(ConfigError, match="is no public key of OpenSSH"):
            checked(folder, str(signer))


def test_the_question_for_a_password_is_seen(
    folder: Path, minisign: Path, monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]
) -> None:
    """minisign asks on its error output; where that was kept back, the program seemed to hang."""
    script = Path(shutil.which("minisign") or "")
    script.write_text(script.read_text().replace("#!/bin/sh\n", "#!/bin/sh\necho 'Password: 密码' >&2\n"))
    monkeypatch.setattr("sys.stdin.isatty", lambda: True, raising=False)
    sign(folder, minisign)
    assert "Password: 密码" in capfd.readouterr().err


@needs_minisign
def test_minisign_itself_takes_what_was_signed_and_refuses_forged_sums(folder: Path, tmp_path: Path) -> None:
    for name in ("one", "two"):
        command = ["minisign", "-G", "-W", "-p", tmp_path / f"{name}.pub", "-s", tmp_path / f"{name}.key"]
        subprocess.run(command, check=True, capture_output=True)
    made, public = sign(folder, tmp_path / "one.key"), tmp_path / "one.pub"
    line = public.read_text().splitlines()[-1]
    for signer in (str(public), public.read_text(), line):
        assert checked(folder, signer) == f"signed by the given key ({line})"
    forgeries = {folder / "SHA256SUMS": ("a", "b"), made: ("timestamp:", "timestamp:9")}
    for path, (old, new) in forgeries.items():
        kept = path.read_text()
        path.write_text(kept.replace(old, new))
        with pytest.raises(IntegrityError, match="no signature of these sums by the given key"):
            checked(folder, str(public))
        path.write_text(kept)
    with pytest.raises(IntegrityError, match="no signature of these sums by the given key"):
        checked(folder, str(tmp_path / "two.pub"))
