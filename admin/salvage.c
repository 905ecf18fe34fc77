/* SPDX-License-Identifier: MIT */
#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <libgen.h>
#include <pwd.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sysexits.h>
#include <unistd.h>

#include "admin/command.h"
#include "admin/content.h"
#include "admin/progress.h"
#include "admin/salvage_envelope.h"
#include "module/error.h"
#include "module/listing.h"
#include "module/queue.h"
#include "module/salvage.h"

#define NAME_SIZE 64 /* bytes */

struct salvage_options {
    const char *data;
    int without_key;
    const char *directory;
};

struct writer {
    int directory_fd;
    struct progress progress;
    uint64_t odd; /* messages whose content makes no sense to its end */
};

static int read_options(const struct command *command, int argc, char **argv,
                        struct salvage_options *options)
{
    static const struct option known[] = {
        {"data", required_argument, NULL, 'd'},
        {"without-key", no_argument, NULL, 'w'},
        COMMAND_HELP_OPTION,
        {NULL, 0, NULL, 0},
    };
    int option, exit_code;

    while ((option = command_option(command, argc, argv, known, &exit_code)) !=
           -1) {
        if (option == COMMAND_STOP)
            return exit_code ? exit_code : COMMAND_STOP;
        if (option == 'd')
            options->data = optarg;
        else
            options->without_key = 1;
    }
    if (argc - optind != 1) {
        command_error(command, "expected one DIR; try 'syncq salvage --help'");
        return EX_USAGE;
    }
    options->directory = argv[optind];
    return 0;
}

/* A new directory, or an empty one; for the mail owner when root makes it. */
static int make_directory(const struct command *command, const char *path,
                          int *directory_fd)
{
    const struct passwd *owner = getpwnam(command->config->mail_owner);
    int fd;

    if (mkdir(path, 0700) && errno != EEXIST) {
        command_error(command, "%s: %s", path, strerror(errno));
        return EX_CANTCREAT;
    }
    /* rmdir and mkdir: only an empty one can be taken away. */
    if (rmdir(path) || mkdir(path, 0700)) {
        command_error(command, "%s: %s", path,
                      errno == ENOTEMPTY || errno == EEXIST
                          ? "it is not empty; nothing is ever overwritten"
                          : strerror(errno));
        return EX_CANTCREAT;
    }
    fd = open(path, O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);
    if (fd < 0 ||
        (geteuid() == 0 && owner && fchown(fd, owner->pw_uid, owner->pw_gid))) {
        command_error(command, "%s: %s", path, strerror(errno));
        if (fd >= 0)
            close(fd);
        return EX_CANTCREAT;
    }
    *directory_fd = fd;
    return 0;
}

static FILE *create_file(const struct writer *writer, const char *name,
                         const char *suffix)
{
    char file[NAME_SIZE + 8];
    FILE *stream;
    int fd;

    (void)snprintf(file, sizeof(file), "%s%s", name, suffix);
    fd = openat(writer->directory_fd, file,
                O_WRONLY | O_CREAT | O_EXCL | O_NOFOLLOW | O_CLOEXEC, 0600);
    if (fd < 0)
        return NULL;
    stream = fdopen(fd, "w");
    if (!stream)
        close(fd);
    return stream;
}

static int close_file(FILE *stream, int result)
{
    int failed = ferror(stream);

    if (fclose(stream))
        return result ? result : errno;
    return !result && failed ? EIO : result;
}

static int write_message(const struct syncq_salvaged *message, void *context)
{
    struct writer *writer = context;
    char name[NAME_SIZE];
    FILE *stream;
    int result, open;

    if (message->is_genuine)
        syncq_sequence_text(message->header->sequence, name);
    else
        (void)snprintf(name, sizeof(name), "unauthenticated-%" PRIu64,
                       message->offset);
    stream = create_file(writer, name, ".eml");
    if (!stream)
        return errno;
    if (content_write(stream, message->header->type, message->content,
                      message->content_size, &open))
        writer->odd++;
    result = close_file(stream, 0);
    if (result)
        return result;
    stream = create_file(writer, name, ".json");
    if (!stream)
        return errno;
    result = salvage_envelope_write(stream, message);
    return close_file(stream, result);
}

