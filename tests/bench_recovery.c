/* SPDX-License-Identifier: MIT */
/*
 * bench_recovery - how long a start takes after a crash
 *
 *   bench_recovery SYNCQ-SYNC DIRECTORY [MIB [MAILS]]
 *
 * Makes a queue of MIB (4096) in DIRECTORY and fills it with MAILS (500,000)
 * mails of a size that just fits; kills the sync helper a moment after a
 * checkpoint; recovers with that index, without any index, and without any
 * index and with nothing in the page cache.  The time to the first message is
 * that of the recovery, of putting all parts into groups, and of reading one.
 */
#include <errno.h>
#include <fcntl.h>
#include <grp.h>
#include <inttypes.h>
#include <pwd.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include "module/append.h"
#include "module/error.h"
#include "module/groups.h"
#include "module/listing.h"
#include "module/record_format.h"
#include "module/recovery_internal.h"
#include "module/statistics.h"

enum { IN_FLIGHT = 256, WAIT_MS = 60000, DOMAINS = 1000, LAST = 1000 };

struct bench {
    char queue[4200], run[4200];
    struct syncq_queue *writer;
    struct syncq_ticket tickets[IN_FLIGHT];
    uint64_t sent, finished;
    char *content;
    size_t content_size;
    pid_t helper;
};

