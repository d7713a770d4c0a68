"""Drift of the declared fields alone, by what the server says of their managers."""

from plugins.kubernetes.fields import observed, owned

DECLARED = {
    "metadata": {"name": "web", "labels": {"app": "web"}},
    "spec": {
        "replicas": 2,
        "selector": {"app": "web"},
        "containers": [
            {"name": "web", "image": "web:1", "cpu": "0.1"},
            {"name": "log", "image": "log:1"},
        ],
        "finalizers": ["a", "b"],
    },
}
# As the server spells and fills it in.
PREDICTED = {
    "metadata": {"name": "web", "labels": {"app": "web"}},
    "spec": {
        "replicas": 2,
        "policy": "Always",
        "selector": {"app": "web"},
        "containers": [
            {"name": "web", "image": "web:1", "cpu": "100m", "pull": "Always"},
            {"name": "log", "image": "log:1", "pull": "Always"},
        ],
        "finalizers": ["a", "b"],
    },
}
FIELDS = {
    "f:metadata": {"f:labels": {"f:app": {}}},
    "f:spec": {
        "f:replicas": {},
        "f:selector": {},
        "f:containers": {
            'k:{"name":"web"}': {".": {}, "f:name": {}, "f:image": {}, "f:cpu": {}},
            'k:{"name":"log"}': {".": {}, "f:name": {}, "f:image": {}},
        },
        "f:finalizers": {'v:"a"': {}, 'v:"b"': {}},
    },
}


def live(**spec):
    return {**PREDICTED, "spec": PREDICTED["spec"] | spec}


def seen(there):
    return observed(DECLARED, PREDICTED, there, FIELDS)


def test_the_servers_spelling_and_defaults_are_no_drift():
    assert seen(live(status=1)) == DECLARED


def test_what_others_added_is_no_drift():
    web, log = PREDICTED["spec"]["containers"]
    there = live(containers=[{"name": "proxy"}, log, web], finalizers=["z", "a", "b"])
    there["metadata"] = {"name": "web", "labels": {"app": "web", "by": "hand"}}
    assert seen(there) == DECLARED


def test_one_changed_field_shows_alone():
    web, log = PREDICTED["spec"]["containers"]
    there = seen(live(replicas=3, containers=[web | {"image": "web:2"}, log]))
    expected = DECLARED["spec"]["containers"][0] | {"image": "web:2"}
    assert there["spec"] == DECLARED["spec"] | {
        "replicas": 3,
        "containers": [expected, DECLARED["spec"]["containers"][1]],
    }


def test_what_is_gone_shows():
    log = PREDICTED["spec"]["containers"][1]
    there = live(containers=[log], finalizers=["b"])
    del there["spec"]["replicas"]
    found = seen(there)["spec"]
    assert "replicas" not in found and found["finalizers"] == ["b"]
    assert found["containers"] == [DECLARED["spec"]["containers"][1]]


def test_a_field_that_is_set_as_a_whole_shows_what_others_added_too():
    found = seen(live(selector={"app": "web", "by": "hand"}))
    assert found["spec"]["selector"] == {"app": "web", "by": "hand"}


def test_what_has_no_manager_is_compared_as_declared():
    fields = {"f:spec": FIELDS["f:spec"]}
    there = live(replicas=3)
    there["metadata"] = {"name": "web", "labels": {"app": "web", "by": "hand"}}
    found = observed(DECLARED, PREDICTED, there, fields)
    assert found["metadata"] == DECLARED["metadata"] and found["spec"]["replicas"] == 3


def test_items_are_found_by_keys_whose_defaults_were_left_out():
    ports = [{"port": 80, "protocol": "TCP"}, {"port": 80, "protocol": "UDP"}]
    fields = {
        'k:{"port":80,"protocol":"TCP"}': {".": {}, "f:port": {}, "f:name": {}},
        'k:{"port":80,"protocol":"UDP"}': {".": {}, "f:port": {}, "f:protocol": {}},
    }
    declared = [{"port": 80, "name": "a"}, {"port": 80, "protocol": "UDP"}]
    predicted = [ports[0] | {"name": "a"}, ports[1]]
    assert observed(declared, predicted, [ports[0] | {"name": "b"}, ports[1]], fields) == [
        {"port": 80, "name": "b"},
        {"port": 80, "protocol": "UDP"},
    ]


def test_fields_belong_to_who_applied_them():
    entries = [
        {"manager": "other", "operation": "Apply", "fieldsV1": {"f:a": {}}},
        {"manager": "ours", "operation": "Update", "fieldsV1": {"f:b": {}}},
        {"manager": "ours", "operation": "Apply", "fieldsV1": {"f:c": {}}},
    ]
    assert owned({"metadata": {"managedFields": entries}}, "ours") == {"f:c": {}}
    assert owned({"metadata": {}}, "ours") is None
