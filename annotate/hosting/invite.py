"""Accounts for those who vote."""

from annotate.errors import BoardRefused
from annotate.home import BoardHome, Member
from annotate.hosting.install import Tell
from annotate.hosting.up import alone
from annotate.labelstudio_setup import Invited, LabelStudioSetup, email_of


def invite(home: BoardHome, name: str, *, is_adjudicator: bool, tell: Tell) -> Invited:
    """Make an account and put it on the roll. `BoardRefused` for a name or an e-mail that is there already."""
    with alone(home, tell):
        connection, members = home.connection(), home.members()
        _refuse_double(name, members)
        with LabelStudioSetup(connection.label_studio, home.secrets().personal_token) as setup:
            invited = setup.invite(name, is_adjudicator=is_adjudicator)
        home.keep_members((*members, invited.member))
    return invited


def _refuse_double(name: str, members: tuple[Member, ...]) -> None:
    """Votes are known by the name: two people of one name would be one annotator."""
    for member in members:
        if member.name == name or member.email == email_of(name):
            raise BoardRefused(f"{name}: {member.email} is a member already; invite them under another name")
