"""From an upload to the running recorder, step by step, so that a power cut anywhere leaves a recorder that works.

    [assemble] -> check -> place -> selftest -> switch -> restart -> health -> commit
                                                   \\________ undo _______/

Before each step the journal on the disk names it. Up to ``switch`` the recorder's own release is untouched; from there
to ``health`` a failure, or a start that finds the journal, goes back to it; ``previous`` is set by ``commit`` alone.
"""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from ecotf_recorder.releases.bundle import ReleaseError
from ecotf_recorder.releases.checking import check_manifest, check_release
from ecotf_recorder.releases.delta import DELTA, assemble
from ecotf_recorder.releases.fitting import check_fit
from ecotf_recorder.releases.processes import run_quietly, run_selftest
from ecotf_recorder.releases.settings import ReleaseSettings
from ecotf_recorder.releases.store import Journal, ReleaseStore
from ecotf_recorder.releases.watching import HealthWatch, read_health

# Report(step, status, detail): what is passed on to whoever watches.
Report = Callable[[str, str, str], None]

STEPS = ("check", "place", "selftest", "switch", "restart", "health", "commit")
ASSEMBLE = "assemble"  # before them, where only the difference to another release came
_UNPROVEN = ("switch", "restart", "health")  # the new release may be current, and has not been well yet
# Where tests cut the power: ECOTF_KILL_AT names one, and the process ends there without any clean-up.
KILL_POINTS = (
    *(f"{step}:{edge}" for step in (*STEPS, "undo") for edge in ("begin", "end")),
    "undo:pointed",
    "commit:pointed",
    "commit:closed",
)


class RolledBack(ReleaseError):
    """The new release failed while it ran, and the one before it is current again."""


