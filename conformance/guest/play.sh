# play.sh BY SCENARIO: plays a scenario with the plugins of BY on a node of its own, which is the netns and mount namespace
# this process was started in. The scenario is a list of calls of the functions below. Each step leaves files: its exit
# status, what it said, and after ADD and DEL the reservations, and the node's VLANs and links. Emulation makes starting a
# program dear: what busybox's shell can do by itself, it does.
by=$1 report=/report/${2##*/} steps=0
mount -t tmpfs run /run
# Where /var/lib leads.
mkdir /run/lib /run/netns

# The shell would take busybox's own, and a deed's script is run by another shell.
prelude='ip() { /usr/sbin/ip "$@"; }; bridge() { /usr/sbin/bridge "$@"; }'
eval "$prelude"

# pod NAME: a container's netns.
pod() {
  : >"/run/netns/$1"
  unshare --net="/run/netns/$1" true
}

# call IMPLEMENTATION VERB NETNS CONTAINER CONF [STEP]: one call of bridge; STEP: with the result that step printed.
call() {
  at=$report.$steps conf=$5
  steps=$((steps + 1))
  [ -z "$6" ] || conf="${conf%\}},\"prevResult\":$(cat "$report.$6.stdout")}"
  CNI_COMMAND=$2 CNI_NETNS=$3 CNI_CONTAINERID=$4 CNI_IFNAME=eth0 CNI_PATH=/opt/$1 /opt/$1/bridge \
    >"$at.stdout" 2>"$at.stderr" <<CONF
$conf
CONF
  echo $? >"$at.exit"
  [ "$2" != CHECK ] || return 0
  echo /run/lib/cni/networks/net/[0-9f]* >"$at.store"
  bridge -j vlan show >"$at.vlans"
  ip -j -d addr >"$at.node"
}

# deed NETNS SCRIPT: something done to the node, or in a pod.
deed() {
  at=$report.$steps
  steps=$((steps + 1))
  ${1:+nsenter --net=/run/netns/$1} /bin/busybox sh -ec "$prelude; $2" >"$at.stdout" 2>"$at.stderr"
  echo $? >"$at.exit"
}

. "$2"
# The node stays to the end: for a netns in the place of one that is gone, this kernel has been seen to find the sysctls of
# the dead.
sleep 10000 >/dev/null 2>&1 &
