/* SPDX-License-Identifier: MIT */
/*
 * model_disk.c - a disk of known speed and known faults, as a file
 *
 * A FUSE file system with three files, of the user who runs it:
 *
 *   disk       the disk; a loop device goes on top, and a flush of that is an
 *              fsync of this
 *   control    write one command of disk_control.h at a time
 *   counters   read: what happened so far
 *
 * It runs in the foreground, and says "ready" on standard output when the files
 * are there.  SIGTERM or umount(8) ends it.
 */
#define FUSE_USE_VERSION 312
#include <errno.h>
#include <fcntl.h>
#include <fuse.h>
#include <getopt.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/stat.h>
#include <sysexits.h>
#include <unistd.h>

#include "tests/disk/disk_control.h"

#define COUNTERS_SIZE 1024
#define SECTOR        512

static const char help[] =
    "Usage: model-disk --size BYTES [OPTION]... DIR\n"
    "Serve one disk as the file DIR/disk until SIGTERM.\n\n"
    "      --size BYTES         of the disk, a multiple of 512\n"
    "      --backing FILE       keep it in FILE [in memory]\n"
    "      --flush-ms X         a flush takes so long [0]\n"
    "      --seek-ms X          and going to another place so long [0]\n"
    "      --log FILE           write down every change; see write_log.h\n"
    "      --fail OP:N:ERROR[:always]   answer the N-th write or flush with\n"
    "                           EIO or ENOSPC, maybe all later ones too\n"
    "      --help               show this text\n\n"
    "The same words go into DIR/control while it runs, one command in each\n"
    "write: flush-ms X, seek-ms X, fail OP N ERROR, mark TEXT, reset.\n"
    "DIR/counters says what has happened.\n";

static const struct option options[] = {
    {"size", required_argument, NULL, 's'},
    {"backing", required_argument, NULL, 'b'},
    {"flush-ms", required_argument, NULL, 'f'},
    {"seek-ms", required_argument, NULL, 'k'},
    {"log", required_argument, NULL, 'l'},
    {"fail", required_argument, NULL, 'e'},
    {"help", no_argument, NULL, 'h'},
    {NULL, 0, NULL, 0}};

enum file { FILE_ROOT, FILE_DISK, FILE_CONTROL, FILE_COUNTERS, FILE_COUNT };

static const char *const file_names[FILE_COUNT] = {"/", "/disk", "/control",
                                                   "/counters"};

static struct disk *the_disk(void)
{
    return fuse_get_context()->private_data;
}

static int file_find(const char *path)
{
    int file;

    for (file = 0; file < FILE_COUNT; file++) {
        if (strcmp(path, file_names[file]) == 0)
            return file;
    }
    return -ENOENT;
}

static void *op_init(struct fuse_conn_info *connection,
                     struct fuse_config *config)
{
    (void)connection;
    config->direct_io = 1; /* every request of the kernel comes here at once */
    config->set_uid = 1;
    config->uid = getuid();
    config->set_gid = 1;
    config->gid = getgid();
    return the_disk();
}

static int op_getattr(const char *path, struct stat *status,
                      struct fuse_file_info *info)
{
    int file = file_find(path);

    (void)info;
    if (file < 0)
        return file;
    memset(status, 0, sizeof(*status));
    status->st_nlink = file == FILE_ROOT ? 2 : 1;
    status->st_mode = file == FILE_ROOT ? S_IFDIR | 0700 : S_IFREG | 0600;
    if (file == FILE_DISK)
        status->st_size = (off_t)disk_size(the_disk());
    return 0;
}

static int op_readdir(const char *path, void *buffer, fuse_fill_dir_t fill,
                      off_t offset, struct fuse_file_info *info,
                      enum fuse_readdir_flags flags)
{
    int file;

    (void)offset;
    (void)info;
    (void)flags;
    if (file_find(path) != FILE_ROOT)
        return -ENOTDIR;
    for (file = FILE_DISK; file < FILE_COUNT; file++) {
        if (fill(buffer, file_names[file] + 1, NULL, 0, 0) != 0)
            return -ENOMEM;
    }
    return 0;
}

static int op_open(const char *path, struct fuse_file_info *info)
{
    int file = file_find(path);

    (void)info;
    return file < 0 ? file : 0;
}

/* A shell opens the control file to write with O_TRUNC. */
static int op_truncate(const char *path, off_t size,
                       struct fuse_file_info *info)
{
    (void)size;
    (void)info;
    return file_find(path) == FILE_CONTROL ? 0 : -EPERM;
}

static int read_counters(char *to, size_t length, off_t offset)
{
    char text[COUNTERS_SIZE];
    size_t size = disk_control_counters(the_disk(), text, sizeof(text));

    if ((size_t)offset >= size)
        return 0;
    if (length > size - (size_t)offset)
        length = size - (size_t)offset;
    memcpy(to, text + offset, length);
    return (int)length;
}

static int op_read(const char *path, char *to, size_t length, off_t offset,
                   struct fuse_file_info *info)
{
    struct disk *disk = the_disk();
    uint64_t begin = (uint64_t)offset, size = disk_size(disk);

    (void)info;
    if (file_find(path) == FILE_COUNTERS)
        return read_counters(to, length, offset);
    if (file_find(path) != FILE_DISK || begin >= size)
        return 0;
    if (length > size - begin)
        length = (size_t)(size - begin);
    if (disk_read(disk, to, begin, length) != 0)
        return -EIO;
    return (int)length;
}

