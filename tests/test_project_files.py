"""The files that a hosting site reads: workflows, issue forms, the image, the version, the citation.

Nothing here needs the network. What a workflow runs must be a target of the Makefile, on the Python versions of `pyproject.toml`.
The image is linted with hadolint where that is installed, and otherwise read here.
"""

from __future__ import annotations

import importlib.metadata
import re
import shutil
import subprocess
import sys
import tarfile
import tomllib
import zipfile
from pathlib import Path
from typing import Any

import pytest
import yaml

import skyloom
from tests.stories import wheel

ROOT = Path(__file__).parents[1]
PROJECT = tomllib.loads((ROOT / "pyproject.toml").read_text("utf-8"))
WORKFLOWS = sorted((ROOT / ".github" / "workflows").glob("*.yml"))
FORMS = sorted(p for p in (ROOT / ".github" / "ISSUE_TEMPLATE").glob("*.yml") if p.name != "config.yml")
ACTIONS = {
    "actions/checkout",
    "actions/setup-python",
    "actions/upload-artifact",
    "actions/download-artifact",
    "astral-sh/setup-uv",
    "hadolint/hadolint-action",
    "pypa/gh-action-pypi-publish",
}
"""Whose code the workflows run. Another one is added here on purpose."""


def read(path: Path) -> dict[str, Any]:
    """A YAML file. `on` is a truth value in YAML 1.1, and is given back as the word that the site reads."""
    return {"on" if key is True else str(key): value for key, value in yaml.safe_load(path.read_text("utf-8")).items()}


def steps(path: Path) -> list[dict[str, Any]]:
    return [step for job in read(path)["jobs"].values() for step in job["steps"]]


def by_name(path: Path) -> str:
    return path.stem


def targets() -> set[str]:
    return set(re.findall(r"^([a-z][a-z-]*):", (ROOT / "Makefile").read_text("utf-8"), re.MULTILINE))


def test_the_expected_workflows_are_there():
    assert {path.stem for path in WORKFLOWS} >= {"ci", "docs", "audit", "release"}
    assert set(read(ROOT / ".github" / "workflows" / "ci.yml")["jobs"]) >= {"lint", "test", "package", "uv", "image"}


@pytest.mark.parametrize("path", WORKFLOWS, ids=by_name)
def test_a_workflow_is_well_formed_and_may_do_little(path):
    flow = read(path)
    assert flow["name"] == path.stem and flow["on"] and flow["permissions"] == {"contents": "read"}
    for name, job in flow["jobs"].items():
        assert job["runs-on"] and job["steps"], name
        allowed = {"contents"} if (path.stem, name) == ("docs", "publish") else {"id-token"}
        assert {*job.get("permissions", {})} <= allowed and job.get("needs") in (None, *flow["jobs"]), name
    for step in steps(path):
        assert ("run" in step) != ("uses" in step), step
        if "uses" in step:
            name, _, version = step["uses"].partition("@")
            assert name in ACTIONS and version, step


@pytest.mark.parametrize("path", WORKFLOWS, ids=by_name)
def test_a_workflow_runs_targets_of_the_makefile(path):
    called = {name for step in steps(path) for name in re.findall(r"\bmake ([\w-]+)", step.get("run", ""))}
    assert called and called <= targets(), called - targets()


def test_the_makefile_names_tests_that_exist():
    named = set(re.findall(r"tests/[\w/]+\.py", (ROOT / "Makefile").read_text("utf-8")))
    assert named and [name for name in named if not (ROOT / name).exists()] == []


def test_text_of_strangers_does_not_reach_a_shell():
    """A branch or a title that somebody else chose, written into a command, would be run."""
    for path in WORKFLOWS:
        for step in steps(path):
            inserted = re.findall(r"\$\{\{\s*(.*?)\s*\}\}", step.get("run", ""))
            assert set(inserted) <= {"vars.TORCH_INDEX"}, (path.name, inserted)


