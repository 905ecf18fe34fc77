/* SPDX-License-Identifier: MIT */
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <sysexits.h>
#include <unistd.h>

#include "tests/cmocka_all.h"
#include "tests/faults/findings.h"

/* Run body in a process of its own; what it printed, and its exit code. */
static int run(int (*body)(void), char *printed, size_t size)
{
    int ends[2], status;
    size_t length = 0;
    ssize_t got;
    pid_t child;

    assert_int_equal(pipe(ends), 0);
    (void)fflush(stdout);
    child = fork();
    assert_true(child >= 0);
    if (child == 0) {
        (void)dup2(ends[1], STDOUT_FILENO);
        (void)close(STDERR_FILENO);
        exit(body());
    }
    close(ends[1]);
    while ((got = read(ends[0], printed + length, size - 1 - length)) > 0)
        length += (size_t)got;
    printed[length] = '\0';
    close(ends[0]);
    assert_int_equal(waitpid(child, &status, 0), child);
    assert_true(WIFEXITED(status));
    return WEXITSTATUS(status);
}

static void begin(struct findings *findings, const char *name,
                  const char *const *arguments)
{
    char *copies[8] = {NULL};
    int count = 0;

    for (; arguments[count] != NULL; count++)
        copies[count] = (char *)(uintptr_t)arguments[count]; /* for getopt */
    findings_begin(findings, name, count, copies);
}

static int find_nothing(void)
{
    static const char *const arguments[] = {"prog",    "--seed", "7",
                                            "--count", "9",      NULL};
    struct findings findings;

    begin(&findings, "nothing", arguments);
    findings_count(&findings, TRIAL_STATE, findings.count);
    return findings_end(&findings);
}

static void test_findings__nothing_found__sums_up_and_succeeds(void **state)
{
    char printed[4096];

    (void)state;
    assert_int_equal(run(find_nothing, printed, sizeof printed), 0);
    assert_non_null(strstr(printed,
                           "\nfaults: nothing seed=7 states=9 kills=0 errors=0 "
                           "damages=0 forgeries=0 lost=0 altered=0 forged=0 "
                           "resurrected=0 stuck=0\n"));
}

static int find_something(void)
{
    static const char *const arguments[] = {"prog", "--seed=7",  "--case",
                                            "a b",  "--verbose", NULL};
    struct findings findings;

    begin(&findings, "some", arguments);
    findings_count(&findings, TRIAL_KILL, 2);
    if (strcmp(findings.only, "a b") != 0 || !findings.verbose)
        return 99;
    findings_add(&findings, FINDING_LOST, "a b", "number %d", 5);
    findings_add(&findings, FINDING_STUCK, "c", "hangs");
    return findings_end(&findings);
}

static void test_findings__found__says_how_to_repeat(void **state)
{
    char printed[4096];

    (void)state;
    assert_int_equal(run(find_something, printed, sizeof printed), 1);
    assert_non_null(strstr(printed, "some: lost: a b: number 5\n"
                                    "  again: prog --seed 7 --case 'a b'\n"));
    assert_non_null(strstr(printed, "kills=2"));
    assert_non_null(strstr(printed, "lost=1 altered=0 forged=0 resurrected=0 "
                                    "stuck=1\n"));
}

static int pass_nonsense(void)
{
    static const char *const arguments[] = {"prog", "--sead", "7", NULL};
    struct findings findings;

    begin(&findings, "nonsense", arguments);
    return 0;
}

static int pass_no_number(void)
{
    static const char *const arguments[] = {"prog", "--seed", "7x", NULL};
    struct findings findings;

    begin(&findings, "nonsense", arguments);
    return 0;
}

static void test_findings__bad_options__end_with_usage(void **state)
{
    char printed[4096];

    (void)state;
    assert_int_equal(run(pass_nonsense, printed, sizeof printed), EX_USAGE);
    assert_int_equal(run(pass_no_number, printed, sizeof printed), EX_USAGE);
}

static void test_chance__same_seed_and_number__same_numbers(void **state)
{
    struct chance one, same, other;
    int differ = 0;

    (void)state;
    chance_init(&one, 1, 2);
    chance_init(&same, 1, 2);
    chance_init(&other, 1, 3);
    for (int i = 0; i < 100; i++) {
        uint64_t number = chance_next(&one);

        assert_int_equal(number, chance_next(&same));
        differ += number != chance_next(&other);
    }
    assert_int_equal(differ, 100);
}

static void test_chance__below__reaches_each_number(void **state)
{
    struct chance chance;
    unsigned counts[7] = {0};

    (void)state;
    chance_init(&chance, 3, 0);
    for (int i = 0; i < 7000; i++)
        counts[chance_below(&chance, 7)]++;
    for (int i = 0; i < 7; i++)
        assert_in_range(counts[i], 800, 1200);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_findings__nothing_found__sums_up_and_succeeds),
        cmocka_unit_test(test_findings__found__says_how_to_repeat),
        cmocka_unit_test(test_findings__bad_options__end_with_usage),
        cmocka_unit_test(test_chance__same_seed_and_number__same_numbers),
        cmocka_unit_test(test_chance__below__reaches_each_number),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
