"""No generated value of the deployed stack can be read by others: state, output, files,
processes, crashes."""

import re
import subprocess

import pytest

from tests.support.secret_scan import Places, core_limits, secrets_of

pytestmark = [pytest.mark.engine, pytest.mark.service, pytest.mark.timeout(1800)]

# dbt takes its password from its environment alone, which its own user alone can read.
OWNER = re.compile(rb"/venvs/dbt/bin/")


@pytest.fixture(scope="module")
def places(deployed) -> Places:
    # Not through `deployed.pulumi`: that keeps what is printed.
    decrypted = deployed.stack.answer("stack", "export", "--show-secrets")
    secrets = secrets_of(decrypted)
    # The finds are the real thing: those that people log in with are among them.
    for credential in ("minio-root", "postgres-superuser", "superset-admin", "airbyte-client"):
        assert deployed.password(credential) in secrets.values()
    passphrase = deployed.stack.paths.passphrase_file.read_text()
    return Places(secrets | {"seed": deployed.seed, "passphrase": passphrase})


def test_none_in_the_state_with_its_history_or_in_what_was_printed(deployed, places):
    places.leaks.clear()
    places.text("the export", deployed.stack.answer("stack", "export"))
    places.text("the outputs", deployed.stack.answer("stack", "output", "--json"))
    places.text("what was printed", deployed.output)
    state = deployed.stack.paths.state / ".pulumi"
    files = [path for path in state.rglob("*") if deployed.stack.name in str(path)]
    assert {path.relative_to(state).parts[0] for path in files} >= {"history", "stacks"}
    places.files([*files, deployed.stack.config_file])
    assert not places.leaks


def test_none_in_a_file_that_others_can_read(deployed, places):
    places.leaks.clear()
    places.readable_files(deployed.stack.directory)
    places.files(deployed.stack.directory.rglob("*.log*"))  # whoever may read them
    assert not (deployed.stack.paths.pulumi_home / "logs").is_dir()  # the engine's own
    assert places.looked_at > 20
    assert not places.leaks
    mode = deployed.stack.paths.passphrase_file.stat().st_mode
    assert not mode & 0o077


def test_none_in_arguments_or_environment_while_the_pipeline_runs(deployed, places):
    places.leaks.clear()
    with places.watching(OWNER):
        done = subprocess.run(
            ["bin/dataflow", "run", "--stack", deployed.stack.name],
            cwd=deployed.stack.paths.root,
            capture_output=True,
            text=True,
        )
    assert done.returncode == 0, done.stdout + done.stderr
    places.processes()
    assert not set(places.leaks)


def test_no_process_may_dump_its_memory(deployed):
    limits = core_limits(str(deployed.stack.directory))
    assert len(limits) > 5
    assert set(limits.values()) == {"0 0"}, limits
    assert not list(deployed.stack.directory.rglob("core"))
