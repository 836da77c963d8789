"""The planner: memory, speed and days of every parallel layout of a model on a cluster (report 3.5, Table 10)."""
