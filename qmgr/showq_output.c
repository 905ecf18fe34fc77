/* SPDX-License-Identifier: MIT */
#include "qmgr/showq_output.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "qmgr/address.h"

#define VERSION_FORCED_EXPIRE 305 /* Postfix 3.5 */
#define VERSION_ANNOUNCEMENT  306
#define VERSION_LOG_CLASS     311
#define FLUSH_SIZE            65536 /* bytes: written at the next message end */

static void write_out(struct showq_output *output)
{
    struct attribute_writer *writer = &output->writer;
    size_t done = 0;

    if (writer->failed)
        output->failed = 1;
    while (!output->failed && done < writer->size) {
        ssize_t count =
            write(output->fd, writer->bytes + done, writer->size - done);

        if (count > 0)
            done += (size_t)count;
        else if (count == 0 || errno != EINTR)
            output->failed = 1;
    }
    writer->size = 0;
}

void showq_address(const struct showq_output *output, const char *address,
                   char text[SHOWQ_ADDRESS_SIZE])
{
    char *byte;

    if (*address == '\0')
        address = output->null_address;
    address_quote(address, text, SHOWQ_ADDRESS_SIZE);
    if (address_is_utf8(text))
        return;
    for (byte = text; *byte != '\0'; byte++) {
        if ((unsigned char)*byte >= 128)
            *byte = '?';
    }
}

void showq_output_start(struct showq_output *output)
{
    if (output->version < VERSION_ANNOUNCEMENT)
        return;
    attribute_write_text(&output->writer, "protocol",
                         "mail_queue_list_protocol");
    attribute_write_end(&output->writer);
}

void showq_output_message(struct showq_output *output,
                          const struct showq_message *message)
{
    struct attribute_writer *writer = &output->writer;
    char sender[SHOWQ_ADDRESS_SIZE];

    attribute_write_text(writer, "queue_name", message->queue_name);
    attribute_write_text(writer, "queue_id", message->queue_id);
    attribute_write_long(writer, "time", message->time_s);
    attribute_write_long(writer, "size", message->size);
    if (output->version >= VERSION_FORCED_EXPIRE)
        attribute_write_int(writer, "forced_expire", message->forced_expire);
    showq_address(output, message->sender, sender);
    attribute_write_text(writer, "sender", sender);
}

void showq_output_recipient(struct showq_output *output, const char *original,
                            const char *address, const char *log_class,
                            const char *reason)
{
    struct attribute_writer *writer = &output->writer;

    if (output->version >= VERSION_LOG_CLASS)
        attribute_write_text(writer, "original_recipient", original);
    attribute_write_text(writer, "recipient", address);
    if (output->version >= VERSION_LOG_CLASS)
        attribute_write_text(writer, "log_class", log_class);
    attribute_write_text(writer, "reason", reason);
}

void showq_output_message_end(struct showq_output *output)
{
    attribute_write_end(&output->writer);
    if (output->writer.size >= FLUSH_SIZE || output->writer.failed)
        write_out(output);
}

void showq_output_finish(struct showq_output *output)
{
    attribute_write_end(&output->writer);
    write_out(output);
    free(output->writer.bytes);
    memset(&output->writer, 0, sizeof(output->writer));
}