static void see_progress(uint64_t done, uint64_t total, void *context)
{
    struct writer *writer = context;

    progress_update(done, total, &writer->progress);
}

static int print_report(const struct syncq_salvage_report *report,
                        const struct salvage_options *options, uint64_t odd)
{
    int is_whole = !report->damage_count && !report->unreadable && !odd;

    printf("%" PRIu64 " messages written to %s%s\n", report->messages,
           options->directory,
           options->without_key ? ", none of them proven to be genuine" : "");
    if (report->copies)
        printf("%" PRIu64 " copies of them left out\n", report->copies);
    if (!report->layout_known && !options->without_key)
        printf("note: both superblocks are damaged; the whole file was "
               "searched, and mail that was delivered long ago may be among "
               "it\n");
    if (!report->index_used)
        printf("note: no index; what was delivered is known from the log "
               "only\n");
    if (report->unreadable + odd)
        printf("%" PRIu64 " records are whole, but make no sense\n",
               report->unreadable + odd);
    if (report->damage_count)
        printf("%" PRIu64 " places of %" PRIu64 " bytes cannot be read\n",
               report->damage_count, report->damage_size);
    return is_whole ? 0 : EX_DATAERR;
}

static int open_source(const struct command *command,
                       const struct salvage_options *options,
                       struct syncq_salvage **salvage)
{
    const char *name = SYNCQ_DATA_FILE;
    const char *directory = command->config->queue_directory;
    char *directory_copy = NULL, *name_copy = NULL;
    int result = 0;

    if (options->data) {
        directory_copy = strdup(options->data);
        name_copy = strdup(options->data);
        if (!directory_copy || !name_copy) {
            result = ENOMEM;
        } else {
            directory = dirname(directory_copy);
            name = basename(name_copy);
        }
    }
    if (!result)
        result =
            syncq_salvage_open(directory, name, options->without_key, salvage);
    if (result == SYNCQ_ERR_KEY || result == SYNCQ_ERR_KEY_FILE ||
        result == SYNCQ_ERR_SUPERBLOCK)
        command_error(command,
                      "%s: %s; with --without-key all that looks like mail is "
                      "written",
                      options->data ? options->data : directory,
                      syncq_strerror(result));
    if (result == SYNCQ_ERR_KEY || result == SYNCQ_ERR_KEY_FILE ||
        result == SYNCQ_ERR_SUPERBLOCK)
        result = EX_DATAERR;
    else if (result)
        result = command_failure(
            command, options->data ? options->data : directory, result);
    free(directory_copy);
    free(name_copy);
    return result;
}

static int salvage_all(const struct command *command,
                       const struct salvage_options *options,
                       struct syncq_salvage *salvage, int directory_fd)
{
    struct writer writer = {.directory_fd = directory_fd};
    const struct syncq_salvage_visitor visitor = {write_message, see_progress,
                                                  &writer};
    struct syncq_salvage_report report;
    int result;

    progress_init(&writer.progress, "salvaging");
    result = syncq_salvage_run(salvage, &visitor, &report);
    /* One sync for all: until it is done nothing is called written. */
    if (!result && syncfs(directory_fd))
        result = errno;
    progress_clear(&writer.progress);
    if (result)
        return command_failure(command, options->directory, result);
    return print_report(&report, options, writer.odd);
}

/*
 * What may need root's rights is opened first; what strangers have written is
 * read without them.
 */
int verb_salvage(const struct command *command, int argc, char **argv)
{
    struct salvage_options options = {0};
    struct syncq_salvage *salvage = NULL;
    int directory_fd = -1;
    int result = read_options(command, argc, argv, &options);

    if (result)
        return result == COMMAND_STOP ? 0 : result;
    result = open_source(command, &options, &salvage);
    if (!result)
        result = make_directory(command, options.directory, &directory_fd);
    if (!result && (geteuid() == 0 || !options.data))
        result = command_become_owner(command);
    if (!result)
        result = salvage_all(command, &options, salvage, directory_fd);
    syncq_salvage_close(salvage);
    if (directory_fd >= 0)
        close(directory_fd);
    return result;
}
