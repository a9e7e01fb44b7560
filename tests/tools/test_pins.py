"""pyproject.toml, requirements.txt and environment.yml must tell the same story."""

import re
import tomllib
from importlib.metadata import distributions
from pathlib import Path

from packaging.markers import default_environment
from packaging.requirements import Requirement
from packaging.utils import canonicalize_name
from packaging.version import Version

ROOT = Path(__file__).parents[2]
PROJECT = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["project"]
DIRECT = [
    Requirement(text)
    for group in (PROJECT["dependencies"], *PROJECT["optional-dependencies"].values())
    for text in group
]
PINS = [
    Requirement(line)
    for line in (ROOT / "requirements.txt").read_text(encoding="utf-8").splitlines()
    if line and not line.startswith("#")
]


def pinned_versions(name: str, **environment: str) -> set[str]:
    """The versions that requirements.txt gives `name` in that environment."""
    name = canonicalize_name(name)
    where = {**default_environment(), **environment}
    return {
        next(iter(pin.specifier)).version
        for pin in PINS
        if canonicalize_name(pin.name) == name and (not pin.marker or pin.marker.evaluate(where))
    }


def test_requirements_are_exact_versions_without_addresses():
    for pin in PINS:
        assert re.fullmatch(r"==[\w.]+", str(pin.specifier)), pin
        assert pin.url is None


def test_every_direct_dependency_is_pinned_once_within_its_range_on_every_platform():
    for python in ("3.11", "3.12", "3.13"):
        for platform in ("linux", "darwin", "win32"):
            where = {"python_full_version": f"{python}.9", "sys_platform": platform}
            for dependency in DIRECT:
                versions = pinned_versions(dependency.name, python_version=python, **where)
                assert len(versions) == 1, (dependency.name, where, versions)
                assert dependency.specifier.contains(versions.pop()), dependency


def test_what_is_installed_is_what_is_pinned():
    for installed in distributions():
        pins = pinned_versions(installed.name)
        local = Version(installed.version).public  # 2.15.0+cpu is 2.15.0 built for CPUs
        assert local in pins or installed.name in {PROJECT["name"], "pip", "uv"}, installed.name


def test_the_conda_environment_installs_exactly_the_pins():
    environment = (ROOT / "environment.yml").read_text(encoding="utf-8")
    dependencies = re.findall(r"^ +- (.*)$", environment.split("dependencies:")[1], re.MULTILINE)
    python = "python " + PROJECT["requires-python"]
    assert dependencies == [
        python, "pip", "pip:", "--constraint requirements.txt",
        "--editable .", "--editable .[test]",
    ]  # fmt: skip
