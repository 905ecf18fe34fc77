/* SPDX-License-Identifier: MIT */
/*
 * mail_source.c - mails to send: made up, or the files of a directory
 */
#include "tests/mail_source.h"

#include <dirent.h>
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

#define BODY_SIZE_MIN   200    /* bytes */
#define BODY_SIZE_BITS  8      /* 200 << 8: about 50 KiB, half of it the most */
#define LARGE_ONE_IN    200    /* mails */
#define LARGE_SIZE_MAX  524288 /* bytes */
#define LINE_LENGTH_MAX 998    /* bytes without CR LF, as in RFC 5322 */

/* splitmix64: good enough, and the same everywhere. */
static uint64_t random_next(uint64_t *state)
{
    uint64_t value = *state += UINT64_C(0x9e3779b97f4a7c15);

    value = (value ^ (value >> 30)) * UINT64_C(0xbf58476d1ce4e5b9);
    value = (value ^ (value >> 27)) * UINT64_C(0x94d049bb133111eb);
    return value ^ (value >> 31);
}

static size_t random_below(uint64_t *state, size_t limit)
{
    return (size_t)(random_next(state) % limit);
}

static size_t line_length(uint64_t *state)
{
    size_t kind = random_below(state, 32);

    if (kind == 0)
        return random_below(state, LINE_LENGTH_MAX) + 1;
    if (kind == 1)
        return LINE_LENGTH_MAX;
    return kind < 5 ? 0 : 40 + random_below(state, 39);
}

/* One byte of text: mostly ASCII, sometimes not; never CR, LF or NUL. */
static char text_character(uint64_t *state, int eight_bit)
{
    size_t value = random_below(state, 256);

    if (eight_bit && value >= 128)
        return (char)value;
    return (char)(' ' + value % 95);
}

/* What a line starts with matters to SMTP, mailboxes and headers. */
static void line_start(uint64_t *state, FILE *file)
{
    static const char *const starts[] = {".",     "..",   "...", "From ",
                                         ">From", "\t",   " ",   "-- ",
                                         "X: y",  ".\t.", "--"};
    size_t kind = random_below(state, 64);

    if (kind < sizeof(starts) / sizeof(starts[0]))
        (void)fputs(starts[kind], file); /* open_memstream keeps an error */
}

static void body_write(uint64_t *state, size_t size, FILE *file)
{
    int eight_bit = random_below(state, 4) == 0;
    long end = ftell(file) + (long)size;

    while (ftell(file) < end) {
        size_t length = line_length(state);

        if (length > 8 && length < LINE_LENGTH_MAX - 8)
            line_start(state, file);
        while (length-- > 0)
            (void)putc_unlocked(text_character(state, eight_bit), file);
        (void)fputs("\r\n", file);
    }
    if (random_below(state, 8) == 0)
        (void)fputs(".\r\n", file);
}

static size_t body_size(uint64_t *state)
{
    size_t size;

    if (random_below(state, LARGE_ONE_IN) == 0)
        return 65536 + random_below(state, LARGE_SIZE_MAX - 65536);
    size = (size_t)BODY_SIZE_MIN << random_below(state, BODY_SIZE_BITS + 1);
    size += random_below(state, size);
    return size < 65536 ? size : 65536;
}

static int generate(const struct mail_source *source, size_t number,
                    char **text, size_t *size)
{
    uint64_t state = source->seed ^ (number * UINT64_C(0xd1342543de82ef95));
    char recipient[MAIL_RECIPIENT_SIZE];
    FILE *file = open_memstream(text, size);
    int error;

    if (file == NULL)
        return errno;
    mail_source_recipient(source, number, recipient);
    fprintf(file,
            "Message-ID: <%llu.%zu@load.test>\r\nFrom: load@load.test\r\n"
            "To: %s\r\nSubject: mail %zu\r\n\tof the load\r\n"
            "Date: Thu, 1 Jan 2026 00:00:%02zu +0000\r\n"
            "MIME-Version: 1.0\r\nContent-Type: text/plain\r\n"
            "Content-Transfer-Encoding: 8bit\r\n\r\n",
            (unsigned long long)source->seed, number, recipient, number,
            number % 60);
    body_write(&state, body_size(&state), file);
    error = ferror(file) ? ENOMEM : 0;
    if (fclose(file) != 0 && error == 0)
        error = errno;
    if (error != 0)
        free(*text);
    return error;
}

static int regular_file(const struct dirent *entry)
{
    return entry->d_name[0] != '.' &&
           (entry->d_type == DT_REG || entry->d_type == DT_UNKNOWN);
}

int mail_source_open(struct mail_source *source, const char *directory)
{
    struct dirent **entries = NULL;
    int count = scandir(directory, &entries, regular_file, alphasort);
    int error = 0;

    if (count < 0)
        return errno;
    source->directory = directory;
    source->count = 0;
    source->names = calloc((size_t)count + 1, sizeof(char *));
    if (source->names == NULL)
        error = ENOMEM;
    for (int i = 0; i < count; i++) {
        char *name = error == 0 ? strdup(entries[i]->d_name) : NULL;

        if (name != NULL)
            source->names[source->count++] = name;
        else
            error = ENOMEM;
        free(entries[i]);
    }
    free(entries);
    if (error != 0)
        mail_source_clear(source);
    return error;
}

void mail_source_clear(struct mail_source *source)
{
    for (size_t i = 0; source->names != NULL && i < source->count; i++)
        free(source->names[i]);
    free(source->names);
    source->names = NULL;
    source->count = 0;
}

/* Copy a file's bytes and give every line its CR LF. */
static int file_convert(FILE *input, FILE *output)
{
    int byte, last = '\n';

    while ((byte = getc_unlocked(input)) != EOF) {
        if (byte == '\n' && last != '\r')
            (void)putc_unlocked('\r', output);
        (void)putc_unlocked(byte, output);
        last = byte;
    }
    if (last != '\n')
        (void)fputs(last == '\r' ? "\n" : "\r\n", output);
    if (ferror(input))
        return EIO;
    return ferror(output) ? ENOMEM : 0;
}

static int file_read(const char *path, char **text, size_t *size)
{
    FILE *input = fopen(path, "r");
    FILE *output = NULL;
    int error;

    if (input == NULL)
        return errno;
    output = open_memstream(text, size);
    if (output == NULL) {
        error = errno;
        goto out;
    }
    error = file_convert(input, output);
    if (fclose(output) != 0 && error == 0)
        error = errno;
    if (error != 0)
        free(*text);
out:
    (void)fclose(input); /* it was only read */
    return error;
}

int mail_source_read(const struct mail_source *source, size_t number,
                     char **text, size_t *size)
{
    char *path;
    int error;

    if (source->directory == NULL)
        return generate(source, number, text, size);
    if (asprintf(&path, "%s/%s", source->directory, source->names[number]) < 0)
        return ENOMEM;
    error = file_read(path, text, size);
    free(path);
    return error;
}

void mail_source_recipient(const struct mail_source *source, size_t number,
                           char recipient[MAIL_RECIPIENT_SIZE])
{
    (void)snprintf(recipient, MAIL_RECIPIENT_SIZE, "load%zu@d%zu.test", number,
                   number % source->domain_count);
}
