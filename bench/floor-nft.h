// The packet filter's part of the floor (floor.c includes it): the requests that bridge with ipMasq and portmap send to
// nf_tables, in ours' order, where others have had rules before, so that tables and shared chains are there. A container's
// chain is named by its id instead of by SHA-512, which the kernel does not mind.
//
//   FLOOR_BACKEND  nftables or iptables, whose rules are expressions of nf_tables as well; none: no packet filter
//   FLOOR_PORTS    portmap's ports of the node, from 8000 on, all to port 80 of 10.244.1.77/24
#include <arpa/inet.h>
#include <linux/netfilter.h>
#include <linux/netfilter/nf_tables.h>
#include <linux/netfilter/nf_tables_compat.h>
#include <linux/netfilter/nfnetlink.h>

#define MASQUERADE_TABLE "cni_plugins_masquerade"
#define HOSTPORT "cni_hostport"
#define NETWORK_HASH "cb6e746fae1a4d6c" // of cbr0
static const char *container, *backend;
static int is_iptables;

static void read_backend(void) {
	container = env("CNI_CONTAINERID");
	backend = getenv("FLOOR_BACKEND");
	is_iptables = backend && !strcmp(backend, "iptables");
}

// ---- requests

static void begin_nft(int type, int flags, int family) {
	struct nfgenmsg header = {.nfgen_family = family};
	begin(NFNL_SUBSYS_NFTABLES << 8 | type, flags, &header, sizeof header);
}

static void attr_text(int type, const char *text) { attr(type, text, strlen(text) + 1); }
static void attr_be32(int type, unsigned value) { attr_u32(type, htonl(value)); }
static struct rtattr *nest(int type) { return attr(type | NLA_F_NESTED, NULL, 0); }

// Asks for chains in one datagram; a bit for each that is there.
static unsigned get_chains(int fd, int count, const int *families, const char *const *names, const char *const *chains) {
	unsigned there = 0;
	for (int i = 0; i < count; i++) {
		begin_nft(NFT_MSG_GETCHAIN, 0, families[i]);
		attr_text(NFTA_CHAIN_TABLE, names[i]);
		attr_text(NFTA_CHAIN_NAME, chains[i]);
	}
	int first = messages - count + 1;
	MUST(send(fd, out, out_length, 0));
	for (int i = 0; i < count; i++) {
		MUST(recv(fd, buffer, sizeof buffer, 0));
		struct nlmsghdr *answer = (void *)buffer;
		if (answer->nlmsg_type != NLMSG_ERROR) there |= 1u << (answer->nlmsg_seq - first);
	}
	out_length = messages = 0;
	return there;
}

static unsigned get_chains_of(int fd, const char *table, int count, const char *const *chains) {
	int families[8];
	const char *names[8];
	for (int i = 0; i < count; i++) families[i] = AF_INET, names[i] = table;
	return get_chains(fd, count, families, names, chains);
}

static unsigned get_generation(int fd) {
	begin_nft(NFT_MSG_GETGEN, 0, 0);
	send_all(fd, 1);
	return *(unsigned *)(buffer + NLMSG_HDRLEN + sizeof(struct nfgenmsg) + NLA_HDRLEN);
}

static void get_table(int fd, int family, const char *table) {
	begin_nft(NFT_MSG_GETTABLE, 0, family);
	attr_text(NFTA_TABLE_NAME, table);
	send_all(fd, 1);
}

// Which tables there are, by the places below.
static const struct table {
	int family;
	const char *name;
} tables[] = {{NFPROTO_INET, MASQUERADE_TABLE}, {AF_INET, "nat"}, {AF_INET6, "nat"}, {AF_INET, HOSTPORT}, {AF_INET6, HOSTPORT}};

