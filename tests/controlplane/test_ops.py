"""What installs and runs the project: requirements, Makefile, CI, container files, and what their documents promise."""

from __future__ import annotations

import ast
import itertools
import re
import subprocess
import sys
from importlib import metadata
from pathlib import Path

import pytest
import yaml
from packaging.requirements import Requirement
from packaging.utils import canonicalize_name

ROOT = Path(__file__).resolve().parents[2]
OWN = ("controlplane", "governance", "pipelines", "security", "examples", "tests", "bench")
SHIPPED = ("controlplane", "governance", "pipelines", "security")


def requirements(name: str) -> list[Requirement]:
    lines = (ROOT / name).read_text().splitlines()
    return [Requirement(line) for line in lines if line and not line.startswith(("#", "-r"))]


def imported(folders: tuple[str, ...]) -> set[str]:
    """The top-level modules that the code imports, lazily or not."""
    found: set[str] = set()
    for path in (path for folder in folders for path in (ROOT / folder).rglob("*.py")):
        for node in ast.walk(ast.parse(path.read_text())):
            if isinstance(node, ast.Import):
                found |= {alias.name.partition(".")[0] for alias in node.names}
            elif isinstance(node, ast.ImportFrom) and node.module and not node.level:
                found.add(node.module.partition(".")[0])
    return found - set(sys.stdlib_module_names) - set(OWN)


# Installed by a declared package as its own part, so declared with it.
PARTS = {
    "pydantic_core": "pydantic",
    "kombu": "celery",
    "drf_spectacular_sidecar": "drf-spectacular",
    "referencing": "jsonschema",
    "botocore": "boto3",
    "lxml": "python3-saml",
    "joblib": "scikit-learn",
}
# Needed by whoever chooses S3, KMS, an HSM, SAML or time-stamps: imported by these files only, loaded only then.
OPTIONAL = {
    "requirements-aws.txt": ("security/vault/providers/kms.py", "security/vault/s3.py"),
    "requirements-onnx.txt": (),  # pipelines/package/onnxfile.py asks whether they are there, by name
    "requirements-pkcs11.txt": ("security/vault/providers/pkcs11.py",),
    "requirements-saml.txt": (),  # django-allauth's own views import it
    "requirements-timestamps.txt": ("security/log/timestamps.py",),
}


@pytest.mark.parametrize(
    ("folders", "files"),
    [
        (SHIPPED, ["requirements.txt", *OPTIONAL]),
        (("examples", "tests", "bench"), ["requirements.txt", "requirements-dev.txt", *OPTIONAL]),
    ],
)
def test_everything_the_code_imports_is_declared(folders: tuple[str, ...], files: list[str]) -> None:
    declared = {canonicalize_name(requirement.name) for name in files for requirement in requirements(name)}
    packages = metadata.packages_distributions()
    missing = {
        module
        for module in imported(folders)
        if PARTS.get(module) not in declared
        and not {canonicalize_name(name) for name in packages.get(module, [])} & declared
    }
    assert missing == set()


def test_an_optional_package_is_imported_by_its_own_files_only() -> None:
    optional = {canonicalize_name(one.name) for name in OPTIONAL for one in requirements(name)}
    packages, importers = metadata.packages_distributions(), set()
    for path in (path for folder in SHIPPED for path in (ROOT / folder).rglob("*.py")):
        modules = re.findall(r"^\s*(?:from|import) (\w+)", path.read_text(), re.MULTILINE)
        if any({canonicalize_name(name) for name in packages.get(module, [])} & optional for module in modules):
            importers.add(str(path.relative_to(ROOT)))
    assert importers == {file for files in OPTIONAL.values() for file in files}


@pytest.mark.parametrize("name", ["requirements.txt", "requirements-dev.txt", *OPTIONAL])
def test_what_is_installed_is_inside_the_declared_ranges(name: str) -> None:
    for requirement in requirements(name):
        version = metadata.version(requirement.name)
        assert requirement.specifier.contains(version), f"{requirement} but {version} is installed"


