#!/bin/sh
# Boots a real systemd as PID 1 of own namespaces, with one unit: boot.sh FOLDER, started by
#   unshare --pid --fork --kill-child --mount --net --ipc --cgroup --uts --mount-proc
# FOLDER has bin/, meshd.conf and meshd.service, and is seen as /run/t.  systemd cleans /tmp and writes to /run and /var at
# its start: all of these are private here, and the rest is read-only, or nothing is started.
set -e
mount --make-rprivate /
mount -t tmpfs tmpfs /mnt
cp -r "$1"/. /mnt/
mount -t tmpfs tmpfs /run
mkdir -p /run/systemd/system /run/lock /run/t
mount --move /mnt /run/t
mount -t tmpfs tmpfs /tmp
mount -t tmpfs tmpfs /var
mkdir -p /var/log /var/lib /var/tmp /var/cache
ln -s /run /var/run
umount -R /sys/fs/cgroup 2>/dev/null || true
mount -t cgroup2 cgroup2 /sys/fs/cgroup
mount -t tmpfs tmpfs /etc/systemd/system
mount -o remount,bind,ro /
for private in /tmp /run /var; do
	[ "$(stat -f -c %T $private)" = tmpfs ] || exit 9
done
! touch /etc/written-by-a-test 2>/dev/null || exit 9
cp /run/t/meshd.service /run/systemd/system/
printf '[Unit]\nDescription=one unit\nDefaultDependencies=no\nWants=meshd.service\n' > /run/systemd/system/test.target
ip link set lo up
exec env -i container=test PATH=/usr/sbin:/usr/bin:/sbin:/bin \
	/lib/systemd/systemd --system --unit=test.target --log-target=console --show-status=no
