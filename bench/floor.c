// The floor: what the kernel itself takes for a plugin's work. The same kernel requests as ours, in the same order, and
// nothing else: no JSON is read, no configuration, no error explained. Not a plugin; only the bench calls it.
//
// Called as flannel, bridge, host-local, loopback or portmap (ADD, DEL), with the usual CNI variables; VERSION under any
// name. What a plugin finds in its configuration comes by environment:
//   FLOOR_SAVED   flannel's directory of saved configurations
//   FLOOR_STORE   host-local's directory of the network
//   FLOOR_SUBNET  the range, as 10.244.1.0/24
// floor-nft.h has the packet filter, and what it wants to know.
#define _GNU_SOURCE
#include <arpa/inet.h>
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <sched.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>
#include <net/if.h>
#include <linux/if_bridge.h>
#include <linux/if_link.h>
#include <linux/rtnetlink.h>
#include <linux/veth.h>
#include <sys/file.h>
#include <sys/random.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/vfs.h>

static char config[1 << 16], buffer[1 << 15];

static void fail(int line) {
	dprintf(2, "floor.c:%d: %s\n", line, strerror(errno));
	_exit(1);
}
#define MUST(call) ({ __typeof__(call) result_ = (call); if (result_ < 0) fail(__LINE__); result_; })

static const char *env(const char *name) {
	const char *value = getenv(name);
	if (!value) dprintf(2, "%s is not set\n", name), _exit(1);
	return value;
}

// ---- files

static ssize_t read_file_at(int directory, const char *path, char *to, size_t room) {
	int fd = openat(directory, path, O_RDONLY | O_CLOEXEC);
	if (fd < 0) return -1;
	ssize_t n = read(fd, to, room - 1);
	close(fd);
	if (n >= 0) to[n] = 0;
	return n;
}

static void write_file(const char *path, int flags, const char *text) {
	int fd = MUST(open(path, O_WRONLY | O_CLOEXEC | flags, 0600));
	MUST(write(fd, text, strlen(text)));
	close(fd);
}

static int lock_file(const char *path, int mode) {
	struct stat held, there;
	int fd = MUST(open(path, O_RDONLY | O_CREAT | O_CLOEXEC, mode));
	MUST(flock(fd, LOCK_EX | LOCK_NB) == 0 || errno != EWOULDBLOCK ? 0 : flock(fd, LOCK_EX));
	MUST(fstat(fd, &held));
	MUST(stat(path, &there));
	return fd;
}

// ---- network namespaces

static int home_netns, pod_netns;

static void open_netns(void) {
	struct statfs fs;
	struct stat home, pod;
	pod_netns = MUST(open(env("CNI_NETNS"), O_RDONLY | O_CLOEXEC));
	home_netns = MUST(open("/proc/thread-self/ns/net", O_RDONLY | O_CLOEXEC));
	MUST(fstatfs(pod_netns, &fs));
	MUST(fstat(pod_netns, &pod));
	MUST(fstat(home_netns, &home));
	if (home.st_ino == pod.st_ino && home.st_dev == pod.st_dev) fail(__LINE__);
}

static void pod_sysctl(const char *path, const char *value) {
	MUST(setns(pod_netns, CLONE_NEWNET));
	int fd = MUST(open(path, O_WRONLY | O_CLOEXEC));
	MUST(setns(home_netns, CLONE_NEWNET));
	MUST(write(fd, value, strlen(value)));
	close(fd);
}

// ---- netlink

static struct nlmsghdr *message; // the one being written
static char out[1 << 19];
static int out_length, messages;

