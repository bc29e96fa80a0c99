"""Signatures hold for one message and one key."""

from chengshu.kernel.crypto import MemorySigner, is_signed_by


def test_a_signature_holds_for_its_message_and_key_alone() -> None:
    signer, other = MemorySigner.generate(), MemorySigner.generate()
    signature = signer.sign(b"agreed")
    assert is_signed_by(signer.public_key, signature=signature, message=b"agreed")
    assert not is_signed_by(signer.public_key, signature=signature, message=b"agreeD")
    assert not is_signed_by(other.public_key, signature=signature, message=b"agreed")
    assert not is_signed_by(b"short", signature=signature, message=b"agreed")
