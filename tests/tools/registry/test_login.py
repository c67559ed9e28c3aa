"""Challenges and their answers, by hand: the flow does no I/O of its own."""

from __future__ import annotations

import json
from collections.abc import Callable
from dataclasses import dataclass, field
from urllib.parse import parse_qs

import httpx
import pytest

from bundler.core.errors import SourceError
from bundler.tools.registry.credentials import Credentials
from bundler.tools.registry.login import Logins, parse_challenges

SECRET = "hunter2"
ME = Credentials("me", SECRET)
BASIC = "Basic bWU6aHVudGVyMg=="
REALM = 'Bearer realm="https://auth.example/token?account=x",service="reg"'
SCOPE = "repository:a/b:pull,push"


@dataclass
class Talk:
    """One request on its way in; `says` answers it, and `asked` is what comes next."""

    logins: Logins
    scopes: tuple[str, ...] = (SCOPE,)
    registry: str = "https://reg.example"
    asked: httpx.Request = field(init=False)

    def __post_init__(self) -> None:
        request = httpx.Request("GET", f"{self.registry}/v2/a/b/blobs/x")
        self.flow = self.logins.for_scopes(*self.scopes).auth_flow(request)
        self.asked = next(self.flow)

    @property
    def login(self) -> str | None:
        found: str | None = self.asked.headers.get("authorization")
        return found

    def says(self, status: int, body: object = None, **headers: str) -> bool:
        """True when the flow goes on with another request."""
        fields = {name.replace("_", "-"): value for name, value in headers.items()}
        answer = httpx.Response(status, json=body, headers=fields, request=self.asked)
        try:
            self.asked = self.flow.send(answer)
        except StopIteration:
            return False
        return True

    def wants(self, challenge: str) -> bool:
        return self.says(401, www_authenticate=challenge)


def logins(
    credentials: Credentials | None = None, clock: Callable[[], float] = lambda: 0.0
) -> Logins:
    return Logins("registry reg.example", "reg.example", lambda host: credentials, clock)


@pytest.mark.parametrize(
    ("values", "parsed"),
    [
        (['Basic realm="x"'], {"basic": {"realm": "x"}}),
        (["BASIC"], {"basic": {}}),
        (
            ['Bearer realm="https://a/t",service="r",scope="repository:x:pull,push"'],
            {"bearer": {"realm": "https://a/t", "service": "r", "scope": "repository:x:pull,push"}},
        ),
        (["Bearer Realm = x ,  SERVICE=y"], {"bearer": {"realm": "x", "service": "y"}}),
        (
            ['Basic realm="a, b", Bearer realm="c"'],
            {"basic": {"realm": "a, b"}, "bearer": {"realm": "c"}},
        ),
        (["Negotiate", 'Basic realm="x"'], {"negotiate": {}, "basic": {"realm": "x"}}),
        (['Basic realm="a\\"b\\\\"'], {"basic": {"realm": 'a"b\\'}}),
        (['Bearer realm="a",realm="b"'], {"bearer": {"realm": "a"}}),
        (['realm="x"'], {}),
        (["", ",,", '"', '"' * 10_000], {}),
        (['x="' * 20_000], {"x": {}}),
        (["Basic" + " " * 5000 + 'realm="beyond what is read"'], {"basic": {}}),
    ],
)
def test_challenges(values: list[str], parsed: dict[str, dict[str, str]]) -> None:
    assert parse_challenges(values) == parsed


def test_who_is_not_asked_says_nothing() -> None:
    talk = Talk(logins(ME))
    assert talk.login is None
    assert not talk.says(200)
    assert not talk.logins.known


def test_a_password_is_shown_when_asked_for_and_then_at_once() -> None:
    talk = Talk(logins(ME))
    assert talk.wants('Basic realm="x"')
    assert talk.login == BASIC
    assert not talk.says(200)
    assert Talk(talk.logins).login == BASIC


def test_a_password_that_is_refused_is_not_shown_again() -> None:
    talk = Talk(logins(ME))
    assert talk.wants("Basic")
    assert not talk.wants("Basic")
    again = Talk(talk.logins)
    assert again.login == BASIC
    assert not again.wants("Basic")


@pytest.mark.parametrize("credentials", [None, Credentials("", "", SECRET)])
def test_without_a_password_there_is_no_answer(credentials: Credentials | None) -> None:
    assert not Talk(logins(credentials)).wants("Basic")


