"""Services as supervised processes, on a real supervisord."""

import json
import os
import pwd
import signal
import socket
import stat
import sys
from pathlib import Path

import pytest

from dynamic_providers.handler import UNKNOWN, InputError
from dynamic_providers.local import control, proc, process, supervisor
from dynamic_providers.local.run import ProgramError
from tests.support.secret_scan import core_limits

PASSWORD = "s3cr3t-horse-battery"


def folder(spec) -> Path:
    return Path(process.natural_key(spec))


def pid(spec) -> int:
    return control.of(spec["stackDir"]).info(spec["name"]).pid


def stop_by_hand(spec) -> None:
    control.of(spec["stackDir"]).stop(spec["name"], 10)


def test_lifecycle(stack, server, get):
    spec = server(stack, environment={"COLOUR": 'it\'s 100% "blue" ; #1\n$HOME'})
    assert process.normalize(spec) == spec
    live = process.create(None, spec)
    assert get(spec, "COLOUR") == spec["environment"]["COLOUR"]
    assert process.read(None, live.id, spec).inputs == spec
    first = pid(spec)
    assert process.create(None, spec).id == live.id
    assert pid(spec) == first  # adopted as it is

    changed = {**spec, "environment": {"COLOUR": "red"}}
    process.update(None, live.id, spec, changed)
    assert get(spec, "COLOUR") == "red"
    assert process.read(None, live.id, changed).inputs == changed

    second = proc.group_members(pid(changed))
    process.delete(None, live.id, changed)
    process.delete(None, live.id, changed)
    assert process.read(None, live.id, changed) is None
    assert not any(member.alive() for member in second)
    assert not folder(spec).parent.exists()


def test_it_runs_as_the_service_user_with_its_own_folders(stack, server, get, user):
    spec = server(stack, secretFiles={"keys/password": PASSWORD})
    process.create(None, spec)
    uid = pwd.getpwnam(user).pw_uid if user else os.geteuid()
    assert get(spec, "user") == str(uid)
    assert get(spec, "HOME") == str(folder(spec) / "data")
    secret = (folder(spec) / "config/keys/password").stat()
    assert (stat.S_IMODE(secret.st_mode), secret.st_uid) == (0o600, uid)
    public = (folder(spec) / "config/server.py").stat()
    assert stat.S_IMODE(public.st_mode) == 0o640
    assert (folder(spec) / "data").stat().st_uid == uid


def test_a_crash_leaves_no_core_dump(stack, server, wait_until):
    spec = server(stack, secretFiles={"password": PASSWORD})
    process.create(None, spec)
    assert set(core_limits(stack).values()) == {"0 0"}  # hard, so the program cannot raise it
    first = pid(spec)
    os.kill(first, signal.SIGABRT)
    wait_until(lambda: pid(spec) not in (0, first))
    assert not list((folder(spec) / "data").glob("core*"))


def test_secrets_are_in_no_other_file_and_in_no_environment(stack, server):
    spec = server(stack, secretFiles={"password": PASSWORD})
    process.create(None, spec)
    holders = [
        path.name
        for path in Path(stack).rglob("*")
        if path.is_file() and not path.is_symlink() and PASSWORD.encode() in path.read_bytes()
    ]
    assert holders == ["password"]
    assert PASSWORD not in Path(f"/proc/{pid(spec)}/environ").read_text()
    assert PASSWORD not in " ".join(proc.command_line(pid(spec)))


def test_a_killed_process_is_started_again(stack, server, get, wait_until):
    spec = server(stack)
    process.create(None, spec)
    first = pid(spec)
    os.kill(first, signal.SIGKILL)
    wait_until(lambda: get(spec, "pid") != str(first))
    wait_until(lambda: process.read(None, folder(spec), spec).inputs == spec)