static int open_netlink(int protocol) {
	int fd = MUST(socket(AF_NETLINK, SOCK_RAW | SOCK_CLOEXEC, protocol)), on = 1;
	setsockopt(fd, SOL_NETLINK, NETLINK_EXT_ACK, &on, sizeof on);
	setsockopt(fd, SOL_NETLINK, NETLINK_CAP_ACK, &on, sizeof on);
	setsockopt(fd, SOL_NETLINK, NETLINK_GET_STRICT_CHK, &on, sizeof on);
	struct sockaddr_nl any = {.nl_family = AF_NETLINK};
	MUST(bind(fd, (struct sockaddr *)&any, sizeof any));
	return fd;
}

static int open_netlink_in_pod(void) {
	MUST(setns(pod_netns, CLONE_NEWNET));
	int fd = open_netlink(NETLINK_ROUTE);
	MUST(setns(home_netns, CLONE_NEWNET));
	return fd;
}

static void *append(const void *data, int length) {
	void *at = memset(out + out_length, 0, NLMSG_ALIGN(length));
	if (data) memcpy(at, data, length);
	out_length += NLMSG_ALIGN(length);
	if (message) message->nlmsg_len = out + out_length - (char *)message;
	return at;
}

static void begin(int type, int flags, const void *header, int length) {
	message = NULL;
	message = append(NULL, sizeof *message);
	*message = (struct nlmsghdr){.nlmsg_type = type, .nlmsg_flags = NLM_F_REQUEST | flags, .nlmsg_seq = ++messages};
	append(header, length);
}

static struct rtattr *attr(int type, const void *data, int length) {
	struct rtattr *at = append(NULL, sizeof *at);
	at->rta_type = type;
	at->rta_len = RTA_LENGTH(length);
	append(data, length);
	return at;
}

static void attr_u32(int type, unsigned value) { attr(type, &value, 4); }
static void end_nest(struct rtattr *nest) { nest->rta_len = out + out_length - (char *)nest; }

// Sends what was written; the first answer is in `buffer`. Returns when the last of `expected` answers is there. Of several
// changes the last alone asks for an ack: one that is refused says so by itself.
static int send_all(int fd, int expected) {
	int first = 0;
	MUST(send(fd, out, out_length, 0));
	for (int i = 0; i < expected; i++) {
		char other[256];
		int n = MUST(recv(fd, i ? other : buffer, i ? sizeof other : sizeof buffer, 0));
		struct nlmsghdr *answer = (void *)(i ? other : buffer);
		if (answer->nlmsg_type == NLMSG_ERROR && (errno = -*(int *)NLMSG_DATA(answer))) fail(__LINE__);
		if (!i) first = n;
	}
	out_length = messages = 0;
	return first;
}

static struct ifinfomsg get_link(int fd, const char *name, int index, unsigned *peer) {
	struct ifinfomsg header = {.ifi_index = index};
	begin(RTM_GETLINK, 0, &header, sizeof header);
	if (name) attr(IFLA_IFNAME, name, strlen(name) + 1);
	attr_u32(IFLA_EXT_MASK, RTEXT_FILTER_SKIP_STATS);
	int length = send_all(fd, 1);
	struct nlmsghdr *answer = (void *)buffer;
	struct ifinfomsg *link = NLMSG_DATA(answer);
	int left = length - NLMSG_LENGTH(sizeof *link);
	for (struct rtattr *at = IFLA_RTA(link); peer && RTA_OK(at, left); at = RTA_NEXT(at, left))
		if (at->rta_type == IFLA_LINK) *peer = *(unsigned *)RTA_DATA(at);
	return *link;
}

static void set_link(int index, unsigned up, unsigned change) {
	struct ifinfomsg header = {.ifi_index = index, .ifi_flags = up, .ifi_change = change};
	begin(RTM_NEWLINK, NLM_F_ACK, &header, sizeof header);
}

static void list_addrs(int fd, int index) {
	struct ifaddrmsg header = {.ifa_index = index};
	begin(RTM_GETADDR, NLM_F_DUMP, &header, sizeof header);
	send_all(fd, 2); // the addresses, and the end
}

