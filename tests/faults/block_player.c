/* SPDX-License-Identifier: MIT */
#include "tests/faults/block_player.h"

#include <errno.h>
#include <inttypes.h>
#include <pwd.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include "module/error.h"
#include "module/retire.h"
#include "tests/cmocka_all.h"
#include "tests/daemon.h"

enum { STOP_MS = 30000, GIVE_UP_ONE_IN = 16 };

static const char *phase_name = "begin";

__attribute__((format(printf, 1, 2), noreturn)) static void
die(const char *format, ...)
{
    va_list arguments;

    va_start(arguments, format);
    (void)fprintf(stderr, "block-log: %s: ", phase_name);
    (void)vfprintf(stderr, format, arguments);
    (void)fprintf(stderr, "\n");
    va_end(arguments);
    _exit(1);
}

void player_must(int result, const char *what)
{
    if (result != 0)
        die("%s: %s", what, syncq_strerror(result));
}

/* ---- what is noted ---- */

void player_say(struct player *player, const struct mail *mail,
                enum oracle_word word)
{
    block_disk_say(player->disk,
                   "mark say %d %u %" PRIu32 " %" PRIu32 " %zu %" PRIx64
                   " %" PRIx64,
                   (int)word, mail->seed, mail->recipient_count,
                   mail->part_count, mail->size, mail->sequence, mail->lsn);
}

void player_until(struct player *player,
                  int (*done)(struct player *player, void *context),
                  void *context, const char *what)
{
    uint64_t end_us = syncq_clock_us() + UINT64_C(1000) * FIXTURE_WAIT_MS;
    _Atomic uint32_t never = 0;

    while (!done(player, context)) {
        if (syncq_clock_us() > end_us)
            die("%s: not in time", what);
        (void)syncq_futex_wait(&never, 0, PLAYER_WAIT_US);
    }
}

/* ---- programs ---- */

int player_configure(const char *directory, const char *mount, char *queue,
                     char *run, char *config)
{
    const struct passwd *owner = getpwnam(PLAYER_OWNER);
    FILE *file;

    (void)snprintf(queue, PATH_MAX, "%s/queue", mount);
    (void)snprintf(run, PATH_MAX, "%s/run", directory);
    (void)snprintf(config, PATH_MAX, "%s/syncq.conf", directory);
    if (owner == NULL)
        return ENOENT;
    if ((mkdir(run, 0700) != 0 && errno != EEXIST) ||
        chown(run, owner->pw_uid, owner->pw_gid) != 0)
        return errno;
    file = fopen(config, "we");
    if (file == NULL)
        return errno;
    (void)fprintf(file,
                  "queue_directory = %s\nrun_directory = %s\n"
                  "mail_owner = " PLAYER_OWNER "\nindex_sync_interval = 1s\n",
                  queue, run);
    return fclose(file) == 0 && chmod(config, 0644) == 0 ? 0 : errno;
}

int player_command_create(const char *config, const char *output)
{
    const char *argv[] = {daemon_program("admin/syncq"),
                          "-c",
                          config,
                          "create",
                          "--size",
                          "32M",
                          "--segment-size",
                          "8M",
                          "--entries",
                          "4096",
                          NULL};

    return block_command(argv, output);
}

void player_create(struct player *player)
{
    int code = player_command_create(player->config, player->output);

    if (code != 0)
        die("syncq create ended with %d", code);
    block_disk_say(player->disk, "mark created");
}

static int try_open(struct player *player, void *context)
{
    int result;

    (void)context;
    result = syncq_queue_open(player->queue_directory, player->run_directory,
                              SYNCQ_OPEN_WRITE, &player->queue);
    if (result != 0 && result != SYNCQ_ERR_NO_HELPER &&
        result != SYNCQ_ERR_RECOVERING)
        die("open: %s", syncq_strerror(result));
    return result == 0;
}

void player_open(struct player *player)
{
    player_until(player, try_open, NULL, "open");
}

void player_start(struct player *player)
{
    const char *argv[] = {daemon_program("sync-helper/syncq-sync"), "-e", "-c",
                          player->config, NULL};

    player->helper = daemon_start(argv, NULL, player->output);
    if (player->queue == NULL)
        player_open(player);
}

void player_close(struct player *player)
{
    syncq_queue_close(player->queue);
    player->queue = NULL;
}

void player_stop(struct player *player)
{
    int code;

    player_close(player);
    (void)kill(player->helper, SIGTERM);
    code = daemon_wait(player->helper, STOP_MS);
    if (code != 0)
        die("syncq-sync ended with %d", code);
    player->helper = 0;
}

void player_kill_helper(struct player *player)
{
    daemon_kill(player->helper);
    player->helper = 0;
}

/* ---- writers ---- */

