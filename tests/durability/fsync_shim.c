/* A disk that is slow or fails, for tests: preload this, and fdatasync and fsync of chosen files are
 * delayed, counted, and made to fail once with EIO.
 *
 *   FSYNC_SHIM_DIR       files below this folder are meant (required, or nothing is done)
 *   FSYNC_SHIM_SUFFIX    and only those whose name ends so (default .log: the write-ahead log)
 *   FSYNC_SHIM_DELAY_MS  waits before the sync
 *   FSYNC_SHIM_FAIL_AT   the n-th sync fails with EIO and does not sync; 0 or unset: none
 *   FSYNC_SHIM_CONTROL   when this file appears, the next sync fails with EIO, once (the file is removed)
 *   FSYNC_SHIM_COUNT     a line "call errno bytes path" is appended to this file for every sync meant;
 *                        bytes: how long the file was before the sync
 */
#define _GNU_SOURCE
#include <dlfcn.h>
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

typedef int (*sync_call)(int);

static atomic_long calls;

static int is_meant(int fd, char *path)
{
    const char *dir = getenv("FSYNC_SHIM_DIR"), *suffix = getenv("FSYNC_SHIM_SUFFIX");
    char link[64];
    ssize_t n;
    size_t len;

    if (dir == NULL)
        return 0;
    if (suffix == NULL)
        suffix = ".log";
    snprintf(link, sizeof link, "/proc/self/fd/%d", fd);
    n = readlink(link, path, PATH_MAX - 1);
    if (n < 0)
        return 0;
    path[n] = 0;
    len = strlen(suffix);
    return strncmp(path, dir, strlen(dir)) == 0 && (size_t)n >= len && strcmp(path + n - len, suffix) == 0;
}

static int must_fail(long call)
{
    const char *at = getenv("FSYNC_SHIM_FAIL_AT"), *control = getenv("FSYNC_SHIM_CONTROL");

    if (at != NULL && atol(at) == call)
        return 1;
    return control != NULL && unlink(control) == 0;
}

static void note(const char *name, int error, long bytes, const char *path)
{
    const char *file = getenv("FSYNC_SHIM_COUNT");
    char line[PATH_MAX + 64];
    int fd, n;

    if (file == NULL)
        return;
    fd = open(file, O_WRONLY | O_CREAT | O_APPEND | O_CLOEXEC, 0600);
    if (fd < 0)
        return;
    n = snprintf(line, sizeof line, "%s %d %ld %s\n", name, error, bytes, path);
    if (write(fd, line, (size_t)n) < 0)
        n = 0;
    close(fd);
}

static int sync_or_not(const char *name, int fd)
{
    sync_call real = (sync_call)dlsym(RTLD_NEXT, name);
    const char *delay = getenv("FSYNC_SHIM_DELAY_MS");
    char path[PATH_MAX];
    struct stat found;
    long bytes;
    int result, error;

    if (!is_meant(fd, path))
        return real(fd);
    if (delay != NULL) {
        long ms = atol(delay);
        struct timespec wait = {ms / 1000, ms % 1000 * 1000000L};
        while (nanosleep(&wait, &wait) != 0 && errno == EINTR)
            ;
    }
    bytes = fstat(fd, &found) == 0 ? (long)found.st_size : -1;
    if (must_fail(atomic_fetch_add(&calls, 1) + 1)) {
        note(name, EIO, bytes, path);
        errno = EIO;
        return -1;
    }
    result = real(fd);
    error = result == 0 ? 0 : errno;
    note(name, error, bytes, path);
    errno = error;
    return result;
}

int fdatasync(int fd)
{
    return sync_or_not("fdatasync", fd);
}

int fsync(int fd)
{
    return sync_or_not("fsync", fd);
}
