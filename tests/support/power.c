/* Preloaded before the C library: writes down every change below a folder, so that power.py can say what a power cut would leave.
 *
 * It sits beneath Python and SQLite alike. Each change stands in the journal in the order in which it was made, by all threads and
 * by all processes forked after `power_record`; a sync has two entries, for what was written while it ran need not be on the medium.
 * What is written through a mapping is not seen: that is SQLite's -shm, which it makes anew after a power cut.
 */
#define _GNU_SOURCE
#include <dlfcn.h>
#include <errno.h>
#include <fcntl.h>
#include <pthread.h>
#include <signal.h>
#include <stdarg.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <sys/uio.h>
#include <unistd.h>

/* What an entry begins with; then come the path, the other path, and the octets. at: offset, new length, or the thread that syncs. */
struct entry {
    uint32_t kind, path_length, other_length, octets_length;
    uint64_t file, at;
};

static char folder[4096];
static int journal = -1;
static pthread_mutex_t *order;

#define REAL(name) static typeof(&name) real; if (!real) real = (typeof(&name))dlsym(RTLD_NEXT, #name)

void power_record(const char *below, const char *to)
{
    static int (*real)(const char *, int, ...);
    real = (int (*)(const char *, int, ...))dlsym(RTLD_NEXT, "open");
    order = mmap(NULL, sizeof *order, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
    pthread_mutexattr_t shared;
    pthread_mutexattr_init(&shared);
    pthread_mutexattr_setpshared(&shared, PTHREAD_PROCESS_SHARED);
    pthread_mutexattr_setrobust(&shared, PTHREAD_MUTEX_ROBUST);
    pthread_mutex_init(order, &shared);
    snprintf(folder, sizeof folder, "%s/", below);
    journal = real(to, O_WRONLY | O_CREAT | O_APPEND | O_CLOEXEC, 0600);
}

/* For a program that knows nothing of this: it and what it forks, not what they execute. */
__attribute__((constructor)) static void begin(void)
{
    const char *below = getenv("POWER_BELOW"), *to = getenv("POWER_JOURNAL");
    if (below && to)
        power_record(below, to);
    unsetenv("POWER_BELOW"), unsetenv("POWER_JOURNAL");
}

static void take(void)
{
    if (pthread_mutex_lock(order) == EOWNERDEAD)
        pthread_mutex_consistent(order);
}

static void give(void) { pthread_mutex_unlock(order); }

static int is_ours(const char *path)
{
    size_t length = strlen(folder);
    return journal >= 0 && path && (!strncmp(path, folder, length) || (!strncmp(path, folder, length - 1) && !path[length - 1]));
}

static int is_open_ours(int fd, char *path, size_t size)
{
    char link[64];
    if (journal < 0)
        return 0;
    snprintf(link, sizeof link, "/proc/self/fd/%d", fd);
    ssize_t length = readlink(link, path, size - 1);
    path[length < 0 ? 0 : length] = 0;
    return is_ours(path);
}

static uint64_t file_of(int fd)
{
    struct stat state;
    return fstat(fd, &state) ? 0 : state.st_ino;
}

/* Called with the order held. */
static void note(char kind, uint64_t file, uint64_t at, const char *path, const char *other, const struct iovec *some, int number, size_t octets)
{
    static ssize_t (*real)(int, const struct iovec *, int);
    if (!real)
        real = (ssize_t(*)(int, const struct iovec *, int))dlsym(RTLD_NEXT, "writev");
    int kept = errno;
    struct entry head = {kind, strlen(path), strlen(other), octets, file, at};
    struct iovec *whole = calloc(number + 3, sizeof *whole);
    whole[0] = (struct iovec){&head, sizeof head};
    whole[1] = (struct iovec){(void *)path, head.path_length};
    whole[2] = (struct iovec){(void *)other, head.other_length};
    size_t left = octets;
    for (int i = 0; i < number; i++) {
        size_t taken = some[i].iov_len < left ? some[i].iov_len : left;
        whole[3 + i] = (struct iovec){some[i].iov_base, taken};
        left -= taken;
    }
    size_t all = sizeof head + head.path_length + head.other_length + octets;
    if (real(journal, whole, number + 3) != (ssize_t)all)
        abort(); /* a journal with a hole proves nothing */
    free(whole);
    errno = kept;
}

static uint64_t place_of(int fd)
{
    struct stat state;
    if (fcntl(fd, F_GETFL) & O_APPEND)
        return fstat(fd, &state) ? 0 : (uint64_t)state.st_size;
    return (uint64_t)lseek(fd, 0, SEEK_CUR);
}

#define WRITING(call, where, vectors, number) \
    char path[4096]; \
    if (!is_open_ours(fd, path, sizeof path)) \
        return call; \
    take(); \
    uint64_t at = where; \
    ssize_t done = call; \
    if (done > 0) \
        note('W', file_of(fd), at, path, "", vectors, number, (size_t)done); \
    give(); \
    return done

ssize_t write(int fd, const void *octets, size_t length)
{
    REAL(write);
    struct iovec one = {(void *)octets, length};
    WRITING(real(fd, octets, length), place_of(fd), &one, 1);
}

ssize_t writev(int fd, const struct iovec *vectors, int number)
{
    REAL(writev);
    WRITING(real(fd, vectors, number), place_of(fd), vectors, number);
}

#define PWRITE(name, type) ssize_t name(int fd, const void *octets, size_t length, type offset) { \
    REAL(name); \
    struct iovec one = {(void *)octets, length}; \
    WRITING(real(fd, octets, length, offset), (uint64_t)offset, &one, 1); }