static void add_route(int index, struct in_addr *to, int length, unsigned gateway) {
	struct rtmsg header = {.rtm_family = AF_INET, .rtm_dst_len = length, .rtm_table = RT_TABLE_MAIN, .rtm_protocol = RTPROT_BOOT,
	                       .rtm_type = RTN_UNICAST};
	begin(RTM_NEWROUTE, NLM_F_ACK | NLM_F_CREATE, &header, sizeof header);
	if (to) attr(RTA_DST, to, 4);
	attr_u32(RTA_OIF, index);
	attr_u32(RTA_GATEWAY, gateway);
}

#include "floor-nft.h"

// ---- host-local

static unsigned subnet, mask; // host order

static int lock_store(const char *store) {
	char path[512];
	snprintf(path, sizeof path, "%s/lock", store);
	return lock_file(path, 0750);
}

// Every file is read: whose it is stands only inside.
static int owned(const char *store, const char *owner, char *name) {
	char text[256];
	int found = 0, at = MUST(open(store, O_RDONLY | O_DIRECTORY | O_CLOEXEC));
	DIR *directory = fdopendir(at);
	for (struct dirent *each; (each = readdir(directory));) {
		if (each->d_name[0] == '.') continue;
		if (read_file_at(at, each->d_name, text, sizeof text) > 0 && !strcmp(text, owner)) strcpy(name, each->d_name), found = 1;
	}
	closedir(directory);
	return found;
}

static void owner_text(char *to) { sprintf(to, "%s\r\n%s", env("CNI_CONTAINERID"), env("CNI_IFNAME")); }

static struct in_addr reserve(void) {
	const char *store = env("FLOOR_STORE");
	char owner[256], path[512], last[512], from[64], text[INET_ADDRSTRLEN];
	int length;
	struct in_addr ip;
	if (sscanf(env("FLOOR_SUBNET"), "%15[0-9.]/%d", text, &length) != 2) fail(__LINE__);
	inet_pton(AF_INET, text, &ip);
	subnet = ntohl(ip.s_addr), mask = ~0u << (32 - length);

	owner_text(owner);
	int file = MUST(open(store, O_WRONLY | O_TMPFILE | O_CLOEXEC, 0600));
	MUST(write(file, owner, strlen(owner)));
	MUST(fsync(file));
	int lock = lock_store(store);
	if (owned(store, owner, path)) fail(__LINE__);
	snprintf(last, sizeof last, "%s/last_reserved_ip.0", store);
	unsigned at = subnet + 1;
	if (read_file_at(AT_FDCWD, last, text, sizeof text) > 0 && inet_pton(AF_INET, text, &ip)) at = ntohl(ip.s_addr);
	snprintf(from, sizeof from, "/proc/self/fd/%d", file);
	do {
		if (++at >= (subnet | ~mask)) at = subnet + 2; // the first is the gateway
		ip.s_addr = htonl(at);
		snprintf(path, sizeof path, "%s/%s", store, inet_ntop(AF_INET, &ip, text, sizeof text));
	} while (linkat(AT_FDCWD, from, AT_FDCWD, path, AT_SYMLINK_FOLLOW) && (errno == EEXIST || (fail(__LINE__), 0)));
	write_file(last, O_CREAT | O_TRUNC, text);
	close(lock);
	close(file);
	return ip;
}

static void release(void) {
	const char *store = env("FLOOR_STORE");
	char owner[256], name[256], path[512];
	owner_text(owner);
	int lock = lock_store(store);
	if (owned(store, owner, name)) {
		snprintf(path, sizeof path, "%s/%s", store, name);
		MUST(unlink(path));
	}
	close(lock);
}

// ---- bridge

static void local_mac(unsigned char *mac) { mac[0] = (mac[0] & 0xfc) | 2; }

