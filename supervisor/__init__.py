"""Supervised actors and ports on Trio: Erlang/OTP's supervision, for programs that run for months unattended.

Generic; knows no trading. `spec` says who runs and who falls with whom, `actor` and `port` are what a
program writes, `runtime.run` runs the tree. Import from the modules: the pure ones never import trio.
"""
