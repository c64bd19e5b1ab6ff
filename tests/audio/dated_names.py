"""When recordings began: one table, for the reader of the desktop and that of the recorder."""

from __future__ import annotations

NAMES: dict[str, tuple[str, str]] = {
    # name: (its time as ISO 8601, "" for none; a part of the note, "" for none)
    "20220331T094900-0300_Rec.wav": ("2022-03-31T09:49:00-03:00", ""),
    "20220331T094900+1000_REC [-27.4679+153.0279].wav": ("2022-03-31T09:49:00+10:00", ""),
    "20220331T094900+0545.wav": ("2022-03-31T09:49:00+05:45", ""),
    "20220331T094900+02.flac": ("2022-03-31T09:49:00+02:00", ""),
    "20220331T094900Z.wav": ("2022-03-31T09:49:00+00:00", ""),
    "20220331_094900Z_site.wav": ("2022-03-31T09:49:00+00:00", ""),
    "20260621T201500.250Z_Pippip_0.930.wav": ("2026-06-21T20:15:00.250+00:00", ""),
    "2022-03-31T09-49-00-0300.wav": ("2022-03-31T09:49:00-03:00", ""),
    "2022-03-31T09_49_00+02_00.wav": ("2022-03-31T09:49:00+02:00", ""),
    "5DCDA8E0.WAV": ("2019-11-14T19:20:00+00:00", ""),
    "5dcda8e0.wav": ("2019-11-14T19:20:00+00:00", ""),
    "SITE_5DCDA8E0.WAV": ("2019-11-14T19:20:00+00:00", ""),
    "57349201.WAV": ("2016-05-12T14:24:01+00:00", ""),
    "57349201.wav": ("", ""),  # a number of another kind, as far as one can know
    "DEADBEEF.WAV": ("", ""),
    "2026-06-21_22-15-00.wav": ("2026-06-21T22:15:00", "begins 2026-06-21 22:15:00 (file name); its time zone is not"),
    "2026-06-21 22.15.00.wav": ("2026-06-21T22:15:00", "zone is not known"),
    "2026_06_21__22_15_00.wav": ("2026-06-21T22:15:00", "zone is not known"),
    "2026-06-21T22:15:00.wav": ("2026-06-21T22:15:00", "zone is not known"),
    "2026-06-21_221500.wav": ("2026-06-21T22:15:00", "zone is not known"),
    "20260621_221500.WAV": ("2026-06-21T22:15:00", "zone is not known"),
    "20260621_221500T.WAV": ("2026-06-21T22:15:00", "zone is not known"),
    "20260621221500.wav": ("2026-06-21T22:15:00", "zone is not known"),
    "S4A01234_20260621_221500.wav": ("2026-06-21T22:15:00", "zone is not known"),
    "SITE-A_0+1_20260621_221500_000.wav": ("2026-06-21T22:15:00", "zone is not known"),
    "20260621-221500-1234.wav": ("2026-06-21T22:15:00", "zone is not known"),  # -1234 is no zone
    "20260621_221500-01.wav": ("2026-06-21T22:15:00", "zone is not known"),  # nor is a part's number
    "20260621_221500_20260621_222500.wav": ("2026-06-21T22:15:00", "zone is not known"),
    "20260621.wav": ("", ""),
    "20260621_0001.wav": ("", ""),
    "21-06-2026_22-15-00.wav": ("", ""),  # the day or the month may come first
    "REC001.wav": ("", ""),
    "120260621_221500.wav": ("", ""),
    "20261399_221500.wav": ("", "the time in its name is left out: '20261399_221500' cannot be"),
    "20260621_246500.wav": ("", "cannot be"),
    "19700101_000012.WAV": ("", "'19700101_000012', the recorder's clock was not set"),
    "20261399221500.wav": ("", ""),
    "nacht_20260621_221500": ("2026-06-21T22:15:00", "zone is not known"),
    "nuit\udce9_20260621_221500.wav": ("2026-06-21T22:15:00", "zone is not known"),
}

STAMPS: dict[str, tuple[str, str]] = {
    "2012-03-29T03:58:01+04:00": ("2012-03-29T03:58:01+04:00", ""),
    "2012-03-29 03:58:01+04:00": ("2012-03-29T03:58:01+04:00", ""),
    "2012-03-29T03:58:01 -0330": ("2012-03-29T03:58:01-03:30", ""),
    "2012-03-29T03:58:01.1234567Z": ("2012-03-29T03:58:01.123+00:00", ""),
    "2012-03-29t03:58:01,5z": ("2012-03-29T03:58:01.500+00:00", ""),
    "2012-03-29 03:58:01 UTC": ("2012-03-29T03:58:01+00:00", ""),
    "2012-3-9 3:58:01 UTC+2": ("2012-03-09T03:58:01+02:00", ""),
    "2012/03/29 03:58": ("2012-03-29T03:58:00", "begins 2012-03-29 03:58:00 (GUANO); its time zone is not known"),
    "1975-06-21T22:15:00+01:00": ("1975-06-21T22:15:00+01:00", ""),  # a tape
    "0001-01-01T00:00:00+23:59": ("", "the time in its GUANO is left out: '0001-01-01T00:00:00+23:59' cannot be"),
    "9999-12-31T23:59:59-14:00": ("", "cannot be"),
    "2012-02-30T00:00:00Z": ("", "cannot be"),
    "2012-03-29T03:58:01+23:59": ("", "no time zone is +23:59"),
    "1970-01-01T00:00:12Z": ("", "the recorder's clock was not set"),
    "2012-03-29": ("", "is not a date with a time"),
    "29/03/2012 03:58:01": ("", "is not a date with a time"),
    "yesterday": ("", "is not a date with a time"),
}

IN_ZONE: dict[str, tuple[str, str]] = {
    # the time in a name, stated to be of Europe/Brussels
    "20260621_221500.wav": ("2026-06-21T22:15:00+02:00", ""),
    "20260121_221500.wav": ("2026-01-21T22:15:00+01:00", ""),
    "20260329_023000.wav": (
        "2026-03-29T03:30:00+02:00",
        "02:30:00 does not exist in Europe/Brussels, the clocks went f",
    ),
    "20261025_023000.wav": ("2026-10-25T02:30:00+02:00", "02:30:00 comes twice in Europe/Brussels, the clocks went ba"),
    "20220331T094900-0300.wav": ("2022-03-31T09:49:00-03:00", ""),  # its own zone is its own
    "5DCDA8E0.WAV": ("2019-11-14T19:20:00+00:00", ""),
}

AUDIOMOTH: dict[str, str] = {
    "Recorded at 19:17:30 19/07/2019 (UTC) by AudioMoth 24F3190361DD": "2019-07-19T19:17:30+00:00",
    "Recorded at 02:00:00.250 01/06/2023 (UTC+2) by AudioMoth 24": "2023-06-01T02:00:00.250+02:00",
    "Recorded at 02:00:00 01/06/2023 (UTC-3:30) by AudioMoth 24": "2023-06-01T02:00:00-03:30",
    "Recorded at 02:00:00 01/06/2017 by AudioMoth 24 at gain setting 2": "2017-06-01T02:00:00",
    "Recorded by hand": "",
}


def as_written(expected: str) -> str:
    """A time of the table as both packages write it: milliseconds."""
    if not expected or "." in expected:
        return expected
    return f"{expected[:19]}.000{expected[19:]}"
