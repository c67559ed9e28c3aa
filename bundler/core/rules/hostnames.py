"""Names of hosts in free text: a tokeniser, then one decision for each token.

A token is three things at most: the host of a URL, a host with a port, or a bare dotted name. The
first two are believed as they stand. A bare name is a host by its public suffix (publicsuffix.org,
as the package `publicsuffixlist` carries it) unless what surrounds it says otherwise, since file
names, modules, attributes and configuration keys are dotted too. docs/rules.md lists these signs
and what they cost.
"""

from __future__ import annotations

import re
import unicodedata
from dataclasses import dataclass
from functools import cache
from ipaddress import IPv4Address, IPv6Address, ip_address
from urllib.parse import unquote

from publicsuffixlist import PublicSuffixList

from bundler.core.rules import hostwords

# A shell's, Kubernetes' or a format's variable; one with a default of its own is read as text.
_VARIABLE = r"(?:\$\(\w+\)|\$?\{\w+\}|\$\w+|%s)"
_LABEL = rf"(?:[\w-]|{_VARIABLE})+"
_PORT = r":(?P<port>[0-9]{1,5})(?![\w.]*\w)"
_DEFAULT_PORTS = {"http": 80, "https": 443}
# The host of a URL (browsers and libraries are content with one slash), of a protocol-relative
# one, and of bash's own /dev/tcp/HOST/PORT.
_URL = re.compile(
    r"(?P<lead>\b(?P<scheme>[A-Za-z][A-Za-z0-9+.-]{0,20}):/{2,}|\b(?P<web>(?i:https?|wss?|ftp)):/"
    r"|/dev/(?:tcp|udp)/|(?<![\w:/.])/{2,})"
    r"(?:[^\s/?#\\\"'<>]*@)?"
    rf"(?P<host>\[[0-9A-Fa-f:.]+(?:%\w+)?\]|\.?{_LABEL}(?:\.{_LABEL})*)(?:{_PORT})?"
)
_IPV6_PORT = re.compile(rf"\[(?P<host>[0-9A-Fa-f:.]+)\]{_PORT}")
_DOTTED = re.compile(r"(?<![\w-])[\w-]+(?:\.[\w-]+)+")
_PORT_AFTER = re.compile(_PORT)

# One name after the slash and nothing more: a label, a resource, a group with its version.
_QUALIFIED = re.compile(r"/[A-Za-z0-9](?:[\w.-]*\w)?(?![\w/@]|:\S)")
_ATTRIBUTE = re.compile(r"\(")
_KEY = re.compile(r"[\"']?\s*=|[\"']?:(?:\s|$)|\[")
_MODULE_MEMBER = re.compile(r":[A-Za-z_]\w*(?![\w/.:])")
_MODULE = re.compile(r"(?:^|\s)(?:-m|--module)[\s=]+$")
_IMPORT = re.compile(r"(?:^|\s)(?:import|from)\s+$")
_FETCH = re.compile(
    r"(?:^|[\s;|&(`/])(?:curl|wget|ssh|scp|ping|nc|ncat|dig|nslookup|telnet|git clone)"
    r"(?:\s+-(?!\w*[oO]\s|-output\s)\S+)*\s+$"
)
_CAMEL = re.compile(r"[A-Z]\w*[a-z]\w*")
_NUMBERED = re.compile(r"v?\d+")
_ESCAPED_SPACE = re.compile(r"\\[nrt]")
# What a program has in quotes as a list: "a.example,b.example".
_QUOTED_LIST = re.compile(
    r"""(?P<quote>["'`])\s*[^\s,;|"'`]+(?:\s?[,;|]\s?[^\s,;|"'`]+)+\s*(?P=quote)"""
)
_WINDOW = 200
# No resolver takes a longer name.
_LONGEST = 253
_COUNTRY = len("cc")


