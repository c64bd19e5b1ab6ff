"""What the MQTT service remembers: databases that begin anew or are mended, and a memory that is damaged."""

from __future__ import annotations

import csv
import json
import logging
import sqlite3
from contextlib import closing
from datetime import datetime

import pytest
from ecotf_recorder.scoring.held import Detection
from ecotf_recorder.store.notebook import Notebook
from ecotf_recorder.times.clock import Clock
from mqtt_by_hand import ClientByHand, publisher_by_hand

DATABASE, MEMORY = "detections.sqlite", "mqtt.json"


def sent(folder, turns: int = 3) -> list[float]:
    """What a service that starts now sends."""
    client = ClientByHand()
    service = publisher_by_hand(folder, client)
    for _ in range(turns):
        service.turn()
    return client.seconds()


@pytest.fixture
def three(tmp_path, heard):
    """A broker has all three detections after the first start; then the service is stopped."""
    sent(tmp_path)
    heard(1.0, 2.0, 3.0)
    assert sent(tmp_path) == [1.0, 2.0, 3.0]
    return heard


@pytest.mark.parametrize("harm", ["damaged", "gone", "moved with its tables"])
@pytest.mark.parametrize("more", [[11.0], [11.0, 12.0, 13.0, 14.0], [11.0, 12.0, 13.0, 14.0, 15.0, 16.0]])
def test_a_database_that_begins_anew_is_sent_from_its_first_detection(tmp_path, three, harm, more):
    """Whether it has fewer detections than were sent before (4), as many, or more."""
    path = tmp_path / DATABASE
    if harm == "damaged":
        path.write_bytes(b"\x55" * path.stat().st_size)
    else:
        for one in (path, *(tmp_path.glob("*.csv") if "tables" in harm else ())):
            one.unlink()
    three(*more)
    assert sent(tmp_path) == more
    assert sent(tmp_path) == []


def test_a_service_that_runs_meanwhile_sees_that_a_database_begins_anew(tmp_path, three):
    client = ClientByHand()
    service = publisher_by_hand(tmp_path, client)
    service.turn()
    (tmp_path / DATABASE).unlink()
    service.turn()
    three(11.0, 12.0, 13.0, 14.0, 15.0)
    service.turn()
    three(16.0)
    service.turn()
    assert client.seconds() == [11.0, 12.0, 13.0, 14.0, 15.0, 16.0]


def test_a_detection_under_way_from_a_lost_database_hides_none_of_the_next(tmp_path, three, monkeypatch):
    monkeypatch.setattr("ecotf_recorder.mqtt._PATIENCE_S", 0.05)
    client = ClientByHand()
    service = publisher_by_hand(tmp_path, client)
    three(4.0)
    client.left = 0
    assert service.turn() == 0, "the broker does not say that it has it"
    (tmp_path / DATABASE).unlink()
    three(*map(float, range(11, 18)))
    client.left = 99
    client.on_publish(client, None, client.number, None, None)
    assert service.turn() == 1
    service.turn()
    assert client.seconds() == list(map(float, range(11, 18)))


def mended(folder, first_number: int) -> None:
    """As somebody would: a new database of what the table of detections holds."""
    path = folder / DATABASE
    with closing(sqlite3.connect(path)) as file:
        schema = [
            sql for (sql,) in file.execute("SELECT sql FROM sqlite_master WHERE sql NOT NULL AND name NOT LIKE 's%'")
        ]
        facts = file.execute("SELECT * FROM facts").fetchall()
    path.unlink()
    with closing(sqlite3.connect(path)) as file, open(folder / "detections.csv", newline="") as table:
        file.executescript(";".join(schema))
        file.executemany("INSERT INTO facts VALUES (?, ?)", facts)
        for number, row in enumerate(csv.DictReader(table), first_number):
            row = {**row, "id": number, "time": datetime.fromisoformat(row["time"]).timestamp()}
            marks = ", ".join(f":{name}" for name in row)
            file.execute(f"INSERT INTO detections ({', '.join(row)}) VALUES ({marks})", row)
        file.commit()


