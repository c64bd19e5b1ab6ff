"""The way threads wait for each other on a computer that others use, too."""

from __future__ import annotations

import os

# Threads that spin while they wait for each other keep those that they wait for off the cores of a shared machine: with
# two threads on two cores and a load of ten, a trial of XGBoost took 155 s, and 2 to 5 s without the spinning.
PATIENT_THREADS = {"OMP_WAIT_POLICY": "PASSIVE"}


def wait_patiently() -> None:
    """Set what OpenMP reads when the first library that uses it is loaded; what the user has set stays."""
    for name, value in PATIENT_THREADS.items():
        os.environ.setdefault(name, value)
