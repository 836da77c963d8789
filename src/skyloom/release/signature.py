"""A detached signature of SHA256SUMS, which binds a release to the key of its publisher.

Checksums show that a folder was not damaged. Whoever rewrites a file can rewrite the sums as well; only a signature shows whose
sums they are. It is optional, and made and checked by the tools that people have keys for: OpenSSH (`ssh-keygen -Y`, file
SHA256SUMS.sig) or minisign (file SHA256SUMS.minisig). Keys stay where they are: only these tools read them.
"""

from __future__ import annotations

import re
import shutil
import subprocess
import sys
import tempfile
from pathlib import Path

from skyloom.core.errors import ConfigError, IntegrityError, StorageError
from skyloom.release.sums import MINISIG, SSHSIG, SUMS

NAMESPACE = "skyloom-release"
"""What an OpenSSH signature is for, so that one made for something else is not taken for it."""
_NAME = "publisher"
_SECONDS = 600  # time for a passphrase
_MINISIGN = re.compile("RW[A-Za-z0-9+/]{54}")  # base64 of two bytes "Ed", a key id of 8 bytes and an Ed25519 key of 32


def sign(folder: Path, key: Path) -> Path:
    """Sign the sums of a release with a private key of OpenSSH (or the public one, if an agent has the private one) or of minisign.

    Returns the signature's file. ConfigError if the key or its tool cannot be used.
    """
    if not (folder / SUMS).is_file():
        raise StorageError(f"{folder} is not a release of Skyloom: it has no {SUMS}")
    if not key.is_file():
        raise ConfigError(f"there is no key in {key}")
    made = folder / (MINISIG if _is_minisign(key) else SSHSIG)
    made.unlink(missing_ok=True)  # ssh-keygen would ask
    if made.name == MINISIG:
        asks = sys.stdin is not None and sys.stdin.isatty()
        done = _run("minisign", "-S", "-s", str(key), "-m", str(folder / SUMS), "-x", str(made), asks=asks)
    else:
        done = _run("ssh-keygen", "-Y", "sign", "-n", NAMESPACE, "-f", str(key), str(folder / SUMS))
    if done.returncode or not made.is_file():
        raise ConfigError(f"{key} cannot sign: {_last(done)}")
    return made


def checked(folder: Path, signer: str = "") -> str:
    """Who signed the sums, in a sentence. `signer`: the publisher's public key, as a file or as its text ("" if not known).

    IntegrityError if a signature does not fit, or if a signer is asked for and there is none or another one.
    """
    present = [name for name in (SSHSIG, MINISIG) if (folder / name).is_file()]
    if not present:
        if signer:
            raise IntegrityError(f"unsigned: there is no {SSHSIG} and no {MINISIG}, so nothing binds these sums to that key")
        return "unsigned: the checksums show that nothing was damaged, not who published it"
    public = Path(signer).read_text(errors="replace").strip() if signer and Path(signer).is_file() else signer.strip()
    wanted = ""
    if public:
        wanted = _kind(public)
        if wanted not in present:
            raise IntegrityError(f"there is no {wanted}, which a signature by the given key would be")
    said = [_openssh(folder, public if wanted == SSHSIG else "") if name == SSHSIG else _minisign(folder, public if wanted else "")
            for name in ([wanted] if wanted else present)]  # fmt: skip
    return "; ".join(said)


def _kind(public: str) -> str:
    """The signature's file that fits a public key. ConfigError for anything else: a private key must not reach a command line."""
    if public.split()[0].startswith(("ssh-", "ecdsa-", "sk-")):
        return SSHSIG
    if _MINISIGN.fullmatch(public.splitlines()[-1].strip()):
        return MINISIG
    raise ConfigError("what was given as the signer is no public key of OpenSSH (KEY.pub) or minisign (a line that begins with RW)")


def _openssh(folder: Path, public: str) -> str:
    signature, sums = str(folder / SSHSIG), (folder / SUMS).read_bytes()
    if public:
        with tempfile.TemporaryDirectory() as place:
            allowed = Path(place) / "allowed"
            allowed.write_text(f'{_NAME} namespaces="{NAMESPACE}" {public}\n')
            done = _run("ssh-keygen", "-Y", "verify", "-f", str(allowed), "-I", _NAME, "-n", NAMESPACE, "-s", signature, given=sums)
    else:
        done = _run("ssh-keygen", "-Y", "check-novalidate", "-n", NAMESPACE, "-s", signature, given=sums)
    if done.returncode:
        raise IntegrityError(f"{SSHSIG} is no signature of these sums{' by the given key' if public else ''}: {_last(done)}")
    key = done.stdout.strip().rpartition("key ")[2]
    return f"signed by the given key ({key})" if public else f"signed by {key}; give --signer to know whether that is the publisher"


def _minisign(folder: Path, public: str) -> str:
    lines = public.splitlines()
    if not lines:
        return f"{MINISIG} is there and was not checked: minisign signatures name no key, so give --signer"
    if shutil.which("minisign") is None:
        raise IntegrityError(f"{MINISIG} cannot be checked: minisign is not installed")
    done = _run("minisign", "-V", "-P", lines[-1].strip(), "-m", str(folder / SUMS), "-x", str(folder / MINISIG))
    if done.returncode:
        raise IntegrityError(f"{MINISIG} is no signature of these sums by the given key: {_last(done)}")
    return f"signed by the given key ({lines[-1]})"


def _is_minisign(key: Path) -> bool:
    return key.read_bytes()[:100].startswith(b"untrusted comment:")


def _run(*command: str, given: bytes | None = None, asks: bool = False) -> subprocess.CompletedProcess[str]:
    """`asks`: the tool asks for a password on its error output, which people must see. ConfigError if it is not installed or never
    ends."""
    try:
        text, errors = None if given is None else given.decode(), None if asks else subprocess.PIPE
        return subprocess.run(command, input=text, stdout=subprocess.PIPE, stderr=errors, text=True, timeout=_SECONDS, check=False)
    except FileNotFoundError as problem:
        raise ConfigError(f"{command[0]} is not installed; it is needed for this kind of key") from problem
    except subprocess.TimeoutExpired as problem:
        raise ConfigError(f"{command[0]} did not end within {_SECONDS} s") from problem


def _last(done: subprocess.CompletedProcess[str]) -> str:
    lines = ((done.stderr or "").strip() or done.stdout.strip()).splitlines()
    return lines[-1] if lines else f"exit code {done.returncode}"
