"""A pytest plugin: tests that ask for version 2 of SoftHSM before they test a feature are told so; tests of the identity are not."""

import pytest
from PyKCS11 import PyKCS11Lib

REAL = PyKCS11Lib.getInfo


def answer(self):
    info = REAL(self)
    info.libraryVersion = (2, 7)
    return info


@pytest.fixture(autouse=True)
def identity(request, monkeypatch):
    if request.module.__name__.rpartition(".")[2] not in ("test_info", "test_LowLevel", "test_load"):
        monkeypatch.setattr(PyKCS11Lib, "getInfo", answer)