static unsigned list_tables(int fd, int *any) {
	unsigned there = 0;
	begin_nft(NFT_MSG_GETTABLE, NLM_F_DUMP, 0);
	MUST(send(fd, out, out_length, 0));
	out_length = messages = 0;
	for (*any = 0;;) {
		int left = MUST(recv(fd, buffer, sizeof buffer, 0));
		for (struct nlmsghdr *each = (void *)buffer; NLMSG_OK(each, left); each = NLMSG_NEXT(each, left)) {
			if (each->nlmsg_type == NLMSG_DONE || each->nlmsg_type == NLMSG_ERROR) return there;
			struct nfgenmsg *header = NLMSG_DATA(each);
			struct rtattr *name = (void *)(header + 1); // the first attribute
			*any = 1;
			for (unsigned i = 0; i < sizeof tables / sizeof *tables; i++)
				if (header->nfgen_family == tables[i].family && !strcmp(RTA_DATA(name), tables[i].name)) there |= 1u << i;
		}
	}
}

struct found {
	unsigned long long handles[1024];
	int count;
};

// Lists what was asked for to its end; keeps the handles of the rules that have the text in them.
static void dump(int fd, const char *mention, struct found *found) {
	MUST(send(fd, out, out_length, 0));
	out_length = messages = 0;
	for (;;) {
		int left = MUST(recv(fd, buffer, sizeof buffer, 0));
		for (struct nlmsghdr *each = (void *)buffer; NLMSG_OK(each, left); each = NLMSG_NEXT(each, left)) {
			if (each->nlmsg_type == NLMSG_DONE || each->nlmsg_type == NLMSG_ERROR) return;
			if (!mention || !memmem(each, each->nlmsg_len, mention, strlen(mention))) continue;
			struct rtattr *at = (void *)((char *)NLMSG_DATA(each) + sizeof(struct nfgenmsg));
			for (int rest = each->nlmsg_len - NLMSG_LENGTH(sizeof(struct nfgenmsg)); RTA_OK(at, rest); at = RTA_NEXT(at, rest))
				if (at->rta_type == NFTA_RULE_HANDLE) memcpy(&found->handles[found->count++], RTA_DATA(at), 8);
		}
	}
}

static void list_rules(int fd, int family, const char *table, const char *chain, const char *mention, struct found *found) {
	begin_nft(NFT_MSG_GETRULE, NLM_F_DUMP, family);
	attr_text(NFTA_RULE_TABLE, table);
	attr_text(NFTA_RULE_CHAIN, chain);
	dump(fd, mention, found);
}

static void begin_batch(unsigned generation) {
	struct nfgenmsg header = {.res_id = htons(NFNL_SUBSYS_NFTABLES)};
	begin(NFNL_MSG_BATCH_BEGIN, 0, &header, sizeof header);
	attr_u32(NFNL_BATCH_GENID, generation);
}

// The last change asks for an ack, as it answers for all.
static void send_batch(int fd) {
	message->nlmsg_flags |= NLM_F_ACK;
	struct nfgenmsg header = {.res_id = htons(NFNL_SUBSYS_NFTABLES)};
	begin(NFNL_MSG_BATCH_END, 0, &header, sizeof header);
	if (send(fd, out, out_length, 0) < 0) {
		if (errno != EMSGSIZE) fail(__LINE__);
		MUST(setsockopt(fd, SOL_SOCKET, SO_SNDBUFFORCE, &out_length, sizeof out_length));
		MUST(send(fd, out, out_length, 0));
	}
	MUST(recv(fd, buffer, sizeof buffer, 0));
	struct nlmsghdr *answer = (void *)buffer;
	if (answer->nlmsg_type == NLMSG_ERROR && (errno = -*(int *)NLMSG_DATA(answer))) fail(__LINE__);
	out_length = messages = 0;
}

static void delete_rules(int family, const char *table, const char *chain, const struct found *found) {
	for (int i = 0; i < found->count; i++) {
		begin_nft(NFT_MSG_DELRULE, 0, family);
		attr_text(NFTA_RULE_TABLE, table);
		attr_text(NFTA_RULE_CHAIN, chain);
		attr(NFTA_RULE_HANDLE, &found->handles[i], 8);
	}
}

static void change_chain(int type, int flags, const char *table, const char *chain) {
	begin_nft(type, flags, AF_INET);
	attr_text(NFTA_CHAIN_TABLE, table);
	attr_text(NFTA_CHAIN_NAME, chain);
}

