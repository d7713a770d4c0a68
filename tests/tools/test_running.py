"""Where a pipeline runs: what cannot be asked from here is said, with the command for it."""

import pytest
import yaml

from tests.support.states import record
from tools.running import NotFromHere, running
from tools.stack import StackError

CLUSTER = {
    "dataflow:runtime": "kubernetes",
    "dataflow:domain": "data.example.org",
    "dataflow:gatewayClass": "envoy",
    "dataflow:issuer": "letsencrypt",
    "dataflow:apiServer": "10.96.0.1/32",
}
COMMAND = ["/opt/python", "launch.py", "pipeline", "serve", "--config", "/dataflow/pipeline.json"]


def of_runtime(stack, **config):
    stack.config_file.write_text(yaml.safe_dump({"config": config}))
    stack.create()
    return running(stack)


def deployed(stack, kind, **more):
    urn = f"urn:pulumi:{stack.name}::dataflow::{kind}::pipeline"
    record(stack, {"urn": urn, "custom": True, "type": kind, **more})


def test_a_stack_that_does_not_exist_is_named(stack):
    with pytest.raises(StackError, match="does not exist: create it with bin/dataflow up"):
        running(stack)


@pytest.mark.engine
@pytest.mark.parametrize(
    "config", [{}, {"dataflow:runtime": "docker"}, CLUSTER], ids=["process", "docker", "cluster"]
)
def test_a_stack_without_services_is_not_deployed(stack, config):
    with pytest.raises(StackError, match="is not deployed: run bin/dataflow up --stack"):
        of_runtime(stack, **config).run_pipeline()


@pytest.mark.engine
def test_a_cluster_is_asked_with_its_own_tools(stack):
    pods = of_runtime(stack, **CLUSTER)
    pod = {"containers": [{"name": "pipeline", "command": COMMAND}]}
    named = {"name": "pipeline", "namespace": "dataflow-prod-processing"}
    inputs = {"metadata": named, "spec": {"template": {"spec": pod}}}
    deployed(stack, "kubernetes:apps/v1:Deployment", id="p", inputs=inputs)
    with pytest.raises(
        NotFromHere,
        match=r"kubectl --namespace dataflow-prod-processing exec deployment/pipeline -- "
        r"/opt/python launch\.py pipeline run --config /dataflow/pipeline\.json",
    ):
        pods.run_pipeline()
    with pytest.raises(NotFromHere, match=f"kubectl get pods .* dataflow/stack={stack.name}"):
        list(pods.states())


@pytest.mark.engine
def test_an_engine_that_does_not_answer_is_named(stack, tmp_path):
    socket = f"unix://{tmp_path}/nowhere.sock"
    containers = of_runtime(stack, **{"dataflow:runtime": "docker", "docker:host": socket})
    outputs = {"name": "dataflow-dev-pipeline", "hostname": "pipeline", "mustRun": True}
    deployed(stack, "docker:index/container:Container", id="c", outputs=outputs)
    with pytest.raises(StackError, match=f"docker at {socket}: .* is the engine up"):
        containers.run_pipeline()
    with pytest.raises(StackError, match=f"docker at {socket}: .* is the engine up"):
        list(containers.states())
