/* SPDX-License-Identifier: MIT */
#include "module/damage.h"

#include <errno.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <xxhash.h>

#include "module/error.h"
#include "module/file.h"
#include "module/queue_internal.h"

#define FILE_NEW SYNCQ_DAMAGE_FILE ".new"
#define HEADING  "syncq damage 1\n"
#define TRAILER  "checksum %016" PRIx64 "\n"
#define LINE                                                                   \
    "%" PRIu64 " %" PRIu64 " %" PRIu64 " %" PRIu64 " %u %" PRIu64              \
    " %u %" PRId64 " %u\n"

enum {
    LINE_SIZE = 160,    /* bytes: the longest line */
    TRAILER_SIZE = 26,  /* bytes */
    FILE_MAX = 1 << 28, /* bytes: more was never written */
};

void syncq_damage_list_clear(struct syncq_damage_list *list)
{
    free(list->items);
    *list = (struct syncq_damage_list){0};
}

int syncq_damage_list_add(struct syncq_damage_list *list,
                          const struct syncq_damage *damage)
{
    size_t at = list->count;

    while (at > 0 && list->items[at - 1].lsn >= damage->lsn)
        at--;
    if (at < list->count && list->items[at].lsn == damage->lsn) {
        list->items[at] = *damage;
        return 0;
    }
    if (list->count == list->capacity) {
        size_t capacity = list->capacity == 0 ? 64 : list->capacity * 2;
        struct syncq_damage *grown =
            reallocarray(list->items, capacity, sizeof *grown);

        if (grown == NULL)
            return ENOMEM;
        list->items = grown;
        list->capacity = capacity;
    }
    memmove(&list->items[at + 1], &list->items[at],
            (list->count - at) * sizeof *list->items);
    list->items[at] = *damage;
    list->count++;
    return 0;
}

const struct syncq_damage *
syncq_damage_list_find(const struct syncq_damage_list *list, uint64_t lsn,
                       uint64_t size)
{
    for (size_t i = 0; i < list->count; i++) {
        const struct syncq_damage *item = &list->items[i];

        if (lsn >= item->lsn && lsn - item->lsn <= item->size &&
            size <= item->size - (lsn - item->lsn))
            return item;
    }
    return NULL;
}

/* text is NUL-terminated; size without the NUL. */
static int parse(char *text, size_t size, struct syncq_damage_list *list)
{
    char trailer[TRAILER_SIZE + 1];
    size_t body = size - TRAILER_SIZE;
    char *line, *rest = NULL;
    int result = 0;

    if (size < strlen(HEADING) + TRAILER_SIZE ||
        memcmp(text, HEADING, strlen(HEADING)) != 0)
        return SYNCQ_ERR_BAD_RECORD;
    (void)snprintf(trailer, sizeof trailer, TRAILER, XXH3_64bits(text, body));
    if (strcmp(text + body, trailer) != 0)
        return SYNCQ_ERR_BAD_RECORD;
    text[body] = '\0';
    for (line = strtok_r(text + strlen(HEADING), "\n", &rest);
         line != NULL && result == 0; line = strtok_r(NULL, "\n", &rest)) {
        struct syncq_damage damage = {0};
        unsigned type, state, hides_marks;

        if (sscanf(line, LINE, &damage.lsn, &damage.offset, &damage.size,
                   &damage.sequence, &type, &damage.unreadable, &state,
                   &damage.date_s, &hides_marks) != 9)
            return SYNCQ_ERR_BAD_RECORD;
        damage.type = (uint8_t)type;
        damage.state = (uint8_t)state;
        damage.hides_marks = (uint8_t)hides_marks;
        result = syncq_damage_list_add(list, &damage);
    }
    return result;
}

int syncq_damage_list_read(int directory_fd, struct syncq_damage_list *list)
{
    struct stat status;
    char *text = NULL;
    int fd = -1;
    int result =
        syncq_file_open(directory_fd, SYNCQ_DAMAGE_FILE, 0, &fd, &status);

    if (result != 0)
        return result == SYNCQ_ERR_NO_QUEUE ? 0 : result;
    if (status.st_size > FILE_MAX) {
        result = SYNCQ_ERR_BAD_RECORD;
        goto out;
    }
    text = calloc(1, (size_t)status.st_size + 1);
    result = text == NULL
                 ? ENOMEM
                 : syncq_file_read(fd, text, (size_t)status.st_size, 0);
    if (result == 0)
        result = parse(text, (size_t)status.st_size, list);
out:
    free(text);
    close(fd);
    if (result != 0)
        syncq_damage_list_clear(list);
    return result;
}

static size_t print(const struct syncq_damage_list *list, char *text)
{
    size_t size = strlen(HEADING);

    memcpy(text, HEADING, size + 1);
    for (size_t i = 0; i < list->count; i++) {
        const struct syncq_damage *item = &list->items[i];

        size += (size_t)snprintf(
            text + size, LINE_SIZE, LINE, item->lsn, item->offset, item->size,
            item->sequence, (unsigned)item->type, item->unreadable,
            (unsigned)item->state, item->date_s, (unsigned)item->hides_marks);
    }
    return size + (size_t)snprintf(text + size, LINE_SIZE, TRAILER,
                                   XXH3_64bits(text, size));
}

static int write_new(int directory_fd, const char *text, size_t size)
{
    int fd = -1;
    int result;

    (void)unlinkat(directory_fd, FILE_NEW, 0);
    result = syncq_file_create(directory_fd, FILE_NEW, &fd);
    if (result != 0)
        return result;
    result = syncq_file_write(fd, text, size, 0);
    if (result == 0 && fsync(fd) != 0)
        result = errno;
    close(fd);
    if (result == 0 &&
        renameat(directory_fd, FILE_NEW, directory_fd, SYNCQ_DAMAGE_FILE) != 0)
        result = errno;
    if (result != 0)
        (void)unlinkat(directory_fd, FILE_NEW, 0);
    return result;
}

int syncq_damage_list_write(int directory_fd,
                            const struct syncq_damage_list *list)
{
    char *text = NULL;
    int result = 0;

    if (list->count == 0) {
        if (unlinkat(directory_fd, SYNCQ_DAMAGE_FILE, 0) != 0)
            return errno == ENOENT ? 0 : errno;
    } else {
        text = malloc((list->count + 2) * LINE_SIZE);
        if (text == NULL)
            return ENOMEM;
        result = write_new(directory_fd, text, print(list, text));
        free(text);
    }
    if (result == 0 && fsync(directory_fd) != 0)
        result = errno;
    return result;
}

int syncq_damage_summary(struct syncq_queue *queue,
                         struct syncq_damage_summary *summary)
{
    struct syncq_damage_list list = {0};
    int result = syncq_damage_list_read(queue->directory_fd, &list);

    *summary = (struct syncq_damage_summary){0};
    for (size_t i = 0; i < list.count; i++) {
        const struct syncq_damage *item = &list.items[i];
        uint64_t base;
        uint32_t segment;

        if (syncq_segment_find(queue, item->lsn, &segment, &base) != 0)
            continue; /* retired since */
        if (item->state == SYNCQ_DAMAGE_REPAIRED) {
            summary->repaired_count++;
            summary->repaired_size += item->size;
        } else {
            summary->found_count++;
            summary->found_size += item->size;
        }
    }
    syncq_damage_list_clear(&list);
    return result;
}