static void die(const char *what, int error)
{
    fprintf(stderr, "bench_recovery: %s: %s\n", what, syncq_strerror(error));
    exit(1);
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

static void create_queue(struct bench *bench, const char *directory,
                         uint64_t size, uint32_t mails)
{
    struct syncq_create_options options = {.size = size,
                                           .entry_count = mails + mails / 8,
                                           .allow_any_filesystem = 1};
    int result;

    (void)mkdir(directory, 0700);
    become_nobody(directory);
    (void)snprintf(bench->queue, sizeof bench->queue, "%s/queue", directory);
    (void)snprintf(bench->run, sizeof bench->run, "%s/run", directory);
    (void)mkdir(bench->queue, 0700);
    (void)mkdir(bench->run, 0700);
    result = syncq_queue_create(bench->queue, &options);
    if (result != 0)
        die("create", result);
}

static void start_helper(struct bench *bench, const char *program)
{
    const struct passwd *user = getpwuid(geteuid());
    char queue[4300], run[4300], owner[300];
    int result = SYNCQ_ERR_NO_HELPER;

    (void)snprintf(owner, sizeof owner, "mail_owner=%s",
                   user == NULL ? "nobody" : user->pw_name);
    (void)snprintf(queue, sizeof queue, "queue_directory=%s", bench->queue);
    (void)snprintf(run, sizeof run, "run_directory=%s", bench->run);
    bench->helper = fork();
    if (bench->helper == 0) {
        execl(program, program, "-e", "-c", "/dev/null", "-o", queue, "-o", run,
              "-o", "allow_any_filesystem=yes", "-o", owner, "-o",
              "index_sync_interval=1s", (char *)NULL);
        _exit(127);
    }
    for (int i = 0; i < 1000 && result != 0; i++) {
        if (waitpid(bench->helper, NULL, WNOHANG) == bench->helper)
            die("the sync helper ended", result);
        result = syncq_queue_open(bench->queue, bench->run, SYNCQ_OPEN_WRITE,
                                  &bench->writer);
        if (result != 0)
            (void)usleep(10000);
    }
    if (result != 0)
        die("open", result);
}

static void finish_oldest(struct bench *bench)
{
    struct syncq_ticket *ticket =
        &bench->tickets[bench->finished++ % IN_FLIGHT];
    int result = syncq_ticket_wait(bench->writer, ticket, WAIT_MS);

    if (result != 0)
        die("wait", result);
    syncq_ticket_finish(bench->writer, ticket, SYNCQ_STATUS_SYNCED);
}

static void send_mail(struct bench *bench)
{
    struct syncq_recipient recipient = {.original = "", .dsn_original = ""};
    struct iovec piece = {bench->content, bench->content_size};
    struct syncq_envelope envelope;
    char address[64];
    int result;

    if (bench->sent - bench->finished == IN_FLIGHT)
        finish_oldest(bench);
    (void)snprintf(address, sizeof address, "user@domain%u.example",
                   (unsigned)(bench->sent % DOMAINS));
    recipient.address = address;
    result = syncq_envelope_init(&envelope);
    if (result == 0)
        result = syncq_envelope_set_sender(&envelope, "sender@example.com");
    if (result == 0)
        result = syncq_envelope_add_recipient(&envelope, &recipient);
    if (result == 0)
        result = syncq_envelope_group(&envelope);
    if (result == 0)
        result =
            syncq_append(bench->writer, SYNCQ_RECORD_SMTP, &envelope, &piece, 1,
                         &bench->tickets[bench->sent % IN_FLIGHT]);
    if (result != 0)
        die("append", result);
    bench->sent++;
    syncq_envelope_clear(&envelope);
}

static uint64_t count_checkpoints(struct bench *bench)
{
    struct syncq_statistics statistics;

    if (syncq_statistics_read(bench->writer, &statistics) != 0)
        die("statistics", EIO);
    return statistics.index_syncs;
}

static void fill(struct bench *bench, uint64_t size, uint32_t mails)
{
    /* Room for the pages of segments, sealed batches, and what is left over
     * at the end of each segment. */
    uint64_t record = size / mails * 31 / 32 / SYNCQ_RECORD_STEP;
    uint64_t syncs;

    record *= SYNCQ_RECORD_STEP;
    if (record < 1024)
        die("so many mails do not fit", EINVAL);
    bench->content_size = record - 512;
    bench->content = malloc(bench->content_size);
    if (bench->content == NULL)
        die("memory", ENOMEM);
    for (size_t i = 0; i < bench->content_size; i++)
        bench->content[i] = (char)('A' + i * 7919 % 53);
    while (bench->sent < mails - LAST)
        send_mail(bench);
    while (bench->finished < bench->sent)
        finish_oldest(bench);
    syncs = count_checkpoints(bench);
    while (count_checkpoints(bench) < syncs + 2)
        (void)usleep(10000);
    while (bench->sent < mails)
        send_mail(bench);
    while (bench->finished < bench->sent)
        finish_oldest(bench);
    free(bench->content);
}

static void crash(struct bench *bench)
{
    char path[4300];

    (void)kill(bench->helper, SIGKILL);
    (void)waitpid(bench->helper, NULL, 0);
    syncq_queue_close(bench->writer);
    (void)snprintf(path, sizeof path, "%s/" SYNCQ_CHANNEL_FILE, bench->run);
    (void)unlink(path);
}

static void recover(const struct bench *bench,
                    struct syncq_recovery_report *report)
{
    struct syncq_recovered recovered;
    struct syncq_queue *queue;
    int result = syncq_queue_open_files(bench->queue, bench->run, 1, &queue);

    if (result == 0)
        result = syncq_data_lock(&queue->data, 1);
    if (result == 0)
        result = syncq_recover(queue, report, &recovered);
    if (result != 0)
        die("recover", result);
    syncq_queue_close(queue);
}

/* As the queue manager does before it starts the first delivery. */
static uint64_t first_message_us(const struct bench *bench)
{
    uint64_t start_us = syncq_clock_us();
    struct syncq_groups *groups = NULL;
    struct syncq_listing *listing = NULL;
    struct syncq_listed message;
    struct syncq_record record;
    struct syncq_queue *queue;
    char domain[32];
    int result =
        syncq_queue_open(bench->queue, bench->run, SYNCQ_OPEN_READ, &queue);

    if (result == 0)
        result = syncq_groups_new(syncq_entry_count(queue), &groups);
    for (uint32_t slot = 0; result == 0 && slot < syncq_entry_count(queue);
         slot++) {
        struct syncq_entry_view entry;

        if (syncq_entry_read(queue, slot, &entry) != 0)
            continue;
        (void)snprintf(domain, sizeof domain, "%016" PRIx64, entry.domain_hash);
        result = syncq_groups_add(groups, domain, 0, slot);
    }
    if (result == 0)
        result = syncq_listing_new(queue, SYNCQ_STATUSES_QUEUED, 0, &listing);
    if (result == 0)
        result = syncq_listing_next(listing, &message);
    if (result == 0)
        result = syncq_listed_read(queue, &message, &record);
    if (result != 0)
        die("first message", result);
    start_us = syncq_clock_us() - start_us;
    syncq_record_clear(&record);
    syncq_listing_free(listing);
    syncq_groups_free(groups);
    syncq_queue_close(queue);
    return start_us;
}

static void lose_index(const struct bench *bench)
{
    char path[4300];

    (void)snprintf(path, sizeof path, "%s/" SYNCQ_INDEX_FILE, bench->queue);
    if (unlink(path) != 0)
        die(path, errno);
}

static void empty_cache(const struct bench *bench)
{
    char path[4300];
    int fd;

    (void)snprintf(path, sizeof path, "%s/" SYNCQ_DATA_FILE, bench->queue);
    fd = open(path, O_RDWR | O_CLOEXEC);
    if (fd < 0 || fsync(fd) != 0)
        die(path, errno);
    (void)posix_fadvise(fd, 0, 0, POSIX_FADV_DONTNEED);
    close(fd);
}

/* Of this process: what a busy machine does not change. */
static double cpu_s(void)
{
    struct rusage usage;

    (void)getrusage(RUSAGE_SELF, &usage);
    return (double)(usage.ru_utime.tv_sec + usage.ru_stime.tv_sec) +
           (double)(usage.ru_utime.tv_usec + usage.ru_stime.tv_usec) / 1e6;
}

static void measure(const struct bench *bench, const char *what)
{
    struct syncq_recovery_report report;
    double cpu = cpu_s();
    uint64_t first_us;

    recover(bench, &report);
    cpu = cpu_s() - cpu;
    first_us = first_message_us(bench);
    printf("%-28s %9" PRIu64 " %9.1f %9.3f %7.2f %7.2f %10.3f %9" PRIu64 "\n",
           what, report.records, (double)report.scanned_size / 1e6,
           (double)report.time_us / 1e6,
           (double)report.scanned_size / 1e3 / (double)report.time_us, cpu,
           (double)(report.time_us + first_us) / 1e6,
           report.parts[SYNCQ_STATUS_SYNCED]);
    (void)fflush(stdout);
}

int main(int argc, char **argv)
{
    static struct bench bench;
    uint64_t size = UINT64_C(4096) << 20;
    uint32_t mails = 500000;

    if (argc < 3) {
        fprintf(stderr, "usage: bench_recovery SYNCQ-SYNC DIRECTORY [MIB "
                        "[MAILS]]\n");
        return 64;
    }
    if (argc > 3)
        size = strtoull(argv[3], NULL, 10) << 20;
    if (argc > 4)
        mails = (uint32_t)strtoul(argv[4], NULL, 10);
    if (mails <= LAST)
        die("too few mails", EINVAL);
    create_queue(&bench, argv[2], size, mails);
    start_helper(&bench, argv[1]);
    fill(&bench, size, mails);
    crash(&bench);
    printf("recovery of %" PRIu64 " MiB, %" PRIu32 " mails\n"
           "%-28s %9s %9s %9s %7s %7s %10s %9s\n",
           size >> 20, mails, "", "records", "MB read", "seconds", "GB/s",
           "cpu s", "first mail", "pending");
    measure(&bench, "index of the last second");
    lose_index(&bench);
    measure(&bench, "index lost");
    lose_index(&bench);
    empty_cache(&bench);
    measure(&bench, "index lost, page cache empty");
    return 0;
}
