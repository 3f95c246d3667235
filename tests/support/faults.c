/* Preloaded before the C library: stops, kills or fails a process at its n-th file call below a folder.
 *
 * It sits beneath Python and SQLite alike, so that SQLite's own I/O is met too. `faults_arm` says what happens when; calls on
 * other files are not counted. Descriptors are looked up in /proc, so nobody needs to tell us what was opened. A program that knows
 * nothing of us is told by its environment: FAULTS is "NTH ACTION ERROR EVER_AFTER FOLDER NAME" with tabs between.
 */
#define _GNU_SOURCE
#include <dlfcn.h>
#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdarg.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/uio.h>
#include <unistd.h>

enum { COUNT, FAIL, KILL, TEAR, SHORT };

static char folder[4096], part[256];
static atomic_long count;
static long at;
static int action, error_number, for_good, trace_fd = -1;
static __thread char near[4096];

/* below: absolute path of a folder. name: what a call's line in the trace must contain; reads are counted only where it begins with
 * "pread". what: COUNT and so on. */
void faults_arm(const char *below, const char *name, long nth, int what, int number, int ever_after, int trace)
{
    snprintf(folder, sizeof folder, "%s", below);
    snprintf(part, sizeof part, "%s", name);
    at = nth, action = what, error_number = number, for_good = ever_after, trace_fd = trace;
    atomic_store(&count, 0);
}

__attribute__((constructor)) static void arm_by_environment(void)
{
    char below[4096], name[256] = "";
    long nth;
    int what, number, ever_after;
    const char *given = getenv("FAULTS");
    if (given && sscanf(given, "%ld\t%d\t%d\t%d\t%4095[^\t]\t%255[^\t]", &nth, &what, &number, &ever_after, below, name) >= 5)
        faults_arm(below, name, nth, what, number, ever_after, -1);
}

long faults_count(void) { return atomic_load(&count); }

static const char *path_of(int fd)
{
    char link[64];
    snprintf(link, sizeof link, "/proc/self/fd/%d", fd);
    ssize_t length = readlink(link, near, sizeof near - 1);
    near[length < 0 ? 0 : length] = 0;
    return near;
}

/* Whether this call is the one, or one after it. */
static int is_due(const char *call, const char *path)
{
    size_t length = strlen(folder);
    char line[4200];
    if (!length || !path || strncmp(path, folder, length))
        return 0;
    snprintf(line, sizeof line, "%s %s\n", call, path + length);
    if (!strstr(line, part))
        return 0;
    long number = atomic_fetch_add(&count, 1) + 1;
    if (trace_fd >= 0)
        dprintf(trace_fd, "%s", line);
    return action != COUNT && (number == at || (for_good && number > at));
}

/* Before a call that writes no octets: 1 when it must fail, with errno set. */
static int meet(const char *call, const char *path)
{
    if (!is_due(call, path) || action == SHORT)
        return 0;
    if (action != FAIL)
        kill(getpid(), SIGKILL);
    errno = error_number;
    return 1;
}

/* Before a call that writes `octets`: how many it may write, -1 when it must fail. *dies: kill when that is written. */
static ssize_t room(const char *call, int fd, size_t octets, int *dies)
{
    *dies = 0;
    if (!is_due(call, path_of(fd)))
        return (ssize_t)octets;
    if (action == KILL)
        kill(getpid(), SIGKILL);
    if (action == FAIL) {
        errno = error_number;
        return -1;
    }
    *dies = action == TEAR;
    return octets > 1 ? (ssize_t)(octets / 2) : (ssize_t)octets;
}

#define REAL(name) static typeof(&name) real; if (!real) real = (typeof(&name))dlsym(RTLD_NEXT, #name)

static ssize_t ended(ssize_t result, int dies)
{
    if (dies)
        kill(getpid(), SIGKILL);
    return result;
}

ssize_t write(int fd, const void *octets, size_t length)
{
    int dies;
    REAL(write);
    ssize_t most = fd == trace_fd ? (ssize_t)length : room("write", fd, length, &dies);
    return fd == trace_fd ? real(fd, octets, length) : most < 0 ? -1 : ended(real(fd, octets, (size_t)most), dies);
}

#define PWRITE(name, type) ssize_t name(int fd, const void *octets, size_t length, type offset) { \
    int dies; REAL(name); ssize_t most = room("pwrite", fd, length, &dies); \
    return most < 0 ? -1 : ended(real(fd, octets, (size_t)most, offset), dies); }
PWRITE(pwrite, off_t)
PWRITE(pwrite64, off64_t)

ssize_t writev(int fd, const struct iovec *vectors, int number)
{
    int dies;
    REAL(writev);
    size_t octets = 0;
    for (int i = 0; i < number; i++)
        octets += vectors[i].iov_len;
    ssize_t most = room("writev", fd, octets, &dies);
    if (most < 0)
        return -1;
    if ((size_t)most == octets)
        return ended(real(fd, vectors, number), dies);
    ssize_t done = 0;
    for (int i = 0; i < number && done < most; i++) { /* half of it, vector by vector */
        size_t some = vectors[i].iov_len < (size_t)(most - done) ? vectors[i].iov_len : (size_t)(most - done);
        struct iovec one = {vectors[i].iov_base, some};
        ssize_t written = some ? real(fd, &one, 1) : 0;
        if (written < 0)
            break;
        done += written;
    }
    return ended(done, dies);
}

#define BY_FD(name) int name(int fd) { REAL(name); return meet(#name, path_of(fd)) ? -1 : real(fd); }
BY_FD(fsync)
BY_FD(fdatasync)

static int reads_count(void) { return !strncmp(part, "pread", 5); }

#define PREAD(name, type) ssize_t name(int fd, void *octets, size_t length, type offset) { \
    REAL(name); return reads_count() && meet("pread", path_of(fd)) ? -1 : real(fd, octets, length, offset); }
PREAD(pread, off_t)
PREAD(pread64, off64_t)

#define PREADV2(name, type) ssize_t name(int fd, const struct iovec *vectors, int number, type offset, int flags) { \
    REAL(name); return reads_count() && meet("pread", path_of(fd)) ? -1 : real(fd, vectors, number, offset, flags); }
PREADV2(preadv2, off_t)
PREADV2(preadv64v2, off64_t)

#define TRUNCATE(name, type) int name(int fd, type length) { \
    REAL(name); return meet("ftruncate", path_of(fd)) ? -1 : real(fd, length); }
TRUNCATE(ftruncate, off_t)
TRUNCATE(ftruncate64, off64_t)

#define OPEN(name) int name(const char *path, int flags, ...) { \
    va_list rest; va_start(rest, flags); mode_t mode = flags & (O_CREAT | O_TMPFILE) ? va_arg(rest, mode_t) : 0; va_end(rest); \
    REAL(name); return meet("open", path) ? -1 : real(path, flags, mode); }
OPEN(open)
OPEN(open64)

int rename(const char *old, const char *new) { REAL(rename); return meet("rename", old) ? -1 : real(old, new); }
int link(const char *old, const char *new) { REAL(link); return meet("link", new) ? -1 : real(old, new); }
int unlink(const char *path) { REAL(unlink); return meet("unlink", path) ? -1 : real(path); }
int mkdir(const char *path, mode_t mode)
{
    static int (*real)(const char *, mode_t);
    if (!real)
        real = (int (*)(const char *, mode_t))dlsym(RTLD_NEXT, "mkdir");
    return meet("mkdir", path) ? -1 : real(path, mode);
}
