"""Start of the commands ``genovault`` and ``genovault-verify``: nothing is imported from the folder they are run in.

Python looks for modules in the folder of the script and in ``PYTHONPATH`` before it looks where programs are installed. A
colleague's ``cli.py`` there, or an ``argparse.py`` beside an exported log, would run in our place, with the passphrase in reach. So
this module, whose name nobody else uses and which imports only what the interpreter has built in, takes those folders out of
``sys.path`` before anything else is imported. What Python itself runs before a program begins (``sitecustomize`` on ``PYTHONPATH``)
only ``python -I`` leaves out.
"""

import os
import site
import sys

TYPE_CHECKING = False  # neither typing nor __future__ is built in: they could be somebody else's
if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence
    from typing import NoReturn

_HOME = os.path.dirname(os.path.abspath(__file__))  # noqa: PTH100, PTH120 - pathlib is not built in: it could be somebody else's


def command() -> "NoReturn":
    """The command ``genovault``."""
    isolate()
    from cli.forwarding import forwarded  # noqa: PLC0415 - found only where it is installed

    code = forwarded(sys.argv[1:])
    if code is not None:
        os._exit(code)
    from cli.main import main  # noqa: PLC0415 - as above

    main()


def verifier() -> "NoReturn":
    """The command ``genovault-verify``: the offline verifier of exported logs."""
    isolate()
    from vault.audit.verify.__main__ import main  # noqa: PLC0415 - as above

    sys.exit(main())


def isolate() -> None:
    """Take every folder out of this process's search path, and of its children's, that is not where programs are installed."""
    sys.path[:] = trusted(sys.path, os.environ, script=sys.argv[0], home=_HOME, installed=_installed())
    named = _named(os.environ)
    left = [entry for entry in sys.path if entry in named]
    if left:
        os.environ["PYTHONPATH"] = os.pathsep.join(left)
    else:
        os.environ.pop("PYTHONPATH", None)


def trusted(
    path: "Sequence[str]", environment: "Mapping[str, str]", *, script: str, home: str, installed: "Sequence[str]"
) -> list[str]:
    """The entries of a search path that are not the working folder's, the script's or ``PYTHONPATH``'s.

    ``home``: the folder that holds this program. Where ``PYTHONPATH`` names it, that variable is how the program is installed: home
    comes first and the other folders that it names stay, but for the working folder. ``installed``: folders that stay however they
    came.
    """
    keep = {home, *installed}
    named = _named(environment)
    here = _absolute("")
    beside = os.path.dirname(os.path.realpath(script)) if script else here  # noqa: PTH120 - as above
    foreign = {here, beside} if home in named else {here, beside, *named}
    found = [entry for entry in path if os.path.isabs(entry) and (entry in keep or _absolute(entry) not in foreign)]  # noqa: PTH117 - as above
    return [home, *(entry for entry in found if entry != home)] if home in named else found


def _named(environment: "Mapping[str, str]") -> set[str]:
    """Folders that ``PYTHONPATH`` names; an empty one is the working folder."""
    value = environment.get("PYTHONPATH", "")
    return set() if sys.flags.ignore_environment or not value else {_absolute(entry) for entry in value.split(os.pathsep)}


def _installed() -> list[str]:
    """The standard library and the folders of installed packages."""
    library = os.path.dirname(os.path.abspath(os.__file__))  # noqa: PTH100, PTH120 - as above
    user = [site.USER_SITE] if site.ENABLE_USER_SITE and site.USER_SITE else []
    return [library, os.path.join(library, "lib-dynload"), *site.getsitepackages(), *user]  # noqa: PTH118 - as above


def _absolute(entry: str) -> str:
    return os.path.abspath(entry)  # noqa: PTH100 - as above