// ---- rules

static struct rtattr *rule_exprs, *expr, *expr_data;

static void begin_rule(int family, const char *table, const char *chain, int protocol) {
	begin_nft(NFT_MSG_NEWRULE, NLM_F_CREATE | NLM_F_APPEND, family);
	attr_text(NFTA_RULE_TABLE, table);
	attr_text(NFTA_RULE_CHAIN, chain);
	if (protocol) {
		struct rtattr *compat = nest(NFTA_RULE_COMPAT);
		attr_be32(NFTA_RULE_COMPAT_PROTO, protocol);
		attr_be32(NFTA_RULE_COMPAT_FLAGS, 0);
		end_nest(compat);
	}
	rule_exprs = nest(NFTA_RULE_EXPRESSIONS);
}

static void begin_expr(const char *name) {
	expr = nest(NFTA_LIST_ELEM);
	attr_text(NFTA_EXPR_NAME, name);
	expr_data = nest(NFTA_EXPR_DATA);
}

static void end_expr(void) { end_nest(expr_data), end_nest(expr); }

static void numbers(const char *name, int count, const unsigned (*pairs)[2]) {
	begin_expr(name);
	for (int i = 0; i < count; i++) attr_be32(pairs[i][0], pairs[i][1]);
	end_expr();
}
#define NUMBERS(name, ...) ({ \
	static const unsigned pairs_[][2] = {__VA_ARGS__}; \
	numbers(name, sizeof pairs_ / sizeof *pairs_, pairs_); \
})

static void value(int type, const void *bytes, int length) {
	struct rtattr *data = nest(type);
	attr(NFTA_DATA_VALUE, bytes, length);
	end_nest(data);
}

static void load_meta(unsigned key) {
	unsigned pairs[][2] = {{NFTA_META_DREG, 1}, {NFTA_META_KEY, key}};
	numbers("meta", 2, pairs);
}

static void load_payload(unsigned base, unsigned offset, unsigned length) {
	unsigned pairs[][2] = {{NFTA_PAYLOAD_DREG, 1}, {NFTA_PAYLOAD_BASE, base}, {NFTA_PAYLOAD_OFFSET, offset}, {NFTA_PAYLOAD_LEN, length}};
	numbers("payload", 4, pairs);
}
#define SOURCE 12
#define DESTINATION 16

static void compare(int operator, const void *bytes, int length) {
	begin_expr("cmp");
	attr_be32(NFTA_CMP_SREG, 1);
	attr_be32(NFTA_CMP_OP, operator);
	value(NFTA_CMP_DATA, bytes, length);
	end_expr();
}

static void address_is(int which, struct in_addr address, int bytes) {
	load_payload(NFT_PAYLOAD_NETWORK_HEADER, which, bytes);
	compare(NFT_CMP_EQ, &address, bytes);
}

static void is_tcp(void) {
	load_meta(NFT_META_L4PROTO);
	compare(NFT_CMP_EQ, "\x06", 1);
}

static void immediate(int reg, const void *bytes, int length) {
	begin_expr("immediate");
	attr_be32(NFTA_IMMEDIATE_DREG, reg);
	value(NFTA_IMMEDIATE_DATA, bytes, length);
	end_expr();
}

static void verdict(int code, const char *chain) {
	begin_expr("immediate");
	attr_be32(NFTA_IMMEDIATE_DREG, 0);
	struct rtattr *data = nest(NFTA_IMMEDIATE_DATA), *inner = nest(NFTA_DATA_VERDICT);
	attr_be32(NFTA_VERDICT_CODE, code);
	if (chain) attr_text(NFTA_VERDICT_CHAIN, chain);
	end_nest(inner), end_nest(data);
	end_expr();
}

// A match or target of x_tables.
static void xt(const char *kind, const char *name, unsigned revision, const void *info, int length) {
	begin_expr(kind);
	attr_text(NFTA_MATCH_NAME, name);
	attr_be32(NFTA_MATCH_REV, revision);
	attr(NFTA_MATCH_INFO, info, length);
	end_expr();
}

