/* SPDX-License-Identifier: MIT */
#include <getopt.h>
#include <stdio.h>
#include <string.h>
#include <sysexits.h>

#include "program/options.h"

#ifndef SYNCQ_VERSION
#define SYNCQ_VERSION "(version not set by the build)"
#endif

#define ERROR_SIZE 1024 /* bytes: one line about a bad parameter */

static const struct option long_options[] = {
    {"help", no_argument, NULL, 'h'},
    {"version", no_argument, NULL, 'V'},
    {NULL, 0, NULL, 0},
};

static void print_help(const struct options_text *text)
{
    printf("Usage: %s [-e] [-c FILE] [-o name=value]...%s%s\n"
           "%s\n\n"
           "  -e             log to standard error instead of syslog\n"
           "  -c FILE        configuration [%s]\n"
           "  -o NAME=VALUE  set one parameter over the configuration\n"
           "      --help     print this and exit\n"
           "      --version  print the version and exit\n",
           text->program, text->arguments ? " " : "",
           text->arguments ? text->arguments : "", text->summary,
           SYNCQ_CONFIG_FILE);
    if (text->details)
        printf("\n%s", text->details);
}

static int print_usage_error(const struct options_text *text, const char *what,
                             const char *which)
{
    fprintf(stderr, "%s: %s %s; try '%s --help'\n", text->program, what, which,
            text->program);
    return EX_USAGE;
}

/* getopt itself stays silent, so that there is one line in one form. */
static int report_bad_option(char **argv, const struct options_text *text,
                             int result)
{
    char letter[] = {'-', (char)optopt, 0};

    if (result == ':')
        return print_usage_error(text, "a value is missing after", letter);
    if (optopt)
        return print_usage_error(text, "unknown option", letter);
    return print_usage_error(text, "unknown option", argv[optind - 1]);
}

/* The -o values are applied after the file, whatever the order was. */
static int apply_overrides(int argc, char **argv, struct config *config,
                           char *error, size_t error_size)
{
    int option, result = 0;
    char *equals;

    optind = 0;
    while (!result && (option = getopt_long(argc, argv, "+:ec:o:", long_options,
                                            NULL)) != -1) {
        if (option != 'o')
            continue;
        equals = strchr(optarg, '=');
        *equals = 0;
        result = config_set(config, optarg, equals + 1, error, error_size);
        *equals = '=';
    }
    return result;
}

int options_read_again(int argc, char **argv, const struct options *options,
                       struct config *config, char *error, size_t error_size)
{
    int result = config_read(options->config_file, config, error, error_size);

    if (!result)
        result = apply_overrides(argc, argv, config, error, error_size);
    if (result)
        config_clear(config);
    return result;
}

int options_parse(int argc, char **argv, const struct options_text *text,
                  struct options *options)
{
    char error[ERROR_SIZE];
    int option, result;

    memset(options, 0, sizeof(*options));
    options->config_file = SYNCQ_CONFIG_FILE;
    opterr = 0;
    optind = 0; /* GNU: start anew, also for "+" */
    while ((option = getopt_long(argc, argv, "+:ec:o:", long_options, NULL)) !=
           -1) {
        switch (option) {
        case 'e':
            options->to_stderr = 1;
            break;
        case 'c':
            options->config_file = optarg;
            break;
        case 'o':
            if (!strchr(optarg, '='))
                return print_usage_error(text, "-o needs name=value, not",
                                         optarg);
            break;
        case 'h':
            print_help(text);
            return OPTIONS_DONE;
        case 'V':
            printf("%s %s\n", text->program, SYNCQ_VERSION);
            return OPTIONS_DONE;
        default:
            return report_bad_option(argv, text, option);
        }
    }
    options->first_argument = optind;
    if (!text->arguments && optind < argc)
        return print_usage_error(text, "unexpected argument", argv[optind]);

    result = options_read_again(argc, argv, options, &options->config, error,
                                ERROR_SIZE);
    if (result) {
        fprintf(stderr, "%s: %s\n", text->program, error);
        options_clear(options);
    }
    return result;
}

void options_clear(struct options *options)
{
    config_clear(&options->config);
}
