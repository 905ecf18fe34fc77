/* SPDX-License-Identifier: MIT */
/*
 * errors_file.c - files that are cut short, punched or removed under load
 *
 * Helper and writer are processes of their own.  A store into what is not
 * there any more is a SIGBUS: each ends with EX_IOERR then, never by the
 * signal; after the damage to the data nothing more is confirmed.
 */
#include <fcntl.h>
#include <inttypes.h>
#include <signal.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/wait.h>
#include <sysexits.h>
#include <unistd.h>

#include "module/error.h"
#include "program/map_fault.h"
#include "tests/cmocka_all.h"
#include "tests/faults/errors.h"
#include "tests/faults/guard.h"

enum {
    ITEMS = 48,
    AFTER = 8, /* mails that the writer tries after the damage */
    WAIT_MS = 3000,
    POINT_STEP = 3, /* confirmed mails between two points of damage */
};

/* Between the writer's process and the test's. */
struct shared {
    _Atomic int damaged;
    _Atomic unsigned count;
    struct {
        struct mail mail;
        int confirmed, after;
    } items[ITEMS];
};

enum damage_kind { CUT, PUNCH, REMOVE };

static const struct file_damage {
    const char *name, *file;
    enum damage_kind kind;
    uint64_t from; /* cut or punched from here to the end */
} kinds[] = {
    {"data cut to nothing", SYNCQ_DATA_FILE, CUT, 0},
    {"data cut to one segment", SYNCQ_DATA_FILE, CUT,
     SYNCQ_DATA_OFFSET + SMALL_SEGMENT_SIZE},
    {"data cut in the first segment", SYNCQ_DATA_FILE, CUT,
     SYNCQ_DATA_OFFSET + 3 * SYNCQ_PAGE_SIZE},
    {"data punched", SYNCQ_DATA_FILE, PUNCH, SYNCQ_DATA_OFFSET},
    {"data removed", SYNCQ_DATA_FILE, REMOVE, 0},
    {"index cut to nothing", SYNCQ_INDEX_FILE, CUT, 0},
    {"index cut behind the lists", SYNCQ_INDEX_FILE, CUT,
     SYNCQ_INDEX_ENTRIES_OFFSET},
    {"index punched", SYNCQ_INDEX_FILE, PUNCH, SYNCQ_INDEX_ENTRIES_OFFSET},
    {"index removed", SYNCQ_INDEX_FILE, REMOVE, 0},
};

static void do_damage(const struct fixture *fixture,
                      const struct file_damage *damage)
{
    const char *path = fixture_path(fixture, damage->file);
    int fd = open(path, O_RDWR | O_CLOEXEC);

    assert_true(fd >= 0);
    if (damage->kind == CUT)
        assert_int_equal(ftruncate(fd, (off_t)damage->from), 0);
    else if (damage->kind == REMOVE)
        assert_int_equal(unlink(path), 0);
    else
        assert_int_equal(fallocate(fd,
                                   FALLOC_FL_PUNCH_HOLE | FALLOC_FL_KEEP_SIZE,
                                   (off_t)damage->from, 1 << 20),
                         0);
    close(fd);
}

static pid_t start_helper(struct fixture *fixture)
{
    int ends[2];
    char byte = 'r';
    pid_t pid;

    assert_int_equal(pipe(ends), 0);
    pid = fork();
    assert_true(pid >= 0);
    if (pid == 0) {
        (void)prctl(PR_SET_PDEATHSIG, SIGKILL);
        map_fault_catch(helper_map_fault, &fixture->helper);
        fixture_start(fixture);
        if (write(ends[1], &byte, 1) != 1)
            _exit(101);
        for (;;)
            (void)pause();
    }
    close(ends[1]);
    assert_int_equal(read(ends[0], &byte, 1), 1);
    close(ends[0]);
    return pid;
}

/* Mails one after the other; a byte to the test for each that is over. */
static void write_mails(struct syncq_queue *queue, struct shared *shared,
                        int to)
{
    unsigned after = 0;

    for (unsigned i = 0; i < ITEMS && after < AFTER; i++) {
        struct syncq_ticket ticket;
        struct mail *mail = &shared->items[i].mail;
        int result;

        mail_init(mail, i + 1, 2, 2, 2500);
        shared->items[i].after = atomic_load(&shared->damaged);
        after += (unsigned)shared->items[i].after;
        atomic_store(&shared->count, i + 1);
        result = mail_append(queue, mail, &ticket);
        if (result == 0) {
            shared->items[i].confirmed =
                syncq_ticket_wait(queue, &ticket, WAIT_MS) == 0;
            syncq_ticket_finish(queue, &ticket, SYNCQ_STATUS_SYNCED);
        }
        if (write(to, "", 1) != 1)
            _exit(102);
    }
}