static void xt_comment(const char *text) {
	char info[256] = {0};
	strcpy(info, text);
	xt("match", "comment", 0, info, sizeof info);
}

static void counter(void) {
	begin_expr("counter");
	attr(NFTA_COUNTER_BYTES, NULL, 8);
	attr(NFTA_COUNTER_PACKETS, NULL, 8);
	end_expr();
}

// nft's comment, and perhaps our mark behind it.
static void end_rule(const char *comment, const char *mark) {
	unsigned char data[256];
	int length = 0;
	end_nest(rule_exprs);
	if (!comment) return;
	for (int type = 0; type < 2; type++) {
		const char *text = type ? mark : comment;
		if (!text) continue;
		data[length++] = type ? 0x77 : 0;
		data[length++] = strlen(text) + 1;
		strcpy((char *)data + length, text);
		length += strlen(text) + 1;
	}
	attr(NFTA_RULE_USERDATA, data, length);
}

static void look_for_iptables(void) {
	char path[512], link[64], real[256];
	struct stat is;
	for (const char *at = env("PATH"), *end; *at; at = *end ? end + 1 : end) {
		end = strchrnul(at, ':');
		snprintf(path, sizeof path, "%.*s/iptables", (int)(end - at), at);
		int fd = open(path, O_RDONLY | O_CLOEXEC | O_PATH);
		if (fd < 0) continue;
		MUST(fstat(fd, &is));
		MUST(access(path, X_OK));
		snprintf(link, sizeof link, "/proc/self/fd/%d", fd);
		MUST(readlink(link, real, sizeof real));
		close(fd);
		return;
	}
	fail(__LINE__);
}

static void look_for_older_tables(void) {
	char text[256];
	MUST(read_file_at(AT_FDCWD, "/proc/net/ip_tables_names", text, sizeof text));
	MUST(read_file_at(AT_FDCWD, "/proc/net/ip6_tables_names", text, sizeof text));
}

// ---- bridge's masquerading

static void masquerade(struct in_addr ip) {
	static const char *const nft_chains[] = {"masq_checks", "postrouting"};
	char chain[64], comment[256];
	if (!backend) return;
	if (is_iptables) look_for_iptables();
	int fd = open_netlink(NETLINK_NETFILTER);
	get_generation(fd);
	unsigned generation = get_generation(fd);
	if (!is_iptables) {
		get_table(fd, NFPROTO_INET, MASQUERADE_TABLE);
		int families[] = {NFPROTO_INET, NFPROTO_INET};
		const char *names[] = {MASQUERADE_TABLE, MASQUERADE_TABLE};
		get_chains(fd, 2, families, names, nft_chains);
		for (int i = 0; i < 2; i++) list_rules(fd, NFPROTO_INET, MASQUERADE_TABLE, nft_chains[i], NULL, NULL);
		begin_batch(generation);
		begin_rule(NFPROTO_INET, MASQUERADE_TABLE, "masq_checks", 0);
		load_meta(NFT_META_NFPROTO);
		compare(NFT_CMP_EQ, "\x02", 1);
		address_is(SOURCE, ip, 4);
		load_payload(NFT_PAYLOAD_NETWORK_HEADER, DESTINATION, 3);
		compare(NFT_CMP_NEQ, &ip, 3);
		begin_expr("masq"), end_expr();
		snprintf(comment, sizeof comment, NETWORK_HASH "-%.16s, net: cbr0, if: %s, id: %.64s", container, env("CNI_IFNAME"), container);
		end_rule(comment, NULL);
	} else {
		snprintf(chain, sizeof chain, "CNI-%.24s", container);
		snprintf(comment, sizeof comment, "name: \"cbr0\" id: \"%s\"", container);
		const char *chains[] = {chain, "POSTROUTING"};
		get_table(fd, AF_INET, "nat");
		get_chains_of(fd, "nat", 2, chains);
		begin_batch(generation);
		change_chain(NFT_MSG_NEWCHAIN, NLM_F_CREATE, "nat", chain);
		begin_rule(AF_INET, "nat", chain, 0);
		address_is(DESTINATION, ip, 3);
		xt_comment(comment), counter(), verdict(NF_ACCEPT, NULL);
		end_rule(NULL, NULL);
		begin_rule(AF_INET, "nat", chain, 0);
		load_payload(NFT_PAYLOAD_NETWORK_HEADER, DESTINATION, 4);
		begin_expr("bitwise");
		attr_be32(NFTA_BITWISE_SREG, 1), attr_be32(NFTA_BITWISE_DREG, 1), attr_be32(NFTA_BITWISE_LEN, 4);
		value(NFTA_BITWISE_MASK, "\xf0\0\0", 4), value(NFTA_BITWISE_XOR, "\0\0\0", 4);
		end_expr();
		compare(NFT_CMP_NEQ, "\xe0\0\0", 4);
		xt_comment(comment), counter();
		xt("target", "MASQUERADE", 0, (char[24]){1}, 24);
		end_rule(NULL, NULL);
		begin_rule(AF_INET, "nat", "POSTROUTING", 0);
		address_is(SOURCE, ip, 4);
		xt_comment(comment), counter(), verdict(NFT_JUMP, chain);
		end_rule(NULL, NULL);
	}
	send_batch(fd);
	close(fd);
}

