def handler(event, context):
  wrong = []
  for path in ('/code/app.py', '/proc/self/cwd/app.py', '/proc/self/root/code/app.py', '/proc/thread-self/cwd/app.py'):
    for name, what in (('append', lambda: open(path, 'a')), ('truncate', lambda: os.truncate(path, 0)), ('unlink', lambda: os.unlink(path)),
        ('rename', lambda: os.rename(path, path + '2')), ('chmod', lambda: os.chmod(path, 0o777)), ('utime', lambda: os.utime(path)),
        ('link', lambda: os.link(path, '/code/other')), ('symlink', lambda: os.symlink('/tmp/x', '/code/other')), ('mkdir', lambda: os.mkdir('/code/d')),
        ('chown', lambda: os.chown(path, os.getuid(), os.getgid())), ('setxattr', lambda: os.setxattr(path, 'user.x', b'x'))):
      got = attempt(what)
      if got not in ('EROFS', 'EACCES', 'EPERM', 'EXDEV', 'ENOTSUP'): wrong.append([path, name, got])
  import mmap
  with open('/code/app.py', 'rb') as file:
    got = attempt(lambda: mmap.mmap(file.fileno(), 0, mmap.MAP_SHARED, mmap.PROT_READ | mmap.PROT_WRITE))
    if got != 'EACCES': wrong.append(['mmap', got])
    for name in ('/proc/self/fd/%d' % file.fileno(), '/dev/fd/%d' % file.fileno()):
      got = attempt(lambda: open(name, 'r+b'))
      if got not in ('EROFS', 'EACCES'): wrong.append([name, got])
  return wrong
