/* SPDX-License-Identifier: MIT */
#include <errno.h>
#include <inttypes.h>
#include <pwd.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/statvfs.h>
#include <sysexits.h>
#include <unistd.h>

#include "admin/command.h"
#include "admin/progress.h"
#include "admin/size.h"
#include "module/error.h"
#include "module/index_format.h"

#define SIZE_DEFAULT (UINT64_C(1) << 30) /* bytes */

static int read_options(const struct command *command, int argc, char **argv,
                        struct syncq_create_options *options)
{
    static const struct option known[] = {
        {"size", required_argument, NULL, 's'},
        {"segment-size", required_argument, NULL, 'g'},
        {"entries", required_argument, NULL, 'n'},
        COMMAND_HELP_OPTION,
        {NULL, 0, NULL, 0},
    };
    int option, exit_code = 0, result = 0;

    while (!result && (option = command_option(command, argc, argv, known,
                                               &exit_code)) != -1) {
        if (option == COMMAND_STOP)
            return exit_code ? exit_code : COMMAND_STOP;
        if (option == 's')
            result = size_read(command, "size", optarg, &options->size);
        else if (option == 'g')
            result = size_read(command, "segment-size", optarg,
                               &options->segment_size);
        else
            result = entry_count_read(command, "entries", optarg,
                                      &options->entry_count);
    }
    return result ? result : command_no_arguments(command, argc, argv);
}

/*
 * Make a directory of the mail owner's own.  One that exists is left as it is:
 * it may be a mount point with rights that somebody thought about; the create
 * refuses what is not safe.
 */
static int make_directory(const struct command *command, const char *path)
{
    const char *user = command->config->mail_owner;
    const struct passwd *owner = getpwnam(user);

    if (!owner) {
        command_error(command, "there is no user %s (mail_owner)", user);
        return EX_NOUSER;
    }
    if (mkdir(path, 0700) < 0) {
        if (errno == EEXIST)
            return 0;
        command_error(command, "cannot make directory %s: %s", path,
                      strerror(errno));
        return EX_CANTCREAT;
    }
    if (geteuid() == 0 && lchown(path, owner->pw_uid, owner->pw_gid) < 0) {
        command_error(command, "cannot give directory %s to %s: %s", path, user,
                      strerror(errno));
        return EX_CANTCREAT;
    }
    return 0;
}

/*
 * A create that fails half-way leaves nothing, but until then it would have
 * taken the last bytes from everybody else on the disk.
 */
static int check_space(const struct command *command,
                       const struct syncq_create_options *options)
{
    const char *directory = command->config->queue_directory;
    uint64_t entries, wanted, available;
    struct statvfs disk;

    if (statvfs(directory, &disk) < 0)
        return command_failure(command, directory, errno);
    entries = options->entry_count ? options->entry_count
                                   : options->size / SYNCQ_MESSAGE_SIZE_TYPICAL;
    available = (uint64_t)disk.f_bavail * disk.f_frsize;
    if (!__builtin_add_overflow(options->size, entries * SYNCQ_ENTRY_SIZE,
                                &wanted) &&
        wanted <= available)
        return 0;
    command_error(
        command, "%s: %s: %" PRIu64 " MiB are wanted, %" PRIu64 " MiB are free",
        directory, strerror(ENOSPC), wanted >> 20, available >> 20);
    return EX_CANTCREAT;
}

static int create_queue(const struct command *command,
                        struct syncq_create_options *options)
{
    const char *directory = command->config->queue_directory;
    struct progress progress;
    int result;

    progress_init(&progress, "creating");
    options->progress = progress_update;
    options->context = &progress;
    options->allow_any_filesystem = command->config->allow_any_filesystem;
    result = syncq_queue_create(directory, options);
    progress_clear(&progress);
    if (result == SYNCQ_ERR_RANGE) {
        command_error(command,
                      "%s: the sizes do not fit together: a queue has %d to "
                      "%d segments of 8 MiB to 4 GiB each",
                      directory, SYNCQ_SEGMENT_COUNT_MIN,
                      SYNCQ_SEGMENT_COUNT_MAX);
        return EX_USAGE;
    }
    return result ? command_failure(command, directory, result) : 0;
}

int verb_create(const struct command *command, int argc, char **argv)
{
    struct syncq_create_options options = {.size = SIZE_DEFAULT};
    int result;

    result = read_options(command, argc, argv, &options);
    if (result)
        return result == COMMAND_STOP ? 0 : result;
    result = make_directory(command, command->config->queue_directory);
    if (!result)
        result = make_directory(command, command->config->run_directory);
    /* The files then belong to the right user from their first moment. */
    if (!result)
        result = command_become_owner(command);
    if (!result)
        result = check_space(command, &options);
    if (!result)
        result = create_queue(command, &options);
    if (!result && isatty(STDOUT_FILENO))
        printf("%s is ready.\n", command->config->queue_directory);
    return result;
}
