/* SPDX-License-Identifier: MIT */
/*
 * errors_groups.c - Berkeley DB fails at the n-th call
 *
 * Its functions are pointers in the objects that it makes, so those are
 * exchanged when an object is made.  The groups are rebuilt from what is known
 * without them, and then hold the same again; if they cannot be made at all,
 * that is the result and nothing else happens.
 */
#include <db.h>
#include <errno.h>
#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

#include "module/error.h"
#include "module/groups.h"
#include "tests/cmocka_all.h"
#include "tests/faults/errors.h"
#include "tests/faults/guard.h"

enum { PARTS = 64, DOMAINS = 8, OPERATIONS = 120, CALLS_PER_COUNT = 10 };

int __real_db_create(DB **database, DB_ENV *environment, uint32_t flags);
int __real_db_env_create(DB_ENV **environment, uint32_t flags);
int __wrap_db_create(DB **database, DB_ENV *environment, uint32_t flags);
int __wrap_db_env_create(DB_ENV **environment, uint32_t flags);

static struct {
    int64_t left; /* calls until one fails; below 1: none does */
    int error, fired;
    int (*put)(DB *, DB_TXN *, DBT *, DBT *, uint32_t);
    int (*cursor)(DB *, DB_TXN *, DBC **, uint32_t);
    int (*open)(DB *, DB_TXN *, const char *, const char *, DBTYPE, uint32_t,
                int);
    int (*get)(DBC *, DBT *, DBT *, uint32_t);
    int (*del)(DBC *, uint32_t);
    int (*count)(DBC *, db_recno_t *, uint32_t);
} library;

static int fails(void)
{
    if (library.left <= 0 || --library.left > 0)
        return 0;
    library.fired = 1;
    return library.error;
}

static int failing_put(DB *database, DB_TXN *txn, DBT *key, DBT *data,
                       uint32_t flags)
{
    int error = fails();

    return error ? error : library.put(database, txn, key, data, flags);
}

static int failing_get(DBC *cursor, DBT *key, DBT *data, uint32_t flags)
{
    int error = fails();

    return error ? error : library.get(cursor, key, data, flags);
}

static int failing_del(DBC *cursor, uint32_t flags)
{
    int error = fails();

    return error ? error : library.del(cursor, flags);
}

static int failing_count(DBC *cursor, db_recno_t *count, uint32_t flags)
{
    int error = fails();

    return error ? error : library.count(cursor, count, flags);
}

static int failing_cursor(DB *database, DB_TXN *txn, DBC **cursor,
                          uint32_t flags)
{
    int error = fails();

    if (!error)
        error = library.cursor(database, txn, cursor, flags);
    if (error)
        return error;
    if ((*cursor)->get == failing_get)
        return 0; /* one that it had kept for use again */
    library.get = (*cursor)->get;
    library.del = (*cursor)->del;
    library.count = (*cursor)->count;
    (*cursor)->get = failing_get;
    (*cursor)->del = failing_del;
    (*cursor)->count = failing_count;
    return 0;
}

static int failing_open(DB *database, DB_TXN *txn, const char *file,
                        const char *name, DBTYPE type, uint32_t flags, int mode)
{
    int error = fails();

    return error ? error
                 : library.open(database, txn, file, name, type, flags, mode);
}

int __wrap_db_create(DB **database, DB_ENV *environment, uint32_t flags)
{
    int error = fails();

    if (!error)
        error = __real_db_create(database, environment, flags);
    if (error)
        return error;
    library.put = (*database)->put;
    library.cursor = (*database)->cursor;
    library.open = (*database)->open;
    (*database)->put = failing_put;
    (*database)->cursor = failing_cursor;
    (*database)->open = failing_open;
    return 0;
}

int __wrap_db_env_create(DB_ENV **environment, uint32_t flags)
{
    int error = fails();

    return error ? error : __real_db_env_create(environment, flags);
}

/* What waits, known without the groups, as the queue manager knows it. */
struct waiting {
    struct findings *findings;
    const char *text;
    struct syncq_groups *groups; /* NULL: it does without */
    uint32_t next_s[PARTS];      /* 0: this part does not wait */
    unsigned rebuilt;
};

