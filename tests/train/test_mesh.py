"""Meshes are made once while the processes stay together, and anew when they meet again."""

from __future__ import annotations

from skyloom.train import mesh
from skyloom.train.layout import Layout


def test_a_later_session_takes_the_mesh_that_is_there() -> None:
    first = mesh.join(Layout())
    assert mesh.join(Layout(micro_batch=2)).mesh is first.mesh
    mesh.leave()
    again = mesh.join(Layout())
    assert again.mesh is not first.mesh and again.replica == 0
    mesh.leave()
