import ctypes, os, socket
libc = ctypes.CDLL(None, use_errno=True)
calls = dict(ptrace=101, bpf=321, userfaultfd=323, io_uring_setup=425, keyctl=250, add_key=248, unshare=272, setns=308, mount=165, umount=166,
  pivot_root=155, kexec_load=246, init_module=175, perf_event_open=298, process_vm_readv=310, clock_settime=227, reboot=169, swapon=167,
  open_by_handle_at=304, fanotify_init=300, move_mount=429, fsopen=430, pidfd_getfd=438, landlock=444, unknown=460, acct=163, syslog=103)
def handler(event, context):
  wrong = []
  for name, call in calls.items():
    ctypes.set_errno(0)
    if libc.syscall(call, 0, 0, 0, 0, 0) != -1 or ctypes.get_errno() != 1: wrong.append((name, ctypes.get_errno()))
  for family in (socket.AF_ALG, socket.AF_VSOCK, socket.AF_PACKET, socket.AF_NETLINK):
    try: socket.socket(family, socket.SOCK_DGRAM); wrong.append(family)
    except PermissionError: pass
  if libc.syscall(56, 0x10000000 | 17, 0, 0, 0, 0) != -1 or ctypes.get_errno() != 1: wrong.append('clone new user')
  if libc.syscall(302, os.getpid(), 7, 0, 0) != -1 or ctypes.get_errno() != 1: wrong.append('limits of a process')
  if libc.syscall(302, 0, 7, 0, 0) != 0: wrong.append('own limits')
  if libc.syscall(435, 0, 0) != -1 or ctypes.get_errno() != 38: wrong.append('clone3')
  return wrong