def test_the_python_versions_are_those_of_the_project():
    promised = [c.rsplit(" ", 1)[1] for c in PROJECT["project"]["classifiers"] if re.search(r":: 3\.\d+$", c)]
    tested = read(ROOT / ".github" / "workflows" / "ci.yml")["jobs"]["test"]["strategy"]["matrix"]["python"]
    assert tested == promised and PROJECT["project"]["requires-python"] == f">={promised[0]}"
    assert PROJECT["tool"]["ruff"]["target-version"] == "py" + promised[0].replace(".", "")
    used = {str(s["with"]["python-version"]) for p in WORKFLOWS for s in steps(p) if "python-version" in s.get("with", {})}
    assert used <= {*promised, "${{ matrix.python }}"}


def test_the_site_is_published_for_a_version_only():
    """The one job that may write to the repository runs for a tag, and the tag must be the version."""
    flow = read(ROOT / ".github" / "workflows" / "docs.yml")
    job = flow["jobs"]["publish"]
    assert (
        job["permissions"] == {"contents": "write"}
        and job["needs"] == "docs"
        and job["if"] == "startsWith(github.ref, 'refs/tags/v')"
    )
    commands = [step["run"] for step in job["steps"] if "run" in step]
    assert commands[0].startswith("make tag-is-version ") and commands[1].startswith("make publish-site ")
    assert any(step.get("run", "").startswith("make site ") for step in flow["jobs"]["docs"]["steps"])


def test_only_the_last_job_of_a_release_may_publish_and_has_no_password():
    flow = read(ROOT / ".github" / "workflows" / "release.yml")
    assert flow["on"] == {"push": {"tags": ["v*"]}}
    publish = flow["jobs"]["publish"]
    assert publish["permissions"] == {"id-token": "write"} and publish["needs"] == "compiled" and publish["environment"]
    compiled = flow["jobs"]["compiled"]
    promised = [c.rsplit(" ", 1)[1] for c in PROJECT["project"]["classifiers"] if re.search(r":: 3\.\d+$", c)]
    assert compiled["needs"] == "build" and compiled["strategy"]["matrix"]["python"] == promised
    assert not any("permissions" in flow["jobs"][name] for name in ("build", "compiled"))
    given = [step.get("with", {}) | step.get("env", {}) for path in WORKFLOWS for step in steps(path)]
    assert not [key for keys in given for key in keys if re.search("password|token|user", key)]
    assert not [p.name for p in WORKFLOWS if "secrets." in p.read_text("utf-8")]


@pytest.mark.parametrize("path", FORMS, ids=by_name)
def test_a_form_can_be_filled_in_in_two_languages(path):
    form = read(path)
    assert form["name"] and form["description"] and isinstance(form["labels"], list)
    assert re.search(r"[\u4e00-\u9fff]", form["name"])
    fields = [field for field in form["body"] if field["type"] != "markdown"]
    assert any(field.get("validations", {}).get("required") for field in fields)
    assert len({field["id"] for field in fields}) == len(fields)
    for field in fields:
        assert field["type"] in {"input", "textarea", "dropdown", "checkboxes"}
        assert re.search(r"[\u4e00-\u9fff]", field["attributes"]["label"]), field["id"]
        assert all(option["label"] for option in field["attributes"].get("options", ()))


def test_the_version_stands_in_one_place():
    assert PROJECT["project"]["dynamic"] == ["version"] and "version" not in PROJECT["project"]
    assert PROJECT["tool"]["setuptools"]["dynamic"]["version"] == {"attr": "skyloom.__version__"}
    assert "\nversion:" not in (ROOT / "CITATION.cff").read_text("utf-8")
    assert re.fullmatch(r"\d+\.\d+\.\d+((a|b|rc)\d+)?", skyloom.__version__)


@pytest.mark.parametrize(
    ("tag", "code"), [(f"v{skyloom.__version__}", 0), ("v0.0.0", 2), (skyloom.__version__, 2), ("v1; true", 2)]
)
def test_a_tag_must_be_the_version(tag, code):
    done = subprocess.run(["make", "-s", "tag-is-version", f"TAG={tag}"], cwd=ROOT, capture_output=True, text=True, check=False)
    assert done.returncode == code, done.stderr


def test_every_dependency_has_a_pinned_version():
    pinned = {normal(line.split("==")[0]) for line in (ROOT / "constraints.txt").read_text("utf-8").splitlines() if "==" in line}
    extras = PROJECT["project"]["optional-dependencies"]
    named = [*PROJECT["project"]["dependencies"], *(one for group in extras.values() for one in group)]
    lacking = {normal(re.split(r"[\[<>=]", one)[0]) for one in named} - pinned - {"skyloom"}
    assert lacking == set()


