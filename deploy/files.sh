#!/bin/sh
# Lays out the files of the image `orrery`: the programs, the libraries that they ask for, who trusts whom in TLS, the users,
# and a folder for each volume. A volume takes the owner of the folder that it is first mounted on.
set -eu
image=$1

install -d "$image/usr/bin" "$image/etc/ssl/certs"
install -m 0755 /programs/* "$image/usr/bin/"

# Whole or not at all: a library that is missing would be noticed only when a machine is started.
for program in /programs/*; do
    if ldd "$program" > /tmp/libraries 2>/dev/null; then
        if grep 'not found' /tmp/libraries; then exit 1; fi
        grep -o '/[^ ]*' /tmp/libraries
    fi
done | sort -u | while read -r library; do
    install -D -m 0755 "$(readlink -f "$library")" "$image$library"
done

cp /etc/ssl/certs/ca-certificates.crt "$image/etc/ssl/certs/"
cp /etc/nsswitch.conf "$image/etc/" 2>/dev/null || echo 'hosts: files dns' > "$image/etc/nsswitch.conf"

: > "$image/etc/passwd"
: > "$image/etc/group"
install -d -m 0755 "$image/var/lib/orrery"
while read -r number name; do
    echo "$name:x:$number:$number::/var/lib/orrery/$name:/nonexistent" >> "$image/etc/passwd"
    echo "$name:x:$number:" >> "$image/etc/group"
    install -d -m 0700 -o "$number" -g "$number" "$image/var/lib/orrery/$name"
done <<END
10000 setup
10001 postgres
10002 nats
10003 api
10004 projector
10005 docker-executor
10006 libvirt-executor
END

# libvirt's client looks for its socket under the old name of the folder.
install -d "$image/run" "$image/var"
ln -s ../run "$image/var/run"

# Each service enters its own folder in it, and sees no other.
install -d -m 0711 -o 10000 -g 10000 "$image/secrets"
# The locks of all installations on one engine.
install -d -m 1777 "$image/locks"
install -d -m 1777 "$image/tmp"
