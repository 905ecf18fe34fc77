/* SPDX-License-Identifier: MIT */
#include "module/groups.h"

#include <db.h>
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "module/error.h"
#include "module/limits.h"

#if DB_VERSION_MAJOR != 5 || DB_VERSION_MINOR < 3
#error "Berkeley DB 5.3 is needed"
#endif

/*
 * Memory that may be used at most: a pair takes 36 bytes with usual domains,
 * up to 300 when every domain is long and occurs once.  It is taken as it is
 * needed, so a generous limit costs nothing.
 */
#define PAIR_SIZE_PLANNED UINT64_C(128)       /* bytes */
#define CACHE_SIZE_MIN    (UINT64_C(4) << 20) /* bytes */
#define GIGABYTE          (UINT64_C(1) << 30)

struct syncq_groups {
    DB_ENV *environment;
    DB *database;
    int failed; /* every later call is refused */
};

/*
 * A duplicate as it is stored: two big-endian numbers, so that Berkeley DB's
 * comparison of bytes sorts them as numbers.
 */
#define PAIR_SIZE 8

static void encode_u32(uint8_t to[4], uint32_t value)
{
    value = __builtin_bswap32(value);
    memcpy(to, &value, sizeof(value));
}

static uint32_t decode_u32(const uint8_t from[4])
{
    uint32_t value;

    memcpy(&value, from, sizeof(value));
    return __builtin_bswap32(value);
}

/*
 * The key is the domain with its NUL: it is never empty then, it can be given
 * to a visitor as it is, and it sorts as strcmp does.
 */
static DBT domain_key(const char *domain)
{
    DBT key;

    memset(&key, 0, sizeof(key));
    key.data = (void *)(uintptr_t)domain; /* only read */
    key.size = (uint32_t)strlen(domain) + 1;
    return key;
}

static DBT pair_data(uint8_t pair[PAIR_SIZE], uint32_t next_attempt_s,
                     uint32_t slot)
{
    DBT data;

    encode_u32(pair, next_attempt_s);
    encode_u32(pair + 4, slot);
    memset(&data, 0, sizeof(data));
    data.data = pair;
    data.size = PAIR_SIZE;
    return data;
}

/* Berkeley DB would write to standard error otherwise. */
static void ignore_error(const DB_ENV *environment, const char *prefix,
                         const char *text)
{
    (void)environment;
    (void)prefix;
    (void)text;
}

static void ignore_message(const DB_ENV *environment, const char *text)
{
    (void)environment;
    (void)text;
}

static int open_environment(DB_ENV *environment, uint32_t entry_count)
{
    uint64_t size = CACHE_SIZE_MIN + entry_count * PAIR_SIZE_PLANNED;
    int result;

    environment->set_errcall(environment, ignore_error);
    environment->set_msgcall(environment, ignore_message);
    result =
        environment->set_cachesize(environment, (uint32_t)(size / GIGABYTE),
                                   (uint32_t)(size % GIGABYTE), 1);
    if (result)
        return result;
    return environment->open(environment, NULL,
                             DB_CREATE | DB_PRIVATE | DB_INIT_MPOOL, 0600);
}

/* No temporary file either: what does not fit in memory is an error. */
static int open_database(DB *database)
{
    DB_MPOOLFILE *file = database->get_mpf(database);
    int result;

    result = file->set_flags(file, DB_MPOOL_NOFILE, 1);
    if (!result)
        result = database->set_pagesize(database, 4096);
    if (!result)
        result = database->set_flags(database, DB_DUPSORT);
    if (!result)
        result = database->open(database, NULL, NULL, NULL, DB_BTREE, DB_CREATE,
                                0600);
    return result;
}

int syncq_groups_new(uint32_t entry_count, struct syncq_groups **groups)
{
    struct syncq_groups *made = calloc(1, sizeof(*made));
    int result;

    if (!made)
        return ENOMEM;
    result = db_env_create(&made->environment, 0);
    if (!result)
        result = open_environment(made->environment, entry_count);
    if (!result)
        result = db_create(&made->database, made->environment, 0);
    if (!result)
        result = open_database(made->database);
    if (result) {
        syncq_groups_free(made);
        return result == ENOMEM ? ENOMEM : SYNCQ_ERR_GROUPS;
    }
    *groups = made;
    return 0;
}

