"""Lists made and changed, and stashes under a key of the list's own."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.signed_posts import make_key
from tests.unit.services.site import site_in
from tests.unit.services.stashes import ANNA, BERT, LIST, NOW, answer
from trustgraph.errors import BadInput, ConfigurationError, NoInput, UsageError
from trustgraph.mailinglist.model import Action, KeyState, Rules
from trustgraph.openpgp.making import new_list_key
from trustgraph.services.list_deposits import confirm, deposit, revoke
from trustgraph.services.list_making import change, named_lists, new_list, rule_texts, with_rules
from trustgraph.services.list_stash import open_stash
from trustgraph.services.list_subscribers import subscribe
from trustgraph.settings import Settings
from trustgraph.store import Store, open_store

HERS = make_key(ANNA).signing(at=NOW)
DAY = 86_400


@pytest.fixture(autouse=True)
def no_credentials(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("CREDENTIALS_DIRECTORY", raising=False)


@pytest.fixture
def settings(tmp_path: Path) -> Settings:
    return site_in(tmp_path)


@pytest.fixture
def store(settings: Settings) -> Iterator[Store]:
    opened = open_store(settings.database.url)
    yield opened
    opened.close()


def test_what_is_not_said_has_its_default(store: Store, settings: Settings) -> None:
    made = new_list(store, settings, "Birds@Lists.Example", NOW)
    assert (made.address, made.list_id, made.rules) == (LIST, "birds.lists.example", Rules())
    assert (made.deliver, made.moderators, made.key_path, made.sealed_key) == ("", (), "", b"")
    with pytest.raises(BadInput, match="already"):
        new_list(store, settings, LIST, NOW)


def test_what_is_said_is_kept_and_can_be_changed(store: Store, settings: Settings) -> None:
    made = new_list(
        *(store, settings, LIST, NOW),
        list_id="<Birds.Example>",
        rules=["on_unsigned=hold", "window=36h", "open=yes"],
        deliver="lmtp://127.0.0.1:8024",
        moderators=["Owner@lists.example", "owner@lists.example"],
    )
    assert (made.list_id, made.moderators) == ("birds.example", ("owner@lists.example",))
    assert made.rules == Rules(on_unsigned=Action.HOLD, window_seconds=36 * 3600, open=True)
    changed = change(store, LIST, rules=["open=no"], deliver="/usr/sbin/sendmail -i {recipient}", moderators=[])
    assert changed.rules == Rules(on_unsigned=Action.HOLD, window_seconds=36 * 3600)
    assert (changed.deliver, changed.moderators) == ("/usr/sbin/sendmail -i {recipient}", ())
    assert named_lists(store, [LIST]) == named_lists(store, []) == [changed]
    assert change(store, LIST) == changed


def test_rules_are_written_as_they_are_read() -> None:
    rules = Rules(on_unbound=Action.TAG, window_seconds=90, overlap_seconds=0, held_at_most=7, open=True)
    texts = rule_texts(rules)
    assert (texts["window"], texts["overlap"], texts["on_unbound"], texts["open"]) == ("90s", "0s", "tag", "yes")
    assert with_rules(Rules(), [f"{name}={value}" for name, value in texts.items()]) == rules
    default = [f"{name}={value}" for name, value in rule_texts(Rules()).items()]
    assert with_rules(rules, default) == Rules()


@pytest.mark.parametrize(
    ("rule", "said"),
    [
        ("window", "NAME=VALUE"),
        ("speed=9", "on_unsigned"),
        ("window_seconds=9", "NAME=VALUE"),
        ("window=9", "duration"),
        ("window=0", "more than nothing"),
        ("on_unsigned=accept", "reject, hold or tag"),
        ("on_unsigned=none", "reject, hold or tag"),
        ("on_unbound=", "tag or none"),
        ("open=true", "yes or no"),
        ("held_at_most=0", "from 1"),
        ("held_at_most=-1", "from 1"),
        ("held_at_most=1000000", "from 1"),
    ],
)
def test_a_rule_that_is_none_says_what_there_is(rule: str, said: str) -> None:
    with pytest.raises(BadInput, match=said):
        with_rules(Rules(), [rule])


@pytest.mark.parametrize(
    "given",
    [
        {"list_id": "birds"},
        {"list_id": "birds lists.example"},
        {"list_id": "birds.example>\r\nX: y"},
        {"deliver": "https://example.org"},
        {"moderators": ["owner"]},
        {"rules": ["window=0"]},
    ],
)
def test_what_is_not_as_it_should_be_makes_no_list(store: Store, settings: Settings, given: dict[str, object]) -> None:
    with pytest.raises(BadInput):
        new_list(store, settings, LIST, NOW, **given)  # type: ignore[arg-type]
    assert named_lists(store, []) == []


def test_a_list_that_is_none_is_told_from_those_that_are(store: Store, settings: Settings) -> None:
    with pytest.raises(BadInput, match="`trustgraph list create` makes one"):
        open_stash(store, LIST, settings)
    new_list(store, settings, LIST, NOW)
    for call in (lambda: open_stash(store, "bees@lists.example", settings), lambda: named_lists(store, ["bees@x.y"])):
        with pytest.raises(BadInput, match=f"there are: {LIST}"):
            call()
    with pytest.raises(BadInput, match="no such list"):
        change(store, "bees@lists.example")


# --- encrypted stashes ---


def test_the_lists_key_is_made_beside_the_hosts_and_for_nobody_else(store: Store, settings: Settings) -> None:
    made = new_list(store, settings, LIST, NOW, encrypt=True)
    path = settings.hostkey.path.parent / "lists" / f"{LIST}.pgp"
    assert made.key_path == str(path)
    assert path.stat().st_mode & 0o777 == 0o600
    assert open_stash(store, LIST, settings).subscribers() == []


def test_a_key_that_there_is_already_is_used_and_not_written_over(store: Store, settings: Settings) -> None:
    path = settings.hostkey.path.parent / "birds.pgp"
    octets = new_list_key(LIST, NOW)
    path.write_bytes(octets)
    with pytest.raises(ConfigurationError, match="chmod 600"):
        new_list(store, settings, LIST, NOW, key_file=path)
    path.chmod(0o600)
    new_list(store, settings, LIST, NOW, key_file=path)
    assert path.read_bytes() == octets
    assert open_stash(store, LIST, settings).subscribers() == []


def test_a_file_that_holds_no_such_key_makes_no_list(store: Store, settings: Settings) -> None:
    path = settings.hostkey.path.parent / "birds.pgp"
    path.write_bytes(HERS.public)
    path.chmod(0o600)
    with pytest.raises(UsageError, match=str(path)):
        new_list(store, settings, LIST, NOW, key_file=path)
    assert named_lists(store, []) == []


def test_without_its_file_or_with_another_the_stash_stays_closed(store: Store, settings: Settings) -> None:
    path = Path(new_list(store, settings, LIST, NOW, encrypt=True).key_path)
    octets = path.read_bytes()
    path.chmod(0o640)
    with pytest.raises(ConfigurationError, match="chmod 600"):
        open_stash(store, LIST, settings)
    path.chmod(0o600)
    path.write_bytes(new_list_key("bees@lists.example", NOW))
    with pytest.raises(ConfigurationError, match="not encrypted to this key"):
        open_stash(store, LIST, settings)
    path.unlink()
    with pytest.raises(NoInput, match="there is no such file"):
        open_stash(store, LIST, settings)
    path.write_bytes(octets)
    path.chmod(0o600)
    open_stash(store, LIST, settings)


def test_with_a_passphrase_the_file_alone_opens_nothing(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    secret = tmp_path / "passphrase"
    secret.write_text("correct horse\n")
    secret.chmod(0o600)
    locked = site_in(tmp_path, lists={"passphrase_file": str(secret)})
    store = open_store(locked.database.url)
    new_list(store, locked, LIST, NOW, encrypt=True)
    open_stash(store, LIST, locked)
    with pytest.raises(ConfigurationError, match="locked"):
        open_stash(store, LIST, site_in(tmp_path))
    credentials = tmp_path / "credentials"
    credentials.mkdir()
    (credentials / "trustgraph-lists-passphrase").write_text("correct horse")
    (credentials / "trustgraph-lists-passphrase").chmod(0o440)
    monkeypatch.setenv("CREDENTIALS_DIRECTORY", str(credentials))
    open_stash(store, LIST, site_in(tmp_path))
    secret.chmod(0o644)
    with pytest.raises(ConfigurationError, match="chmod 600"):
        open_stash(store, LIST, locked)
    store.close()


@pytest.mark.parametrize("encrypt", [True, False])
def test_a_copy_of_an_encrypted_database_tells_neither_who_nor_what(
    store: Store, settings: Settings, tmp_path: Path, encrypt: bool
) -> None:
    """Everything that is done to a stash, then every file of the database read as a thief would: WAL and all."""
    new_list(store, settings, LIST, NOW, encrypt=encrypt, moderators=["owner@lists.example"])
    stash = open_stash(store, LIST, settings)
    subscribe(stash, ANNA, NOW, ["anna@work.example"])
    subscribe(stash, BERT, NOW)
    made = deposit(stash, ANNA, HERS.public, NOW)
    confirm(stash, answer(made.token_text, HERS), NOW)
    his = make_key(BERT, flags=1, subkey_flags=2)
    deposit(stash, BERT, his.public, NOW, fingerprint_vouched=his.fingerprint)
    revoke(stash, BERT, his.fingerprint, "lost with the laptop")
    nonce = (made.token_text or "").split("nonce: ")[1].split()[0]
    keys = [HERS.primary, his.primary, his.signer]
    secrets = [ANNA, BERT, "anna@work.example", "Somebody", "laptop", "work.example", nonce]
    secrets += [name for key in keys for name in (key.fingerprint, key.key_id)]
    wanted = [text.encode() for text in secrets] + [bytes.fromhex(text) for text in secrets[6:]]
    wanted += [key.packet[10:40] for key in keys] + [bytes(nonce, "ascii")]
    files = sorted(tmp_path.glob("trustgraph.db*"))
    assert [path.name for path in files] == ["trustgraph.db", "trustgraph.db-shm", "trustgraph.db-wal"]
    octets = b"".join(path.read_bytes() for path in files).lower()
    found = {one for one in wanted if one.lower() in octets}
    assert LIST.encode() in octets
    if encrypt:
        assert found == set()
    else:
        assert set(wanted) - found == {nonce.encode(), bytes.fromhex(nonce)}  # a token is never kept


def test_what_is_confirmed_is_on_disk(store: Store, settings: Settings, tmp_path: Path) -> None:
    """What kill -9 leaves: the files as they are at the moment at which the change is acknowledged."""
    new_list(store, settings, LIST, NOW, encrypt=True)
    stash = open_stash(store, LIST, settings)
    subscribe(stash, ANNA, NOW)
    made = deposit(stash, ANNA, HERS.public, NOW)
    confirm(stash, answer(made.token_text, HERS), NOW)
    left = tmp_path / "left"
    left.mkdir()
    for path in tmp_path.glob("trustgraph.db*"):
        (left / path.name).write_bytes(path.read_bytes())
    with store.reading() as connection:
        assert connection.exec_driver_sql("PRAGMA synchronous").scalar_one() == 2
    again = open_store(f"sqlite:///{left}/trustgraph.db")
    found = open_stash(again, LIST, settings).subscriber(ANNA)
    again.close()
    assert found is not None
    assert [key.state for key in found.keys] == [KeyState.ACTIVE]
