"""The room's arithmetic: masked sums added up, and the masks that are left in the total taken away, once enough members have opened."""

from collections.abc import Collection, Mapping
from functools import reduce

from chengshu.cleanroom.secure_aggregation.masks import SECRET_BYTES, own_mask, paired, secret_of, shared_mask
from chengshu.cleanroom.secure_aggregation.roster import Roster
from chengshu.cleanroom.secure_aggregation.round import Opening
from chengshu.cleanroom.secure_aggregation.words import Words
from chengshu.kernel.canonical import Digests
from chengshu.kernel.errors import Tampered
from chengshu.kernel.text import Text


def added(
    roster: Roster,
    masked: Mapping[str, Words],
    openings: Mapping[str, Opening],
    *,
    dealers: Collection[str],
    digests: Digests,
) -> Words:
    """Return the sum of what the survivors, whose sums are ``masked``, have contributed.

    ``dealers`` are all whose masks are in them, ``openings`` come from ``roster.least`` of the survivors or more. Raises Tampered where a
    secret or a key is not the one of its member's card.
    """
    survivors = sorted(masked)
    total = reduce(Words.plus, (masked[one] for one in survivors))
    for one in survivors:
        secret = openings[one].secret if one in openings else _from_shares(roster, one, openings, of_key=False)
        _check(digests.agree(digests.of_bytes(secret), roster.card(one).commitment), "secret", one)
        total = total.minus(own_mask(digests.suite, secret, total.size))
    about = roster.digest(digests).encode()
    for gone in sorted(set(dealers) - set(survivors)):
        key = _from_shares(roster, gone, openings, of_key=True)
        _check(digests.suite.exchange_public(key) == roster.card(gone).pair_key, "key", gone)
        for one in survivors:
            mask = shared_mask(digests.suite, key, roster.card(one).pair_key, about=about, size=total.size)
            total = paired(total, mask, holder=gone, other=one)  # as the one that is gone would have, which takes the survivor's away
    return total


def _from_shares(roster: Roster, of: str, openings: Mapping[str, Opening], *, of_key: bool) -> bytes:
    found = {roster.place(one): (opening.keys if of_key else opening.secrets).get(of, b"") for one, opening in openings.items()}
    right = {place: share for place, share in found.items() if len(share) == SECRET_BYTES}
    _check(len(right) >= roster.least, "share", of)
    return secret_of(right, least=roster.least)


def _check(holds: bool, what: str, of: str) -> None:  # the condition itself
    if not holds:
        raise Tampered("secure-aggregation.opening", f"expected the {what} of {of}'s card, got another", hint=_ASK)


_ASK = Text("Ask the operator of that holder's node, and sign a new job.", "请联系该持有方节点的运营人员，并签署新的作业。")
