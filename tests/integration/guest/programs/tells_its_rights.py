import os
def handler(event, context):
  status = dict(line.split(':', 1) for line in open('/proc/self/status').read().splitlines())
  fds = sorted(os.readlink('/proc/self/fd/' + n).split(':')[0] for n in os.listdir('/proc/self/fd') if os.path.islink('/proc/self/fd/' + n))
  def refused(what):
    try: what()
    except OSError: return True
    return False
  return [status[k].strip() for k in ('CapInh', 'CapPrm', 'CapEff', 'CapBnd', 'CapAmb', 'NoNewPrivs', 'Seccomp', 'Groups')] + [
    os.getuid() >= 10000, fds,
    refused(lambda: open('/code/x', 'w')), refused(lambda: open('/usr/x', 'w')), refused(lambda: open('/dev/x', 'w')),
    refused(lambda: os.kill(1, 9)), refused(lambda: os.listdir('/proc/1/fd')), refused(lambda: open('/proc/1/mem', 'rb')),
    refused(lambda: os.mknod('/tmp/vda', 0o060666, os.makedev(254, 0))), refused(lambda: os.setuid(0)), refused(lambda: os.chroot('/tmp')),
    [p for p in ('/codes', '/runtime', '/devices', '/newroot', '/container', '/dev/vda', '/dev/vport0p1', '/sys/fs/cgroup') if os.path.exists(p)]]
