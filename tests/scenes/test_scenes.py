"""Plays every scene of this folder against Prosody and against host-server: a scene that only one of them
plays shows a wrong expectation, or a wrong server."""

import pathlib

import pytest

from lib.host import Host

from lib.prosody import Prosody
from lib.scene import Scene

SCENES = [Scene(path) for path in sorted(pathlib.Path(__file__).parent.glob("*.scene"))]


@pytest.fixture(scope="module")
def prosody(tmp_path_factory):
    server = Prosody(tmp_path_factory.mktemp("prosody")).start()
    yield server
    server.stop()


@pytest.fixture(scope="module")
def host(tmp_path_factory):
    server = Host(tmp_path_factory.mktemp("host")).start()
    yield server
    server.stop()


@pytest.mark.parametrize("scene", [scene for scene in SCENES if Prosody.name not in scene.unlike],
                         ids=lambda scene: scene.path.stem)
def test_prosody_plays(scene, prosody):
    scene.play(prosody)


@pytest.mark.parametrize("scene", SCENES, ids=lambda scene: scene.path.stem)
def test_host_server_plays(scene, host):
    scene.play(host)
