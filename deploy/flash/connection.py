"""A connection to one recorder: commands and files over ssh."""

from __future__ import annotations

import shlex
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

import paramiko

from deploy.flash.devices import Device
from deploy.flash.errors import ConnectionLost, DeviceError

_PAUSE_S = 0.05
_MOST_BYTES = 64 << 20  # that a command may say; a recorder that goes on and on does not fill our memory
_MOST_LINE_BYTES = 1 << 20
_SILENCE_S = 900.0  # the longest that a command may say nothing: a pip on a slow board


class Connection:
    """An open connection; use :func:`deploy.flash.login.connect`."""

    def __init__(
        self, device: Device, client: paramiko.SSHClient, use_sudo: bool = True, sudo_password: str | None = None
    ) -> None:
        self.device = device
        self._client = client
        self._use_sudo = use_sudo
        self._sudo_password = sudo_password
        self._prefix: tuple[list[str], str | None] | None = None

    def run(
        self, words: list[str], hear: Callable[[str], None], stop: threading.Event | None = None, root: bool = False,
        silence_s: float = _SILENCE_S,
    ) -> tuple[int, str]:  # fmt: skip
        """Run a command.

        Parameters
        ----------
        words
            The command and its arguments; quoted for the shell here.
        hear
            Called with each line that it prints.
        stop
            When set, listening ends; a change of releases goes on by itself.
        root
            Run it as root, by sudo.
        silence_s
            The longest that it may say nothing.

        Returns
        -------
        status : int
        complaint : str
            What it printed as errors.

        Raises
        ------
        ConnectionLost
            The connection broke, or listening was stopped, before the command ended.
        """
        with self._explained():
            prefix, secret = self._root_prefix() if root else ([], None)
            channel = self._open_session()
            channel.exec_command(shlex.join([*prefix, *words]))
            if secret is not None:
                channel.sendall(f"{secret}\n".encode())
            channel.shutdown_write()
            complaint = self._listen(channel, hear, stop, silence_s)
            return channel.recv_exit_status(), complaint

    def _listen(
        self, channel: paramiko.Channel, hear: Callable[[str], None], stop: threading.Event | None, silence_s: float
    ) -> str:
        """Pass on lines until the command ends; what it printed as errors."""
        errors = rest = b""
        said = 0
        heard = time.monotonic()
        while True:
            ended = channel.exit_status_ready()  # asked before the last look for output
            output = channel.recv(65536) if channel.recv_ready() else b""
            complaint = channel.recv_stderr(65536) if channel.recv_stderr_ready() else b""
            errors += complaint
            said += len(output) + len(complaint)
            if said > _MOST_BYTES or len(rest) > _MOST_LINE_BYTES:
                raise DeviceError("answers nonsense: more than a recorder of ecotf's ever says")
            *lines, rest = (rest + output).split(b"\n")
            for line in lines:
                hear(line.decode(errors="replace"))
            if output or complaint:
                heard = time.monotonic()
            elif ended:
                break
            elif stop is not None and stop.is_set():
                raise ConnectionLost("nobody listens any more")
            elif time.monotonic() - heard > silence_s:
                raise ConnectionLost(f"no answer for {silence_s:.0f} s")
            elif channel.closed or not self._is_alive():
                raise ConnectionLost("the connection broke")
            else:
                time.sleep(_PAUSE_S)
        if rest:
            hear(rest.decode(errors="replace"))
        return errors.decode(errors="replace").strip()

    def ask(self, words: list[str]) -> str | None:
        """Return the output of a command, or None if it fails."""
        lines: list[str] = []
        status, _ = self.run(words, lines.append)
        return "\n".join(lines).strip() if status == 0 else None

    def upload(self, files: dict[str, Path], moved: Callable[[int], None]) -> None:
        """Copy files there by sftp.

        Parameters
        ----------
        files
            Path there to file here.
        moved
            Called with the number of bytes copied so far, of all files.

        Raises
        ------
        DeviceError
            It could not be written there; the disk may be full.
        """
        before = 0
        with self._explained(), self._client.open_sftp() as sftp:
            channel = sftp.get_channel()
            channel.settimeout(60.0)
            for there, here in files.items():
                done = before
                try:
                    sftp.put(str(here), there, callback=lambda now, _, done=done: moved(done + now))
                except PermissionError:
                    raise DeviceError(f"{there}: may not be written by {self.user}") from None
                except OSError as error:
                    # sftp has one word, "Failure", for a full disk and for all else; a channel that closed while
                    # something was being sent is a plain OSError too, a moment before the transport is seen to end.
                    lost = isinstance(error, (ConnectionError, TimeoutError)) or channel.closed
                    if lost or not self._is_alive():
                        raise ConnectionLost(f"the connection broke ({str(error) or type(error).__name__})") from None
                    raise DeviceError(f"{there}: could not be written ({error}); is the disk full?") from None
                before += here.stat().st_size

    @property
    def user(self) -> str:
        """Who we are there."""
        transport = self._client.get_transport()
        return (transport.get_username() if transport else None) or "?"

    def _open_session(self) -> paramiko.Channel:
        transport = self._client.get_transport()
        if transport is None:
            raise ConnectionLost("the connection broke")
        return transport.open_session(timeout=30)

    def _is_alive(self) -> bool:
        transport = self._client.get_transport()
        return transport is not None and transport.is_active()

    def _root_prefix(self) -> tuple[list[str], str | None]:
        """The words before a command that make us root, and what they read from standard input."""
        if self._prefix is None:
            self._prefix = self._find_root_prefix()
        return self._prefix

    def _find_root_prefix(self) -> tuple[list[str], str | None]:
        if not self._use_sudo or self.ask(["id", "-u"]) == "0":
            return [], None
        if self._sudo_password is not None:
            return ["sudo", "-S", "-p", "", "--"], self._sudo_password
        if self.ask(["sudo", "-n", "true"]) is None:
            raise DeviceError(f"sudo asks {self.user} for a password; add --ask-sudo-password")
        return ["sudo", "-n", "--"], None

    @contextmanager
    def _explained(self) -> Iterator[None]:
        try:
            yield
        except (paramiko.SSHException, EOFError, OSError) as error:
            raise ConnectionLost(f"the connection broke ({str(error) or type(error).__name__})") from None
