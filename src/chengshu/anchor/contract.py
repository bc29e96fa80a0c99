"""The contract that keeps digests: 32 bytes of call data are a digest, and the first block that carries it is kept for good.

It has no owner and no way to take anything back. Whoever reads it MUST compare the code at its address with :data:`RUNTIME`, and MUST
find the event in the block that it names: a contract's maker can put any storage beside these very bytes. The listing keeps to
instructions that every EVM has (Ethereum Yellow Paper, appendix H), so that consortium chains run it as well.
"""

from collections.abc import Iterator

LISTING = """
          CALLVALUE            ; money that is sent here could never leave again
          PUSH refuse
          JUMPI
          CALLDATASIZE
          PUSH 32
          EQ
          PUSH anchor
          JUMPI
          PUSH 0               ; any other length is a question: which block is kept for the first 32 bytes
          CALLDATALOAD
          SLOAD
          PUSH 0
          MSTORE
          PUSH 32
          PUSH 0
          RETURN
anchor:   PUSH 0
          CALLDATALOAD         ; digest
          DUP1
          SLOAD                ; digest, block that is kept
          PUSH done            ; the first anchor wins: what is kept stays
          JUMPI
          NUMBER               ; digest, this block
          DUP2
          SSTORE               ; digest
          PUSH 0               ; the event carries no data: its topic says everything
          PUSH 0
          LOG1
done:     STOP
refuse:   PUSH 0
          PUSH 0
          REVERT
"""

_OPCODES = {
    "STOP": 0x00,
    "EQ": 0x14,
    "CALLVALUE": 0x34,
    "CALLDATALOAD": 0x35,
    "CALLDATASIZE": 0x36,
    "CODECOPY": 0x39,
    "NUMBER": 0x43,
    "MSTORE": 0x52,
    "SLOAD": 0x54,
    "SSTORE": 0x55,
    "JUMPI": 0x57,
    "JUMPDEST": 0x5B,
    "PUSH": 0x60,
    "DUP1": 0x80,
    "DUP2": 0x81,
    "LOG1": 0xA1,
    "RETURN": 0xF3,
    "REVERT": 0xFD,
}


def assemble(listing: str) -> bytes:
    """Return the byte code of a listing: one instruction a line, ``label:`` before a jump's aim, ``;`` before a comment.

    ``PUSH`` takes a number below 256 or a label. Raises KeyError for an instruction or label that there is not.
    """
    words = list(_words(listing))
    aims: dict[str, int] = {}
    place = 0
    for word, operand in words:
        if word == "JUMPDEST":
            aims[operand] = place
        place += 2 if word == "PUSH" else 1
    code = bytearray()
    for word, operand in words:
        code.append(_OPCODES[word])
        if word == "PUSH":
            code.append(int(operand) if operand.isdigit() else aims[operand])
    return bytes(code)


def _words(listing: str) -> Iterator[tuple[str, str]]:
    """Every instruction with its operand; a label is the instruction that may be jumped to, with its name."""
    for line in listing.splitlines():
        text = line.partition(";")[0].strip()
        if ":" in text:
            label, _, text = text.partition(":")
            yield "JUMPDEST", label
        word, _, operand = text.strip().partition(" ")
        if word:
            yield word, operand


RUNTIME = assemble(LISTING)
"""The code at the contract's address."""

_MAKER_BYTES = 11
MAKER = (
    assemble(f"""
          PUSH {len(RUNTIME)}
          DUP1
          PUSH {_MAKER_BYTES}  ; where the code begins behind these instructions
          PUSH 0
          CODECOPY
          PUSH 0
          RETURN
""")
    + RUNTIME
)
"""What is sent to make the contract: it copies the code that follows and returns it."""


def question(digest: bytes) -> bytes:
    """Return the call data that asks for the block kept for ``digest``, where a chain lets nobody read storage."""
    return digest + b"\x00"
