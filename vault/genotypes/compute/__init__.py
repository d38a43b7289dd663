"""Compiled code and threads: how kernels are compiled and cached, how arrays are handed to them."""