static void add_pair(int fd, const char *port, int bridge, unsigned mtu, unsigned char *macs) {
	struct ifinfomsg none = {0};
	begin(RTM_NEWLINK, NLM_F_ACK | NLM_F_CREATE | NLM_F_EXCL, &none, sizeof none);
	attr(IFLA_ADDRESS, macs, 6);
	attr(IFLA_IFNAME, port, strlen(port) + 1);
	attr_u32(IFLA_MTU, mtu);
	attr_u32(IFLA_MASTER, bridge);
	attr_u32(IFLA_TXQLEN, 0);
	struct rtattr *info = attr(IFLA_LINKINFO, NULL, 0);
	attr(IFLA_INFO_KIND, "veth", 4);
	struct rtattr *data = attr(IFLA_INFO_DATA, NULL, 0), *peer = attr(VETH_INFO_PEER, &none, sizeof none);
	attr(IFLA_IFNAME, env("CNI_IFNAME"), strlen(env("CNI_IFNAME")) + 1);
	attr(IFLA_ADDRESS, macs + 6, 6);
	attr_u32(IFLA_MTU, mtu);
	attr_u32(IFLA_NET_NS_FD, pod_netns);
	end_nest(peer), end_nest(data), end_nest(info);
	send_all(fd, 1);
}

static void bridge_add(void) {
	char port[IFNAMSIZ], path[128], alias[256];
	unsigned char macs[12], hairpin = 1, isolated = 0;
	unsigned peer = 0;
	int node = open_netlink(NETLINK_ROUTE), pod = open_netlink_in_pod();
	int bridge = get_link(node, "cni0", 0, NULL).ifi_index;
	MUST(getrandom(macs, sizeof macs, 0));
	macs[0] = 0xfe, local_mac(macs), local_mac(macs + 6);
	snprintf(port, sizeof port, "veth%02x%02x%02x%02x", macs[2], macs[3], macs[4], macs[5]);
	add_pair(node, port, bridge, 1450, macs);

	int eth0 = get_link(pod, env("CNI_IFNAME"), 0, &peer).ifi_index;
	snprintf(path, sizeof path, "/proc/sys/net/ipv6/conf/%s/accept_ra", port);
	write_file(path, 0, "0");
	struct ifinfomsg flags = {.ifi_family = AF_BRIDGE, .ifi_index = peer};
	begin(RTM_SETLINK, 0, &flags, sizeof flags);
	struct rtattr *info = attr(IFLA_PROTINFO | NLA_F_NESTED, NULL, 0);
	attr(IFLA_BRPORT_MODE, &hairpin, 1);
	attr(IFLA_BRPORT_ISOLATED, &isolated, 1);
	end_nest(info);
	set_link(peer, IFF_UP, IFF_UP);
	snprintf(alias, sizeof alias, "cni:cbr0:%s:%s", env("CNI_CONTAINERID"), env("CNI_IFNAME"));
	attr(IFLA_IFALIAS, alias, strlen(alias));
	send_all(node, 1);

	struct in_addr ip = reserve(), network = {htonl(subnet & 0xffff0000)};
	masquerade(ip);
	unsigned gateway = htonl(subnet + 1), broadcast = htonl(subnet | ~mask);
	snprintf(path, sizeof path, "/proc/sys/net/ipv4/conf/%s/arp_notify", env("CNI_IFNAME"));
	pod_sysctl(path, "1");
	snprintf(path, sizeof path, "/proc/sys/net/ipv6/conf/%s/accept_dad", env("CNI_IFNAME"));
	pod_sysctl(path, "0");
	struct ifaddrmsg addr = {.ifa_family = AF_INET, .ifa_prefixlen = __builtin_popcount(mask), .ifa_index = eth0};
	begin(RTM_NEWADDR, NLM_F_CREATE | NLM_F_EXCL, &addr, sizeof addr);
	attr(IFA_ADDRESS, &ip, 4);
	attr(IFA_LOCAL, &ip, 4);
	attr_u32(IFA_BROADCAST, broadcast);
	set_link(eth0, IFF_UP, IFF_UP);
	message->nlmsg_flags &= ~NLM_F_ACK;
	add_route(eth0, &network, 16, gateway);
	message->nlmsg_flags &= ~NLM_F_ACK;
	add_route(eth0, NULL, 0, gateway);
	send_all(pod, 1);

	list_addrs(node, bridge);
	MUST(read_file_at(AT_FDCWD, "/proc/sys/net/ipv4/ip_forward", path, sizeof path));
	get_link(node, NULL, peer, NULL);
	set_link(eth0, 0, 0); // the same MAC once more makes the kernel announce the address
	attr(IFLA_ADDRESS, macs + 6, 6);
	send_all(pod, 1);
	dprintf(1, "{\"ips\":[{\"address\":\"%s\"}]}\n", inet_ntop(AF_INET, &ip, path, sizeof path));
}