// DEL looks whatever is configured: where there are no tables at all, that is the only question.
static void unmasquerade(void) {
	struct found found = {0};
	int any, fd = open_netlink(NETLINK_NETFILTER);
	list_tables(fd, &any);
	if (any) {
		char chain[64];
		const char *chains[] = {chain};
		unsigned generation = get_generation(fd), there = list_tables(fd, &any), jumped = 0;
		if (there & 1) list_rules(fd, NFPROTO_INET, MASQUERADE_TABLE, "masq_checks", container, &found);
		snprintf(chain, sizeof chain, "CNI-%.24s", container);
		if (there & 2) jumped = get_chains_of(fd, "nat", 1, chains);
		if (jumped) list_rules(fd, AF_INET, "nat", "POSTROUTING", chain, &found);
		if (jumped || found.count) {
			begin_batch(generation);
			if (jumped) {
				delete_rules(AF_INET, "nat", "POSTROUTING", &found);
				change_chain(NFT_MSG_DELCHAIN, 0, "nat", chain);
			} else delete_rules(NFPROTO_INET, MASQUERADE_TABLE, "masq_checks", &found);
			send_batch(fd);
		} else get_generation(fd);
	}
	close(fd);
	look_for_older_tables();
}

// ---- portmap

static const struct in_addr localhost = {0x0100007f};
static struct in_addr pod_ip;

static int ports(void) {
	inet_pton(AF_INET, "10.244.1.77", &pod_ip);
	return atoi(env("FLOOR_PORTS"));
}

static int lock_rules(void) {
	mkdir("/run/cni", 0755);
	mkdir("/run/cni/locks", 0755);
	return lock_file("/run/cni/locks/portmap", 0600);
}

static void container_chain(char *to, const char *prefix) { sprintf(to, "%s%.21s", prefix, container); }

static void map_by_nftables(int fd) {
	static const char *const chains[] = {"hostports", "hostip_hostports", "hostports_all", "prerouting", "output", "masquerading"};
	static const int read[] = {0, 2, 3, 4};
	char mark[64];
	snprintf(mark, sizeof mark, NETWORK_HASH " %s", env("CNI_IFNAME"));
	unsigned generation = get_generation(fd);
	get_table(fd, AF_INET, HOSTPORT);
	get_chains_of(fd, HOSTPORT, 6, chains);
	for (int i = 0; i < 4; i++) list_rules(fd, AF_INET, HOSTPORT, chains[read[i]], NULL, NULL);
	begin_batch(generation);
	for (int i = 0, count = ports(); i < count; i++) {
		unsigned short from = htons(8000 + i), to = htons(80);
		begin_rule(AF_INET, HOSTPORT, "hostports", 0);
		is_tcp();
		load_payload(NFT_PAYLOAD_TRANSPORT_HEADER, 2, 2);
		compare(NFT_CMP_EQ, &from, 2);
		immediate(1, &pod_ip, 4);
		immediate(2, &to, 2);
		NUMBERS("nat", {NFTA_NAT_TYPE, NFT_NAT_DNAT}, {NFTA_NAT_FAMILY, AF_INET}, {NFTA_NAT_REG_ADDR_MIN, 1}, {NFTA_NAT_REG_PROTO_MIN, 2});
		end_rule(container, mark);
	}
	for (int i = 0; i < 2; i++) {
		begin_rule(AF_INET, HOSTPORT, "masquerading", 0);
		address_is(SOURCE, i ? localhost : pod_ip, 4);
		address_is(DESTINATION, pod_ip, 4);
		begin_expr("masq"), end_expr();
		end_rule(container, mark);
	}
	send_batch(fd);
}