static int op_write(const char *path, const char *from, size_t length,
                    off_t offset, struct fuse_file_info *info)
{
    int result;

    (void)info;
    if (file_find(path) == FILE_CONTROL)
        result = disk_control_run(the_disk(), from, length);
    else if (file_find(path) == FILE_DISK)
        result = disk_write(the_disk(), from, (uint64_t)offset, length);
    else
        result = EPERM;
    return result != 0 ? -result : (int)length;
}

static int op_fsync(const char *path, int data_only,
                    struct fuse_file_info *info)
{
    (void)data_only;
    (void)info;
    return file_find(path) == FILE_DISK ? -disk_flush(the_disk()) : 0;
}

static int op_fallocate(const char *path, int mode, off_t offset, off_t length,
                        struct fuse_file_info *info)
{
    uint64_t begin = (uint64_t)offset, size = (uint64_t)length;

    (void)info;
    if (file_find(path) != FILE_DISK)
        return -EOPNOTSUPP;
    if ((mode & FALLOC_FL_PUNCH_HOLE) != 0)
        return -disk_discard(the_disk(), begin, size);
    if ((mode & FALLOC_FL_ZERO_RANGE) != 0)
        return -disk_zero(the_disk(), begin, size);
    return -EOPNOTSUPP;
}

static const struct fuse_operations operations = {
    .init = op_init,
    .getattr = op_getattr,
    .readdir = op_readdir,
    .open = op_open,
    .truncate = op_truncate,
    .read = op_read,
    .write = op_write,
    .fsync = op_fsync,
    .fallocate = op_fallocate,
};

static int usage(const char *text)
{
    fprintf(stderr, "model-disk: %s; see --help\n", text);
    return EX_USAGE;
}

/* What the command line says; words for the control come in order. */
struct request {
    uint64_t size;
    const char *backing, *log, *directory;
    const char *flush_ms, *seek_ms, *fail[DISK_OPERATION_COUNT];
    size_t fail_count;
};

static int request_option(struct request *request, int option)
{
    char *end;

    switch (option) {
    case 's':
        request->size = strtoull(optarg, &end, 10);
        return *end == '\0' && request->size > 0 &&
               request->size % SECTOR == 0 && request->size <= INT64_MAX;
    case 'b':
        request->backing = optarg;
        return 1;
    case 'f':
        request->flush_ms = optarg;
        return 1;
    case 'k':
        request->seek_ms = optarg;
        return 1;
    case 'l':
        request->log = optarg;
        return 1;
    case 'e':
        if (request->fail_count == DISK_OPERATION_COUNT)
            return 0;
        request->fail[request->fail_count++] = optarg;
        return 1;
    default:
        return 0;
    }
}

static int control_word(struct disk *disk, const char *word, const char *value)
{
    char command[DISK_CONTROL_SIZE_MAX];
    int length;

    if (value == NULL)
        return 0;
    length = snprintf(command, sizeof(command), "%s %s", word, value);
    if (length < 0 || (size_t)length >= sizeof(command))
        return EINVAL;
    return disk_control_run(disk, command, (size_t)length);
}

static int request_control(const struct request *request, struct disk *disk)
{
    int result = control_word(disk, "flush-ms", request->flush_ms);
    size_t i;

    if (result == 0)
        result = control_word(disk, "seek-ms", request->seek_ms);
    for (i = 0; i < request->fail_count && result == 0; i++)
        result = control_word(disk, "fail", request->fail[i]);
    return result;
}

/*
 * Write-back of dirty pages waits for this process, so it must not wait for
 * write-back itself; and its sleeps should be as long as they are said to be.
 */
static void be_a_disk(void)
{
    (void)prctl(PR_SET_IO_FLUSHER, 1, 0, 0, 0); /* without root it may fail */
    (void)prctl(PR_SET_TIMERSLACK, 1UL, 0, 0, 0);
}

static int serve(struct disk *disk, const char *directory)
{
    char *words[] = {(char *)(uintptr_t) "model-disk",
                     (char *)(uintptr_t) "-ofsname=model-disk", NULL};
    struct fuse_args arguments = FUSE_ARGS_INIT(2, words);
    struct fuse_loop_config *config = fuse_loop_cfg_create();
    struct fuse *fuse =
        fuse_new(&arguments, &operations, sizeof(operations), disk);
    int result = 1;

    if (config == NULL || fuse == NULL || fuse_mount(fuse, directory) != 0)
        goto out;
    if (fuse_set_signal_handlers(fuse_get_session(fuse)) == 0) {
        puts("ready");
        (void)fflush(stdout);
        /* Ended by a signal it returns its number: as good as umount. */
        result = fuse_loop_mt(fuse, config) < 0;
        fuse_remove_signal_handlers(fuse_get_session(fuse));
    }
    fuse_unmount(fuse);
out:
    if (fuse != NULL)
        fuse_destroy(fuse);
    if (config != NULL)
        fuse_loop_cfg_destroy(config);
    fuse_opt_free_args(&arguments);
    return result;
}

static int run(const struct request *request)
{
    struct disk *disk = NULL;
    int result =
        disk_open(request->size, request->backing, request->log, &disk);

    if (result != 0) {
        fprintf(stderr, "model-disk: %s\n", strerror(result));
        return 1;
    }
    if (request_control(request, disk) != 0)
        result = usage("wrong time or error");
    else
        result = serve(disk, request->directory);
    disk_close(disk);
    return result;
}

int main(int argc, char *argv[])
{
    struct request request = {0};
    int option;

    while ((option = getopt_long(argc, argv, "", options, NULL)) != -1) {
        if (option == 'h') {
            (void)fputs(help, stdout);
            return 0;
        }
        if (!request_option(&request, option))
            return usage("wrong option");
    }
    if (optind != argc - 1 || request.size == 0)
        return usage("a size and one directory");
    request.directory = argv[optind];
    be_a_disk();
    return run(&request);
}
