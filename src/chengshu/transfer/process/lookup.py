"""Transfer processes by their ids, for their owner and for their counterparty."""

from chengshu.kernel.register import Register
from chengshu.transfer.process import store
from chengshu.transfer.process.model import TransferProcess

PROCESSES: Register[TransferProcess] = Register("transfer", get=store.get, find=store.find, save_peer_pid=store.save)
