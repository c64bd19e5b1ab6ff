"""Errors of one recorder."""

from __future__ import annotations

from ecotf.errors import EcotfError


class DeviceError(EcotfError):
    """A recorder that cannot be reached, or cannot do what it was asked; the others go on."""


class ConnectionLost(DeviceError):
    """The connection broke while a command ran there; the command may go on by itself."""


class BundleRefused(DeviceError):
    """The bundle is not for this recorder, or older than what it has; nothing was sent."""


class NoDelta(DeviceError):
    """The whole bundle must be sent; one clause saying why."""
