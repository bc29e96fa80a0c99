"""How often a serving process looks for objects that hold one another, which nothing else frees."""

import gc

ROUND = 10_000
"""So many more objects made than freed have Python look; by itself it looks each 700, or 2,000 in later versions."""


def settle() -> None:
    """Keep whatever start-up has made out of every later look, and look less often; call once, when a process is about to serve.

    Modules, routes and tables are some hundred thousand objects that live as long as the process: a look through all of them stops every
    request for a fifth of a second and finds nothing. What is alive at the call is freed only where nothing holds it.
    """
    gc.collect()
    gc.freeze()
    gc.set_threshold(ROUND, *gc.get_threshold()[1:])
