"""How a play's document is read when any part of it may be missing: nothing here raises for an absent part."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from chengshu.kernel.text import Text
from chengshu.scenario.model import Pack
from chengshu.scenario.report.markup import Content, Markup, element

Row = Mapping[str, Any]
_TERMS: Mapping[str, Text] = {
    "following": Text("following", "跟驰"),
    "crossing": Text("crossing", "交叉"),
    "merging": Text("merging", "汇入"),
    "all": Text("all", "全部"),
    "fused": Text("all together", "多方融合"),
    "free_flow": Text("speed limit only", "仅按限速推算"),
    "true-tracks": Text("true tracks (detector alone)", "真实轨迹（仅检测器）"),
    "ttc": Text("time to collision", "碰撞时间 TTC"),
    "pet": Text("post-encroachment time", "后侵入时间 PET"),
    "drac": Text("braking needed", "避撞减速度 DRAC"),
    "any": Text("any", "任一"),
    "published": Text("published", "已发布"),
    "set-aside": Text("set aside", "已搁置"),
    "absent": Text("absent", "缺失"),
    "sample": Text("recorded sample", "随附样本"),
    "yours": Text("your own file", "您的文件"),
    "none": Text("none", "无"),
    "error": Text("source set aside", "搁置来源"),
    "rows": Text("rows set aside", "搁置行"),
    "warning": Text("kept, flagged", "保留并标记"),
    "quarantined": Text("quarantined", "已隔离"),
    "proved": Text("proved", "已证明"),
    "not-shown": Text("not shown", "未显示"),
    "contradicted": Text("contradicted", "相悖"),
    "FINALIZED": Text("finalized", "已成立"),
    "TERMINATED": Text("terminated", "已终止"),
    "REFUSED": Text("refused", "已拒绝"),
    "ACTIVE": Text("in force", "生效中"),
    "RELEASED": Text("released", "已放行"),
    "FAILED": Text("failed", "失败"),
    "NOT_ASKED": Text("not asked", "未提出"),
}


@dataclass(frozen=True, slots=True)
class Table:
    """A table to be shown: a caption, column titles, rows of cells; columns in ``numeric`` stand right."""

    caption: Text
    columns: tuple[Text, ...]
    rows: tuple[tuple[Content, ...], ...]
    numeric: frozenset[int] = frozenset()
    total: tuple[Content, ...] = ()


@dataclass(frozen=True, slots=True)
class Cast:
    """Who plays: titles by role and by party id, so that nobody has to read a ``did:key``."""

    titles: Mapping[str, Text]
    ids: Mapping[str, str]

    def title(self, key: object) -> Text:
        """Return the title of a role or a party id; the key itself where nobody of that name takes part."""
        name = str(key or "?")
        return self.titles.get(name) or term(name)

    def chip(self, key: object) -> Markup:
        """Return the title with the party id behind it."""
        name = str(key or "?")
        party = self.ids.get(name, name)
        return element("span", {"class": "party", "title": party}, self.title(name))

    def members(self, coalition: object) -> frozenset[str]:
        """Return the members of a coalition written as ``a+b``; the empty text is nobody."""
        return frozenset(part for part in str(coalition or "").split("+") if part)


def cast_of(play: Row, pack: Pack) -> Cast:
    """Return who plays: the pack's roles, and the ids that the play's parties got."""
    titles = {role.id: role.title for role in pack.roles}
    ids: dict[str, str] = {}
    for party in parts(play, "parties"):
        role, party_id = str(party.get("role", "?")), str(party.get("id") or "")
        title = party.get("title")
        if isinstance(title, Mapping):
            titles[role] = text_of(title)
        if party_id:
            titles[party_id] = titles.get(role, Text(role, role))
            ids[role] = ids[party_id] = party_id
    return Cast(titles, ids)


def parts(document: Row, key: str) -> list[Row]:
    """Return a list of rows; an empty one where the part is missing."""
    value = document.get(key)
    return [row for row in value if isinstance(row, Mapping)] if isinstance(value, Sequence) and not isinstance(value, str) else []


def part(document: Row, key: str) -> Row:
    """Return a nested document; an empty one where the part is missing."""
    value = document.get(key)
    return value if isinstance(value, Mapping) else {}


def job(play: Row, name: str) -> Row:
    """Return the job of that name; an empty document where it was not run."""
    return next((row for row in parts(play, "jobs") if row.get("part") == name), {})


def rows(play: Row, name: str, table: str) -> list[Row]:
    """Return the rows of one table that a job released; none where it released no such table."""
    return parts(part(job(play, name), "tables"), table)


def absence(play: Row, name: str, *, table: str) -> Text | None:
    """Return a sentence that says why a job's table is not here, or None where it is."""
    if rows(play, name, table):
        return None
    done = job(play, name)
    if not done:
        return Text(f"Not available: the job “{name}” was not run.", f"无法提供：作业“{name}”未运行。")
    refusal = part(done, "refusal")
    if refusal:
        en, zh = part(refusal, "en"), part(refusal, "zh")
        return Text(
            f"Not available: the job “{name}” was refused ({en.get('rule', '?')}): {en.get('message', 'no reason was given')}",
            f"无法提供：作业“{name}”被拒绝（{zh.get('rule', '?')}）：{zh.get('message', '未给出原因')}",
        )
    state = term(done.get("state"))
    notes = "".join(f" {note}" for note in done.get("notes") or [])
    return Text(
        f"Not available: the job “{name}” (state: {state.en}) released no table “{table}”.{notes}",
        f"无法提供：作业“{name}”（状态：{state.zh}）未放行表“{table}”。{notes}",
    )


