"""Compiled loops of the codec. Called through the modules of the codec, which know the types."""