@pytest.mark.parametrize("first_number", [1, 7])
def test_a_database_that_is_mended_from_the_table_is_not_sent_again(tmp_path, three, first_number):
    mended(tmp_path, first_number)
    three(4.0)
    assert sent(tmp_path) == [4.0]


def test_a_database_that_gets_its_times_later_is_not_sent_again(tmp_path):
    clock = Clock(lambda: 100.0, lambda: 1_782_043_200.0, "abcd1234", lambda _: "")

    def hear(at: float) -> None:
        notebook = Notebook(tmp_path, clock)
        number = notebook.begin(clock.name(100.0), None, 100.0, "r")
        notebook.add(number, clock.name(100.0), None, [Detection(at, at + 0.1, 0.0, 9e3, "x", 0.9, 0.9)], "not set")
        notebook.close()

    sent(tmp_path)
    hear(1.0)
    assert sent(tmp_path) == [1.0]
    clock.believe("synchronised")
    notebook = Notebook(tmp_path, clock)
    assert notebook.needs_dating
    for _ in notebook.dating():
        pass
    notebook.close()
    assert sent(tmp_path) == []


def test_the_number_that_an_older_service_remembered_is_believed(tmp_path, three):
    (tmp_path / MEMORY).write_text('{"last": 3}')
    assert sent(tmp_path) == [3.0]
    (tmp_path / DATABASE).unlink()
    three(*map(float, range(11, 18)))
    assert sent(tmp_path) == list(map(float, range(11, 18))), "from then on more than the number is known"
    (tmp_path / MEMORY).write_text('{"last": 100}')
    assert sent(tmp_path) == list(map(float, range(11, 18))), "a number that never was in this database"


@pytest.mark.parametrize(
    "content",
    [
        b"", b"{", b"\xff\xfe", b"[]", b"7", b"{}", b'{"last": null}', b'{"last": true}', b'{"last": -1}',
        b'{"last": 1e999}', b'{"last": 36893488147419103232}', b'{"last": "4"}', b'{"last": 4, "call": [1.0]}',
        b"[" * 100_000,
        b'{"last": 4, "call": [1.0, 1.1, 0.0, 9.0, "\\ud800", 0.9, 0.9]}', b'{"last": 4, "time": "noon"}',
        b'{"last": 4, "call": [1.0, 1.1, 0.0, 9.0, 5, 0.9, 0.9]}', b'{"last": 4, "call": {"label": "x"}}',
    ],
)  # fmt: skip
def test_a_damaged_memory_is_one_line_and_a_new_beginning(tmp_path, three, caplog, content):
    three(4.0)
    (tmp_path / MEMORY).write_bytes(content)
    client = ClientByHand()
    service = publisher_by_hand(tmp_path, client)
    assert service.turn() == 0, "nobody knows what was sent; a season is not sent again"
    three(5.0)
    assert service.turn() == 1
    assert client.seconds() == [5.0]
    said = [
        record.getMessage()
        for record in caplog.records
        if record.levelno >= logging.WARNING and "mqtt" in record.name + record.getMessage()
    ]
    assert len(said) == 1, said
    assert "mqtt.json is damaged" in said[0]
    assert json.loads((tmp_path / MEMORY).read_text())["call"][0] == 5.0


def test_where_the_first_start_begins_is_noted_as_soon_as_the_database_can_be_asked(tmp_path, heard):
    with closing(sqlite3.connect(tmp_path / DATABASE, isolation_level=None)) as other:
        other.execute("PRAGMA journal_mode=DELETE")
        other.execute("BEGIN EXCLUSIVE")
        client = ClientByHand()
        client.there = False
        service = publisher_by_hand(tmp_path, client)
        assert not (tmp_path / MEMORY).exists()
    service.turn()
    heard(1.0)
    assert sent(tmp_path) == [1.0]
