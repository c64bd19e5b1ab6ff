"""Addresses of recorders, one or many."""

from __future__ import annotations

import pytest

from deploy.flash.devices import Device, parse_device, read_devices
from ecotf.errors import ConfigError


@pytest.mark.parametrize(
    ("address", "device"),
    [
        ("recorder01.local", ("recorder01.local", None, None)),
        ("pi@recorder01.local", ("recorder01.local", "pi", None)),
        ("pi@10.0.0.7:2222", ("10.0.0.7", "pi", 2222)),
        ("pi@[fe80::1%eth0]:22", ("fe80::1%eth0", "pi", 22)),
    ],
)
def test_addresses(address, device):
    assert parse_device(address) == Device(address, *device)


@pytest.mark.parametrize(
    "address", ["", "pi@", "a b", "pi@host:port", "pi@host:0", "pi@host:99999", "-oProxyCommand=x", "a;b"]
)
def test_what_is_no_address(address):
    with pytest.raises(ConfigError, match="device "):
        parse_device(address)


def test_lists(tmp_path):
    (tmp_path / "a.txt").write_text("# the oaks\npi@oak01\n\npi@oak02:2222  # by the pond\n")
    assert [device.host for device in read_devices(tmp_path / "a.txt")] == ["oak01", "oak02"]
    (tmp_path / "a.yaml").write_text("oak: pi@10.0.0.1\npond: pi@10.0.0.2\n")
    assert [str(device) for device in read_devices(tmp_path / "a.yaml")] == ["oak", "pond"]
    (tmp_path / "b.yml").write_text("- pi@10.0.0.1\n- pi@10.0.0.2\n")
    assert len(read_devices(tmp_path / "b.yml")) == 2


@pytest.mark.parametrize(
    ("name", "content", "reason"),
    [
        ("a.txt", "", "no device in it"),
        ("a.txt", "pi@oak\nPI@OAK\n", "is there twice"),
        ("a.txt", "pi@o ak\n", "allowed are host"),
        ("a.yaml", "oak: 7\n", "allowed are lines"),
        ("a.yaml", "a: [\n", "not YAML"),
        ("a.yaml", "", "allowed are lines"),
        ("none.txt", None, "cannot be read"),
    ],
)
def test_lists_that_cannot_be(tmp_path, name, content, reason):
    if content is not None:
        (tmp_path / name).write_text(content)
    with pytest.raises(ConfigError, match=reason):
        read_devices(tmp_path / name)