static pid_t start_writer(const struct fixture *fixture, struct shared *shared,
                          int *from)
{
    int ends[2];
    pid_t pid;

    assert_int_equal(pipe(ends), 0);
    pid = fork();
    assert_true(pid >= 0);
    if (pid == 0) {
        struct syncq_queue *queue;

        (void)prctl(PR_SET_PDEATHSIG, SIGKILL);
        close(ends[0]);
        map_fault_catch(NULL, NULL);
        if (syncq_queue_open(fixture->queue, fixture->run, SYNCQ_OPEN_WRITE,
                             &queue) != 0)
            _exit(101);
        if (write(ends[1], "", 1) != 1)
            _exit(102);
        write_mails(queue, shared, ends[1]);
        _exit(0);
    }
    close(ends[1]);
    *from = ends[0];
    return pid;
}

/* How a process ended, or that it lives: by nothing that nobody explains. */
static void check_end(struct load *load, const char *who, pid_t pid)
{
    int status = 0;

    if (waitpid(pid, &status, WNOHANG) == 0) {
        (void)kill(pid, SIGKILL);
        (void)waitpid(pid, &status, 0);
        return;
    }
    if (WIFSIGNALED(status))
        findings_add(load->findings, FINDING_STUCK, load->text,
                     "the %s died of signal %d", who, WTERMSIG(status));
    else if (WEXITSTATUS(status) != 0 && WEXITSTATUS(status) != EX_IOERR)
        findings_add(load->findings, FINDING_STUCK, load->text,
                     "the %s ended with %d", who, WEXITSTATUS(status));
}

static void check_confirms(struct load *load, const struct shared *shared,
                           const struct file_damage *damage)
{
    int data_gone = damage->kind != PUNCH && damage->file == kinds[0].file;
    unsigned count = atomic_load(&shared->count);

    for (unsigned i = 0; i < count; i++) {
        const struct mail *mail = &shared->items[i].mail;

        oracle_say(load->oracle, mail, ORACLE_SUBMITTED);
        if (!shared->items[i].confirmed)
            continue;
        oracle_say(load->oracle, mail, ORACLE_CONFIRMED);
        if (shared->items[i].after && data_gone)
            findings_add(load->findings, FINDING_LOST, load->text,
                         "confirmed after the data was gone");
    }
}

/* The data is there and only the index is not: nothing is lost.  Otherwise
 * the helper must not start as if nothing were. */
static void check_restart(struct load *load, struct fixture *fixture,
                          const struct file_damage *damage)
{
    if (damage->file != kinds[0].file) {
        load_repair_and_check(load, fixture);
    } else if (fixture_try_start(fixture) == 0) {
        findings_add(load->findings, FINDING_STUCK, load->text,
                     "the helper starts on a file that is not whole");
        fixture_stop(fixture);
    }
}

static void try_damage(const struct fixture *base, struct load *load,
                       const struct file_damage *damage, uint64_t point)
{
    struct fixture *fixture = fixture_image(base);
    struct shared *shared = mmap(NULL, sizeof *shared, PROT_READ | PROT_WRITE,
                                 MAP_SHARED | MAP_ANONYMOUS, -1, 0);
    pid_t helper, writer;
    int from;
    char byte;

    assert_true(shared != MAP_FAILED);
    fixture->config.index_sync_interval_ms = 1;
    load->oracle = oracle_new();
    guard_begin(load->findings, load->text);
    helper = start_helper(fixture);
    writer = start_writer(fixture, shared, &from);
    for (uint64_t i = 0; i <= point; i++) /* it is open, and so many mails */
        assert_int_equal(read(from, &byte, 1), 1);
    do_damage(fixture, damage);
    atomic_store(&shared->damaged, 1);
    while (read(from, &byte, 1) == 1) /* until the writer has ended */
        ;
    close(from);
    (void)waitid(P_PID, (id_t)writer, &(siginfo_t){0}, WEXITED | WNOWAIT);
    check_end(load, "writer", writer);
    check_end(load, "helper", helper);
    check_confirms(load, shared, damage);
    check_restart(load, fixture, damage);
    (void)munmap(shared, sizeof *shared);
    fixture_free(fixture);
    oracle_free(load->oracle);
    guard_end();
    findings_count(load->findings, TRIAL_ERROR, 1);
}

void errors_file(const struct fixture *base, struct findings *findings,
                 uint64_t count)
{
    for (size_t i = 0; i < sizeof kinds / sizeof kinds[0]; i++)
        for (uint64_t point = 0; point < count; point += POINT_STEP) {
            struct load load = {.findings = findings};
            char text[128];

            (void)snprintf(text, sizeof text, "%s after %" PRIu64 " mails",
                           kinds[i].name, point);
            if (!case_is_chosen(findings, text) || point > ITEMS - 2 * AFTER)
                continue;
            load.text = text;
            try_damage(base, &load, &kinds[i], point);
        }
}
