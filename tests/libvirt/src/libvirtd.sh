#!/bin/sh
# A libvirtd of a test's own, in name spaces of its own (mounts, processes, network): run by `unshare`, ended with it.
# $1 is the folder that holds all its state, $2 `without-kvm` or `with-kvm`. It hears `kill`, `start`, `hide` and `show`, and ends when nobody is there to say more.
set -eu
own=$1
mount --make-rprivate /
mount -t proc proc /proc

# The devices of the own network are in the own /sys; the control groups stay the host's.
mkdir -p "$own/cgroup"
mount --rbind /sys/fs/cgroup "$own/cgroup"
mount -t sysfs sysfs /sys
mount --rbind "$own/cgroup" /sys/fs/cgroup
# Control groups of both kinds at once confuse the container driver.
if mountpoint -q /sys/fs/cgroup/unified; then umount /sys/fs/cgroup/unified; fi

# Nothing of a libvirt that this machine has is seen or touched, another test's neither: a console is locked by the name of its device,
# and each name space of processes has a first one.
for place in /etc/libvirt /var/lib/libvirt /var/log/libvirt /var/cache/libvirt /run/libvirt /run/dbus /run/lock; do
  mkdir -p "$own$place" "$place"
  mount --bind "$own$place" "$place"
done
# Software emulation for everybody: where the device is there and does not work, libvirt would try it for a minute. It must not look as if
# it could be used, or libvirt asks QEMU anew what it can do, at every definition.
if [ -e /dev/kvm ] && [ "$2" = without-kvm ]; then
  : >"$own/no-kvm"
  mount --bind "$own/no-kvm" /dev/kvm
  mount -o remount,bind,ro /dev/kvm
fi
ip link set lo up

printf '%s\n' 'auth_unix_rw = "none"' 'unix_sock_rw_perms = "0777"' 'host_uuid_source = "machine-id"' >/etc/libvirt/libvirtd.conf
printf '%s\n' 'user = "root"' 'group = "root"' 'security_driver = "none"' 'namespaces = [ ]' >/etc/libvirt/qemu.conf
if [ ! -s /etc/machine-id ]; then
  printf '%s\n' 4f6d1f1c0c8a4d7e9b0a7c5d3e2f1a0b >"$own/machine-id"
  [ -e /etc/machine-id ] || touch /etc/machine-id
  mount --bind "$own/machine-id" /etc/machine-id
fi
# It lets in only whom the host knows: here also the executor in a container, by its numbers there.
printf '%s\n' 'orrery-libvirt:x:10006:10006::/nonexistent:/usr/sbin/nologin' | cat /etc/passwd - >"$own/passwd"
printf '%s\n' 'orrery-libvirt:x:10006:' | cat /etc/group - >"$own/group"
mount --bind "$own/passwd" /etc/passwd
mount --bind "$own/group" /etc/group
dbus-daemon --system --fork --nopidfile
virtlogd --daemon --pid-file /run/libvirt/virtlogd.pid

start() {
  libvirtd --daemon --pid-file /run/libvirt/libvirtd.pid
  echo start
}
hear() {
  while read -r word; do
    case $word in
      kill)
        killed=$(cat /run/libvirt/libvirtd.pid)
        kill -9 "$killed"
        # It keeps its lock until the last of its threads has ended.
        while [ -e "/proc/$killed" ]; do sleep 0.02; done
        echo kill
        ;;
      start) start ;;
      hide)
        qemu=$(command -v qemu-system-x86_64)
        mount --bind /dev/null "$qemu"
        echo hide
        ;;
      show)
        umount "$qemu"
        echo show
        ;;
    esac
  done
}
start
exec 3<&0
hear <&3 &
# The first process of its name space inherits every orphan. It has to take note of their ends, or libvirt would wait for them.
wait $!
