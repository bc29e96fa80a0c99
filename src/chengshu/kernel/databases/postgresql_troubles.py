"""What PostgreSQL's refusals mean to an operator: by SQLSTATE (its documentation, appendix A), never by the server's own words.

A server's message may quote a row or a name that is nobody else's business; its code never does.
"""

from typing import Any

from chengshu.kernel.databases.ports import UnknownEnd
from chengshu.kernel.errors import ChengshuError, Conflict, Denied, Invalid, NotFound, Tampered, Unavailable
from chengshu.kernel.text import Text

_DOCTOR = Text("Try again, or run 'chengshu doctor'.", "请重试，或运行 chengshu doctor。")
_START = Text(
    "See that the server runs and can be reached from here; what was asked for can then be done again.",
    "请确认服务器正在运行且可从本机访问，然后重试。",
)
_LOGIN = Text(
    "Put the right password into keys/database.password in the node's folder (mode 0600), PGPASSWORD or the file of PGPASSFILE, and see"
    " that the server's pg_hba.conf lets this user in.",
    "请将正确口令写入节点目录的 keys/database.password（权限 0600）、PGPASSWORD 或 PGPASSFILE 所指文件，"
    "并确认服务器的 pg_hba.conf 允许该用户登录。",
)
_RIGHTS = Text(
    "Have the database's administrator run: CREATE SCHEMA name AUTHORIZATION user (or GRANT CREATE ON DATABASE database TO user).",
    "请数据库管理员执行：CREATE SCHEMA 名称 AUTHORIZATION 用户（或 GRANT CREATE ON DATABASE 数据库 TO 用户）。",
)
_ABSENT = Text("Create it first: CREATE DATABASE name OWNER user.", "请先创建：CREATE DATABASE 名称 OWNER 用户。")
_REPLACED = Text(
    "The schema was dropped or restored under the node, or its user lost its rights to it: restore it, then restart the node.",
    "节点运行期间其模式被删除、恢复或收回了权限：请恢复后重启节点。",
)
_FULL = Text("Free disk space on the server, or allow more connections there.", "请在服务器上释放磁盘空间或增加连接数上限。")
_DAMAGED = Text(
    "Keep the server's files as they are, restore the database from a copy, and run 'chengshu doctor'.",
    "请保留服务器文件原样，从备份恢复数据库，并运行 chengshu doctor。",
)
_TRUST = Text(
    "Name the file with the authority's certificate: &sslrootcert=FILE in the URL.",
    "请在 URL 中用 &sslrootcert=文件 指定签发机构的证书。",
)
_LOOK = Text(
    "Once the server answers again, look whether the act was done before doing it again.",
    "服务器恢复应答后，请先确认该操作是否已完成，再决定是否重做。",
)
_DEFECT = Text("This is a defect of the program; report it.", "这是程序缺陷，请反馈。")
_VALUE = Text("Shorten it, or leave out characters that no text holds (U+0000).", "请缩短内容，或去除文本不允许的字符（U+0000）。")

_BY_STATE = {
    "28P01": (Unavailable, "database.login", "the user and password to be let in, got a refusal", _LOGIN),
    "28000": (Unavailable, "database.login", "the user to be let in, got a refusal", _LOGIN),
    "3D000": (NotFound, "database.absent", "a database of that name, got none", _ABSENT),
    "42501": (Denied, "database.rights", "the right to do this, got a refusal", _RIGHTS),
    "3F000": (Unavailable, "database.replaced", "the node's schema, got none", _REPLACED),
    "42P01": (Unavailable, "database.replaced", "the node's tables, got none", _REPLACED),
    "55P03": (Unavailable, "database.busy", "a turn to write, got none in time: another process of the node holds it", _DOCTOR),
    "25006": (Unavailable, "database.read-only", "a server that can be written to, got one that only reads", _START),
    "25P02": (Conflict, "database.broken-act", "an act that ends when a statement of it fails, got one that went on", _DEFECT),
    "XX001": (Tampered, "database.damaged", "a sound table, got a damaged one", _DAMAGED),
    "XX002": (Tampered, "database.damaged", "a sound index, got a damaged one", _DAMAGED),
}
_BY_CLASS = {
    "08": (Unavailable, "database.unavailable", "a connection, got it refused", _START),
    "22": (Invalid, "database.value", "values that a column can hold, got one that is too long, too large or no text", _VALUE),
    "40": (Unavailable, "database.busy", "to be alone with the rows, got another in between", _DOCTOR),
    "53": (Unavailable, "database.unavailable", "room for this, got a server without disk, memory or connections", _FULL),
    "57": (Unavailable, "database.unavailable", "the server to go on, got it stopping, starting or the statement cancelled", _START),
    "58": (Unavailable, "database.unavailable", "the server's files to be readable, got a failure of its system", _START),
}


def told(reason: BaseException, *, place: str) -> ChengshuError | None:
    """Return what an exception of the driver means; None for what only a defect of ours can cause (a broken constraint, wrong SQL)."""
    if isinstance(reason, ChengshuError):
        return reason
    state = state_of(reason)
    found = _BY_STATE.get(state) or _BY_CLASS.get(state[:2])
    if found is None:
        return None
    kind, code, expected, hint = found
    return kind(code, f"{place}: expected {expected}", hint=hint, facts={"sqlstate": state})


def no_connection(place: str, got: str) -> Unavailable:
    """Say that there is no connection, or none any more."""
    return _away("unavailable", place, expected="a connection", got=got, hint=_START)


def no_trust(place: str) -> Unavailable:
    """Say that the server's certificate is not to be trusted."""
    return _away("certificate", place, expected="a certificate for that host from an authority that is trusted", got="another", hint=_TRUST)


def no_authority(place: str) -> Unavailable:
    """Say that the file with the authority's certificate is of no use."""
    return _away("certificate", place, expected="the file of sslrootcert to hold certificates", got="one that cannot be read", hint=_TRUST)


def no_login(place: str) -> Unavailable:
    """Say that the server wants another proof of who is asking than the node can give."""
    return _away("login", place, expected="to be let in", got="no agreement on how", hint=_LOGIN)


def unknown_end(place: str) -> UnknownEnd:
    """Say that nobody here knows whether a transaction was kept."""
    return UnknownEnd("database.unknown-end", f"{place}: expected to learn whether the last commit was kept, got no answer", hint=_LOOK)


def _away(code: str, place: str, *, expected: str, got: str, hint: Text) -> Unavailable:
    return Unavailable(f"database.{code}", f"{place}: expected {expected}, got {got}", hint=hint)


def state_of(reason: BaseException) -> str:
    """The SQLSTATE that the server gave; empty where there is none."""
    fields: Any = reason.args[0] if reason.args else None
    return str(fields.get("C", "")) if isinstance(fields, dict) else ""
