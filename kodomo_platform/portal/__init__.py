"""The desk of those who support children: register, risk decision, dashboard and forms as pages of one web application.

It reads published snapshots (`reading`), writes only what people do (`models`), and asks `rights` and `visibility` before
it shows anything. What is computed from data belongs to the rooms below; nothing here imports Django at import time of
the package, so that the command line stays fast.
"""