def term(key: object) -> Text:
    """Return a technical word in both languages; an unknown one as it is."""
    name = str(key or "—")
    return _TERMS.get(name, Text(name, name))


def text_of(value: object) -> Text:
    """Return a bilingual value; one language stands in for a missing other, a dash for both."""
    if isinstance(value, Mapping):
        en, zh = value.get("en"), value.get("zh")
        return Text(str(en or zh or "—"), str(zh or en or "—"))
    return Text(str(value or "—"), str(value or "—"))


def sentences(value: object) -> list[Text]:
    """Return the sentences of ``{en, zh}`` whose sides are a text or a list of texts of equal length."""
    if not isinstance(value, Mapping):
        return [text_of(value)] if value else []
    en, zh = (_listed(value.get(side)) for side in ("en", "zh"))
    en += zh[len(en) :]
    zh += en[len(zh) :]
    return [Text(left or right or "—", right or left or "—") for left, right in zip(en, zh, strict=True)]


def reasons(value: object) -> list[Text]:
    """Return why something ended as it did, from a sentence or from an error or refusal told in both languages."""
    if not isinstance(value, Mapping) or not isinstance(value.get("en") or value.get("zh"), Mapping):
        return sentences(value)
    en, zh = (part(value, side) or part(value, other) for side, other in (("en", "zh"), ("zh", "en")))
    pairs = [(en.get(name), zh.get(name)) for name in ("message", "hint", "would_pass")]
    return [Text(str(left or right), str(right or left)) for left, right in pairs if left or right]


def whole(value: object) -> int:
    """Return a count; zero for what is none."""
    return value if isinstance(value, int) else int(value) if isinstance(value, float) and value.is_integer() else 0


def real(value: object) -> float | None:
    """Return a finite number, or None for what is none."""
    if isinstance(value, bool) or not isinstance(value, int | float):
        return None
    return float(value) if abs(value) < float("inf") else None


def counted(value: object) -> str:
    """Return a count with separators between thousands; a dash for what is none."""
    number = real(value)
    return "—" if number is None else f"{number:,.0f}"


def percent(value: float | None, *, digits: int = 1) -> str:
    """Return a share as a percentage; a dash for None."""
    return "—" if value is None else f"{100 * value:.{digits}f} %"


def fixed(value: object, *, digits: int = 1) -> str:
    """Return a number with so many digits; a dash for what is none."""
    number = real(value)
    return "—" if number is None else f"{number:,.{digits}f}"


def short(value: object, *, most: int = 12) -> str:
    """Return the first characters of an identifier or digest."""
    text = str(value or "—").removeprefix("urn:uuid:").removeprefix("sha256:").removeprefix("sm3:")
    return text if len(text) <= most else f"{text[:most]}…"


def folded(value: object) -> Markup:
    """Return a long identifier that shows its beginning and unfolds to the whole."""
    text = str(value or "")
    if len(text) <= 14:
        return element("code", {}, text)
    summary = element("summary", {"title": text}, element("code", {}, short(text)))
    return element("details", {"class": "hash"}, summary, element("code", {}, text))


def _listed(value: object) -> list[str]:
    if isinstance(value, Sequence) and not isinstance(value, str):
        return [str(one) for one in value]
    return [str(value)] if value else []