def test_a_token_for_anybody() -> None:
    talk = Talk(logins())
    assert talk.wants(REALM)
    assert talk.asked.method == "GET"
    assert "authorization" not in talk.asked.headers
    assert str(talk.asked.url).startswith("https://auth.example/token?")
    query = parse_qs(talk.asked.url.query.decode())
    assert query == {"account": ["x"], "service": ["reg"], "scope": [SCOPE]}
    assert talk.says(200, {"token": "t1"})
    assert talk.login == "Bearer t1"
    assert talk.asked.url.path == "/v2/a/b/blobs/x"


def test_a_token_for_a_user() -> None:
    talk = Talk(logins(ME))
    assert talk.wants(REALM)
    assert talk.login == BASIC
    assert talk.says(200, {"access_token": "t2", "expires_in": 300})
    assert talk.login == "Bearer t2"


def test_a_token_for_an_identity() -> None:
    talk = Talk(logins(Credentials("", "", SECRET)))
    assert talk.wants(REALM)
    assert (talk.asked.method, talk.login) == ("POST", None)
    assert SECRET not in str(talk.asked.url)
    assert parse_qs(talk.asked.read().decode()) == {
        "grant_type": ["refresh_token"],
        "refresh_token": [SECRET],
        "client_id": ["airbundle"],
        "scope": [SCOPE],
        "service": ["reg"],
    }
    assert talk.says(200, {"access_token": "t3"})
    assert talk.login == "Bearer t3"


def test_a_mount_needs_both_repositories() -> None:
    talk = Talk(logins(), (SCOPE, "repository:c:pull"))
    assert talk.wants(REALM)
    assert talk.asked.url.params.get_list("scope") == [SCOPE, "repository:c:pull"]


@pytest.mark.parametrize(
    ("challenged", "added"),
    [
        ("repository:a/b:pull", []),
        (SCOPE, []),
        ("repository:a/b:delete", ["repository:a/b:delete"]),
        ("repository:library/b:pull registry:x:*", ["repository:library/b:pull", "registry:x:*"]),
    ],
)
def test_what_the_registry_names_is_asked_for_too(challenged: str, added: list[str]) -> None:
    talk = Talk(logins())
    assert talk.wants(f'{REALM},scope="{challenged}"')
    assert talk.asked.url.params.get_list("scope") == [SCOPE, *added]


def test_a_token_is_used_until_it_ends() -> None:
    now = [0.0]
    known = logins(clock=lambda: now[0])
    first = Talk(known)
    assert first.wants(REALM)
    assert first.says(200, {"token": "t1", "expires_in": 100})
    now[0] = 89.0
    assert Talk(known).login == "Bearer t1"
    now[0] = 91.0
    assert Talk(known).login is None
    assert Talk(known, ("repository:other:pull",)).login is None


@pytest.mark.parametrize("lifetime", [0, -5, 10, None, "60"])
def test_a_token_lives_a_minute_at_least(lifetime: object) -> None:
    known = logins()
    first = Talk(known)
    assert first.wants(REALM)
    assert first.says(200, {"token": "t1", "expires_in": lifetime})
    known.clock = lambda: 50.0
    assert Talk(known).login == "Bearer t1"


def test_a_token_that_ended_early_is_replaced_once() -> None:
    first = Talk(logins())
    assert first.wants(REALM)
    assert first.says(200, {"token": "t1"})
    assert not first.says(200)
    second = Talk(first.logins)
    assert second.login == "Bearer t1"
    assert second.wants(REALM)
    assert second.says(200, {"token": "t2"})
    assert second.login == "Bearer t2"
    assert not second.wants(REALM)


@pytest.mark.parametrize("status", [429, 502, 503, 504])
def test_a_token_service_may_ask_to_wait(status: int) -> None:
    """The flow ends with its answer, which then is what the whole request is tried again for."""
    talk = Talk(logins(ME))
    assert talk.wants(REALM)
    assert not talk.says(status)


@pytest.mark.parametrize("status", [400, 401, 403])
def test_a_login_that_the_token_service_refuses_is_named_without_its_secret(status: int) -> None:
    talk = Talk(logins(ME))
    assert talk.wants(REALM)
    words = rf"service https://auth.example/token refuses the login that Docker has \({status}\)"
    with pytest.raises(SourceError, match=words) as caught:
        talk.says(status, {"details": SECRET})
    assert caught.value.hint == "`docker login reg.example`"
    assert SECRET not in caught.value.message


def test_a_token_service_that_serves_only_users() -> None:
    talk = Talk(logins())
    assert talk.wants(REALM)
    with pytest.raises(SourceError, match=r"wants a login \(401\)"):
        talk.says(401)


