"""Runs a command, and prints its wall and CPU seconds and its largest resident memory in KiB. Started by bench.stores.

Linux counts the memory of the parent at the start of a process as its own, so the parent has to be a small one: this.
"""

import os
import sys
import time

began = time.perf_counter()
pid = os.posix_spawnp(sys.argv[1], sys.argv[1:], os.environ)
_, status, usage = os.wait4(pid, 0)
seconds = time.perf_counter() - began
print(seconds, usage.ru_utime + usage.ru_stime, usage.ru_maxrss)
sys.exit(os.waitstatus_to_exitcode(status))
