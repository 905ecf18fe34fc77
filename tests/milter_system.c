/* SPDX-License-Identifier: MIT */
#include <errno.h>
#include <fcntl.h>
#include <ftw.h>
#include <poll.h>
#include <pwd.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

#include "module/append.h"
#include "module/entry.h"
#include "tests/daemon.h"
#include "tests/milter_mail.h"
#include "tests/milter_system.h"
#include "tests/temporary.h"

#define QUEUE_SIZE   (UINT64_C(48) << 20)
#define LOOK_TIME_MS 10 /* between two looks at what has no event */

const char *milter_system_path(const struct milter_system *system,
                               const char *name)
{
    static char paths[8][MILTER_SYSTEM_PATH_SIZE];
    static unsigned next;
    char *path = paths[next++ % 8];

    (void)snprintf(path, MILTER_SYSTEM_PATH_SIZE, "%s/%s", system->directory,
                   name);
    return path;
}

static int folders_make(const struct milter_system *system)
{
    static const char *const names[] = {
        "queue",         "run",  "config", "postfix", "postfix/incoming",
        "postfix/trace", "run/shim", NULL};
    unsigned i;

    for (i = 0; names[i]; i++)
        if (mkdir(milter_system_path(system, names[i]), 0700))
            return -1;
    return mkfifo(milter_system_path(system, "run/shim/reached"), 0600) ||
           mkfifo(milter_system_path(system, "run/shim/release"), 0600) ||
           mkfifo(milter_system_path(system, "run/" SYNCQ_ARRIVALS_FILE), 0600);
}

/* The programs refuse to run as root. */
static const struct passwd *owner_find(void)
{
    const struct passwd *user;

    if (geteuid())
        return getpwuid(geteuid());
    user = getpwnam("postfix");
    return user ? user : getpwnam("nobody");
}

static int config_make(struct milter_system *system)
{
    const struct passwd *user = owner_find();
    const char *directory = system->directory;
    FILE *file = fopen(system->config, "w");

    if (!file || !user)
        return -1;
    system->owner = user->pw_uid;
    system->group = user->pw_gid;
    fprintf(file,
            "queue_directory = %s/queue\nrun_directory = %s/run\n"
            "mail_owner = %s\nmilter_socket = unix:%s\n"
            "postfix_queue_directory = %s/postfix\n"
            "postfix_config_directory = %s/config\n"
            "allow_any_filesystem = yes\n",
            directory, directory, user->pw_name, system->socket, directory,
            directory);
    fclose(file);
    file = fopen(milter_system_path(system, "config/main.cf"), "w");
    if (!file)
        return -1;
    fprintf(file, "compatibility_level = 3.6\nqueue_directory = %s/postfix\n",
            directory);
    fclose(file);
    file = fopen(milter_system_path(system, "config/master.cf"), "w");
    return file ? fclose(file) : -1;
}

static uid_t chown_owner;
static gid_t chown_group;

static int chown_one(const char *path, const struct stat *status, int type,
                     struct FTW *place)
{
    (void)status;
    (void)type;
    (void)place;
    return lchown(path, chown_owner, chown_group);
}

static int give_away(const struct milter_system *system)
{
    chown_owner = system->owner;
    chown_group = system->group;
    return nftw(system->directory, chown_one, 8, FTW_PHYS);
}

int milter_system_make(struct milter_system *system)
{
    struct syncq_create_options options = {
        .size = QUEUE_SIZE, .entry_count = 1024, .allow_any_filesystem = 1};

    memset(system, 0, sizeof(*system));
    system->arrivals_fd = -1;
    system->directory = temporary_make();
    if (!system->directory)
        return -1;
    strcpy(system->config, milter_system_path(system, "syncq.conf"));
    strcpy(system->socket, milter_system_path(system, "milter.sock"));
    if (folders_make(system) || config_make(system))
        return -1;
    if (syncq_queue_create(milter_system_path(system, "queue"), &options))
        return -1;
    return give_away(system);
}

void milter_system_remove(struct milter_system *system)
{
    daemon_kill(system->milter);
    if (system->arrivals_fd >= 0)
        close(system->arrivals_fd);
    syncq_queue_close(system->queue);
    daemon_kill(system->helper);
    if (getenv("SYNCQ_TEST_KEEP"))
        fprintf(stderr, "kept: %s\n", system->directory);
    else
        temporary_remove(system->directory);
}

static void look_again(void)
{
    const struct timespec pause = {0, LOOK_TIME_MS * 1000000L};

    nanosleep(&pause, NULL);
}

/* Ends early when the process does. */
static int queue_open(struct milter_system *system)
{
    int left_ms, result = -1;

    for (left_ms = MILTER_SYSTEM_WAIT_MS; left_ms > 0;
         left_ms -= LOOK_TIME_MS) {
        result = syncq_queue_open(milter_system_path(system, "queue"),
                                  milter_system_path(system, "run"),
                                  SYNCQ_OPEN_WRITE, &system->queue);
        if (!result)
            break;
        if (daemon_wait(system->helper, 0) != DAEMON_RUNNING) {
            system->helper = 0;
            break;
        }
        look_again();
    }
    return result;
}

