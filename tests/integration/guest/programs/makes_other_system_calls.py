def handler(event, context):
  wrong = []
  calls = dict(clone_user=(56, 0x10000000 | 17, 0, 0, 0, 0), clone_net=(56, 0x40000000 | 17, 0, 0, 0, 0), personality=(135, 0xffffffff), iopl=(172, 3), ioperm=(173, 0, 1, 1),
    quotactl=(179, 0, 0, 0, 0), lookup_dcookie=(212, 0, 0, 0), request_key=(249, 0, 0, 0, 0), name_to_handle_at=(303, 0, 0, 0, 0, 0), finit_module=(313, 0, 0, 0),
    delete_module=(176, 0, 0), kexec_file_load=(320, 0, 0, 0, 0, 0), io_uring_enter=(426, 0, 0, 0, 0, 0), io_uring_register=(427, 0, 0, 0, 0), open_tree=(428, 0, 0, 0),
    fsmount=(432, 0, 0, 0), mount_setattr=(442, 0, 0, 0, 0, 0), process_madvise=(440, 0, 0, 0, 0, 0), migrate_pages=(256, 0, 0, 0, 0), move_pages=(279, 0, 0, 0, 0, 0, 0),
    settimeofday=(164, 0, 0), adjtimex=(159, 0), sethostname=(170, b'x', 1), setdomainname=(171, b'x', 1), vhangup=(153,), chroot=(161, b'/tmp'), swapoff=(168, 0),
    modify_ldt=(154, 0, 0, 0), seccomp=(317, 1, 0, 0), nfsservctl=(180,), uselib=(134, 0), vserver=(236,), set_mempolicy=(238, 0, 0, 0), fanotify_mark=(301, 0, 0, 0, 0, 0))
  for name, arguments in calls.items():
    got = call(*arguments)
    if got != (-1, errno.EPERM): wrong.append([name, got])
  for family in list(range(1, 46)):
    if family in (socket.AF_UNIX, socket.AF_INET, socket.AF_INET6): continue
    got = attempt(lambda: socket.socket(family, socket.SOCK_DGRAM).close())
    if got != 'EPERM': wrong.append(['family', family, got])
  for number in (0, 1, 2): 
    if os.isatty(number): wrong.append('a terminal')
  status = dict(line.split(':', 1) for line in open('/proc/self/status').read().splitlines())
  for key, want in (('NoNewPrivs', '1'), ('Seccomp', '2'), ('Groups', ''), ('CapBnd', '0' * 16), ('CapAmb', '0' * 16)):
    if status[key].strip() != want: wrong.append([key, status[key]])
  return wrong
