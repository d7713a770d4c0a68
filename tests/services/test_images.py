"""Images: all are pinned, none is withdrawn, and faults say what to do."""

import dataclasses

import pytest

from components.runtime import runtime_for
from services import images
from services.images import ImageError, Images
from settings import SettingsError
from tests.support.declaring import pinned_images, settings

WITHDRAWN = ("docker.io/minio/", "bitnami", "ingress-nginx")


def test_what_is_withdrawn_is_not_used():
    for image in images.load().values():
        assert not any(part in image.repository for part in WITHDRAWN), image.repository
        assert image.version != "latest"


def test_a_reference_is_pinned_or_refused():
    known = images.load()
    assert known["minio"].reference.startswith("docker.io/pgsty/minio:RELEASE.")
    assert "@sha256:" in known["minio"].reference
    with pytest.raises(ImageError, match="minio: no digest: run `bin/dataflow images update`"):
        _ = dataclasses.replace(known["minio"], digest="").reference


@pytest.mark.parametrize(
    ("change", "text"),
    [
        ({"digest": "sha256:12"}, "digest 'sha256:12': expected sha256:"),
        ({"user": 0}, "user 0: expected a number above 0"),
        ({"probe": "telnet"}, "probe 'telnet': expected one of bash, curl, python, wget"),
    ],
)
def test_a_wrong_entry_is_named(change, text):
    with pytest.raises(ImageError, match=f"images.yaml: minio: {text}"):
        dataclasses.replace(images.load()["minio"], **change)


def test_the_configuration_chooses_other_images():
    chosen = Images(known=images.load(), chosen={"minio": "registry.test/minio:1"})
    assert chosen.reference("minio") == "registry.test/minio:1"
    with pytest.raises(ImageError, match="image 'oracle': expected one of dataflow, superset"):
        Images(known=images.load(), chosen={"oracle": "x"})


def test_a_stack_of_containers_says_which_images_it_lacks():
    with pytest.raises(
        SettingsError, match="images dataflow, .*: run `bin/dataflow images update`"
    ):
        runtime_for(settings(runtime="docker"))
    assert not pinned_images().unpinned()
