"""Messages that a page shows after a form was sent, by the codes that stand in its address: no text of an address is shown."""

from __future__ import annotations

from collections.abc import Mapping
from types import MappingProxyType

MESSAGES: Mapping[str, str] = MappingProxyType(
    {
        "ended": "Your session is over: log in again.",
        "approved": "Approved, and signed with your key.",
        "proposed": "Kept: another steward has to agree.",
        "ruled": "The ruling is in force.",
        "confirmed": "The key is confirmed.",
        "corrected": "The consent is corrected.",
        "merged": "They are one registration now. Make a backup of the data: older ones lack keys that were destroyed.",
        "raised": "The budget is raised.",
        "taken_back": "Taken back: nobody can agree to it any more.",
        "denied": "Denied.",
        "withdrawn": "Taken back.",
        "assessed": "The report is worked out.",
        "acknowledged": "The answer is recorded.",
        "login_refused": "This login was not accepted. A steward says which researcher an account of the provider is.",
        "logins_busy": "Too many logins are under way: try again in a moment.",
        "provider_unreachable": "The login provider does not answer now: try again later.",
        "sealed": "The server holds no keys now. Researchers can log in once a steward has unsealed it.",
        "left": "You are logged out, and your keys are gone from the server's memory.",
    }
)
