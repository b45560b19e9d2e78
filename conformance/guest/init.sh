#!/bin/busybox sh
# The guest's first process: loads the modules, plays every scenario with the plugins of $by (from the kernel's command
# line), and sends what they left, packed, by the second serial port.
# With /proc there, the shell finds the rest of busybox by itself.
/bin/busybox mount -t proc proc /proc
mount -t sysfs sys /sys
mount -t devtmpfs dev /dev
for module in $(cat /modules/order); do insmod "/modules/$module.ko" || poweroff -f; done
for scenario in /scenarios/*; do unshare -n -m /bin/busybox sh /play.sh "$by" "$scenario"; done
stty -F /dev/ttyS1 raw
{ tar -c -C /report . | gzip -1 | base64; echo end; } >/dev/ttyS1
poweroff -f