/* A small mail mostly, sometimes one of many pages. */
static void choose_mail(struct chance *chance, struct mail *mail, unsigned seed,
                        size_t size_max)
{
    uint32_t domains = 1 + (uint32_t)chance_below(chance, 3);
    uint32_t more = (uint32_t)chance_below(chance, 3);
    size_t limit = chance_below(chance, 4) == 0 ? size_max : size_max / 100;

    mail_init(mail, seed, domains + more, domains,
              (size_t)chance_below(chance, limit + 1));
}

/* Until the manager has made room, or a successor of the helper is there. */
static int is_temporary(int result)
{
    return result == SYNCQ_ERR_SEGMENTS_FULL ||
           result == SYNCQ_ERR_ENTRIES_FULL || result == SYNCQ_ERR_TIMEOUT ||
           result == SYNCQ_ERR_REQUESTS_FULL;
}

static int append(struct player *player, struct mail *mail,
                  struct syncq_ticket *ticket)
{
    uint64_t end_us = syncq_clock_us() + UINT64_C(1000) * FIXTURE_WAIT_MS;
    _Atomic uint32_t never = 0;
    int result;

    while ((result = mail_append(player->queue, mail, ticket)) != 0 &&
           is_temporary(result) && syncq_clock_us() < end_us)
        (void)syncq_futex_wait(&never, 0, PLAYER_WAIT_US);
    return result;
}

/* When the confirm was faster it is in the queue after all. */
static void give_up(struct player *player, struct player_mail *made,
                    struct syncq_ticket *ticket)
{
    int confirmed;

    player_say(player, &made->mail, ORACLE_CANCELLED);
    confirmed = syncq_ticket_abandon(player->queue, ticket) == SYNCQ_ERR_EXISTS;
    syncq_ticket_finish(player->queue, ticket,
                        confirmed ? SYNCQ_STATUS_SYNCED
                                  : SYNCQ_STATUS_CANCELLED);
    if (confirmed)
        atomic_store(&made->state, PLAYER_STORED);
}

static void store(struct player *player, size_t size_max)
{
    unsigned seed = atomic_fetch_add(&player->shared->mail_count, 1) + 1;
    struct player_mail *made = &player->shared->mails[seed - 1];
    struct syncq_ticket ticket;
    struct chance chance;
    int result;

    if (seed > PLAYER_MAILS_MAX)
        die("too many mails");
    chance_init(&chance, player->seed, seed);
    choose_mail(&chance, &made->mail, seed, size_max);
    player_say(player, &made->mail, ORACLE_SUBMITTED);
    result = append(player, &made->mail, &ticket);
    player_must(result, "append");
    if (chance_below(&chance, GIVE_UP_ONE_IN) == 0) {
        give_up(player, made, &ticket);
        return;
    }
    result = syncq_ticket_wait(player->queue, &ticket, FIXTURE_WAIT_MS);
    if (result != 0)
        die("mail %u is not confirmed: %s", seed, syncq_strerror(result));
    player_say(player, &made->mail, ORACLE_CONFIRMED);
    syncq_ticket_finish(player->queue, &ticket, SYNCQ_STATUS_SYNCED);
    atomic_store(&made->state, PLAYER_STORED);
    atomic_fetch_add(&player->shared->confirmed_size, made->mail.size);
    atomic_fetch_add(&player->shared->confirmed_count, 1);
}

static void *write_mails(void *context)
{
    struct player_writers *writers = context;

    for (unsigned i = 0; i < writers->count; i++) {
        if (writers->stop != NULL && atomic_load(writers->stop))
            break;
        store(writers->player, writers->size_max);
    }
    atomic_fetch_sub(&writers->running, 1);
    return NULL;
}

void player_writers_start(struct player_writers *writers)
{
    atomic_store(&writers->running, writers->thread_count);
    for (unsigned i = 0; i < writers->thread_count; i++)
        if (pthread_create(&writers->threads[i], NULL, write_mails, writers) !=
            0)
            die("no thread");
}

void player_writers_join(struct player_writers *writers)
{
    for (unsigned i = 0; i < writers->thread_count; i++)
        (void)pthread_join(writers->threads[i], NULL);
}

pid_t player_writers_fork(struct player_writers *writers)
{
    pid_t pid = fork();

    if (pid == 0) {
        player_open(writers->player);
        player_writers_start(writers);
        player_writers_join(writers);
        for (;;)
            (void)pause();
    }
    if (pid < 0)
        die("no process");
    return pid;
}

/* ---- the manager ---- */

static unsigned find_stored(struct player *player, unsigned count,
                            struct mail *mails, struct player_mail **from)
{
    unsigned last = atomic_load(&player->shared->mail_count), found = 0;

    for (unsigned i = 0; i < last && found < count; i++) {
        struct player_mail *mail = &player->shared->mails[i];

        if (atomic_load(&mail->state) != PLAYER_STORED)
            continue;
        from[found] = mail;
        mails[found++] = mail->mail;
    }
    return found;
}