@dataclass(frozen=True, order=True)
class Mention:
    """A host that a text names, in lower case and ASCII, with the port where one is known.

    A name after a dot (``.example.com``) has a ``*`` in front. `scheme` is set where the host is
    a bucket or an organisation, and the scheme itself leads out of the cluster (``s3://models``).
    """

    host: str
    port: int | None = None
    scheme: str = ""

    def is_internal(self) -> bool:
        """Whether it is of the cluster: one label, a Service, loopback, the placeholder."""
        address = _parsed(self.host)
        if address is not None:
            return address.is_loopback or address.is_unspecified
        if "." not in self.host:
            return not self.host.isdigit() and not self.scheme
        # Where the end of a name is a variable, its value is judged where it is written.
        if self.host.endswith("*"):
            return True
        return self.host in hostwords.INTERNAL or self.host.endswith(hostwords.INTERNAL_SUFFIXES)

    def __str__(self) -> str:
        host = f"[{self.host}]" if ":" in self.host else self.host
        host = f"{self.scheme}://{host}" if self.scheme else host
        return host if self.port is None else f"{host}:{self.port}"


@dataclass(frozen=True)
class Token:
    """A dotted name in a text, and what surrounds it."""

    text: str
    before: str
    match: re.Match[str]

    @property
    def name(self) -> str:
        """The name as written, without hyphens at its ends."""
        return self.match[0].strip("-")

    @property
    def left(self) -> str:
        """The last characters before it, on the same command line."""
        start = self.match.start()
        near = self.text[max(0, start - _WINDOW) : start]
        return near if start > _WINDOW else self.before + near

    @property
    def right(self) -> str:
        """The first characters after it."""
        return self.text[self.match.end() : self.match.end() + _WINDOW]

    def is_quoted(self) -> bool:
        """Whether it stands right after a quote and ends with one, a port or a path."""
        is_ended = self.right[:1] in {"/", ":"} or self.right.lstrip()[:1] in {'"', "'", "`"}
        return self.left.endswith(('"', "'", "`")) and is_ended


def mentions(
    text: str, before: str = "", *, code: bool = False, names: bool = True
) -> set[Mention]:
    """The hosts outside of the cluster that `text` names.

    `before` is what precedes it on its command line. In `code` a bare name counts only when
    quoted; without `names` no bare name counts, only URLs and ports.
    """
    text = plain(text)
    urls = list(_URL.finditer(text))
    found = [_of_url(url) for url in urls]
    found += [_of_address(each) for each in _IPV6_PORT.finditer(text)]
    taken = {place for url in urls for place in range(*url.span("host"))}
    lists = _QUOTED_LIST.finditer(text) if code else ()
    listed = {place for each in lists for place in range(*each.span())}
    for match in _DOTTED.finditer(text):
        if match.start() not in taken and match.end() - 1 not in taken:
            is_code = code and match.start() not in listed
            found.append(_of_token(Token(text, before, match), code=is_code, names=names))
    return {mention for mention in found if mention and not mention.is_internal()}


def place(text: str) -> Mention | None:
    """The host outside of the cluster that a field which holds nothing but a host names."""
    mention = Mention(_ascii(text.strip()))
    return None if mention.is_internal() else mention


def plain(text: str) -> str:
    """`text` with what would hide a host undone: escapes, full-width and ideographic letters."""
    if "%" in text:
        text = unquote(text)
    if not text.isascii():
        text = unicodedata.normalize("NFKC", text).replace("\u3002", ".")
    return _ESCAPED_SPACE.sub(" ", text.replace("\\/", "/"))


def _of_url(url: re.Match[str]) -> Mention | None:
    scheme = (url["scheme"] or url["web"] or "").lower()
    host = _without_end(_ascii(re.sub(_VARIABLE, "*", url["host"])))
    if scheme in hostwords.LOCAL_SCHEMES:
        return None
    if not url["lead"].strip("/") and not _suffix(host) and _parsed(host) is None:
        return None
    if scheme in hostwords.HUB_SCHEMES:
        return Mention(host, _port(url), scheme)
    return Mention(host, _port(url) or _DEFAULT_PORTS.get(scheme))


def _without_end(host: str) -> str:
    """`host` without variables at its end, when it is one without them: they may be empty."""
    bare = host.rstrip("*")
    return bare if bare != host and (_suffix(bare) or _parsed(bare)) else host


def _of_address(match: re.Match[str]) -> Mention | None:
    return Mention(_ascii(match["host"]), _port(match)) if _parsed(match["host"]) else None


