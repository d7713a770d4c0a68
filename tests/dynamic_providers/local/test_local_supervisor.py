"""The supervisord of a stack."""

import os
import signal
from pathlib import Path

import pytest

from dynamic_providers.handler import InputError
from dynamic_providers.local import control, supervisor


def test_lifecycle(make_stack):
    stack_dir = make_stack("one")
    spec = supervisor.normalize({"stackDir": stack_dir})
    assert supervisor.normalize(spec) == spec
    (daemon,) = control.of(stack_dir).daemons()
    assert supervisor.create(None, spec).id == stack_dir
    assert control.of(stack_dir).daemons() == [daemon]  # adopted, no twin
    assert supervisor.read(None, stack_dir, spec).inputs == spec
    supervisor.delete(None, stack_dir, spec)
    supervisor.delete(None, stack_dir, spec)
    assert supervisor.read(None, stack_dir, spec) is None
    assert not daemon.alive()
    assert not Path(stack_dir).exists()


def test_it_runs_in_its_own_session_without_the_callers_environment(make_stack, monkeypatch):
    monkeypatch.setenv("PULUMI_CONFIG_PASSPHRASE", "horse-battery")
    (daemon,) = control.of(make_stack("one")).daemons()
    assert os.getsid(daemon.number) != os.getsid(0)
    assert b"horse-battery" not in Path(f"/proc/{daemon.number}/environ").read_bytes()


def test_a_killed_one_is_gone_and_started_again(make_stack, wait_until):
    stack_dir = make_stack("one")
    spec = supervisor.normalize({"stackDir": stack_dir})
    (first,) = control.of(stack_dir).daemons()
    os.kill(first.number, signal.SIGKILL)
    wait_until(lambda: not first.alive())
    assert supervisor.read(None, stack_dir, spec) is None  # its pid file still exists
    supervisor.create(None, spec)
    (second,) = control.of(stack_dir).daemons()
    assert second != first


def test_one_whose_socket_was_removed_is_replaced_not_doubled(make_stack):
    stack_dir = make_stack("one")
    daemon = control.of(stack_dir)
    (first,) = daemon.daemons()
    daemon.socket.unlink()
    supervisor.create(None, supervisor.normalize({"stackDir": stack_dir}))
    (second,) = daemon.daemons()
    assert second != first
    assert daemon.alive()


def test_a_long_path_gets_a_short_socket(make_stack):
    stack_dir = make_stack("/".join(["a-folder-with-a-long-name"] * 6) + "/100% ours")
    daemon = control.of(stack_dir)
    assert daemon.alive()
    assert len(os.fsencode(daemon.socket)) < 100
    supervisor.delete(None, stack_dir, {})
    assert not daemon.socket.parent.exists()


@pytest.mark.parametrize("path", ["stacks/local", "", "/a;b", "/a\nb", '/a"b'])
def test_a_path_that_supervisor_cannot_hold_is_refused(path):
    with pytest.raises(InputError, match="stackDir"):
        supervisor.normalize({"stackDir": path})