@pytest.mark.parametrize(
    ("status", "body"),
    [
        (200, {}),
        (200, []),
        (200, "t"),
        (200, {"token": 5}),
        (200, {"token": ""}),
        (200, {"token": "a b"}),
        (200, {"token": "a\r\nX: y"}),
        (200, {"token": "t", "expires_in": "soon"}),
        (200, {"token": "t", "expires_in": [5]}),
        (200, {"token": "t", "expires_in": 10**400}),
        (404, {"token": "t"}),
        (307, None),
    ],
)
def test_what_is_no_token_is_refused(status: int, body: object) -> None:
    talk = Talk(logins(ME))
    assert talk.wants(REALM)
    with pytest.raises(SourceError, match=f"expected a token .*found an answer {status} without"):
        talk.says(status, body)


def test_a_token_nested_without_end_is_refused() -> None:
    talk = Talk(logins())
    assert talk.wants(REALM)
    with pytest.raises(SourceError, match="expected a token"):
        talk.flow.send(httpx.Response(200, content=b"[" * 100_000, request=talk.asked))


@pytest.mark.parametrize(
    ("realm", "words"),
    [
        ("http://auth.example/token", "not https: http://auth.example/token"),
        ("http://127.0.0.1.example/token", "not https"),
        ("http://127.0.0.1/token", "not https"),
        (f"http://me:{SECRET}@auth.example/t?x={SECRET}", "not https: http://auth.example/t"),
        ("ftp://auth.example/", "not https"),
        ("/token", "not https"),
        ("", "not https"),
        ("https://auth.example:port/", "is no URL"),
        ("https://xn--zzzz-/", "is no URL"),
    ],
)
def test_a_login_is_not_shown_to_just_anybody(realm: str, words: str) -> None:
    talk = Talk(logins(ME))
    with pytest.raises(SourceError, match=words) as caught:
        talk.wants(f'Bearer realm="{realm}"')
    assert SECRET not in f"{caught.value.message} {caught.value.hint}"


@pytest.mark.parametrize("host", ["127.0.0.1:5001", "[::1]", "localhost"])
def test_a_token_service_beside_a_registry_on_this_machine_needs_no_tls(host: str) -> None:
    talk = Talk(logins(ME), registry="http://127.0.0.1:5000")
    assert talk.wants(f'Bearer realm="http://{host}/t"')
    assert talk.login == BASIC


def test_a_registry_on_this_machine_shows_no_login_in_clear_elsewhere() -> None:
    talk = Talk(logins(ME), registry="http://127.0.0.1:5000")
    with pytest.raises(SourceError, match=r"not https: http://auth\.example/t"):
        talk.wants('Bearer realm="http://auth.example/t"')


def test_the_login_is_looked_for_once() -> None:
    found: list[str] = []

    def find(host: str) -> None:
        found.append(host)

    known = Logins("registry reg.example", "reg.example", find)
    assert not Talk(known).wants("Basic")
    assert not Talk(known).wants("Basic")
    assert found == ["reg.example"]


def test_a_login_that_another_thread_had_renewed_is_used() -> None:
    """Both were refused with the old one; the second to notice finds the new one there."""
    given = [ME, Credentials("me", "another")]
    known = Logins("registry reg.example", "reg.example", lambda host: given.pop(0))
    before = Talk(known, ("repository:other:pull",))
    assert before.wants(REALM)
    assert before.says(200, {"token": "t1"})
    talks = Talk(known), Talk(known)
    for talk in talks:
        assert talk.wants(REALM)
        assert talk.login == BASIC
    for talk in talks:
        assert talk.says(401)
        assert talk.login == "Basic bWU6YW5vdGhlcg=="
        assert talk.says(200, {"token": "t2"})


def test_one_thread_at_a_time_looks_for_the_login() -> None:
    alone: list[bool] = []

    def find(host: str) -> Credentials:
        alone.append(known._looking.locked())
        return Credentials("me", f"{len(alone)}")

    known = Logins("registry reg.example", "reg.example", find)
    for _ in range(2):
        talk = Talk(known)
        assert talk.wants("Basic")
    assert alone == [True, True]


def test_a_token_is_json_of_any_kind_of_type() -> None:
    """Docker Hub's says application/json, others say text/plain."""
    talk = Talk(logins())
    assert talk.wants(REALM)
    body = json.dumps({"token": "t1", "access_token": "t2"}).encode()
    answer = httpx.Response(200, content=body, request=talk.asked)
    assert talk.flow.send(answer).headers["authorization"] == "Bearer t1"
