/* SPDX-License-Identifier: MIT */
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "postfix/record.h"
#include "tests/milter_mail.h"

#define LINE_SIZE 1000 /* bytes of filling in one line */

static const char *const plain_recipients[] = {"one@a.example", "two@b.example",
                                               "three@a.example", NULL};
static const char *const plain_lines[] = {
    "Received: from client by server id 1",
    "From: sender@example.org",
    "Subject: test",
    "",
    "body",
    NULL};
static const char *const plain_attributes[] = {"log_client_address=192.0.2.1",
                                               "rewrite_context=remote", NULL};

const struct milter_mail milter_mail_plain = {
    .sender = "sender@example.org",
    .recipients = plain_recipients,
    .lines = plain_lines,
    .attributes = plain_attributes,
};

static void write_text(struct record_writer *writer, int type, const char *text)
{
    record_write(writer, type, text, strlen(text));
}

static void write_content(struct record_writer *writer,
                          const struct milter_mail *mail)
{
    char filling[LINE_SIZE];
    const char *const *line;
    size_t left, size;

    write_text(writer, RECORD_MESSAGE, "");
    for (line = mail->lines; *line; line++)
        write_text(writer, RECORD_LINE, *line);
    memset(filling, 'x', sizeof(filling));
    for (left = mail->body_size; left; left -= size) {
        size = left < LINE_SIZE ? left : LINE_SIZE;
        record_write(writer, RECORD_LINE, filling, size);
    }
    write_text(writer, RECORD_EXTRACTED, "");
}

static int write_file(const char *path, const struct record_writer *writer)
{
    int fd = open(path, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0600);
    int result = 0;

    if (fd < 0)
        return errno;
    if (write(fd, writer->bytes, writer->size) != (ssize_t)writer->size)
        result = errno ? errno : EIO;
    close(fd);
    return result;
}

int milter_mail_write(const char *path, const struct milter_mail *mail)
{
    struct record_writer writer = {.bytes = NULL};
    char zeros[RECORD_SIZE_DATA_SIZE + 1];
    const char *const *at;
    int result;

    (void)snprintf(zeros, sizeof(zeros), "%15d %15d %15d %15d %15d %15d", 0, 0,
                   0, 0, 0, 0);
    write_text(&writer, RECORD_SIZE, zeros);
    write_text(&writer, RECORD_TIME, "1700000000 123456");
    write_text(&writer, RECORD_ATTRIBUTE, "create_time=1700000000");
    for (at = mail->attributes; at && *at; at++)
        write_text(&writer, RECORD_ATTRIBUTE, *at);
    write_text(&writer, RECORD_SENDER, mail->sender);
    for (at = mail->recipients; *at; at++) {
        write_text(&writer, RECORD_ORIGINAL, *at);
        write_text(&writer, RECORD_RECIPIENT, *at);
    }
    write_content(&writer, mail);
    write_text(&writer, RECORD_END, "");
    result = writer.failed ? ENOMEM : write_file(path, &writer);
    free(writer.bytes);
    return result;
}
