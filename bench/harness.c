// The stopwatch: runs the commands of a plan alternately and writes one JSON line for each measured run.
//
//   harness PLAN OUT       the plan's grammar is in plan.mjs, which writes it
//   harness netns DIR N    makes N network namespaces, held by DIR/p0 ...
//
// It is small and static for a reason: a child made by vfork inherits its parent's peak memory, so this program's own
// must stay below that of whatever it measures. It allocates nothing. What is timed is vfork, exec and the child's life
// until wait4 returns; pipes, environment and standard input are made ready before. Refuses to go on after a command
// that failed: a plugin that does not work must not look fast.
#define _GNU_SOURCE
#include <errno.h>
#include <fcntl.h>
#include <sched.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/mount.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

enum { MAX_LANES = 8, MAX_STEPS = 12, MAX_VARS = 12, MAX_ARGS = 4, MAX_COUNT = 128, TEXT = 1 << 16 };

struct step {
	const char *name, *exe, *stdin_path;
	const char *args[MAX_ARGS + 2], *vars[MAX_VARS];
	int arg_count, var_count, count, every, measured, with_previous;
};

struct lane {
	const char *name;
	struct step steps[MAX_STEPS];
	int step_count;
	size_t result_length; // of this round's first step that printed something
	char result[8192];
};

struct child {
	pid_t pid;
	int in, out, out_end, status; // our ends of its pipes; out_end is its own, until it has started
	char text[2048], *env[MAX_VARS + 1];
};

static struct lane lanes[MAX_LANES];
static struct child children[MAX_COUNT];
static int lane_count, rounds, warmup, err_fd;
static char plan[TEXT], input[TEXT];

static void die(const char *format, ...) {
	va_list list;
	va_start(list, format);
	vfprintf(stderr, format, list);
	va_end(list);
	fprintf(stderr, "\n");
	exit(1);
}

static size_t read_whole(const char *path, char *to, size_t room) {
	int fd = open(path, O_RDONLY | O_CLOEXEC);
	if (fd < 0) die("open %s: %s", path, strerror(errno));
	size_t length = 0;
	ssize_t n;
	while ((n = read(fd, to + length, room - 1 - length)) > 0) length += n;
	close(fd);
	if (length + 1 >= room) die("%s is too long", path);
	to[length] = 0;
	return length;
}

static void parse_plan(const char *path) {
	read_whole(path, plan, sizeof plan);
	struct lane *lane = NULL;
	struct step *step = NULL;
	for (char *line = strtok(plan, "\n"); line; line = strtok(NULL, "\n")) {
		char *value = strchr(line, ' ');
		if (value) *value++ = 0;
		if (!strcmp(line, "rounds")) rounds = atoi(value);
		else if (!strcmp(line, "warmup")) warmup = atoi(value);
		else if (!strcmp(line, "lane") && lane_count < MAX_LANES) (lane = &lanes[lane_count++])->name = value;
		else if (!strcmp(line, "step") && lane && lane->step_count < MAX_STEPS) {
			step = &lane->steps[lane->step_count++];
			*step = (struct step){.name = value, .count = 1, .every = 1, .measured = 1};
		} else if (!step) die("plan: \"%s\" without a step", line);
		else if (!strcmp(line, "unmeasured")) step->measured = 0;
		else if (!strcmp(line, "previous")) step->with_previous = 1;
		else if (!strcmp(line, "every")) step->every = atoi(value);
		else if (!strcmp(line, "count") && atoi(value) <= MAX_COUNT) step->count = atoi(value);
		else if (!strcmp(line, "exe")) step->exe = step->args[0] = value, step->arg_count = 1;
		else if (!strcmp(line, "arg") && step->arg_count <= MAX_ARGS) step->args[step->arg_count++] = value;
		else if (!strcmp(line, "stdin")) step->stdin_path = value;
		else if (!strcmp(line, "env") && step->var_count < MAX_VARS) step->vars[step->var_count++] = value;
		else die("plan: cannot use \"%s\"", line);
	}
}

// Environment of the index-th instance: "{i}" becomes the index, "{id}" a container id of the usual 64 digits.
static void prepare_env(struct child *child, const struct step *step, int round, int index) {
	char *at = child->text, *end = child->text + sizeof child->text;
	for (int i = 0; i < step->var_count; i++) {
		child->env[i] = at;
		for (const char *from = step->vars[i]; *from;) {
			if (end - at < 80) die("environment of \"%s\" is too long", step->name);
			if (!strncmp(from, "{i}", 3)) at += sprintf(at, "%d", index), from += 3;
			else if (!strncmp(from, "{id}", 4)) at += sprintf(at, "%032x%032x", round + 1, index + 1), from += 4;
			else *at++ = *from++;
		}
		*at++ = 0;
	}
	child->env[step->var_count] = NULL;
}

static size_t prepare_input(const struct lane *lane, const struct step *step) {
	if (!step->stdin_path) return 0;
	size_t length = read_whole(step->stdin_path, input, sizeof input);
	if (!step->with_previous) return length;
	while (length && input[length - 1] != '}') length--;
	if (!length || length + lane->result_length + 32 > sizeof input) die("%s: no room for a prevResult", step->stdin_path);
	length += sprintf(input + length - 1, ",\"prevResult\":%.*s}", (int)lane->result_length, lane->result) - 1;
	return length;
}

