"""The server: programs and people without keys reach the gate through it (docs/design/server.md). Needs the extra ``server``."""