def test_every_runtime_requirement_has_a_range_and_a_reason() -> None:
    lines = (ROOT / "requirements.txt").read_text().splitlines()
    for before, line in itertools.pairwise(lines):
        if line and not line.startswith("#"):
            assert before.startswith("# "), f"{line} has no line that says why"
            assert ">=" in line, f"{line} has no lower bound"


def test_make_help_names_every_target() -> None:
    shown = subprocess.run(["make", "help"], cwd=ROOT, capture_output=True, text=True, check=True).stdout
    phony = re.search(r"^\.PHONY: (.*)$", (ROOT / "Makefile").read_text(), re.MULTILINE)
    assert phony is not None
    assert [name for name in phony[1].split() if not re.search(rf"^  {name}\s", shown, re.MULTILINE)] == []


def test_the_ci_script_is_valid_bash_and_stops_at_the_first_error() -> None:
    subprocess.run(["bash", "-n", str(ROOT / ".ci" / "run")], check=True)
    assert "set -euo pipefail" in (ROOT / ".ci" / "run").read_text()
    assert (ROOT / ".ci" / "run").stat().st_mode & 0o111


# ----------------------------------------------------------------------------------------------- containers


@pytest.fixture(scope="module")
def services() -> dict[str, dict[str, object]]:
    return yaml.safe_load((ROOT / "docker-compose.yml").read_text())["services"]


def test_compose_has_the_production_shape(services: dict) -> None:
    assert set(services) == {"migrate", "web", "worker", "beat", "sequencer", "postgres", "redis"}
    assert [name for name, service in services.items() if "ports" in service] == ["web"]
    assert all(service["read_only"] for service in services.values())
    assert [name for name, service in services.items() if service.get("healthcheck", {}).get("disable")] == [
        "migrate",
        "sequencer",
    ]
    ours = ("migrate", "web", "worker", "beat", "sequencer")
    assert all(services[name]["cap_drop"] == ["ALL"] for name in ours)
    assert all(
        services[name]["depends_on"]["migrate"]["condition"] == "service_completed_successfully" for name in ours[1:]
    )


def test_no_secret_is_in_the_environment_of_a_container(services: dict) -> None:
    for service in services.values():
        for name in service.get("environment", {}):
            assert not re.search("PASSWORD|SECRET|URL|KEY", name) or name.endswith("_FILE"), name


def test_compose_references_resolve(services: dict) -> None:
    whole = yaml.safe_load((ROOT / "docker-compose.yml").read_text())
    for service in services.values():
        assert set(service.get("secrets", [])) <= set(whole["secrets"])
        assert set(service["networks"]) <= set(whole["networks"])
        assert set(service.get("depends_on", {})) <= set(services)
        named = {
            mount.partition(":")[0] for mount in service.get("volumes", []) if not mount.startswith(("$", ".", "/"))
        }
        assert named <= set(whole["volumes"])


def test_the_image_runs_as_nobody_special_and_is_checked() -> None:
    text = (ROOT / "Dockerfile").read_text()
    assert re.search(r"^USER 10001:10001$", text, re.MULTILINE)
    assert "HEALTHCHECK" in text
    assert text.count("\nFROM ") == 2
    ignored = (ROOT / ".dockerignore").read_text().splitlines()
    assert {".git", "var", ".venv", ".env"} <= set(ignored)


# ------------------------------------------------------------------------------------------------- documents


def test_every_setting_is_in_the_operators_table() -> None:
    read = set(re.findall(r'env\.\w+\(\s*"([A-Z_]+)"', (ROOT / "controlplane" / "settings.py").read_text()))
    read |= set(re.findall(r'environ\.get\("(WEB_[A-Z_]+)"', (ROOT / "controlplane" / "gunicorn_conf.py").read_text()))
    assert len(read) > 15
    table = set(re.findall(r"^\| `([A-Z_]+)`", (ROOT / "docs" / "operations.md").read_text(), re.MULTILINE))
    assert read <= table, f"not in docs/operations.md: {sorted(read - table)}"
