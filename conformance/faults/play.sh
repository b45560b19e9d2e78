# play.sh CASE OUT [STRACE-OPTIONS...]: plays a case on a fresh node, which is the netns and mount namespace this process
# was started in, and writes what was seen to OUT, each part under a title that begins with a byte no output has. CASE is
# a list of calls of the functions below; the options say what befalls its one struck call.
case=$1 out=$2
shift 2
exec 3>"$out"
mount -t tmpfs run /run && mount -t tmpfs lib /var/lib && mkdir -p /run/netns /run/flannel /var/lib/cni || exit 1
printf '%s\n' FLANNEL_NETWORK=10.244.0.0/16 FLANNEL_SUBNET=10.244.1.1/24 FLANNEL_MTU=1450 FLANNEL_IPMASQ=true \
  >/run/flannel/subnet.env

part() { printf '\001%s\n' "$1" >&3; }

pod() {
  : >"/run/netns/$1"
  unshare --net="/run/netns/$1" true
  pods="$pods $1"
}

# request VERB POD CONTAINER PLUGIN CONF [KEY]: a call to come; with the result kept under KEY. An empty POD is no netns.
request() {
  export CNI_COMMAND="$1" CNI_NETNS="${2:+/run/netns/$2}" CNI_CONTAINERID="$3" CNI_IFNAME="$ifname" CNI_PATH="$bin"
  plugin=$bin/$4 conf=$5
  [ -z "$6" ] || conf="${conf%\}},\"prevResult\":$(cat "/run/result.$6")}"
}

# answered NAME EXIT
answered() {
  part "$1.stdout" && cat /run/stdout >&3
  part "$1.stderr" && cat /run/stderr >&3
  part "$1.exit" && echo "$2" >&3
}

# call NAME REQUEST...: a call that goes as it goes; its result is kept under NAME.
call() {
  name=$1
  shift
  request "$@"
  printf %s "$conf" | "$plugin" >/run/stdout 2>/run/stderr
  answered "$name" $?
  cp /run/stdout "/run/result.$name"
}

# struck REQUEST...: the call that something befalls. A call that hangs is ended.
struck() {
  request "$@"
  printf %s "$conf" | timeout -s KILL 300 strace -f -o /run/trace $options "$plugin" >/run/stdout 2>/run/stderr
  answered struck $?
  part trace && cat /run/trace >&3
}

# look NAME: links and addresses everywhere, the files that plugins keep, and where the case has some, rules.
look() {
  part "$1.node" && ip -j addr >&3
  for pod in $pods; do part "$1.$pod" && ip -n "$pod" -j addr >&3; done
  part "$1.files" && find /var/lib/cni /run/cni -type f >&3 2>/dev/null
  [ -z "$rules" ] || { part "$1.rules" && nft list ruleset >&3; }
}

options=$*
. "$case"
part end
