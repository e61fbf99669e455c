"""The benchmark, room by room: a run measures every case in each round, so that what the machine does hits all alike.

canned   the server, in a process on a core of its own, and what it is asked and answers
others   the cases that are not ours: by hand with other libraries, and the generated client alone
ours     our client on each engine that is installed
cases    which of them is measured with which payload and how many at once
rounds   how one case is measured;  capacity  whether the server was the bottleneck
fresh    what only a new process can show: imports, memory, the first client and the second
figures  medians and ratios;  goals  what was promised, against what was measured
report   tables, bench.json, the README;  picture  bench.svg;  profiling  where the time of one call goes
"""
