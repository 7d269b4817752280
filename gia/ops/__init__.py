"""Kernels: each held to its definition by a test, and compared with it by a benchmark."""
