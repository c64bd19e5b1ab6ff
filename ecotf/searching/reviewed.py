"""The hits of a session, as the page shows them and a person accepts or rejects them."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict
from pathlib import Path
from typing import Any

from ecotf.audio.beginning import iso_time
from ecotf.audio.channels import ChannelChoice
from ecotf.errors import DataError, EcotfError
from ecotf.inference.question import asked_in
from ecotf.review.base import SHARED_SCRIPTS, Clip, place_with_margin
from ecotf.review.journal import UNDO, in_force
from ecotf.searching.hits import began
from ecotf.searching.learning import learning_curve, next_round
from ecotf.searching.session import Session

PAGE = Path(__file__).parent / "page"
NEXT = "next"


class ReviewedHits:
    """A session, and what the page asks of it; `ecotf.review.base.Reviewed`."""

    body = (PAGE / "hits.html").read_text(encoding="utf-8")
    scripts = (*SHARED_SCRIPTS, PAGE / "hits.js")

    def __init__(self, session: Session) -> None:
        self.session = session
        self._asked = asked_in(session.embeddings.folder)
        self._began: dict[str, Any] = {}

    @property
    def folder(self) -> Path:
        """The folder of the session."""
        return self.session.folder

    @property
    def title(self) -> str:
        """What is searched for."""
        return f"Hits of {self.session.facts.label}"

    @property
    def note(self) -> str:
        """What the user must know of the journal, or empty."""
        return self.session.journal.note

    def view(self, name: str, query: Mapping[str, str]) -> Any:
        """Return ``facts``, ``state``, ``hits`` of the last round, or ``curve``."""
        if name == "facts":
            about = self.session.embeddings.about
            return {"title": self.title, "label": self.session.facts.label, "embedder": about.embedder}
        views = {"state": self._state, "hits": self._hits, "curve": self._curve}
        if name not in views:
            raise EcotfError(f"the page has no view {name!r}")
        return views[name]()

    def clip(self, number: int) -> Clip:
        """Return a row of the embeddings with its recording."""
        embeddings = self.session.embeddings
        if not 0 <= number < len(embeddings):
            raise DataError(f"there is no clip {number}")
        row, channel = embeddings.table.iloc[number], self._asked.get("channel", "mix")
        path = embeddings.paths.get(row["recording"], Path(row["recording"]))
        place = place_with_margin(
            row["recording"], str(path), float(row["start_s"]), float(row["end_s"]),
            time_expansion=self._asked.get("time expansion"), salvage=bool(self._asked.get("salvage")),
        )  # fmt: skip
        heard: ChannelChoice = channel if isinstance(channel, int) else "mix"
        return Clip(place, (0.0, embeddings.about.sample_rate / 2), heard)

    def decide(self, decision: Mapping[str, Any]) -> Any:
        """Keep a decision, or make the next picks (``next``); returns the new state, and the row that it is about."""
        what, row = decision.get("what"), decision.get("row")
        if what == NEXT:
            return {"round": next_round(self.session).number}
        if what == UNDO:
            kept = in_force(self.session.journal.decisions)
            row = kept[-1]["row"] if kept else None
        self.session.decide(str(what), row)
        return {"state": self._state(), "row": row}

    def _state(self) -> dict[str, Any]:
        session, answers = self.session, self.session.answers
        rounds = []
        for one in session.rounds:
            for why in dict.fromkeys(pick.why for pick in one.picks):
                said = [answers[pick.row] for pick in one.picks if pick.why == why and pick.row in answers]
                rounds.append({"round": one.number, "why": why, "decided": len(said), "accepted": sum(said)})
        return {
            "accepted": sum(answers.values()), "rejected": len(answers) - sum(answers.values()),
            "left": len(session.waiting), "undo": bool(answers), "round": session.rounds[-1].number, "rounds": rounds,
            "answers": {str(row): right for row, right in answers.items()},
        }  # fmt: skip

    def _hits(self) -> dict[str, Any]:
        session, hits = self.session, []
        table = session.embeddings.table
        for pick in session.rounds[-1].picks:
            row = table.iloc[pick.row]
            recording, start_s = str(row["recording"]), float(row["start_s"])
            if recording not in self._began:
                self._began[recording] = began(session.embeddings, recording)
            hits.append({
                "clip": pick.row, "recording": recording, "start_s": start_s, "end_s": float(row["end_s"]),
                "why": pick.why, "score": pick.score, "time": iso_time(self._began[recording], start_s),
                "label": str(row.get("label", "") or ""), "answer": session.answers.get(pick.row),
            })  # fmt: skip
        return {"hits": hits}

    def _curve(self) -> dict[str, Any]:
        return asdict(learning_curve(self.session))