class ReleaseSteps:
    """One change of the current release.

    Parameters
    ----------
    settings, store
        The recorder's.
    report
        Called at the beginning and the end of every step.
    """

    def __init__(self, settings: ReleaseSettings, store: ReleaseStore, report: Report) -> None:
        self.settings = settings
        self.store = store
        self.report = report
        self._journal: Journal = {}

    def apply(self, release_id: str, part: Path | None, token: str = "", allow_older: bool = False) -> str:
        """Make ``release_id`` current, from an upload or, without ``part``, from what is there already.

        Parameters
        ----------
        allow_older
            Also if the current release was made later.

        Returns
        -------
        str
            ``done``, or ``unchanged`` when it was current and whole.

        Raises
        ------
        RolledBack
            It failed while it ran.
        ReleaseError
            It was refused before anything changed.
        """
        here = self.store.folder(release_id)
        new = not here.exists()
        self._begin("apply", release_id, token, part=part.name if part else None, new=new)
        try:
            if part is not None and (part / DELTA).exists():
                self._assemble(part, release_id)
            with self._step("check"):
                bundle = check_release(self.settings, part or here, release_id)
                check_fit(self.settings, bundle, self.store.current_bundle(), allow_older)
            if self.store.pointed("current") == release_id and self.store.is_whole(release_id):
                self._refresh(part, release_id)
                return "unchanged"
            if part is not None:
                with self._step("place"):
                    self.store.place(part, release_id)
            with self._step("selftest"):
                run_selftest(self.settings, here)
        except (ReleaseError, OSError) as error:
            if part is not None:
                self.store.discard(part)
            if new:
                self.store.discard(here)
            self.store.close_journal(self._journal, "refused", str(error))
            raise
        self._make_current(release_id)
        return "done"

    def roll_back(self, release_id: str, token: str = "") -> str:
        """Make a release current that is on the recorder; as :meth:`apply`."""
        self._begin("rollback", release_id, token, part=None, new=False)
        try:
            with self._step("check"):
                check_release(self.settings, self.store.folder(release_id), release_id)
            with self._step("selftest"):
                run_selftest(self.settings, self.store.folder(release_id))
        except (ReleaseError, OSError) as error:
            self.store.close_journal(self._journal, "refused", str(error))
            raise
        self._make_current(release_id)
        return "done"

    def recover(self, restart: bool) -> str | None:
        """Finish or undo what a power cut or a killed process left; afterwards ``current`` is a whole release.

        Parameters
        ----------
        restart
            Restart the service when ``current`` changed; not when the service is just about to start.

        Returns
        -------
        str or None
            What was done, in one sentence, or None when there was nothing to do.
        """
        journal = self.store.read_journal()
        if journal is None:
            return self._mend_current(restart)
        self._journal = journal
        step, release_id = journal.get("step"), str(journal.get("id"))
        before, part = journal.get("before"), journal.get("part")
        self.report("recover", "started", f"{journal.get('operation')} of {release_id} was cut off at {step}")
        if part:
            self.store.discard(self.store.part(str(part)))
        runs_it = step in _UNPROVEN and self.store.pointed("current") == release_id
        if step == "commit" or (runs_it and before is None):
            # It was well, or there is nothing to go back to: keep it.
            self._commit()
            return f"{release_id} stays, whose {journal.get('operation')} was cut off at {step}"
        changed = step in (*_UNPROVEN, "undo") and self.store.pointed("current") != before
        if changed:
            self.store.point("current", before)
        if journal.get("new") and step in ("check", "place", "selftest", "undo"):
            self.store.discard(self.store.folder(release_id))
        what = f"{journal.get('operation')} of {release_id} was cut off at {step} and is undone"
        self.store.close_journal(journal, "undone", what)
        mended = self._mend_current(restart=False)
        if restart and (changed or mended):
            run_quietly(self.settings.restart)
        return f"{what}; {mended}" if mended else what

    def _assemble(self, part: Path, release_id: str) -> None:
        """Put an upload together of which only the difference came; who sent it must be trusted before."""
        with self._step("check"):
            bundle = check_manifest(self.settings, part, release_id)
        with self._step(ASSEMBLE):
            assemble(self.settings, self.store, bundle)

    def _make_current(self, release_id: str) -> None:
        try:
            with self._step("switch"):
                self.store.point("current", release_id)
            with self._step("restart"):
                self._restart(release_id)
            with self._step("health") as say:
                HealthWatch(self.settings).wait(release_id, say)
        except (ReleaseError, OSError) as error:
            self._undo(release_id, str(error))
        with self._step("commit"):
            self._commit()

    def _restart(self, release_id: str) -> None:
        trouble = run_quietly(self.settings.restart)
        if trouble:
            # The recorder itself knows better than its service manager why it did not start.
            said = read_health(self.settings.health) or {}
            own = said.get("error") if said.get("release") == release_id else None
            raise ReleaseError(f"the recorder's service did not start: {own or trouble}")

    def _commit(self) -> None:
        """The release is the recorder's own now; what ran before it is what a rollback goes to."""
        replaced = self._journal.get("replaced")
        if replaced and replaced != self._journal["id"]:
            self.store.point("previous", replaced)
        _kill_point("commit:pointed")
        self.store.close_journal(self._journal, "done", "")
        _kill_point("commit:closed")
        self.store.prune(self.settings.keep)

    def _undo(self, release_id: str, reason: str) -> None:
        """Go back to what ran before; always raises :class:`RolledBack`."""
        before = self._journal["before"]
        with self._step("undo") as say:
            self.store.point("current", before)
            _kill_point("undo:pointed")
            run_quietly(self.settings.restart)
            if before is not None:
                try:
                    HealthWatch(self.settings).wait(before, say)
                    after = f"{before} runs again"
                except ReleaseError as error:
                    after = f"{before} is current again, but: {error}"
            else:
                after = "there was no release before it to go back to"
        if self._journal["new"]:
            self.store.discard(self.store.folder(release_id))
        self.store.close_journal(self._journal, "rolled-back", f"{reason}; {after}")
        raise RolledBack(f"{reason}; {after}")

    def _refresh(self, part: Path | None, release_id: str) -> None:
        """The model is current already: take over a newer manifest or signature, and be done."""
        if part is not None:
            self.store.place(part, release_id)
        self.store.close_journal(self._journal, "unchanged", "")

    def _mend_current(self, restart: bool) -> str | None:
        """Go to another whole release when the current one is damaged, as a worn card does it."""
        current = self.store.pointed("current")
        if current is None or self.store.is_whole(current):
            return None
        others = [self.store.pointed("previous"), *self.store.ids()]
        for other in others:
            if other is not None and other != current and self.store.is_whole(other):
                self.store.point("current", other)
                if restart:
                    run_quietly(self.settings.restart)
                return f"{current} is damaged, and {other} is current instead"
        return None

    def _begin(self, operation: str, release_id: str, token: str, **more: Any) -> None:
        current = self.store.pointed("current")
        # Mending the current release cannot go back to itself.
        before = current if current != release_id else self.store.pointed("previous")
        self._journal = {
            "operation": operation, "id": release_id, "token": token, "before": before, "replaced": current, **more,
        }  # fmt: skip

    @contextmanager
    def _step(self, name: str) -> Iterator[Callable[[str], None]]:
        self._journal["step"] = name
        try:
            self.store.write_journal(self._journal)
        except OSError:
            if name != "undo":  # a full disk does not stop going back; from "health" a start goes back just the same
                raise
        _kill_point(f"{name}:begin")
        self.report(name, "started", "")
        try:
            yield lambda detail: self.report(name, "waiting", detail)
        except (ReleaseError, OSError) as error:
            self.report(name, "failed", str(error))
            raise
        self.report(name, "ok", "")
        _kill_point(f"{name}:end")


def _kill_point(name: str) -> None:
    if os.environ.get("ECOTF_KILL_AT") == name:
        os._exit(137)