def test_it_ends_with_a_killed_supervisord_and_comes_back(make_stack, server, get, wait_until):
    stack = make_stack("one")
    spec = server(stack)
    process.create(None, spec)
    (daemon,) = control.of(stack).daemons()
    members = proc.group_members(pid(spec))
    os.kill(daemon.number, signal.SIGKILL)
    wait_until(lambda: not any(member.alive() for member in members))
    drifted = process.read(None, folder(spec), spec).inputs
    assert drifted == {**spec, "running": False}
    supervisor.create(None, supervisor.normalize({"stackDir": stack}))
    process.update(None, str(folder(spec)), drifted, spec)
    assert get(spec, "pid")


def test_a_process_stopped_by_hand_shows_and_is_repaired(stack, server, get):
    spec = server(stack)
    live = process.create(None, spec)
    stop_by_hand(spec)
    drifted = process.read(None, live.id, spec).inputs
    assert drifted == {**spec, "running": False}
    process.update(None, live.id, drifted, spec)
    assert get(spec, "pid")
    assert process.read(None, live.id, spec).inputs == spec


def test_running_false_stops_it(stack, server, wait_until):
    spec = server(stack)
    live = process.create(None, spec)
    stopped = {**spec, "running": False}
    process.update(None, live.id, spec, stopped)
    assert not proc.port_is_taken("127.0.0.1", spec["ports"][0])
    assert process.read(None, live.id, stopped).inputs == stopped


def test_a_file_edited_by_hand_is_drift_of_that_file(stack, server, get):
    spec = server(stack, files={"server.py": server(stack)["files"]["server.py"], "a/b.ini": "x"})
    live = process.create(None, spec)
    (folder(spec) / "config/a/b.ini").write_text("y")
    drifted = process.read(None, live.id, spec).inputs
    assert drifted == {**spec, "files": {**spec["files"], "a/b.ini": "y"}}
    before = get(spec, "pid")
    process.update(None, live.id, drifted, spec)
    assert (folder(spec) / "config/a/b.ini").read_text() == "x"
    assert get(spec, "pid") != before  # it may have read the edited file


def test_a_secret_file_edited_by_hand_is_drift(stack, server):
    spec = server(stack, secretFiles={"password": PASSWORD})
    live = process.create(None, spec)
    (folder(spec) / "config/password").write_text("other")
    assert process.read(None, live.id, spec).inputs["secretFiles"] == {"password": "other"}


def test_a_link_in_place_of_a_file_is_not_followed(stack, server, tmp_path):
    target = tmp_path / "private"
    target.write_text("of another user")
    spec = server(stack, secretFiles={"password": PASSWORD})
    live = process.create(None, spec)
    (folder(spec) / "config/password").unlink()
    (folder(spec) / "config/password").symlink_to(target)
    drifted = process.read(None, live.id, spec).inputs
    assert drifted["secretFiles"] == {}
    process.update(None, live.id, drifted, spec)
    assert target.read_text() == "of another user"
    assert process.read(None, live.id, spec).inputs == spec


def test_a_file_that_is_no_longer_declared_goes_others_stay(stack, server):
    spec = server(stack)
    more = {**spec, "files": {**spec["files"], "old.ini": "x"}}
    live = process.create(None, more)
    (folder(spec) / "config/own.keystore").write_text("made by the service")
    process.update(None, live.id, more, spec)
    assert not (folder(spec) / "config/old.ini").exists()
    assert (folder(spec) / "config/own.keystore").exists()


@pytest.mark.parametrize("change", [{"keepData": True}, {"readiness": {}}, {"ports": []}])
def test_what_the_program_does_not_see_does_not_restart_it(stack, server, get, change):
    spec = server(stack)
    live = process.create(None, spec)
    before = get(spec, "pid")
    process.update(None, live.id, spec, process.normalize({**spec, **change}))
    assert get(spec, "pid") == before


def test_a_port_in_use_stops_before_anything_is_made(stack, server):
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
        spec = server(stack, port=port)
        with pytest.raises(InputError) as failure:
            process.create(None, spec)
    text = str(failure.value)
    assert f"{port}: in use by process {os.getpid()} (" in text
    assert "pulumi config set dataflow:portOffset N" in text
    assert not folder(spec).exists()
    assert process.read(None, folder(spec), spec) is None