static void domain_of(uint32_t part, char name[32])
{
    (void)snprintf(name, 32, "domain%u.example", part % DOMAINS);
}

static void rebuild(struct waiting *waiting)
{
    char name[32];
    int result;

    syncq_groups_free(waiting->groups);
    waiting->groups = NULL;
    waiting->rebuilt++;
    result = syncq_groups_new(PARTS, &waiting->groups);
    for (uint32_t i = 0; result == 0 && i < PARTS; i++) {
        domain_of(i, name);
        if (waiting->next_s[i] != 0)
            result =
                syncq_groups_add(waiting->groups, name, waiting->next_s[i], i);
    }
    if (result != 0 && waiting->rebuilt < 3)
        rebuild(waiting);
}

static void change(struct waiting *waiting, struct chance *chance)
{
    uint32_t part = (uint32_t)chance_below(chance, PARTS);
    uint32_t before = waiting->next_s[part];
    uint32_t after = (uint32_t)chance_below(chance, 1000);
    char name[32];
    int result = 0;

    waiting->next_s[part] = after;
    domain_of(part, name);
    if (waiting->groups == NULL)
        return;
    if (before != 0)
        result = syncq_groups_remove(waiting->groups, name, before, part);
    if (result == 0 && after != 0)
        result = syncq_groups_add(waiting->groups, name, after, part);
    if (result != 0 && result != SYNCQ_ERR_GROUPS)
        findings_add(waiting->findings, FINDING_STUCK, waiting->text,
                     "the groups fail with %d", result);
    if (result != 0)
        rebuild(waiting);
}

static void compare(struct waiting *waiting)
{
    for (uint32_t domain = 0; domain < DOMAINS; domain++) {
        uint32_t want = 0, earliest = UINT32_MAX, have = 0, have_s = 0;
        char name[32];
        int result;

        for (uint32_t i = domain; i < PARTS; i += DOMAINS) {
            want += waiting->next_s[i] != 0;
            if (waiting->next_s[i] != 0 && waiting->next_s[i] < earliest)
                earliest = waiting->next_s[i];
        }
        domain_of(domain, name);
        result = syncq_groups_count(waiting->groups, name, &have, &have_s);
        if (result != 0 || have != want || (want > 0 && have_s != earliest))
            findings_add(waiting->findings, FINDING_STUCK, waiting->text,
                         "%s has %u parts from %u on, not %u from %u: %d", name,
                         have, have_s, want, earliest, result);
    }
}

static int try_groups(struct findings *findings, const char *text, int error,
                      uint64_t n)
{
    struct waiting waiting = {.findings = findings, .text = text};
    struct chance chance;

    chance_init(&chance, findings->seed, 0);
    library.error = error;
    library.fired = 0;
    guard_begin(findings, text);
    library.left = (int64_t)n;
    if (syncq_groups_new(PARTS, &waiting.groups) != 0)
        rebuild(&waiting);
    for (unsigned i = 0; i < OPERATIONS; i++)
        change(&waiting, &chance);
    if (waiting.groups == NULL)
        findings_add(findings, FINDING_STUCK, text,
                     "one failure, and the groups never came back");
    else if (library.left <= 0)
        compare(&waiting);
    library.left = 0;
    syncq_groups_free(waiting.groups);
    guard_end();
    findings_count(findings, TRIAL_ERROR, (uint64_t)library.fired);
    return library.fired;
}

void errors_groups(struct findings *findings, uint64_t count)
{
    static const struct {
        const char *name;
        int error;
    } kinds[] = {{"DB_RUNRECOVERY", DB_RUNRECOVERY},
                 {"DB_PAGE_NOTFOUND", DB_PAGE_NOTFOUND},
                 {"ENOMEM", ENOMEM}};

    for (size_t i = 0; i < sizeof kinds / sizeof kinds[0]; i++)
        for (uint64_t n = 1; n <= count * CALLS_PER_COUNT; n++) {
            char text[128];

            (void)snprintf(text, sizeof text, "groups %s %" PRIu64,
                           kinds[i].name, n);
            if (case_is_chosen(findings, text) &&
                !try_groups(findings, text, kinds[i].error, n))
                break;
        }
}
