"""The system calls that a sealed method may make, and those that are told when it tries: everything else does not exist for it.

Numbers are those of Linux's tables for x86-64 and for AArch64 (``arch/x86/entry/syscalls/syscall_64.tbl``,
``include/uapi/asm-generic/unistd.h``); None where a machine has no such call.
"""

from collections.abc import Mapping

Numbers = tuple[int | None, int | None]

MACHINES = ("x86_64", "aarch64")
"""The machines that there are numbers for, in the order in which each call's numbers stand."""

ALLOWED: Mapping[str, Numbers] = {
    "read": (0, 63), "write": (1, 64), "readv": (19, 65), "writev": (20, 66), "pread64": (17, 67), "pwrite64": (18, 68),
    "preadv": (295, 69), "close": (3, 57), "close_range": (436, 436), "fstat": (5, 80), "newfstatat": (262, 79), "stat": (4, None),
    "lstat": (6, None), "statx": (332, 291), "fstatfs": (138, 44), "statfs": (137, 43), "lseek": (8, 62), "mprotect": (10, 226),
    "munmap": (11, 215), "mremap": (25, 216), "madvise": (28, 233), "brk": (12, 214), "msync": (26, 227), "mincore": (27, 232),
    "rt_sigaction": (13, 134), "rt_sigprocmask": (14, 135), "rt_sigreturn": (15, 139), "rt_sigpending": (127, 136),
    "rt_sigtimedwait": (128, 137), "rt_sigsuspend": (130, 133), "sigaltstack": (131, 132), "access": (21, None), "faccessat": (269, 48),
    "faccessat2": (439, 439), "pipe": (22, None), "pipe2": (293, 59), "select": (23, None), "pselect6": (270, 72), "poll": (7, None),
    "ppoll": (271, 73), "epoll_create": (213, None), "epoll_create1": (291, 20), "epoll_ctl": (233, 21), "epoll_wait": (232, None),
    "epoll_pwait": (281, 22), "epoll_pwait2": (441, 441), "eventfd": (284, None), "eventfd2": (290, 19), "dup": (32, 23),
    "dup2": (33, None), "dup3": (292, 24), "sched_yield": (24, 124), "sched_getaffinity": (204, 123), "sched_getparam": (143, 121),
    "sched_getscheduler": (145, 120), "sched_get_priority_max": (146, 125), "sched_get_priority_min": (147, 126), "nanosleep": (35, 101),
    "clock_nanosleep": (230, 115), "clock_gettime": (228, 113), "clock_getres": (229, 114), "gettimeofday": (96, 169),
    "time": (201, None), "times": (100, 153), "getrusage": (98, 165), "getpid": (39, 172), "gettid": (186, 178), "getppid": (110, 173),
    "getuid": (102, 174), "geteuid": (107, 175), "getgid": (104, 176), "getegid": (108, 177), "getgroups": (115, 158),
    "getresuid": (118, 148), "getresgid": (120, 150), "getpgrp": (111, None), "getpgid": (121, 155), "getsid": (124, 156),
    "uname": (63, 160), "sysinfo": (99, 179), "getcpu": (309, 168), "getrandom": (318, 278), "futex": (202, 98),
    "futex_waitv": (449, 449), "set_robust_list": (273, 99), "get_robust_list": (274, 100), "set_tid_address": (218, 96),
    "rseq": (334, 293), "membarrier": (324, 283), "exit": (60, 93), "exit_group": (231, 94), "restart_syscall": (219, 128),
    "getcwd": (79, 17), "getdents": (78, None), "getdents64": (217, 61), "readlink": (89, None), "readlinkat": (267, 78),
    "fadvise64": (221, 223), "arch_prctl": (158, None), "getrlimit": (97, 163), "setrlimit": (160, 164), "getpriority": (140, 141),
    "umask": (95, 166), "wait4": (61, 260), "waitid": (247, 95), "alarm": (37, None), "pause": (34, None), "getitimer": (36, 102),
    "setitimer": (38, 103), "capget": (125, 90),
}  # fmt: skip
"""What computing needs: memory, threads, time, and the files that are open already."""