static void bridge_del(void) {
	int pod = open_netlink_in_pod();
	struct ifinfomsg any = {0};
	begin(RTM_DELLINK, NLM_F_ACK, &any, sizeof any);
	attr(IFLA_IFNAME, env("CNI_IFNAME"), strlen(env("CNI_IFNAME")) + 1);
	send_all(pod, 1);
	close(pod);
	unmasquerade();
	release();
}

// ---- flannel, loopback

static void flannel_add(void) {
	const char *saved = env("FLOOR_SAVED");
	char path[512], temporary[512];
	unsigned char random[8];
	MUST(read_file_at(AT_FDCWD, "/run/flannel/subnet.env", buffer, sizeof buffer));
	snprintf(path, sizeof path, "%s/%s", saved, env("CNI_CONTAINERID"));
	if (read_file_at(AT_FDCWD, path, buffer, sizeof buffer) >= 0) fail(__LINE__);
	MUST(getrandom(random, sizeof random, 0));
	snprintf(temporary, sizeof temporary, "%s/.%llx.tmp", saved, *(unsigned long long *)random);
	int fd = MUST(open(temporary, O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, 0600));
	MUST(write(fd, config, strlen(config)));
	MUST(fsync(fd));
	close(fd);
	MUST(rename(temporary, path));
	bridge_add();
}

static void flannel_del(void) {
	char path[512];
	snprintf(path, sizeof path, "%s/%s", env("FLOOR_SAVED"), env("CNI_CONTAINERID"));
	MUST(read_file_at(AT_FDCWD, path, buffer, sizeof buffer));
	bridge_del();
	MUST(unlink(path));
}

static void loopback(int up) {
	int pod = open_netlink_in_pod();
	set_link(1, up, IFF_UP);
	send_all(pod, 1);
	if (!up) return;
	list_addrs(pod, 1);
	dprintf(1, "{\"interfaces\":[{\"name\":\"lo\"}]}\n");
}

int main(int count, char **args) {
	const char *verb = env("CNI_COMMAND"), *slash = strrchr(args[0], '/'), *plugin = slash ? slash + 1 : args[0];
	(void)count;
	if (!strcmp(verb, "VERSION")) return dprintf(1, "{\"cniVersion\":\"1.1.0\",\"supportedVersions\":[\"1.1.0\"]}\n") < 0;
	int add = !strcmp(verb, "ADD");
	for (ssize_t n, at = 0; (n = MUST(read(0, config + at, sizeof config - 1 - at))) > 0;) at += n;
	open_netns();
	read_backend();
	if (!strcmp(plugin, "flannel")) add ? flannel_add() : flannel_del();
	else if (!strcmp(plugin, "bridge")) add ? bridge_add() : bridge_del();
	else if (!strcmp(plugin, "portmap")) add ? portmap_add() : portmap_del();
	else if (!strcmp(plugin, "loopback")) loopback(add ? IFF_UP : 0);
	else if (add) dprintf(1, "{\"ips\":[{\"address\":\"%s\"}]}\n", inet_ntoa(reserve()));
	else release();
	return 0;
}
