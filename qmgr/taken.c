/* SPDX-License-Identifier: MIT */
#include "qmgr/taken.h"

#include <errno.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>
#include <xxhash.h>

#include "program/log.h"
#include "qmgr/memory.h"

#define TAKEN_CHAINS 16384

struct taken_id {
    struct taken_id *next_of_id, *next; /* hash chain; by time */
    int64_t since_s;
    char name[];
};

struct taken {
    struct taken_id *chains[TAKEN_CHAINS];
    struct taken_id *oldest, **newest;
    unsigned count;
    unsigned file_count;
    struct taken_file {
        char *path;
        FILE *file; /* NULL: it cannot be written */
    } files[SYNCQ_FILES_MAX];
};

#define TAKEN_NAME_SIZE 192

/* "ID@SECONDS.MICROSECONDS" */
static void taken_name(const char *queue_id, const char *arrival,
                       char name[TAKEN_NAME_SIZE])
{
    char *space;

    (void)snprintf(name, TAKEN_NAME_SIZE, "%.120s@%.64s", queue_id, arrival);
    while ((space = strchr(name, ' ')) != NULL)
        *space = '.';
}

static struct taken_id **taken_chain(const struct taken *taken,
                                     const char *name)
{
    uint64_t hash = XXH3_64bits(name, strlen(name));

    return (struct taken_id **)&taken->chains[hash % TAKEN_CHAINS];
}

static int taken_knows(const struct taken *taken, const char *name)
{
    const struct taken_id *id = *taken_chain(taken, name);

    while (id != NULL && strcmp(id->name, name) != 0)
        id = id->next_of_id;
    return id != NULL && id->since_s > time(NULL) - TAKEN_LIFETIME_S;
}

int taken_has(const struct taken *taken, const char *queue_id,
              const char *arrival)
{
    char name[TAKEN_NAME_SIZE];

    taken_name(queue_id, arrival, name);
    return taken_knows(taken, name);
}

static void taken_forget_oldest(struct taken *taken)
{
    struct taken_id *id = taken->oldest;
    struct taken_id **at = taken_chain(taken, id->name);

    while (*at != id)
        at = &(*at)->next_of_id;
    *at = id->next_of_id;
    taken->oldest = id->next;
    if (taken->oldest == NULL)
        taken->newest = &taken->oldest;
    taken->count--;
    free(id);
}

static void taken_remember(struct taken *taken, const char *name,
                           int64_t since_s)
{
    struct taken_id **chain = taken_chain(taken, name);
    size_t size = strlen(name) + 1;
    struct taken_id *id = memory_new(sizeof(*id) + size);

    memcpy(id->name, name, size);
    id->since_s = since_s;
    id->next_of_id = *chain;
    *chain = id;
    *taken->newest = id;
    taken->newest = &id->next;
    taken->count++;
    while (taken->oldest != NULL &&
           (taken->count > TAKEN_COUNT_MAX ||
            taken->oldest->since_s <= time(NULL) - TAKEN_LIFETIME_S))
        taken_forget_oldest(taken);
}

/* Lines of "seconds name"; a line that was cut by a crash says nothing. */
static void taken_read(struct taken *taken, const char *path)
{
    FILE *file = fopen(path, "re");
    char line[256], name[TAKEN_NAME_SIZE];
    int64_t since_s;

    if (file == NULL)
        return;
    while (fgets(line, sizeof(line), file) != NULL) {
        if (strchr(line, '\n') != NULL &&
            sscanf(line, "%" SCNd64 " %191s", &since_s, name) == 2 &&
            since_s > time(NULL) - TAKEN_LIFETIME_S &&
            !taken_knows(taken, name))
            taken_remember(taken, name, since_s);
    }
    (void)fclose(file);
}

static void taken_write(FILE *file, const char *name, int64_t since_s)
{
    (void)fprintf(file, "%" PRId64 " %s\n", since_s, name);
}

/* A new file without what is older than a day, put in place at once. */
static void taken_rewrite(const struct taken *taken, struct taken_file *own)
{
    char *fresh = memory_print("%s.new", own->path);
    const struct taken_id *id;

    own->file = fopen(fresh, "we");
    if (own->file == NULL) {
        /* The queue reports a directory that is not usable by itself. */
        free(fresh);
        return;
    }
    for (id = taken->oldest; id != NULL; id = id->next)
        taken_write(own->file, id->name, id->since_s);
    if (fflush(own->file) != 0 || rename(fresh, own->path) != 0)
        log_warning("write %s: %s", own->path, strerror(errno));
    free(fresh);
}

struct taken *taken_new(const struct files *files)
{
    struct taken *taken = memory_new(sizeof(*taken));
    unsigned i;

    taken->newest = &taken->oldest;
    for (i = 0; i < files->count; i++) {
        taken->files[i].path =
            memory_print("%s/%s", files->list[i].directory, TAKEN_FILE);
        taken_read(taken, taken->files[i].path);
    }
    taken->file_count = files->count;
    for (i = 0; i < files->count; i++)
        taken_rewrite(taken, &taken->files[i]);
    return taken;
}

void taken_free(struct taken *taken)
{
    unsigned i;

    if (taken == NULL)
        return;
    while (taken->oldest != NULL)
        taken_forget_oldest(taken);
    for (i = 0; i < taken->file_count; i++) {
        if (taken->files[i].file != NULL)
            (void)fclose(taken->files[i].file);
        free(taken->files[i].path);
    }
    free(taken);
}

void taken_add(struct taken *taken, const char *queue_id, const char *arrival,
               int lasting)
{
    char name[TAKEN_NAME_SIZE];
    unsigned i;

    taken_name(queue_id, arrival, name);
    if (taken_knows(taken, name))
        return;
    taken_remember(taken, name, time(NULL));
    for (i = 0; lasting && i < taken->file_count; i++) {
        FILE *file = taken->files[i].file;

        if (file == NULL)
            continue;
        taken_write(file, name, time(NULL));
        /* In the page cache before the delivery: a kill loses nothing. */
        if (fflush(file) != 0)
            log_warning("write %s: %s", taken->files[i].path, strerror(errno));
    }
}

/* A '+' cannot stand in a queue id. */
void taken_add_late(struct taken *taken, const char *queue_id,
                    const char *arrival)
{
    char *name = memory_print("+%s", queue_id);

    taken_add(taken, name, arrival, 1);
    free(name);
}

int taken_has_late(const struct taken *taken, const char *queue_id,
                   const char *arrival)
{
    char *name = memory_print("+%s", queue_id);
    int has = taken_has(taken, name, arrival);

    free(name);
    return has;
}
