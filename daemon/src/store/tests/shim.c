/* Stands between a test's child process and the file system: counts what the process does to files below
 * SHIM_DIR, makes the SHIM_AT-th of these calls fail in the way SHIM_MODE says, and records all of them in
 * SHIM_LOG. Loaded with LD_PRELOAD. */
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
#include <sys/stat.h>
#include <sys/syscall.h>
#include <unistd.h>

#define FDS 4096
#define REAL(name) ((__typeof__(&name))real(#name))

static pthread_mutex_t lock = PTHREAD_MUTEX_INITIALIZER;
static const char *dir, *mode;
static long at = -1, count;
static int log_fd = -1, started;
static unsigned char watched[FDS]; /* 1: a file, 2: a directory */
static char names[FDS][256];       /* of directories */

static void *real(const char *name) { return dlsym(RTLD_NEXT, name); }

static void start(void) {
    if (started) return;
    started = 1;
    dir = getenv("SHIM_DIR");
    mode = getenv("SHIM_MODE");
    if (getenv("SHIM_AT")) at = atol(getenv("SHIM_AT"));
    if (getenv("SHIM_LOG"))
        log_fd = (int)syscall(SYS_openat, AT_FDCWD, getenv("SHIM_LOG"), O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0600);
}

/* The reserve is not part of what has to survive. */
static int below(const char *path) {
    start();
    return dir && path && !strncmp(path, dir, strlen(dir)) && !strstr(path, "/reserve");
}

static int is_watched(int fd) { return fd >= 0 && fd < FDS && watched[fd]; }

static void put(const void *bytes, size_t length) {
    while (length > 0) {
        ssize_t n = syscall(SYS_write, log_fd, bytes, length);
        if (n <= 0) _exit(99);
        bytes = (const char *)bytes + n;
        length -= (size_t)n;
    }
}

/* kind u8 | inode u64 | offset u64 | lengths 3 x u32 | first | second | data, in the machine's byte order */
static void record(char kind, uint64_t inode, uint64_t offset, const char *first, const char *second,
                   const void *data, size_t length) {
    if (log_fd < 0) return;
    unsigned char head[29];
    uint32_t lengths[3] = {first ? (uint32_t)strlen(first) : 0, second ? (uint32_t)strlen(second) : 0, (uint32_t)length};
    head[0] = (unsigned char)kind;
    memcpy(head + 1, &inode, 8);
    memcpy(head + 9, &offset, 8);
    memcpy(head + 17, lengths, 12);
    put(head, sizeof head);
    if (first) put(first, lengths[0]);
    if (second) put(second, lengths[1]);
    if (length) put(data, length);
}

static uint64_t inode_of(int fd) {
    struct stat status;
    return fstat(fd, &status) ? 0 : (uint64_t)status.st_ino;
}

static void die(void) { kill(getpid(), SIGKILL); for (;;) pause(); }

/* Whether this call is the one to fail; the process is gone after it for crashes. `part` tells a write that it
 * goes half way. */
static int fails(int *part) {
    if (part) *part = 0;
    if (count++ != at || !mode) return 0;
    if (!strcmp(mode, "crash")) die();
    if (!strcmp(mode, "eio")) { errno = EIO; return 1; }
    if (!strcmp(mode, "enospc")) { errno = ENOSPC; return 1; }
    if (part) *part = !strcmp(mode, "short") ? 1 : !strcmp(mode, "torn") ? 2 : 0;
    else if (!strcmp(mode, "torn")) die();
    return 0;
}

static int opened(int at_fd, const char *path, int flags, mode_t bits, const char *how) {
    int (*call)(int, const char *, int, ...) = (int (*)(int, const char *, int, ...))real(how);
    if (!below(path)) {
        int fd = call(at_fd, path, flags, bits);
        if (fd >= 0 && fd < FDS) watched[fd] = 0;
        return fd;
    }
    pthread_mutex_lock(&lock);
    struct stat status;
    int existed = !stat(path, &status), fd = -1;
    if (!(flags & O_CREAT) || existed || !fails(NULL)) {
        fd = call(at_fd, path, flags, bits);
        if (fd >= 0 && fd < FDS && !fstat(fd, &status)) {
            watched[fd] = S_ISDIR(status.st_mode) ? 2 : 1;
            if (watched[fd] == 2) snprintf(names[fd], sizeof names[fd], "%s", path);
            else record(existed ? 'O' : 'C', (uint64_t)status.st_ino, (flags & O_TRUNC) != 0, path, NULL, NULL, 0);
        }
    }
    pthread_mutex_unlock(&lock);
    return fd;
}

#define BITS(flags) ({ mode_t bits = 0; if ((flags) & O_CREAT) { va_list list; va_start(list, flags); bits = va_arg(list, mode_t); va_end(list); } bits; })
int open(const char *path, int flags, ...) { return opened(AT_FDCWD, path, flags, BITS(flags), "openat"); }
int open64(const char *path, int flags, ...) { return opened(AT_FDCWD, path, flags, BITS(flags), "openat"); }
int openat(int fd, const char *path, int flags, ...) { return opened(fd, path, flags, BITS(flags), "openat"); }
int openat64(int fd, const char *path, int flags, ...) { return opened(fd, path, flags, BITS(flags), "openat"); }