def test_an_early_exit_fails_with_its_last_lines_but_no_secret(stack, server):
    program = (
        "import json, sys; d = json.load(open(sys.argv[1]))\n"
        "for n in range(40): print('line', n, flush=True)\n"
        "sys.exit('cannot log in as app with ' + d['password'] + ' at db.example')"
    )
    spec = server(stack)
    config = folder(spec) / "config"
    spec |= {
        "command": [sys.executable, "-c", program, str(config / "a.json")],
        "secretFiles": {"a.json": json.dumps({"user": "app", "password": PASSWORD})},
    }
    with pytest.raises(ProgramError) as failure:
        process.create(None, spec)
    text = str(failure.value)
    assert "ended early" in text
    assert "cannot log in as app with [secret] at db.example" in text
    assert PASSWORD not in text
    assert "line 39" in text and "line 19" not in text
    assert str(folder(spec) / "logs/web.log") in text
    assert (folder(spec) / "logs/web.log").exists()
    assert not config.exists()  # the secret does not stay behind
    assert process.read(None, folder(spec), spec) is None
    assert control.of(stack).info("web") is None


def test_a_missing_program_is_an_early_exit(stack, server):
    spec = server(stack, command=["/no/such/program"])
    with pytest.raises(ProgramError, match="/no/such/program"):
        process.create(None, spec)


def test_a_service_that_never_gets_ready_is_withdrawn(stack, server, free_port):
    spec = server(stack, readiness={"kind": "tcp", "port": free_port(), "timeoutS": 2})
    with pytest.raises(ProgramError, match="not ready after 2 s: 127.0.0.1:"):
        process.create(None, spec)
    assert not proc.port_is_taken("127.0.0.1", spec["ports"][0])


def test_a_failed_update_shows_as_not_running(stack, server):
    spec = server(stack)
    live = process.create(None, spec)
    bad = {**spec, "readiness": {**spec["readiness"], "statusCodes": [204], "timeoutS": 2}}
    bad["environment"] = {"A": "b"}
    with pytest.raises(ProgramError, match="status 200, expected 204"):
        process.update(None, live.id, spec, bad)
    assert process.read(None, live.id, bad).inputs == {**bad, "running": False}


def test_a_command_can_be_the_probe(stack, server):
    marker = f"{stack}/services/web/data/ready"
    program = f"import time; open({marker!r}, 'w').close(); time.sleep(600)"
    spec = server(
        stack,
        command=[sys.executable, "-c", program],
        readiness={"kind": "command", "command": ["test", "-f", marker]},
    )
    process.create(None, spec)


INIT = {
    "command": ["/bin/sh", "-c", "test ! -e db && mkdir db && cat > db/secret"],
    "creates": "data/db",
    "stdinFile": "password",
}


def test_first_steps_run_once(stack, server):
    spec = server(stack, init=[INIT], secretFiles={"password": PASSWORD})
    live = process.create(None, spec)
    assert (folder(spec) / "data/db/secret").read_text() == PASSWORD
    made = (folder(spec) / "data/db").stat()
    process.update(None, live.id, spec, {**spec, "environment": {"A": "b"}})
    assert (folder(spec) / "data/db").stat() == made


def test_an_interrupted_first_step_starts_from_nothing(stack, server):
    command = ["/bin/sh", "-c", "mkdir db && kill -9 $$"]
    spec = server(stack, init=[{**INIT, "command": command}], secretFiles={"password": PASSWORD})
    with pytest.raises(ProgramError, match="exit status -9"):
        process.create(None, spec)
    assert (folder(spec) / "data/db").exists()  # half-made
    process.create(None, {**spec, "init": [INIT]})
    assert (folder(spec) / "data/db/secret").read_text() == PASSWORD