static void prepare_pipes(struct child *child, size_t length) {
	int in[2], out[2];
	if (pipe2(in, O_CLOEXEC) || pipe2(out, O_CLOEXEC)) die("pipe: %s", strerror(errno));
	if (write(in[1], input, length) != (ssize_t)length) die("%zu bytes do not fit a pipe", length);
	close(in[1]);
	child->in = in[0];
	child->out = out[0];
	child->out_end = out[1];
}

static void start(struct child *child, const struct step *step) {
	pid_t pid = vfork();
	if (pid == 0) {
		dup2(child->in, 0);
		dup2(child->out_end, 1);
		dup2(err_fd, 2);
		execve(step->exe, (char **)step->args, child->env);
		_exit(127);
	}
	if (pid < 0) die("vfork: %s", strerror(errno));
	child->pid = pid;
	close(child->out_end);
}

static long microseconds(struct timeval time) { return time.tv_sec * 1000000L + time.tv_usec; }

static void failed(const struct lane *lane, const struct step *step, int round, const struct child *child, const char *said) {
	char text[4096];
	ssize_t n = pread(err_fd, text, sizeof text - 1, 0);
	text[n < 0 ? 0 : n] = 0;
	die("%s, step %s, round %d: wait status 0x%x\nenvironment: %s ...\nstdin: %s\nstdout: %s\nstderr: %s", lane->name, step->name,
	    round, child->status, child->env[0] ? child->env[0] : "", input, said, text);
}

static void run(struct lane *lane, const struct step *step, int round, FILE *to) {
	size_t length = prepare_input(lane, step);
	for (int i = 0; i < step->count; i++) {
		prepare_env(&children[i], step, round, i);
		prepare_pipes(&children[i], length);
	}
	if (ftruncate(err_fd, 0) || lseek(err_fd, 0, SEEK_SET)) die("memfd: %s", strerror(errno));
	alarm(120); // a command that hangs ends us

	struct timespec begin, end;
	long user = 0, system = 0, faults = 0, peak = 0;
	clock_gettime(CLOCK_MONOTONIC, &begin);
	for (int i = 0; i < step->count; i++) start(&children[i], step);
	for (int i = 0; i < step->count; i++) {
		struct rusage usage;
		if (wait4(children[i].pid, &children[i].status, 0, &usage) < 0) die("wait4: %s", strerror(errno));
		user += microseconds(usage.ru_utime);
		system += microseconds(usage.ru_stime);
		faults += usage.ru_minflt;
		if (usage.ru_maxrss > peak) peak = usage.ru_maxrss;
	}
	clock_gettime(CLOCK_MONOTONIC, &end);

	for (int i = 0; i < step->count; i++) {
		char said[sizeof lane->result];
		ssize_t n, got = 0;
		while (got < (ssize_t)sizeof said - 1 && (n = read(children[i].out, said + got, sizeof said - 1 - got)) > 0) got += n;
		said[got] = 0;
		close(children[i].in);
		close(children[i].out);
		if (children[i].status) failed(lane, step, round, &children[i], said);
		if (got && !lane->result_length) memcpy(lane->result, said, lane->result_length = got);
	}
	if (!step->measured || round < 0) return;
	double wall = (end.tv_sec - begin.tv_sec) * 1e6 + (end.tv_nsec - begin.tv_nsec) / 1e3;
	fprintf(to, "{\"lane\":\"%s\",\"step\":\"%s\",\"round\":%d,\"wall\":%.1f,\"user\":%ld,\"system\":%ld,\"peak\":%ld,\"faults\":%ld}\n",
	        lane->name, step->name, round, wall, user, system, peak, faults);
}

// Any order of the lanes as likely as any other, so that nobody always runs after the same neighbour.
static void shuffle(int *order) {
	static unsigned state = 2463534242u;
	for (int i = lane_count - 1; i > 0; i--) {
		state ^= state << 13, state ^= state >> 17, state ^= state << 5;
		int other = state % (i + 1), kept = order[i];
		order[i] = order[other];
		order[other] = kept;
	}
}

// Held by bind mounts, for as long as the mount namespace lasts: nothing is torn down while something is measured.
static void make_netns(const char *directory, int count) {
	for (int i = 0; i < count; i++) {
		char path[512];
		snprintf(path, sizeof path, "%s/p%d", directory, i);
		close(open(path, O_CREAT | O_WRONLY | O_CLOEXEC, 0444));
		if (unshare(CLONE_NEWNET) || mount("/proc/self/ns/net", path, NULL, MS_BIND, NULL)) die("netns %s: %s", path, strerror(errno));
	}
}

int main(int count, char **args) {
	if (count == 4 && !strcmp(args[1], "netns")) return make_netns(args[2], atoi(args[3])), 0;
	if (count != 3) die("harness PLAN OUT, or harness netns DIR N");
	parse_plan(args[1]);
	FILE *to = fopen(args[2], "we");
	if (!to || (err_fd = memfd_create("stderr", MFD_CLOEXEC)) < 0) die("%s: %s", args[2], strerror(errno));

	int order[MAX_LANES];
	for (int i = 0; i < lane_count; i++) order[i] = i;
	for (int round = -warmup; round < rounds; round++) {
		shuffle(order);
		for (int i = 0; i < lane_count; i++) {
			struct lane *lane = &lanes[order[i]];
			lane->result_length = 0;
			for (int s = 0; s < lane->step_count; s++)
				if (round % lane->steps[s].every == 0) run(lane, &lane->steps[s], round, to);
		}
	}
	return fclose(to) ? 1 : 0;
}