static void tcp_port(int port) {
	unsigned short info[8] = {0, 0xffff, port, port};
	is_tcp();
	xt("match", "tcp", 0, info, sizeof info);
	counter();
}

static void map_by_iptables(int fd) {
	char own[64], comment[256];
	container_chain(own, "CNI-DN-");
	snprintf(comment, sizeof comment, "dnat name: \"cbr0\" id: \"%s\"", container);
	const char *chains[] = {"CNI-HOSTPORT-SETMARK", "CNI-HOSTPORT-MASQ", "POSTROUTING", own, "CNI-HOSTPORT-DNAT", "PREROUTING", "OUTPUT"};
	static const int read[] = {0, 1, 2, 5, 6};
	unsigned generation = get_generation(fd);
	list_rules(fd, AF_INET, "nat", "CNI-HOSTPORT-DNAT", NULL, NULL);
	list_rules(fd, AF_INET, "nat", own, NULL, NULL);
	get_table(fd, AF_INET, "nat");
	get_chains_of(fd, "nat", 7, chains);
	for (int i = 0; i < 5; i++) list_rules(fd, AF_INET, "nat", chains[read[i]], NULL, NULL);
	begin_batch(generation);
	change_chain(NFT_MSG_NEWCHAIN, NLM_F_CREATE, "nat", own);
	int count = ports();
	for (int i = 0; i < count; i++) {
		for (int each = 0; each < 2; each++) {
			begin_rule(AF_INET, "nat", own, IPPROTO_TCP);
			address_is(SOURCE, each ? localhost : pod_ip, each ? 4 : 3);
			tcp_port(8000 + i);
			verdict(NFT_JUMP, "CNI-HOSTPORT-SETMARK");
			end_rule(NULL, NULL);
		}
		// struct nf_nat_range2: flags, addresses, ports
		unsigned range[12] = {3, pod_ip.s_addr, 0, 0, 0, pod_ip.s_addr, 0, 0, 0, htons(80) * 0x10001u};
		begin_rule(AF_INET, "nat", own, IPPROTO_TCP);
		tcp_port(8000 + i);
		xt("target", "DNAT", 2, range, sizeof range);
		end_rule(NULL, NULL);
	}
	for (int i = 0; i < count; i += 15) {
		// struct xt_multiport_v1: of the destination, how many, which
		unsigned char info[48] = {1, count - i < 15 ? count - i : 15};
		for (int each = 0; each < info[1]; each++) memcpy(info + 2 + 2 * each, (unsigned short[]){8000 + i + each}, 2);
		begin_rule(AF_INET, "nat", "CNI-HOSTPORT-DNAT", IPPROTO_TCP);
		is_tcp();
		xt_comment(comment);
		xt("match", "multiport", 1, info, sizeof info);
		counter();
		verdict(NFT_JUMP, own);
		end_rule(NULL, NULL);
	}
	send_batch(fd);
}

