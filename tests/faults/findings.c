/* SPDX-License-Identifier: MIT */
#include "tests/faults/findings.h"

#include <errno.h>
#include <getopt.h>
#include <inttypes.h>
#include <pthread.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>
#include <sysexits.h>
#include <time.h>

enum { FINDINGS_PRINTED_MAX = 100 }; /* all are counted */

static pthread_mutex_t lock = PTHREAD_MUTEX_INITIALIZER;

static const char *const trial_names[TRIAL_KINDS] = {[TRIAL_STATE] = "states",
                                                     [TRIAL_KILL] = "kills",
                                                     [TRIAL_ERROR] = "errors",
                                                     [TRIAL_DAMAGE] = "damages",
                                                     [TRIAL_FORGERY] =
                                                         "forgeries"};
static const char *const finding_names[FINDING_KINDS] = {
    [FINDING_LOST] = "lost",
    [FINDING_ALTERED] = "altered",
    [FINDING_FORGED] = "forged",
    [FINDING_RESURRECTED] = "resurrected",
    [FINDING_STUCK] = "stuck"};

static void usage(const char *program)
{
    (void)fprintf(stderr,
                  "usage: %s [--seed N] [--count N] [--case TEXT] "
                  "[--verbose]\n",
                  program);
    exit(EX_USAGE);
}

static uint64_t number_read(const char *program, const char *text)
{
    char *end;
    uint64_t number;

    errno = 0;
    number = strtoull(text, &end, 0);
    if (errno != 0 || end == text || *end != '\0' || *text == '-')
        usage(program);
    return number;
}

static uint64_t seed_from_clock(void)
{
    struct timespec now;

    (void)clock_gettime(CLOCK_REALTIME, &now);
    return ((uint64_t)now.tv_sec * 1000 + (uint64_t)now.tv_nsec / 1000000) %
           1000000000;
}

void findings_begin(struct findings *findings, const char *name, int argc,
                    char **argv)
{
    static const struct option options[] = {
        {"seed", required_argument, NULL, 's'},
        {"count", required_argument, NULL, 'n'},
        {"case", required_argument, NULL, 'c'},
        {"verbose", no_argument, NULL, 'v'},
        {NULL, 0, NULL, 0}};
    int option;

    *findings = (struct findings){
        .name = name, .program = argv[0], .seed = seed_from_clock()};
    optind = 0;
    while ((option = getopt_long(argc, argv, "", options, NULL)) != -1)
        switch (option) {
        case 's':
            findings->seed = number_read(argv[0], optarg);
            break;
        case 'n':
            findings->count = number_read(argv[0], optarg);
            break;
        case 'c':
            findings->only = optarg;
            break;
        case 'v':
            findings->verbose = 1;
            break;
        default:
            usage(argv[0]);
        }
    if (optind != argc)
        usage(argv[0]);
    (void)setvbuf(stdout, NULL, _IOLBF, 0);
    (void)printf("%s: seed %" PRIu64 "\n", name, findings->seed);
}

void findings_count(struct findings *findings, enum trial trial,
                    uint64_t number)
{
    __atomic_fetch_add(&findings->trials[trial], number, __ATOMIC_RELAXED);
}

static uint64_t found_count(const struct findings *findings)
{
    uint64_t count = 0;

    for (int i = 0; i < FINDING_KINDS; i++)
        count += findings->found[i];
    return count;
}

void findings_add(struct findings *findings, enum finding finding,
                  const char *case_text, const char *format, ...)
{
    va_list arguments;
    char text[512];
    uint64_t count;

    va_start(arguments, format);
    (void)vsnprintf(text, sizeof text, format, arguments);
    va_end(arguments);
    (void)pthread_mutex_lock(&lock);
    /* The struct may be shared by several processes. */
    __atomic_fetch_add(&findings->found[finding], 1, __ATOMIC_RELAXED);
    count = found_count(findings);
    if (count <= FINDINGS_PRINTED_MAX)
        (void)printf("%s: %s: %s: %s\n  again: %s --seed %" PRIu64
                     " --case '%s'\n",
                     findings->name, finding_names[finding], case_text, text,
                     findings->program, findings->seed, case_text);
    if (count == FINDINGS_PRINTED_MAX)
        (void)printf("%s: further findings are counted, not printed\n",
                     findings->name);
    (void)pthread_mutex_unlock(&lock);
}

int findings_end(struct findings *findings)
{
    (void)printf("faults: %s seed=%" PRIu64, findings->name, findings->seed);
    for (int i = 0; i < TRIAL_KINDS; i++)
        (void)printf(" %s=%" PRIu64, trial_names[i], findings->trials[i]);
    for (int i = 0; i < FINDING_KINDS; i++)
        (void)printf(" %s=%" PRIu64, finding_names[i], findings->found[i]);
    (void)printf("\n");
    (void)fflush(stdout);
    return found_count(findings) == 0 ? 0 : 1;
}

/* splitmix64: spreads small seeds over the whole state. */
static uint64_t spread(uint64_t *state)
{
    uint64_t mixed = *state += UINT64_C(0x9e3779b97f4a7c15);

    mixed = (mixed ^ mixed >> 30) * UINT64_C(0xbf58476d1ce4e5b9);
    mixed = (mixed ^ mixed >> 27) * UINT64_C(0x94d049bb133111eb);
    return mixed ^ mixed >> 31;
}

void chance_init(struct chance *chance, uint64_t seed, uint64_t number)
{
    uint64_t state = seed;

    state = spread(&state) ^ number;
    chance->state[0] = spread(&state);
    chance->state[1] = spread(&state);
}

/* xoroshiro128+ */
uint64_t chance_next(struct chance *chance)
{
    uint64_t low = chance->state[0], high = chance->state[1];
    uint64_t sum = low + high;

    high ^= low;
    chance->state[0] = (low << 24 | low >> 40) ^ high ^ high << 16;
    chance->state[1] = high << 37 | high >> 27;
    return sum;
}

uint64_t chance_below(struct chance *chance, uint64_t limit)
{
    return (uint64_t)(((unsigned __int128)chance_next(chance) * limit) >> 64);
}
