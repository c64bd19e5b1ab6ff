"""The commands, one module each."""

from ecotf.parallel.threads import wait_patiently

wait_patiently()  # here, since it must come before any command loads its libraries
