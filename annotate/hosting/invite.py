"""Accounts for those who vote."""

from annotate.errors import BoardRefused
from annotate.home import BoardHome, Member
from annotate.hosting.configuration import BoardConfig
from annotate.hosting.install import Tell
from annotate.hosting.up import Place, alone, label_studio
from annotate.labelstudio_setup import Invited, LabelStudioSetup, email_of, new_word


def invite(home: BoardHome, name: str, *, is_adjudicator: bool, tell: Tell) -> Invited:
    """Make an account and put it on the roll. `BoardRefused` for a name or an e-mail that is there already."""
    with alone(home, tell):
        connection, members = home.connection(), home.members()
        _refuse_double(name, members)
        with LabelStudioSetup(connection.label_studio, home.secrets().personal_token) as setup:
            invited = setup.invite(name, is_adjudicator=is_adjudicator)
        home.keep_members((*members, invited.member))
    return invited


def new_password(home: BoardHome, config: BoardConfig, name: str, *, tell: Tell) -> Invited:
    """Another password for somebody who has an account; their sessions end. One whose account was made by an `invite`
    that was killed comes onto the roll. `BoardRefused` for somebody who has none."""
    with alone(home, tell):
        connection, members = home.connection(), home.members()
        email = next((member.email for member in members if member.name == name), email_of(name))
        with LabelStudioSetup(connection.label_studio, home.secrets().personal_token) as setup:
            user = next((account.user for account in setup.accounts() if account.email == email), None)
        if user is None or email == connection.operator:
            raise BoardRefused(f"{name}: no annotator has an account {email}; `likeness board invite` makes one")
        invited = Invited(member=Member(user=user, name=name, email=email), password=new_word())
        place = Place.of(home)
        label_studio(home, config, place, config.environment or home.root / "env").set_password(email, invited.password)
        if all(member.email != email for member in members):
            home.keep_members((*members, invited.member))
    return invited


def _refuse_double(name: str, members: tuple[Member, ...]) -> None:
    """Votes are known by the name: two people of one name would be one annotator."""
    for member in members:
        if member.name == name or member.email == email_of(name):
            raise BoardRefused(f"{name}: {member.email} is a member already; invite them under another name")
