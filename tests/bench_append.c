/* SPDX-License-Identifier: MIT */
/*
 * bench_append - durable appends a second, beside bare msync of the same bytes
 *
 *   bench_append SYNCQ-SYNC DIRECTORY [SECONDS]
 *
 * Makes a queue in DIRECTORY, starts the given sync helper on it, and lets 1,
 * 16 and 64 threads append 4 KiB messages, each waiting for its confirm.  The
 * rounds are interleaved with a loop of bare stores and msync calls on a file
 * of its own, made the same way.  The time that an append holds the shared
 * lock is measured from outside (bench_lock.c).  Device bytes are read from the
 * counters of the block device below DIRECTORY, so the device should be idle
 * otherwise.
 */
#include <errno.h>
#include <fcntl.h>
#include <grp.h>
#include <inttypes.h>
#include <pthread.h>
#include <pwd.h>
#include <signal.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <sys/sysmacros.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#include "module/append.h"
#include "module/error.h"
#include "module/record_format.h"
#include "module/statistics.h"
#include "tests/bench_lock.h"

enum { CONTENT_SIZE = 4096, ROUNDS = 3, WRITERS_MAX = 64 };

struct bench {
    struct syncq_queue *queue;
    const char *directory;
    _Atomic uint64_t appends;
    _Atomic int stop;
    double seconds;
};

static double now_s(void)
{
    struct timespec now;

    (void)clock_gettime(CLOCK_MONOTONIC, &now);
    return (double)now.tv_sec + (double)now.tv_nsec / 1e9;
}

static void die(const char *what, int error)
{
    fprintf(stderr, "bench_append: %s: %s\n", what, syncq_strerror(error));
    exit(1);
}

/* Sectors written to the block device below a directory, in bytes. */
static uint64_t device_bytes(const char *directory)
{
    char path[64];
    struct stat status;
    uint64_t sectors = 0;
    FILE *file;

    if (stat(directory, &status) != 0)
        return 0;
    (void)snprintf(path, sizeof path, "/sys/dev/block/%u:%u/stat",
                   major(status.st_dev), minor(status.st_dev));
    file = fopen(path, "re");
    if (file == NULL)
        return 0;
    if (fscanf(file, "%*u %*u %*u %*u %*u %*u %" SCNu64, &sectors) != 1)
        sectors = 0;
    (void)fclose(file);
    return sectors * 512;
}

static void fill_envelope(struct syncq_envelope *envelope)
{
    const struct syncq_recipient recipient = {"user@example.org", "", "", 0};

    if (syncq_envelope_init(envelope) != 0 ||
        syncq_envelope_set_sender(envelope, "sender@example.com") != 0 ||
        syncq_envelope_add_recipient(envelope, &recipient) != 0 ||
        syncq_envelope_group(envelope) != 0)
        die("envelope", ENOMEM);
}

static void *writer(void *context)
{
    struct bench *bench = context;
    struct syncq_envelope envelope;
    char *content = malloc(CONTENT_SIZE);
    struct iovec piece = {content, CONTENT_SIZE};

    fill_envelope(&envelope);
    memset(content, 'x', CONTENT_SIZE);
    while (!atomic_load_explicit(&bench->stop, memory_order_relaxed)) {
        struct syncq_ticket ticket;
        int result = syncq_append(bench->queue, SYNCQ_RECORD_SMTP, &envelope,
                                  &piece, 1, &ticket);

        if (result == SYNCQ_ERR_SEGMENTS_FULL ||
            result == SYNCQ_ERR_ENTRIES_FULL) {
            atomic_store(&bench->stop, 1);
            break;
        }
        if (result == 0)
            result = syncq_ticket_wait(bench->queue, &ticket, 60000);
        if (result != 0)
            die("append", result);
        syncq_ticket_finish(bench->queue, &ticket, SYNCQ_STATUS_SYNCED);
        atomic_fetch_add(&bench->appends, 1);
    }
    free(content);
    syncq_envelope_clear(&envelope);
    return NULL;
}

struct figures {
    double rate, bytes_per_byte, batch;
    uint64_t sync_p50_us, confirm_p50_us, confirm_p99_us;
    uint64_t lock_p50_ns, lock_p99_ns;
};