PWRITE(pwrite, off_t)
PWRITE(pwrite64, off64_t)

#define CHANGE(call, kind, file, at, path, other) \
    take(); \
    int result = call; \
    if (!result) \
        note(kind, file, at, path, other, NULL, 0, 0); \
    give(); \
    return result

#define TRUNCATE(name, type) int name(int fd, type length) { \
    REAL(name); \
    char path[4096]; \
    if (!is_open_ours(fd, path, sizeof path)) \
        return real(fd, length); \
    CHANGE(real(fd, length), 'T', file_of(fd), (uint64_t)length, path, ""); }
TRUNCATE(ftruncate, off_t)
TRUNCATE(ftruncate64, off64_t)

static void note_sync(char kind, int fd, const char *path)
{
    take();
    note(kind, file_of(fd), (uint64_t)gettid(), path, "", NULL, 0, 0);
    give();
}

#define SYNC(name) int name(int fd) { \
    REAL(name); \
    char path[4096]; \
    if (!is_open_ours(fd, path, sizeof path)) \
        return real(fd); \
    note_sync('b', fd, path); \
    int result = real(fd); \
    if (!result) \
        note_sync('e', fd, path); \
    return result; }
SYNC(fsync)
SYNC(fdatasync)

#define OPEN(name) int name(const char *path, int flags, ...) { \
    va_list rest; va_start(rest, flags); mode_t mode = flags & (O_CREAT | O_TMPFILE) ? va_arg(rest, mode_t) : 0; va_end(rest); \
    REAL(name); \
    if (!(flags & (O_CREAT | O_TRUNC)) || !is_ours(path)) \
        return real(path, flags, mode); \
    take(); \
    int is_new = access(path, F_OK) != 0, fd = real(path, flags, mode); \
    if (fd >= 0 && is_new) \
        note('C', file_of(fd), 0, path, "", NULL, 0, 0); \
    else if (fd >= 0 && flags & O_TRUNC) \
        note('T', file_of(fd), 0, path, "", NULL, 0, 0); \
    give(); \
    return fd; }
OPEN(open)
OPEN(open64)

#define NAME(name, kind) int name(const char *old, const char *new) { \
    REAL(name); \
    if (!is_ours(new)) \
        return real(old, new); \
    CHANGE(real(old, new), kind, 0, 0, old, new); }
NAME(rename, 'R')
NAME(link, 'L')

#define PATH(name, kind) int name(const char *path) { \
    REAL(name); \
    if (!is_ours(path)) \
        return real(path); \
    CHANGE(real(path), kind, 0, 0, path, ""); }
PATH(unlink, 'U')
PATH(rmdir, 'U')

int mkdir(const char *path, mode_t mode)
{
    REAL(mkdir);
    if (!is_ours(path))
        return real(path, mode);
    CHANGE(real(path, mode), 'D', 0, 0, path, "");
}

/* A process that kills itself does so between two changes, so that what it did and what is written down agree. */
int kill(pid_t pid, int number)
{
    REAL(kill);
    if (journal >= 0 && pid == getpid() && number == SIGKILL)
        take();
    return real(pid, number);
}