int close(int fd) {
    if (fd >= 0 && fd < FDS) watched[fd] = 0;
    return REAL(close)(fd);
}

static ssize_t written(int fd, const void *bytes, size_t length, off64_t offset) {
    pthread_mutex_lock(&lock);
    int part;
    ssize_t done = -1;
    if (!fails(&part)) {
        if (part && length > 1) length /= 2;
        done = syscall(SYS_pwrite64, fd, bytes, length, offset);
        if (part == 2) die();
        if (done > 0) record('W', inode_of(fd), (uint64_t)offset, NULL, NULL, bytes, (size_t)done);
    }
    int error = errno;
    pthread_mutex_unlock(&lock);
    errno = error;
    return done;
}
ssize_t pwrite(int fd, const void *bytes, size_t length, off_t offset) {
    return is_watched(fd) ? written(fd, bytes, length, offset) : syscall(SYS_pwrite64, fd, bytes, length, offset);
}
ssize_t pwrite64(int fd, const void *bytes, size_t length, off64_t offset) {
    return is_watched(fd) ? written(fd, bytes, length, offset) : syscall(SYS_pwrite64, fd, bytes, length, offset);
}
ssize_t write(int fd, const void *bytes, size_t length) {
    start();
    if (is_watched(fd)) {
        int append = fcntl(fd, F_GETFL) & O_APPEND;
        off64_t offset = lseek64(fd, 0, append ? SEEK_END : SEEK_CUR);
        ssize_t done = written(fd, bytes, length, offset);
        if (done > 0) lseek64(fd, offset + done, SEEK_SET);
        return done;
    }
    if (fd == 1 && log_fd >= 0) {
        pthread_mutex_lock(&lock);
        record('A', 0, 0, NULL, NULL, bytes, length);
        pthread_mutex_unlock(&lock);
    }
    return syscall(SYS_write, fd, bytes, length);
}

static int synced(int fd, long number) {
    if (!is_watched(fd)) return (int)syscall(number, fd);
    pthread_mutex_lock(&lock);
    int done = -1;
    if (!fails(NULL)) {
        /* A test needs the order, not the disk. */
        done = 0;
        record(watched[fd] == 2 ? 'D' : 'S', inode_of(fd), 0, watched[fd] == 2 ? names[fd] : NULL, NULL, NULL, 0);
    }
    int error = errno;
    pthread_mutex_unlock(&lock);
    errno = error;
    return done;
}
int fsync(int fd) { return synced(fd, SYS_fsync); }
int fdatasync(int fd) { return synced(fd, SYS_fdatasync); }
int sync_file_range(int fd, off64_t offset, off64_t length, unsigned flags) {
    if (!is_watched(fd)) return (int)syscall(SYS_sync_file_range, fd, offset, length, flags);
    pthread_mutex_lock(&lock);
    int done = fails(NULL) ? -1 : 0, error = errno;
    pthread_mutex_unlock(&lock);
    errno = error;
    return done;
}

static int cut(int fd, off64_t length) {
    if (!is_watched(fd)) return (int)syscall(SYS_ftruncate, fd, length);
    pthread_mutex_lock(&lock);
    int done = fails(NULL) ? -1 : (int)syscall(SYS_ftruncate, fd, length), error = errno;
    if (!done) record('T', inode_of(fd), (uint64_t)length, NULL, NULL, NULL, 0);
    pthread_mutex_unlock(&lock);
    errno = error;
    return done;
}
int ftruncate(int fd, off_t length) { return cut(fd, length); }
int ftruncate64(int fd, off64_t length) { return cut(fd, length); }

int rename(const char *from, const char *to) {
    if (!below(to)) return REAL(rename)(from, to);
    pthread_mutex_lock(&lock);
    int done = fails(NULL) ? -1 : REAL(rename)(from, to), error = errno;
    if (!done) record('R', 0, 0, from, to, NULL, 0);
    pthread_mutex_unlock(&lock);
    errno = error;
    return done;
}
int unlink(const char *path) {
    if (!below(path)) return REAL(unlink)(path);
    struct stat status;
    if (stat(path, &status)) return REAL(unlink)(path);
    pthread_mutex_lock(&lock);
    int done = fails(NULL) ? -1 : REAL(unlink)(path), error = errno;
    if (!done) record('U', 0, 0, path, NULL, NULL, 0);
    pthread_mutex_unlock(&lock);
    errno = error;
    return done;
}
int mkdir(const char *path, mode_t bits) {
    if (!below(path)) return REAL(mkdir)(path, bits);
    pthread_mutex_lock(&lock);
    int done = REAL(mkdir)(path, bits), error = errno;
    if (!done) record('M', 0, 0, path, NULL, NULL, 0);
    pthread_mutex_unlock(&lock);
    errno = error;
    return done;
}

__attribute__((destructor)) static void tell(void) {
    const char *path = getenv("SHIM_COUNT");
    if (!path) return;
    FILE *file = fopen(path, "w");
    if (!file) return;
    fprintf(file, "%ld\n", count);
    fclose(file);
}