_NETWORK: Mapping[str, Numbers] = {
    "socket": (41, 198), "socketpair": (53, 199), "connect": (42, 203), "bind": (49, 200), "listen": (50, 201), "accept": (43, 202),
    "accept4": (288, 242), "sendto": (44, 206), "sendmsg": (46, 211), "sendmmsg": (307, 269), "recvfrom": (45, 207), "recvmsg": (47, 212),
    "recvmmsg": (299, 243), "getsockname": (51, 204), "getpeername": (52, 205), "setsockopt": (54, 208), "getsockopt": (55, 209),
    "shutdown": (48, 210),
}  # fmt: skip
_FILES: Mapping[str, Numbers] = {
    "open": (2, None), "openat": (257, 56), "creat": (85, None), "openat2": (437, 437), "unlink": (87, None), "unlinkat": (263, 35),
    "rename": (82, None), "renameat": (264, 38), "renameat2": (316, 276), "mkdir": (83, None), "mkdirat": (258, 34), "rmdir": (84, None),
    "link": (86, None), "linkat": (265, 37), "symlink": (88, None), "symlinkat": (266, 36), "mknod": (133, None), "mknodat": (259, 33),
    "chmod": (90, None), "fchmod": (91, 52), "fchmodat": (268, 53), "chown": (92, None), "lchown": (94, None), "fchown": (93, 55),
    "fchownat": (260, 54), "truncate": (76, 45), "ftruncate": (77, 46), "fallocate": (285, 47), "utime": (132, None),
    "utimes": (235, None), "utimensat": (280, 88), "futimesat": (261, None), "mount": (165, 40), "umount2": (166, 39),
    "pivot_root": (155, 41), "chroot": (161, 51), "open_tree": (428, 428), "move_mount": (429, 429), "fsopen": (430, 430),
    "fsconfig": (431, 431), "fsmount": (432, 432), "fspick": (433, 433), "mount_setattr": (442, 442), "chdir": (80, 49),
    "fchdir": (81, 50), "name_to_handle_at": (303, 264), "open_by_handle_at": (304, 265), "inotify_init": (253, None),
    "inotify_init1": (294, 26), "fanotify_init": (300, 262), "setxattr": (188, 5), "lsetxattr": (189, 6), "fsetxattr": (190, 7),
    "removexattr": (197, 14), "lremovexattr": (198, 15), "fremovexattr": (199, 16), "getxattr": (191, 8), "lgetxattr": (192, 9),
    "fgetxattr": (193, 10), "quotactl": (179, 60), "swapon": (167, 224), "swapoff": (168, 225),
    "fchmodat2": (452, 452),
}  # fmt: skip
_PROCESS: Mapping[str, Numbers] = {
    "fork": (57, None), "vfork": (58, None), "clone": (56, 220), "execve": (59, 221), "execveat": (322, 281), "ptrace": (101, 117),
    "process_vm_readv": (310, 270), "process_vm_writev": (311, 271), "kill": (62, 129), "tkill": (200, 130), "tgkill": (234, 131),
    "pidfd_open": (434, 434), "pidfd_getfd": (438, 438), "pidfd_send_signal": (424, 424), "rt_sigqueueinfo": (129, 138),
    "rt_tgsigqueueinfo": (297, 240), "setns": (308, 268), "unshare": (272, 97), "kcmp": (312, 272), "process_madvise": (440, 440),
    "process_mrelease": (448, 448), "perf_event_open": (298, 241), "bpf": (321, 280), "userfaultfd": (323, 282),
    "io_uring_setup": (425, 425), "io_uring_enter": (426, 426), "io_uring_register": (427, 427), "keyctl": (250, 219),
    "add_key": (248, 217), "request_key": (249, 218), "init_module": (175, 105), "finit_module": (313, 273), "delete_module": (176, 106),
    "kexec_load": (246, 104), "kexec_file_load": (320, 294), "reboot": (169, 142), "iopl": (172, None), "ioperm": (173, None),
    "settimeofday": (164, 170), "clock_settime": (227, 112), "clock_adjtime": (305, 266), "adjtimex": (159, 171),
    "sethostname": (170, 161), "setdomainname": (171, 162), "syslog": (103, 116), "acct": (163, 89), "msgget": (68, 186),
    "semget": (64, 190), "mq_open": (240, 180), "setuid": (105, 146), "setgid": (106, 144), "setresuid": (117, 147),
    "setresgid": (119, 149), "setgroups": (116, 159), "capset": (126, 91), "personality": (135, 92),
}  # fmt: skip
_MEMORY: Mapping[str, Numbers] = {
    "memfd_create": (319, 279), "memfd_secret": (447, 447), "shmget": (29, 194), "shmat": (30, 196), "shmctl": (31, 195),
}  # fmt: skip
CONDITIONAL: Mapping[str, Numbers] = {
    "mmap": (9, 222),
    "ioctl": (16, 29),
    "fcntl": (72, 25),
    "prctl": (157, 167),
    "prlimit64": (302, 261),
    "clone3": (435, 435),
}
"""What is allowed with some arguments only."""

OWN: Mapping[str, Numbers] = {
    "seccomp": (317, 277),
    "landlock_create_ruleset": (444, 444),
    "landlock_restrict_self": (446, 446),
}
"""What the cell itself is closed with."""

TOLD: Mapping[str, Mapping[str, Numbers]] = {
    "method-network": _NETWORK,
    "method-files": _FILES,
    "method-process": _PROCESS,
    "method-memory": _MEMORY,
}
"""By rule, what only a method would ask for that tries to leave its cell; a few of them pass, judged one by one (:mod:`.judging`)."""


def number(calls: Mapping[str, Numbers], name: str, machine: str) -> int | None:
    """Return the number of a call on a machine, None where the machine has none."""
    return calls[name][MACHINES.index(machine)]


def told_by_number(machine: str) -> dict[int, tuple[str, str]]:
    """Return rule and name of every call that is told, by its number on a machine."""
    found = {number(calls, name, machine): (rule, name) for rule, calls in TOLD.items() for name in calls}
    found[number(CONDITIONAL, "mmap", machine)] = ("method-memory", "mmap")
    return {place: told for place, told in found.items() if place is not None}
