"""Where student code runs: the only part of marking that talks to the operating system.

Outside, in the marker's process: `surroundings` gives workers, `bubblewrap` says how to start a
sandbox, `limits` what a hand-in may use, `processes` starts and ends workers, `watch` holds them
to their limits, `remote` calls the student's functions, `adapters` shows a worker the checks'
spies. Inside: `forkserver` forks a worker for each hand-in, `worker` runs the student's code,
`protocol` is the language between them, and `torch_stand_ins` are the stand-ins of the second
notebook's spies.
"""
