#!/bin/sh
# A disk with a whole Debian that cloud-init configures at its first boot, out of Debian's packages: run by `unshare` in name spaces of
# its own, so that nothing stays mounted. $1 is an empty folder to work in, $2 a mirror of Debian, $3 the image to make, $4 where packages
# are kept.
set -eu
cd "$1"
export DEBIAN_FRONTEND=noninteractive LC_ALL=C
# Of grub only its files are needed, and nothing is installed here.
mkdir grub
(cd grub && apt-get -q -o APT::Sandbox::User= download grub-common grub-pc-bin && for package in *.deb; do dpkg -x "$package" .; done)

# debootstrap does not see that python3-cffi-backend stands for what python3-cryptography asks for.
debootstrap --variant=minbase --cache-dir="$4" \
  --include=systemd-sysv,dbus,udev,iproute2,openssh-server,sudo,cloud-init,python3-cffi-backend,initramfs-tools,zstd,linux-image-cloud-amd64,qemu-guest-agent,docker.io,busybox-static \
  bookworm root "$2"

# Every second of a processor is ten in software emulation: an initramfs of three modules, no check of a fresh disk, one kind of host key,
# no service that nobody waits for, and of cloud-init's modules those that a definition speaks to. Docker starts when it is told to.
printf 'virtio_pci\nvirtio_blk\next4\n' >>root/etc/initramfs-tools/modules
printf 'MODULES=list\nCOMPRESS=zstd\n' >root/etc/initramfs-tools/conf.d/small
chroot root update-initramfs -u
printf '/dev/vda1 / ext4 defaults 0 0\n' >root/etc/fstab
cat >root/etc/cloud/cloud.cfg.d/90_small.cfg <<'END'
datasource_list: [NoCloud]
system_info: {network: {renderers: [networkd]}}
ssh_genkeytypes: [ed25519]
cloud_init_modules: [write-files, set_hostname, users-groups, ssh]
cloud_config_modules: [runcmd]
cloud_final_modules: [scripts-user, final-message]
END
systemctl --root=root -q enable systemd-networkd.service
systemctl --root=root -q disable docker.service docker.socket containerd.service
systemctl --root=root -q mask apt-daily.timer apt-daily-upgrade.timer dpkg-db-backup.timer e2scrub_all.timer e2scrub_reap.service \
  fstrim.timer getty@tty1.service systemd-networkd-wait-online.service dev-hugepages.mount dev-mqueue.mount sys-kernel-debug.mount \
  sys-kernel-tracing.mount
# What each machine makes for itself.
rm -f root/etc/ssh/ssh_host_* root/etc/resolv.conf
: >root/etc/machine-id
echo debian >root/etc/hostname
# What no guest reads.
for folder in var/cache/apt var/cache/debconf var/lib/apt/lists var/log usr/share/doc usr/share/man usr/share/locale usr/share/info; do
  rm -rf "root/$folder"
  mkdir -p "root/$folder"
done
mkdir -p root/var/lib/apt/lists/partial

# A boot sector, grub behind it, and one partition from the first mebibyte on.
size=1536
kernel=$(cd root/boot && ls vmlinuz-*)
cat >grub.cfg <<END
root=hd0,msdos1
linux /boot/$kernel root=/dev/vda1 ro console=ttyS0 quiet loglevel=3 mitigations=off apparmor=0
initrd /boot/initrd.img-${kernel#vmlinuz-}
boot
END
modules=grub/usr/lib/grub/i386-pc
grub/usr/bin/grub-mkimage -d "$modules" -O i386-pc -p / -c grub.cfg -o core.img biosdisk part_msdos ext2 linux
[ "$(stat -c %s core.img)" -lt 1048064 ]
truncate -s "${size}M" disk
# grub 2.06 reads no checksums of metadata.
mke2fs -q -t ext4 -O ^has_journal,^metadata_csum -E offset=1048576 -d root disk "$((size - 1))M"
dd if="$modules/boot.img" of=disk bs=440 count=1 conv=notrunc status=none
# The partition: it may be booted, a Linux, from sector 2048, as many sectors as there are; then the mark of a boot sector.
sectors=$(((size - 1) * 2048))
printf "\\200\\376\\377\\377\\203\\376\\377\\377\\000\\010\\000\\000\\$(printf %03o $((sectors % 256)))\\$(printf %03o $((sectors / 256 % 256)))\\$(printf %03o $((sectors / 65536 % 256)))\\$(printf %03o $((sectors / 16777216)))" |
  dd of=disk bs=1 seek=446 conv=notrunc status=none
printf '\125\252' | dd of=disk bs=1 seek=510 conv=notrunc status=none
dd if=core.img of=disk bs=512 seek=1 conv=notrunc status=none
qemu-img convert -q -c -f raw -O qcow2 -o compression_type=zstd disk "$3.new"
mv "$3.new" "$3"
