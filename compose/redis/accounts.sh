#!/bin/sh
# Makes what the containers of the stack share: the password of the daemons' account and the link's secret, once, and
# Redis' accounts from them.   accounts.sh TEMPLATE FOLDER
# 10001 is the account of hearth's images, 999 that of Redis'. Each file is made beside its place and moved there, so that a
# start that was broken off leaves no half of one.
set -eu
template=$1
cd "$2"
umask 077
for name in password link-secret; do
  if [ ! -s "$name" ]; then
    head -c 32 /dev/urandom | od -An -v -tx1 | tr -d ' \n' > "$name.new"
    chown 10001:10001 "$name.new"
    mv "$name.new" "$name"
  fi
done
# Whoever is in the stack's network may ask whether Redis lives; the rest takes the password.
{
  echo 'user default on nopass resetkeys resetchannels -@all +ping'
  sed -e '/^user default /d' -e "s/@PASSWORD@/$(cat password)/" "$template"
} > users.acl.new
chown 999:999 users.acl.new
mv users.acl.new users.acl