static void subtract(struct syncq_histogram *after,
                     const struct syncq_histogram *before)
{
    for (int i = 0; i < SYNCQ_HISTOGRAM_SIZE; i++)
        after->counts[i] -= before->counts[i];
}

static struct figures run_writers(struct bench *bench, int count)
{
    pthread_t threads[WRITERS_MAX];
    struct syncq_statistics before, after;
    struct figures figures = {0};
    uint64_t device = device_bytes(bench->directory);
    double start = now_s(), took;
    int result = syncq_statistics_read(bench->queue, &before);

    if (result != 0)
        die("statistics", result);
    atomic_store(&bench->stop, 0);
    atomic_store(&bench->appends, 0);
    bench_lock_reset();
    for (int i = 0; i < count; i++)
        if (pthread_create(&threads[i], NULL, writer, bench) != 0)
            die("thread", errno);
    while (now_s() - start < bench->seconds && !atomic_load(&bench->stop))
        (void)usleep(10000);
    atomic_store(&bench->stop, 1);
    for (int i = 0; i < count; i++)
        (void)pthread_join(threads[i], NULL);
    took = now_s() - start;
    (void)syncq_statistics_read(bench->queue, &after);
    subtract(&after.sync_us, &before.sync_us);
    subtract(&after.confirm_us, &before.confirm_us);
    figures.rate = (double)atomic_load(&bench->appends) / took;
    figures.batch = (double)(after.appends - before.appends) /
                    (double)(after.batches - before.batches);
    figures.bytes_per_byte = (double)(device_bytes(bench->directory) - device) /
                             (double)(after.append_bytes - before.append_bytes);
    figures.sync_p50_us = syncq_histogram_quantile(&after.sync_us, 0.5);
    figures.confirm_p50_us = syncq_histogram_quantile(&after.confirm_us, 0.5);
    figures.confirm_p99_us = syncq_histogram_quantile(&after.confirm_us, 0.99);
    figures.lock_p50_ns = bench_lock_quantile_ns(0.5);
    figures.lock_p99_ns = bench_lock_quantile_ns(0.99);
    return figures;
}

/* Bare stores and msync, `batch` messages of the same size at a time. */
static double run_bare(const struct bench *bench, int batch)
{
    enum { FILE_SIZE = 256 << 20, POPULATE_SIZE = 4 << 20 };
    const size_t step = 8192, page = (size_t)sysconf(_SC_PAGESIZE);
    char path[4096];
    char *map, *zeros = calloc(1, 1 << 20);
    uint64_t done = 0;
    size_t at = 0, populated = 0;
    double start;
    int fd;

    (void)snprintf(path, sizeof path, "%s/bare", bench->directory);
    fd = open(path, O_RDWR | O_CREAT | O_TRUNC | O_CLOEXEC, 0600);
    if (fd < 0)
        die(path, errno);
    for (int i = 0; i < FILE_SIZE >> 20; i++)
        if (write(fd, zeros, 1 << 20) != 1 << 20)
            die(path, errno);
    free(zeros);
    (void)fsync(fd);
    (void)posix_fadvise(fd, 0, 0, POSIX_FADV_DONTNEED);
    (void)posix_fadvise(fd, 0, 0, POSIX_FADV_RANDOM);
    map = mmap(NULL, FILE_SIZE, PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0);
    if (map == MAP_FAILED)
        die(path, errno);
    (void)madvise(map, FILE_SIZE, MADV_RANDOM);
    start = now_s();
    while (now_s() - start < bench->seconds) {
        size_t size = (batch == 1 ? step : (size_t)batch * 4608);

        size = (size + page - 1) & ~(page - 1);
        if (at + size > FILE_SIZE)
            at = 0;
        if (at + size > populated || at == 0) {
            populated = at + POPULATE_SIZE;
            if (populated > FILE_SIZE)
                populated = FILE_SIZE;
            (void)posix_fadvise(fd, (off_t)at, (off_t)(populated - at),
                                POSIX_FADV_WILLNEED);
            (void)madvise(map + at, populated - at, MADV_POPULATE_WRITE);
        }
        memset(map + at, 'x', size);
        if (msync(map + at, size, MS_SYNC) != 0)
            die("msync", errno);
        at += size;
        done += (uint64_t)batch;
    }
    start = now_s() - start;
    (void)munmap(map, FILE_SIZE);
    close(fd);
    (void)unlink(path);
    return (double)done / start;
}