// 127.0.0.1 may leave by the link behind which the container is.
static void allow_localnet(void) {
	int fd = open_netlink(NETLINK_ROUTE);
	struct rtmsg header = {.rtm_family = AF_INET, .rtm_dst_len = 32};
	begin(RTM_GETROUTE, 0, &header, sizeof header);
	attr(RTA_DST, &pod_ip, 4);
	int left = send_all(fd, 1) - NLMSG_LENGTH(sizeof header), index = 0;
	for (struct rtattr *at = RTM_RTA(NLMSG_DATA((struct nlmsghdr *)buffer)); RTA_OK(at, left); at = RTA_NEXT(at, left))
		if (at->rta_type == RTA_OIF) index = *(int *)RTA_DATA(at);
	get_link(fd, NULL, index, NULL);
	close(fd);
	char name[IFNAMSIZ], path[128], now[8];
	MUST(if_indextoname(index, name) ? 0 : -1);
	snprintf(path, sizeof path, "/proc/sys/net/ipv4/conf/%s/route_localnet", name);
	MUST(read_file_at(AT_FDCWD, path, now, sizeof now));
	if (now[0] != '1') write_file(path, 0, "1");
}

static void portmap_add(void) {
	if (ports() > 0) {
		if (is_iptables) look_for_iptables();
		int fd = open_netlink(NETLINK_NETFILTER);
		if (is_iptables) get_generation(fd);
		int lock = lock_rules();
		is_iptables ? map_by_iptables(fd) : map_by_nftables(fd);
		close(lock);
		close(fd);
		allow_localnet();
	}
	dprintf(1, "{\"ips\":[{\"address\":\"10.244.1.77/24\"}]}\n");
}

static void portmap_del(void) {
	static const char *const own_chains[] = {"hostports", "hostip_hostports", "masquerading"};
	// The places of their tables, and the chains by which packets come.
	static const int places[] = {3, 1, 1, 4, 2, 2};
	static const char *const ways[] = {"hostports", "CNI-HOSTPORT-DNAT", "CNI-HOSTPORT-SNAT"};
	static struct found found[4];
	int any, count = 0, fd = open_netlink(NETLINK_NETFILTER), families[6];
	const char *names[6], *chains[6];
	unsigned known = list_tables(fd, &any), mapped = 0, entered = 0;
	for (int i = 0; i < 6; i++) {
		if (!(known & 1u << places[i])) continue;
		if (i == 0) mapped = 1u << count;
		if (i == 1) entered = 1u << count;
		families[count] = tables[places[i]].family, names[count] = tables[places[i]].name, chains[count++] = ways[i % 3];
	}
	unsigned there = count ? get_chains(fd, count, families, names, chains) : 0;
	if (there) {
		char chain[64], old[64];
		const char *own[] = {chain}, *older[] = {old};
		unsigned jumped = 0;
		int lock = lock_rules();
		unsigned generation = get_generation(fd);
		for (int i = 0; i < 3 && there & mapped; i++) list_rules(fd, AF_INET, HOSTPORT, own_chains[i], container, &found[i]);
		if (there & entered) {
			container_chain(chain, "CNI-DN-");
			container_chain(old, "CNI-SN-");
			jumped = get_chains_of(fd, "nat", 1, own);
			get_chains_of(fd, "nat", 1, older);
			// Where neither is there the comments are looked through: the network may have had another name.
			if (!jumped) list_rules(fd, AF_INET, "nat", "CNI-HOSTPORT-DNAT", NULL, NULL);
		}
		if (jumped) {
			list_rules(fd, AF_INET, "nat", chain, NULL, NULL);
			get_chains_of(fd, "nat", 1, own);
			list_rules(fd, AF_INET, "nat", "CNI-HOSTPORT-DNAT", chain, &found[3]);
			list_rules(fd, AF_INET, "nat", "CNI-HOSTPORT-SNAT", NULL, NULL);
		}
		if (jumped || found[0].count) {
			begin_batch(generation);
			for (int i = 0; i < 3; i++) delete_rules(AF_INET, HOSTPORT, own_chains[i], &found[i]);
			if (jumped) {
				delete_rules(AF_INET, "nat", "CNI-HOSTPORT-DNAT", &found[3]);
				change_chain(NFT_MSG_DELCHAIN, 0, "nat", chain);
			}
			send_batch(fd);
		} else get_generation(fd);
		close(lock);
	}
	close(fd);
	look_for_older_tables();
}
