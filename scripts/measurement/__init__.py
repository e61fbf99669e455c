"""What is measured here, by one command: scripts/measure NAME; scripts/README.md says what each promises.

The measurements, each with `add_arguments(parser)` and `run(options) -> exit status`:

    faults   every fault that a network and a server can have      soak    load, echo, the keep-alive race, cancellation
    fuzz     mutated responses through what reads them              drill   whether events arrive once
    paging   the components of one page                             walk    one call, function by function
    batch    many customers beside pages, at a limit
    bench    what a call costs, beside other clients                mutate  which changes of the code no test notices

What they share, so that nothing is written twice:

    sides     one worker, written once, in threads with the sync client or in tasks with the async one
    server    a quick server in a process of its own; the suite's fault server, likewise
    process   processes started, memory and descriptors held
    figures   percentiles, medians, timers, tables and verdicts
    clients   what bench compares;  fresh  what only a new process shows;  report  how a run of bench is kept and shown
"""
