#!/bin/sh
# The root filesystem of a Debian for a container, out of Debian's packages: run by `unshare` in name spaces of its own, so that nothing
# stays mounted. $1 is an empty folder to work in, $2 a mirror of Debian, $3 the archive to make, $4 where packages are kept.
#
# Its first process is that of System V, which asks nothing of the control groups that its host happens to have.
set -eu
cd "$1"
export DEBIAN_FRONTEND=noninteractive LC_ALL=C
debootstrap --variant=minbase --cache-dir="$4" --include=sysvinit-core,busybox-static,socat bookworm root "$2"

# Two services: a page, and one that says what it heard. A container has no terminals to sign in at.
cat >root/etc/inittab <<'END'
id:2:initdefault:
si::sysinit:/etc/init.d/rcS
l0:0:wait:/etc/init.d/rc 0
l2:2:wait:/etc/init.d/rc 2
l6:6:wait:/etc/init.d/rc 6
bt:2:wait:/usr/local/sbin/boots
pg:2:respawn:/bin/busybox httpd -f -p 80 -h /srv
ud:2:respawn:/usr/bin/socat -T2 UDP-RECVFROM:5353,fork EXEC:/usr/local/sbin/heard
END
cat >root/usr/local/sbin/boots <<'END'
#!/bin/sh
# Counts the boots of this root, on its console and on its page.
boots=$(($(cat /srv/boots 2>/dev/null || echo 0) + 1))
echo "$boots" >/srv/boots
echo "boot $boots of a Debian" >/dev/console
END
cat >root/usr/local/sbin/heard <<'END'
#!/bin/sh
read -r word
echo "heard $word"
END
chmod +x root/usr/local/sbin/boots root/usr/local/sbin/heard
echo 'the page of a Debian' >root/srv/index.html
rm -f root/etc/resolv.conf
echo debian >root/etc/hostname
# What no guest reads.
for folder in var/cache/apt var/cache/debconf var/lib/apt/lists var/log usr/share/doc usr/share/man usr/share/locale usr/share/info; do
  rm -rf "root/$folder"
  mkdir -p "root/$folder"
done
mkdir -p root/var/lib/apt/lists/partial
tar -C root --numeric-owner -cf - . | gzip -1 >"$3.new"
mv "$3.new" "$3"