static void mark_all(struct player *player, const struct mail *mails,
                     unsigned count, unsigned status)
{
    int held = status == SYNCQ_STATUS_HELD;

    if (count == 0)
        return;
    for (unsigned i = 0; i < count; i++)
        player_say(player, &mails[i], held ? ORACLE_HOLDING : ORACLE_DONE);
    mail_mark(player->queue, mails, count, status, NULL);
    for (unsigned i = 0; i < count; i++)
        player_say(player, &mails[i], held ? ORACLE_HELD : ORACLE_DONE_DURABLE);
}

void player_deliver(struct player *player, unsigned count, unsigned held)
{
    struct mail *mails = calloc(count + 1, sizeof *mails);
    struct player_mail **from = calloc(count + 1, sizeof *from);
    unsigned found;

    if (mails == NULL || from == NULL)
        die("no memory");
    found = find_stored(player, count, mails, from);
    if (held > found)
        held = found;
    mark_all(player, mails, held, SYNCQ_STATUS_HELD);
    mark_all(player, mails + held, found - held, SYNCQ_STATUS_DONE);
    for (unsigned i = 0; i < found; i++)
        atomic_store(&from[i]->state, i < held ? PLAYER_HELD : PLAYER_DONE);
    free(mails);
    free(from);
}

void player_release(struct player *player)
{
    unsigned count = atomic_load(&player->shared->mail_count);

    for (unsigned i = 0; i < count; i++) {
        struct player_mail *mail = &player->shared->mails[i];

        if (atomic_load(&mail->state) != PLAYER_HELD)
            continue;
        mark_all(player, &mail->mail, 1, SYNCQ_STATUS_DONE);
        atomic_store(&mail->state, PLAYER_DONE);
    }
}

int player_retire(struct player *player)
{
    struct syncq_mark *marks = NULL;
    struct syncq_ticket ticket;
    uint32_t segment, count;
    int result = syncq_retire_find(player->queue, &segment, &marks, &count);

    if (result == SYNCQ_ERR_SEGMENTS_FULL)
        return 0;
    if (result == 0 && count > 0) {
        result = syncq_marks_append(player->queue, marks, count, &ticket);
        if (result == 0)
            result = syncq_ticket_wait(player->queue, &ticket, FIXTURE_WAIT_MS);
        if (result == 0)
            syncq_ticket_finish(player->queue, &ticket, SYNCQ_STATUS_SYNCED);
    }
    free(marks);
    player_must(result, "retire");
    syncq_retire_ask(player->queue, segment);
    result = syncq_retire_wait(player->queue, segment, FIXTURE_WAIT_MS);
    if (result == SYNCQ_ERR_BUSY)
        return 0; /* refused: somebody still is at work there */
    player_must(result, "retire");
    return 1;
}

/* ---- after a crash ---- */

static int nothing_new(struct player *player, void *context)
{
    (void)context;
    return count_status(player->queue, SYNCQ_STATUS_NEW) == 0;
}

/* Nobody may know that this mail is in the queue. */
static void settle_entry(struct player *player,
                         const struct syncq_entry_view *entry)
{
    struct syncq_record record;
    struct player_mail *mail;
    unsigned seed;
    int result = syncq_record_read(player->queue, entry->state.lsn,
                                   entry->sequence, &record);

    player_must(result, "read");
    if (mail_seed(&record, &seed) && seed >= 1 && seed <= PLAYER_MAILS_MAX) {
        mail = &player->shared->mails[seed - 1];
        mail->mail.sequence = entry->sequence;
        mail->mail.lsn = entry->state.lsn;
        if (atomic_load(&mail->state) == PLAYER_SUBMITTED)
            atomic_store(&mail->state, PLAYER_STORED);
    }
    syncq_record_clear(&record);
}

void player_settle(struct player *player)
{
    player_until(player, nothing_new, NULL, "new entries");
    for (uint32_t slot = 0; slot < syncq_entry_count(player->queue); slot++) {
        struct syncq_entry_view view;

        if (syncq_entry_read(player->queue, slot, &view) == 0 &&
            !syncq_status_is_final(view.state.status))
            settle_entry(player, &view);
    }
}

/* ---- all of it ---- */

int player_run(const struct block_disk *disk, const char *directory,
               uint64_t seed)
{
    struct player player = {.disk = disk, .seed = seed};

    player.shared = mmap(NULL, sizeof *player.shared, PROT_READ | PROT_WRITE,
                         MAP_SHARED | MAP_ANONYMOUS, -1, 0);
    if (player.shared == MAP_FAILED ||
        player_configure(directory, disk->mount, player.queue_directory,
                         player.run_directory, player.config) != 0)
        die("no queue configuration: %s", strerror(errno));
    (void)snprintf(player.output, PATH_MAX, "%s/syncq.out", directory);
    for (const struct player_phase *phase = player_phases; phase->name != NULL;
         phase++) {
        phase_name = phase->name;
        block_disk_say(disk, "mark phase %s", phase_name);
        phase->run(&player);
    }
    block_disk_say(disk, "mark phase end");
    (void)munmap(player.shared, sizeof *player.shared);
    return 0;
}