def test_a_failed_first_step_shows_its_output_without_secrets(stack, server):
    command = ["/bin/sh", "-c", "cat; exit 3"]
    spec = server(stack, init=[{**INIT, "command": command}], secretFiles={"password": PASSWORD})
    with pytest.raises(ProgramError, match="exit status 3") as failure:
        process.create(None, spec)
    assert "[secret]" in str(failure.value) and PASSWORD not in str(failure.value)


def test_data_that_are_kept_are_used_again(stack, server):
    spec = server(stack, init=[INIT], secretFiles={"password": PASSWORD}, keepData=True)
    live = process.create(None, spec)
    (folder(spec) / "data/db/table").write_text("rows")
    process.delete(None, live.id, spec)
    assert not (folder(spec) / "config").exists()
    process.create(None, spec)
    assert (folder(spec) / "data/db/table").read_text() == "rows"


def test_two_stacks_run_side_by_side(make_stack, server, get):
    one, two = server(make_stack("one")), server(make_stack("two"))
    process.create(None, one)
    process.create(None, two)
    assert get(one, "pid") != get(two, "pid")
    supervisor.delete(None, one["stackDir"], {})
    assert get(two, "pid")


def test_what_a_program_leaves_in_its_group_ends_with_it(stack, server):
    script = '(trap \'\' TERM; while :; do sleep 1; done) & exec "$0" "$@"'
    spec = server(stack)
    spec["command"] = ["/bin/sh", "-c", script, *spec["command"]]
    live = process.create(None, spec)
    members = proc.group_members(pid(spec))
    assert len(members) > 1
    process.delete(None, live.id, spec)
    assert not any(member.alive() for member in members)


@pytest.mark.skipif(os.geteuid() != 0, reason="needs root: only then the service user differs")
def test_a_folder_that_the_service_user_cannot_enter_is_named(make_stack, server):
    stack_dir = make_stack("closed/stack")
    Path(stack_dir).parent.chmod(0o700)
    with pytest.raises(InputError, match=r"cannot enter '.*/closed'"):
        process.create(None, server(stack_dir))


@pytest.mark.parametrize(
    ("change", "text"),
    [
        ({"name": "Web 1"}, "name: 'Web 1'"),
        ({"command": "serve"}, "command: 'serve'"),
        ({"ports": [0]}, "ports: 0"),
        ({"files": {"../x": ""}}, "'../x'"),
        ({"files": {"a": "1"}, "secretFiles": {"a": "2"}}, "secretFiles.a"),
        ({"environment": {"A B": ""}}, "'A B'"),
        ({"stopSignal": "KILLALL"}, "stopSignal: 'KILLALL'"),
        ({"readiness": {"kind": "ping"}}, "readiness.kind: 'ping': expected one of command"),
        ({"init": [{"command": ["x"], "creates": "files.json"}]}, "init[0].creates"),
        ({"init": [{**INIT, "stdinFile": "nowhere"}]}, "init[0].stdinFile: 'nowhere'"),
        ({"stopTimeoutS": 0}, "stopTimeoutS: 0"),
    ],
)
def test_wrong_inputs_are_named(server, change, text):
    with pytest.raises(InputError) as failure:
        server("/stack", **{"port": 1234, **change})
    assert text in str(failure.value)


def test_unknown_values_pass(server):
    spec = server("/stack", port=1234)
    unknown = {
        "files": {"a": UNKNOWN},
        "secretFiles": UNKNOWN,
        "command": ["x", UNKNOWN],
        "environment": UNKNOWN,
        "ports": [UNKNOWN],
        "init": [{"command": UNKNOWN, "creates": UNKNOWN, "stdinFile": "p"}],
    }
    assert process.normalize({**spec, **unknown}) == {**spec, **unknown}


def test_whole_floats_are_numbers_again(server):
    spec = server("/stack", port=1234)
    floats = {**spec, "stopTimeoutS": 10.0, "ports": [1234.0]}
    assert repr(process.normalize(floats)) == repr(spec)