def _of_token(token: Token, *, code: bool, names: bool) -> Mention | None:
    if token.left.endswith("/") or token.right.startswith("@"):
        return None
    host = _ascii(token.name)
    port = _PORT_AFTER.match(token.right)
    if port:
        return Mention(host, _port(port)) if _could_have_port(host) else None
    if token.left.endswith("@"):
        return Mention(host) if _suffix(host) else None
    if not names or (code and not token.is_quoted()) or not _is_host(token, host):
        return None
    return Mention(f"*.{host}" if token.left.endswith(".") else host)


def _port(match: re.Match[str]) -> int | None:
    return int(match["port"]) if match["port"] else None


def _could_have_port(host: str) -> bool:
    if _parsed(host) is not None:
        return True
    # What is left out are times (05.930:12) and places in sources (server.go:1048).
    last = host.rpartition(".")[2]
    return last[:1].isalpha() and last not in hostwords.FILE_SUFFIXES


def _is_host(token: Token, host: str) -> bool:
    """Whether a bare name is a host: its suffix is public, and nothing around it objects."""
    suffix = _suffix(host)
    labels = token.name.split(".")
    if suffix is None or "_" in "".join(labels[-2 - suffix.count(".") :]):
        return False
    if _ATTRIBUTE.match(token.right) or _CAMEL.fullmatch(labels[-1]) or _MODULE.search(token.left):
        return False
    if _FETCH.search(token.left):
        return True
    if _is_api_name(token, host):
        return False
    if _is_clear(host, suffix):
        return True
    if token.right.startswith("/"):
        return True
    return len(labels) > len(suffix.split(".")) + 1 and not _is_word(token, labels)


def _is_clear(host: str, suffix: str) -> bool:
    """Whether the suffix is no word that programs and configurations use as well."""
    last = suffix.rpartition(".")[2]
    if len(last) == _COUNTRY:
        is_clear = last not in hostwords.UNCLEAR_COUNTRIES
    else:
        is_clear = last in hostwords.CLEAR_GENERIC or last.startswith("xn--")
    return is_clear or ("." in suffix and host != suffix)


def _is_word(token: Token, labels: list[str]) -> bool:
    """Signs that a name whose last label is also a word is a key, a module or a file."""
    return bool(
        _KEY.match(token.right)
        or _MODULE_MEMBER.match(token.right)
        or _IMPORT.search(token.left)
        or _NUMBERED.fullmatch(labels[-2])
        or labels[-2] in hostwords.FILE_SUFFIXES
        or (labels[-1] in hostwords.KEYS and labels[-2] in hostwords.OWNERS)
        or labels[0].lower() in hostwords.REVERSE_DNS
        or token.left.endswith((".", "]", ")", "}"))
    )


def _is_api_name(token: Token, host: str) -> bool:
    """Kubernetes' own names look like hosts: ``networking.k8s.io/v1``, ``nvidia.com/gpu``."""
    if host in hostwords.SERVED:
        return False
    is_path = token.right.startswith("/")
    if host in hostwords.VENDORS or (is_path and _below(host, hostwords.API_DOMAINS)):
        return _QUALIFIED.match(token.right) is not None
    return _below(host, hostwords.API_DOMAINS)


def _below(host: str, domains: frozenset[str]) -> bool:
    labels = host.split(".")
    return any(".".join(labels[start:]) in domains for start in range(len(labels)))


def _parsed(host: str) -> IPv4Address | IPv6Address | None:
    try:
        # Old resolvers take a single number, decimal or hexadecimal, for an IPv4 address.
        single = re.fullmatch(r"0x[0-9a-f]{1,8}|[0-9]{1,10}", host)
        address = IPv4Address(int(host, 0)) if single else ip_address(host)
    except ValueError:
        return None
    return getattr(address, "ipv4_mapped", None) or address


def _ascii(name: str) -> str:
    name = name.strip(".-[]").lower()
    if name.isascii():
        return name
    try:
        return name.encode("idna").decode("ascii")
    except UnicodeError:
        return name


def _suffix(host: str) -> str | None:
    """The public suffix of `host`; None when it has none, or is a single label."""
    labels = host.lstrip("_").split(".")
    if len(host) > _LONGEST or labels[-1].isdigit() or "" in labels:
        return None
    return _suffixes().publicsuffix(host)


@cache
def _suffixes() -> PublicSuffixList:
    return PublicSuffixList(accept_unknown=False)
