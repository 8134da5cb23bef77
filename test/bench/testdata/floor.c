// The least that any sandbox of this kind takes: seven namespaces, a root of
// its own with the host's /usr, no capabilities, Landlock, a system-call filter.
// Usage: floor FILTER PROGRAM [ARGUMENT]...
#define _GNU_SOURCE
#include <err.h>
#include <fcntl.h>
#include <linux/capability.h>
#include <linux/filter.h>
#include <linux/landlock.h>
#include <linux/seccomp.h>
#include <sched.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mount.h>
#include <sys/prctl.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

static void must(int r, const char *what)
{
	if (r < 0)
		err(1, "%s", what);
}

static void put(const char *file, const char *text)
{
	int fd = open(file, O_WRONLY | O_CLOEXEC);
	must(fd, file);
	must(write(fd, text, strlen(text)), file);
	close(fd);
}

static void root(void)
{
	must(mount(NULL, "/", NULL, MS_REC | MS_PRIVATE, NULL), "private");
	must(mount("tmpfs", "/mnt", "tmpfs", MS_NOSUID | MS_NODEV, "size=1m"), "tmpfs");
	must(chdir("/mnt"), "chdir");
	const char *dirs[] = {"usr", "proc", "dev", "tmp"};
	for (int i = 0; i < 4; i++)
		must(mkdir(dirs[i], 0755), dirs[i]);
	const char *links[] = {"bin", "lib", "lib64", "sbin"};
	for (int i = 0; i < 4; i++) {
		char target[32];
		snprintf(target, sizeof target, "usr/%s", links[i]);
		must(symlink(target, links[i]), links[i]);
	}
	must(mount("/usr", "usr", NULL, MS_BIND | MS_REC, NULL), "usr");
	must(mount(NULL, "usr", NULL, MS_BIND | MS_REMOUNT | MS_RDONLY | MS_NOSUID | MS_NODEV, NULL), "read-only");
	must(mount("proc", "proc", "proc", MS_NOSUID | MS_NODEV | MS_NOEXEC, NULL), "proc");
	must(mount("tmpfs", "dev", "tmpfs", MS_NOSUID | MS_NOEXEC, "size=64k"), "dev");
	must(open("dev/null", O_WRONLY | O_CREAT | O_CLOEXEC, 0666), "null");
	must(mount("/dev/null", "dev/null", NULL, MS_BIND, NULL), "null");
	must(syscall(SYS_pivot_root, ".", "."), "pivot_root");
	must(umount2(".", MNT_DETACH), "umount");
	must(chdir("/"), "chdir");
}

static void confine(const char *filter, size_t size)
{
	for (int c = 0; prctl(PR_CAPBSET_DROP, c, 0, 0, 0) == 0; c++)
		;
	struct __user_cap_header_struct header = {_LINUX_CAPABILITY_VERSION_3, 0};
	struct __user_cap_data_struct none[2] = {{0}};
	must(syscall(SYS_capset, &header, none), "capset");
	must(prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0), "no_new_privs");

	struct landlock_ruleset_attr rules = {.handled_access_fs = (1 << 13) - 1};
	int set = syscall(SYS_landlock_create_ruleset, &rules, sizeof rules, 0);
	must(set, "landlock");
	struct landlock_path_beneath_attr read = {.allowed_access = 1 | 1 << 2 | 1 << 3};
	read.parent_fd = open("/", O_PATH | O_CLOEXEC);
	must(syscall(SYS_landlock_add_rule, set, LANDLOCK_RULE_PATH_BENEATH, &read, 0), "rule");
	must(syscall(SYS_landlock_restrict_self, set, 0), "restrict");

	struct sock_fprog program = {size / 8, (struct sock_filter *)filter};
	must(syscall(SYS_seccomp, SECCOMP_SET_MODE_FILTER, 0, &program), "seccomp");
}

int main(int argc, char **argv)
{
	if (argc < 3)
		errx(2, "usage: floor FILTER PROGRAM [ARGUMENT]...");
	static char filter[65536];
	int fd = open(argv[1], O_RDONLY | O_CLOEXEC);
	must(fd, argv[1]);
	ssize_t size = read(fd, filter, sizeof filter);
	must(size, argv[1]);
	char map[64];
	snprintf(map, sizeof map, "1000 %d 1", getuid());
	gid_t gid = getgid();
	must(unshare(CLONE_NEWUSER), "user namespace");
	put("/proc/self/setgroups", "deny");
	put("/proc/self/uid_map", map);
	snprintf(map, sizeof map, "1000 %d 1", gid);
	put("/proc/self/gid_map", map);
	must(unshare(CLONE_NEWNS | CLONE_NEWPID | CLONE_NEWNET | CLONE_NEWIPC | CLONE_NEWUTS | CLONE_NEWCGROUP), "namespaces");
	pid_t child = fork();
	must(child, "fork");
	if (child == 0) {
		root();
		confine(filter, size);
		execvp(argv[2], argv + 2);
		err(127, "%s", argv[2]);
	}
	int status;
	must(waitpid(child, &status, 0), "wait");
	return WIFEXITED(status) ? WEXITSTATUS(status) : 1;
}
