/* SPDX-License-Identifier: MIT */
#include <locale.h>
#include <stdio.h>
#include <string.h>
#include <sysexits.h>

#include "admin/command.h"
#include "admin/scope.h"
#include "program/options.h"

#define HELP_SIZE 4096 /* bytes: the list of verbs */

static const struct verb verbs[] = {
    {"create", "[--size SIZE] [--segment-size SIZE] [--entries N]",
     "make a queue",
     "      --size SIZE          bytes for mail, as 512M or 1G [1G]\n"
     "      --segment-size SIZE  [64M, less for a small queue]\n"
     "      --entries N          parts of messages that the index holds\n"
     "                           [one for each 4 KiB of the size]\n"
     "      --help               print this and exit\n\n"
     "queue_directory and run_directory are made if they are missing.  The\n"
     "data file is written in full, which takes a while.\n",
     verb_create, VERB_ONE},
    {"grow", "[--size SIZE] [--entries N]", "make a queue larger",
     "      --size SIZE  bytes for mail in all, as 2G; rounded down to whole\n"
     "                   segments [as it is]\n"
     "      --entries N  parts of messages that the index holds in all\n"
     "                   [one for each 4 KiB of the size, if that is more]\n"
     "      --help       print this and exit\n\n"
     "Works whether the other programs run or not; they go on meanwhile.\n"
     "What is new is written in full first, which takes a while.\n",
     verb_grow, VERB_ONE},
    {"status", "[--json]", "tell whether all is well",
     "      --json  one JSON object\n"
     "      --help  print this and exit\n\n"
     "Exit code 0: all is well; 69: something is not, the lines say what.\n",
     verb_status, VERB_ALL},
    {"list", "[--json] [--domain DOMAIN] [--status STATUS]...",
     "show the messages, oldest first",
     "      --json           one JSON object per line\n"
     "      --domain DOMAIN  only messages with recipients in this domain\n"
     "      --status STATUS  only messages with a part in this status: new,\n"
     "                       synced, ready, active, deferred, held, flushing,\n"
     "                       done, cancelled, lost, or all; may be repeated\n"
     "                       [all but new, done and cancelled]\n"
     "      --help           print this and exit\n",
     verb_list, VERB_ALL},
    {"cat", "[--content] ID", "show one message, envelope and text",
     "      --content  only the text of the message\n"
     "      --help     print this and exit\n\n"
     "ID is the queue id, or EPOCH.COUNTER as 'syncq list --json' shows it\n"
     "under \"sequence\".\n",
     verb_cat, VERB_ALL},
    {"check", "[--json] [--repair]",
     "read the whole queue and tell what is damaged",
     "      --json    one JSON object\n"
     "      --repair  put the queue in order: make a new index, quarantine\n"
     "                damaged places, end the state FAILED\n"
     "      --help    print this and exit\n\n"
     "Without --repair nothing is changed; it works with and without running\n"
     "programs.  Exit code 0: no damage; 65: the lines say what is damaged.\n"
     "With --repair nothing else may run.  Exit code 0: all is well now; 65:\n"
     "the queue works again, the lines say what is lost; 74: it is still\n"
     "FAILED; 75: programs run.\n",
     verb_check, VERB_EACH},
    {"salvage", "[--data FILE] [--without-key] DIR",
     "write every readable message of a damaged queue to files",
     "      --data FILE    a data file elsewhere; its key and index are\n"
     "                     queue.key and queue.index beside it\n"
     "      --without-key  believe every record with the right checksum;\n"
     "                     nothing found like that is proven to be genuine\n"
     "      --help         print this and exit\n\n"
     "DIR is made; it must not exist, or be empty.  Each message becomes\n"
     "EPOCH.COUNTER.eml and a .json file with its envelope; without the key\n"
     "unauthenticated-OFFSET.eml and .json.  The queue is not changed.\n"
     "Exit code 0: everything was readable; 65: some of it was not.\n",
     verb_salvage, VERB_ONE},
    {"release", "--all | ID...", "let held messages be delivered",
     "      --all   every held message\n"
     "      --help  print this and exit\n\n"
     "When no queue manager runs it is done here, which needs a running\n"
     "syncq-sync.  The answer comes when the change is durable.\n",
     verb_release, VERB_ALL},
};
#define VERB_COUNT (sizeof(verbs) / sizeof(verbs[0]))

static void describe_verbs(char *text, size_t size)
{
    size_t used, i;

    used = (size_t)snprintf(text, size, "Verbs:\n");
    for (i = 0; i < VERB_COUNT && used < size; i++)
        used += (size_t)snprintf(text + used, size - used, "  %-8s %s\n",
                                 verbs[i].name, verbs[i].summary);
    if (used < size)
        snprintf(text + used, size - used,
                 "\n'syncq VERB --help' tells more about one.\n");
}

static int run(const struct config *config, int argc, char **argv)
{
    struct command command = {.config = config};
    size_t i;

    for (i = 0; i < VERB_COUNT; i++)
        if (!strcmp(verbs[i].name, argv[0]))
            command.verb = &verbs[i];
    if (!command.verb) {
        fprintf(stderr, "syncq: unknown verb %s; try 'syncq --help'\n",
                argv[0]);
        return EX_USAGE;
    }
    return scope_run(&command, argc, argv);
}

/* What was printed may not have got anywhere. */
static int finish_output(int exit_code)
{
    if (fflush(stdout) != EOF && !ferror(stdout))
        return exit_code;
    fprintf(stderr, "syncq: cannot write the output\n");
    return exit_code ? exit_code : EX_IOERR;
}

int main(int argc, char **argv)
{
    char details[HELP_SIZE];
    struct options_text text = {
        .program = "syncq",
        .summary = "Look after a syncq mail queue.",
        .arguments = "VERB [ARGUMENT]...",
        .details = details,
    };
    struct options options;
    int result;

    /* Only for the width of characters in tables. */
    (void)setlocale(LC_CTYPE, "");
    describe_verbs(details, sizeof(details));
    result = options_parse(argc, argv, &text, &options);
    if (result == OPTIONS_DONE)
        return finish_output(0);
    if (result)
        return result;
    if (options.first_argument >= argc) {
        fprintf(stderr, "syncq: which verb? try 'syncq --help'\n");
        result = EX_USAGE;
    } else {
        result = run(&options.config, argc - options.first_argument,
                     argv + options.first_argument);
    }
    options_clear(&options);
    return finish_output(result);
}