/* Closing may fail after a panic; the memory is freed all the same. */
void syncq_groups_free(struct syncq_groups *groups)
{
    if (!groups)
        return;
    if (groups->database)
        (void)groups->database->close(groups->database, DB_NOSYNC);
    if (groups->environment)
        (void)groups->environment->close(groups->environment, 0);
    free(groups);
}

/*
 * The one place where Berkeley DB's results become ours.  Without transactions
 * any trouble may have left a half-made change behind.
 */
static int outcome(struct syncq_groups *groups, int result)
{
    if (result == 0 || result == DB_NOTFOUND || result == DB_KEYEXIST)
        return 0;
    groups->failed = 1;
    return SYNCQ_ERR_GROUPS;
}

int syncq_groups_add(struct syncq_groups *groups, const char *domain,
                     uint32_t next_attempt_s, uint32_t slot)
{
    uint8_t pair[PAIR_SIZE];
    DBT key, data;

    if (groups->failed)
        return SYNCQ_ERR_GROUPS;
    key = domain_key(domain);
    data = pair_data(pair, next_attempt_s, slot);
    return outcome(groups, groups->database->put(groups->database, NULL, &key,
                                                 &data, DB_NODUPDATA));
}

/* Close the cursor on every path; its failure counts if nothing else did. */
static int close_cursor(struct syncq_groups *groups, DBC *cursor, int result)
{
    int closed = cursor->close(cursor);

    if (result == 0 || result == DB_NOTFOUND)
        result = closed ? closed : result;
    return outcome(groups, result);
}

int syncq_groups_remove(struct syncq_groups *groups, const char *domain,
                        uint32_t next_attempt_s, uint32_t slot)
{
    uint8_t pair[PAIR_SIZE];
    DBC *cursor = NULL;
    DBT key, data;
    int result;

    if (groups->failed)
        return SYNCQ_ERR_GROUPS;
    result = groups->database->cursor(groups->database, NULL, &cursor, 0);
    if (result)
        return outcome(groups, result);
    key = domain_key(domain);
    data = pair_data(pair, next_attempt_s, slot);
    result = cursor->get(cursor, &key, &data, DB_GET_BOTH);
    if (!result)
        result = cursor->del(cursor, 0);
    return close_cursor(groups, cursor, result);
}

int syncq_groups_walk(struct syncq_groups *groups, const char *domain,
                      int (*visit)(const char *domain, uint32_t next_attempt_s,
                                   uint32_t slot, void *context),
                      void *context)
{
    DBC *cursor = NULL;
    DBT key, data;
    uint32_t next;
    int result;

    if (groups->failed)
        return SYNCQ_ERR_GROUPS;
    result = groups->database->cursor(groups->database, NULL, &cursor, 0);
    if (result)
        return outcome(groups, result);
    memset(&key, 0, sizeof(key));
    memset(&data, 0, sizeof(data));
    if (domain)
        key = domain_key(domain);
    next = domain ? DB_NEXT_DUP : DB_NEXT;
    result = cursor->get(cursor, &key, &data, domain ? DB_SET : DB_FIRST);
    while (!result) {
        const uint8_t *pair = data.data;

        if (visit(key.data, decode_u32(pair), decode_u32(pair + 4), context))
            break;
        result = cursor->get(cursor, &key, &data, next);
    }
    return close_cursor(groups, cursor, result);
}

int syncq_groups_count(struct syncq_groups *groups, const char *domain,
                       uint32_t *count, uint32_t *earliest_s)
{
    uint32_t found = 0, earliest = 0;
    DBC *cursor = NULL;
    DBT key, data;
    int result;

    if (groups->failed)
        return SYNCQ_ERR_GROUPS;
    result = groups->database->cursor(groups->database, NULL, &cursor, 0);
    if (result)
        return outcome(groups, result);
    key = domain_key(domain);
    memset(&data, 0, sizeof(data));
    result = cursor->get(cursor, &key, &data, DB_SET);
    if (!result) {
        earliest = decode_u32(data.data);
        result = cursor->count(cursor, &found, 0);
    }
    result = close_cursor(groups, cursor, result);
    if (!result) {
        *count = found;
        *earliest_s = earliest;
    }
    return result;
}
