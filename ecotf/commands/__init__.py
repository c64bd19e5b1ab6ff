"""What the scripts do; one module a command."""

from ecotf.training.threads import wait_patiently

wait_patiently()  # here, since it must come before any command loads its libraries