int milter_system_start_helper(struct milter_system *system, const char *shim)
{
    char preload[MILTER_SYSTEM_PATH_SIZE], file[MILTER_SYSTEM_PATH_SIZE],
        directory[MILTER_SYSTEM_PATH_SIZE], program[MILTER_SYSTEM_PATH_SIZE];
    const char *const argv[] = {program, "-e", "-c", system->config, NULL};
    /* A sanitizer wants to be loaded first, but only says so. */
    const char *const environment[] = {preload, file, directory,
                                       "ASAN_OPTIONS=verify_asan_link_order=0",
                                       NULL};
    int result = 0;

    (void)snprintf(program, sizeof(program), "%s",
                   daemon_program("sync-helper/syncq-sync"));
    (void)snprintf(preload, sizeof(preload), "LD_PRELOAD=%s", shim ? shim : "");
    (void)snprintf(file, sizeof(file), "SHIM_MSYNC_FILE=%s",
                   milter_system_path(system, "queue/" SYNCQ_DATA_FILE));
    (void)snprintf(directory, sizeof(directory), "SHIM_MSYNC_DIRECTORY=%s",
                   milter_system_path(system, "run/shim"));
    system->helper = daemon_start(argv, shim ? environment : NULL,
                                  milter_system_path(system, "helper.log"));
    if (system->queue) /* a successor takes the channel over */
        return 0;
    result = queue_open(system);
    if (!result)
        result = syncq_arrivals_open(system->queue, &system->arrivals_fd);
    if (!result)
        syncq_gate_set(system->queue, "");
    return result;
}

int milter_system_start_milter(struct milter_system *system,
                               const char *parameter)
{
    char program[MILTER_SYSTEM_PATH_SIZE];
    const char *const argv[] = {
        program,   "-e", "-c", system->config, parameter ? "-o" : NULL,
        parameter, NULL};
    struct milter_peer peer;
    int left_ms;

    (void)snprintf(program, sizeof(program), "%s",
                   daemon_program("milter/syncq-milter"));
    system->milter =
        daemon_start(argv, NULL, milter_system_path(system, "milter.log"));
    for (left_ms = MILTER_SYSTEM_WAIT_MS; left_ms > 0;
         left_ms -= LOOK_TIME_MS) {
        if (!milter_peer_open(&peer, system->socket, MILTER_PEER_ACTIONS,
                              MILTER_PEER_PROTOCOL)) {
            milter_peer_close(&peer);
            return 0;
        }
        if (daemon_wait(system->milter, 0) != DAEMON_RUNNING) {
            system->milter = 0;
            break;
        }
        look_again();
    }
    return -1;
}

int milter_system_hold(const struct milter_system *system, int hold)
{
    const char *path = milter_system_path(system, "run/shim/hold");
    int fd;

    if (!hold)
        return unlink(path);
    fd = open(path, O_WRONLY | O_CREAT | O_CLOEXEC, 0600);
    return fd < 0 ? -1 : close(fd);
}

int milter_system_reached(const struct milter_system *system)
{
    struct pollfd fifo = {.fd = open(milter_system_path(system, "run/shim/reached"),
                                     O_RDONLY | O_NONBLOCK | O_CLOEXEC),
                          .events = POLLIN};
    char byte = 0;

    if (fifo.fd < 0)
        return -1;
    if (poll(&fifo, 1, MILTER_SYSTEM_WAIT_MS) == 1 &&
        read(fifo.fd, &byte, 1) != 1)
        byte = 0;
    close(fifo.fd);
    return byte == 'r' ? 0 : -1;
}

int milter_system_release(const struct milter_system *system, char order)
{
    int fd =
        open(milter_system_path(system, "run/shim/release"), O_WRONLY | O_CLOEXEC);
    int result;

    if (fd < 0)
        return -1;
    result = write(fd, &order, 1) == 1 ? 0 : -1;
    close(fd);
    return result;
}

int milter_system_logged(const struct milter_system *system, const char *text)
{
    FILE *file = fopen(milter_system_path(system, "milter.log"), "r");
    char line[4096];
    int found = 0;

    while (file && !found && fgets(line, sizeof(line), file))
        found = strstr(line, text) != NULL;
    if (file)
        fclose(file);
    return found;
}

int milter_system_mail(const struct milter_system *system,
                       struct milter_peer *peer, const char *queue_id)
{
    static const char *const arguments[] = {"<sender@example.org>", "SIZE=99",
                                            NULL};
    char name[128];
    const char *path;
    int result;

    (void)snprintf(name, sizeof(name), "postfix/incoming/%s", queue_id);
    path = milter_system_path(system, name);
    result = milter_mail_write(path, &milter_mail_plain);
    if (!result && chown(path, system->owner, system->group))
        result = errno;
    if (result)
        return result;
    if (milter_peer_mail(peer, "sender@example.org", arguments) != 'c')
        return EPROTO;
    return milter_peer_end(peer, queue_id);
}

int milter_system_arrival(const struct milter_system *system,
                          struct syncq_record *record, unsigned *status)
{
    struct pollfd fifo = {.fd = system->arrivals_fd, .events = POLLIN};
    struct syncq_entry_view entry;
    struct syncq_arrival arrival;
    int result;

    if (poll(&fifo, 1, MILTER_SYSTEM_WAIT_MS) != 1 ||
        read(fifo.fd, &arrival, sizeof(arrival)) != sizeof(arrival))
        return ETIMEDOUT;
    result = syncq_entry_read(system->queue, arrival.slot, &entry);
    if (!result)
        result = syncq_record_read(system->queue, entry.state.lsn,
                                   arrival.sequence, record);
    if (!result)
        *status = entry.state.status;
    return result;
}