static pid_t start_helper(const char *program, const char *directory)
{
    const struct passwd *user = getpwuid(geteuid());
    char queue[4200], run[4200], owner[300];
    pid_t pid = fork();

    if (pid != 0)
        return pid;
    (void)snprintf(owner, sizeof owner, "mail_owner=%s",
                   user == NULL ? "nobody" : user->pw_name);
    (void)snprintf(queue, sizeof queue, "queue_directory=%s/queue", directory);
    (void)snprintf(run, sizeof run, "run_directory=%s/run", directory);
    execl(program, program, "-e", "-c", "/dev/null", "-o", queue, "-o", run,
          "-o", "allow_any_filesystem=yes", "-o", owner, (char *)NULL);
    _exit(127);
}

static void open_queue(struct bench *bench, pid_t helper)
{
    char queue[4200], run[4200];
    int result = SYNCQ_ERR_NO_HELPER;

    (void)snprintf(queue, sizeof queue, "%s/queue", bench->directory);
    (void)snprintf(run, sizeof run, "%s/run", bench->directory);
    for (int i = 0; i < 1000 && result != 0; i++) {
        if (waitpid(helper, NULL, WNOHANG) == helper)
            die("the sync helper ended", result);
        result = syncq_queue_open(queue, run, SYNCQ_OPEN_WRITE, &bench->queue);
        if (result != 0)
            (void)usleep(10000);
    }
    if (result != 0)
        die("open", result);
}

/* The helper does not run as root, and so neither do we. */
static void become_nobody(const char *directory)
{
    const struct passwd *user = getpwnam("nobody");

    if (geteuid() != 0)
        return;
    if (user == NULL || chown(directory, user->pw_uid, user->pw_gid) != 0 ||
        setgroups(0, NULL) != 0 || setgid(user->pw_gid) != 0 ||
        setuid(user->pw_uid) != 0)
        die("become nobody", errno);
}

static void create_queue(const char *directory)
{
    struct syncq_create_options options = {.size = UINT64_C(6) << 30,
                                           .segment_size = UINT64_C(64) << 20,
                                           .allow_any_filesystem = 1};
    char path[4200];
    int result;

    (void)mkdir(directory, 0700);
    become_nobody(directory);
    (void)snprintf(path, sizeof path, "%s/run", directory);
    (void)mkdir(path, 0700);
    (void)snprintf(path, sizeof path, "%s/queue", directory);
    (void)mkdir(path, 0700);
    result = syncq_queue_create(path, &options);
    if (result != 0)
        die("create", result);
}

int main(int argc, char **argv)
{
    static const int writers[] = {1, 16, 64};
    struct bench bench = {.seconds = argc > 3 ? atof(argv[3]) : 2};
    pid_t helper;

    if (argc < 3) {
        fprintf(stderr, "usage: bench_append SYNCQ-SYNC DIRECTORY [SECONDS]\n");
        return 64;
    }
    bench.directory = argv[2];
    create_queue(bench.directory);
    helper = start_helper(argv[1], bench.directory);
    open_queue(&bench, helper);
    printf("%7s %9s %12s %6s %6s %8s %11s %11s %8s %8s %8s\n", "writers",
           "appends/s", "bare msync/s", "ratio", "batch", "sync p50",
           "confirm p50", "confirm p99", "lock p50", "lock p99", "dev/byte");
    for (int round = 0; round < ROUNDS; round++)
        for (size_t i = 0; i < sizeof writers / sizeof writers[0]; i++) {
            struct figures figures = run_writers(&bench, writers[i]);
            double bare = run_bare(&bench, writers[i]);

            printf("%7d %9.0f %12.0f %6.2f %6.1f %6" PRIu64 "us %9" PRIu64
                   "us %9" PRIu64 "us %6" PRIu64 "ns %6" PRIu64 "ns %8.2f\n",
                   writers[i], figures.rate, bare, figures.rate / bare,
                   figures.batch, figures.sync_p50_us, figures.confirm_p50_us,
                   figures.confirm_p99_us, figures.lock_p50_ns,
                   figures.lock_p99_ns, figures.bytes_per_byte);
            (void)fflush(stdout);
        }
    syncq_queue_close(bench.queue);
    (void)kill(helper, SIGTERM);
    (void)waitpid(helper, NULL, 0);
    return 0;
}