def normal(name: str) -> str:
    return re.sub(r"[-_.]+", "-", name.strip()).lower()


def test_the_image_copies_what_is_there_and_runs_as_a_user():
    lines = (ROOT / "Dockerfile").read_text("utf-8").replace("\\\n", "")
    told = [line.split(maxsplit=1) for line in lines.splitlines() if line and not line.startswith("#")]
    assert {word for word, _ in told} <= {"ARG", "FROM", "WORKDIR", "COPY", "RUN", "ENV", "USER", "ENTRYPOINT", "CMD"}
    copied = [name for word, rest in told if word == "COPY" and "--from" not in rest for name in rest.split()[:-1]]
    assert {"constraints.txt", "pyproject.toml", "src"} <= set(copied)
    left = (ROOT / ".dockerignore").read_text("utf-8").splitlines()
    assert all((ROOT / name).exists() and f"!{name}" in left for name in copied)
    assert [rest for word, rest in told if word == "USER"] == ["${USER_ID}"]
    assert all("--constraint constraints.txt" in rest for word, rest in told if word == "RUN" and "pip install" in rest)
    assert told[-1] == ["CMD", '["run", "demo", "--work", "runs/demo"]'] and told[-2] == ["ENTRYPOINT", '["skyloom"]']


@pytest.mark.skipif(shutil.which("hadolint") is None, reason="hadolint is not installed: the image is not linted")
def test_hadolint_finds_nothing():
    done = subprocess.run(["hadolint", "Dockerfile"], cwd=ROOT, capture_output=True, text=True, check=False)
    assert done.returncode == 0 and not done.stdout.strip(), done.stdout


def test_the_citation_names_what_is_needed():
    told = read(ROOT / "CITATION.cff")
    assert told["cff-version"] == "1.2.0" and told["type"] == "software" and told["title"] and told["message"]
    assert told["license"] == PROJECT["project"]["license"]
    assert all("name" in a or "family-names" in a for a in told["authors"])
    assert told["references"][0]["url"] in (ROOT / "README.md").read_text("utf-8")


@pytest.mark.parametrize("name", ["SECURITY.md", "CODE_OF_CONDUCT.md"])
def test_what_people_must_know_is_said_in_two_languages(name):
    text = (ROOT / name).read_text("utf-8")
    assert re.search(r"[\u4e00-\u9fff]{5}", text) and "Security" in text and name in (ROOT / "CONTRIBUTING.md").read_text("utf-8")


def test_the_sdist_gives_the_same_wheel(tmp_path):
    """Whoever builds from the sdist gets the files of the wheel; recipes, sample pages and `py.typed` are among them."""
    tree = wheel.copied(tmp_path / "源码")
    build = "import setuptools.build_meta as b, sys; print(b.build_sdist(sys.argv[1]))"
    subprocess.run([sys.executable, "-c", build, tmp_path], cwd=tree, check=True, capture_output=True)
    (packed,) = tmp_path.glob("skyloom-*.tar.gz")
    assert packed.name == f"skyloom-{skyloom.__version__}.tar.gz"
    with tarfile.open(packed) as file:
        file.extractall(tmp_path / "unpacked", filter="data")
    (unpacked,) = (tmp_path / "unpacked").iterdir()
    direct, again = (names(wheel.built(of, tmp_path / f"wheel-{i}")) for i, of in enumerate((tree, unpacked)))
    assert direct == again
    assert {"skyloom/py.typed", "skyloom/recipes/demo.toml", "skyloom/run/recipe.toml.jinja"} <= direct
    sources = {p.relative_to(ROOT / "src").as_posix() for p in (ROOT / "src" / "skyloom").rglob("*") if p.is_file()}
    assert {name for name in sources if "__pycache__" not in name} <= direct


def names(packed: Path) -> set[str]:
    with zipfile.ZipFile(packed) as file:
        return set(file.namelist())


def test_the_version_of_the_installed_package_is_that_of_the_code():
    """Only where this checkout is what is installed."""
    told = importlib.metadata.distribution("skyloom")
    if Path(str(told.locate_file("skyloom"))).resolve() == Path(skyloom.__file__).parent:
        assert told.version == skyloom.__version__
