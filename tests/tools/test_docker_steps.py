"""What only the tests need is installed for them, and for nobody else."""

import os

import pytest

from tools.bootstrap import all_steps
from tools.paths import Paths
from tools.steps import docker


@pytest.fixture
def paths(tmp_path) -> Paths:
    return Paths(root=Paths.find().root, home=tmp_path / "home")


def names(steps):
    return {step.name for step in steps}


def test_a_deployment_installs_nothing_that_only_tests_need(paths):
    extra = names(docker.steps(paths))
    assert not extra & names(all_steps(paths, tests=False))
    assert extra <= names(all_steps(paths, tests=True))


def test_only_root_installs_a_docker_engine(paths, monkeypatch):
    monkeypatch.setattr(os, "geteuid", lambda: 1000)
    assert docker.DOCKER not in names(docker.steps(paths))
