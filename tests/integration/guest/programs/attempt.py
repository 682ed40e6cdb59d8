# What an attempt came to: put before the programs that try what must be refused.
import ctypes, errno, os, signal, socket, stat, sys
libc = ctypes.CDLL(None, use_errno=True)
def call(number, *arguments):
  ctypes.set_errno(0)
  return libc.syscall(number, *arguments), ctypes.get_errno()
def attempt(what):
  try: return what() or 'done'
  except OSError as error: return errno.errorcode[error.errno]
