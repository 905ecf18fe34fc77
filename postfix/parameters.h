/* SPDX-License-Identifier: MIT */
/*
 * parameters.h - Postfix's configuration as postconf(1) shows it
 *
 * All parameters are read at once by running postconf, which fills in
 * defaults, expands $name and knows the per-transport names.
 */
#ifndef SYNCQ_POSTFIX_PARAMETERS_H
#define SYNCQ_POSTFIX_PARAMETERS_H

#include <stddef.h>
#include <stdint.h>

struct parameters;

/*
 * Run `postconf -c config_directory -x` and read its answer.  config_directory
 * NULL: Postfix's own default.  EIO: postconf failed (its message went to
 * standard error); ENOMEM.
 */
int parameters_load(const char *config_directory,
                    struct parameters **parameters);
/* From text in `name = value` lines; for tests. */
int parameters_parse(const char *text, struct parameters **parameters);
void parameters_free(struct parameters *parameters);

/* An `-o name=value` of master.cf.  ENOMEM. */
int parameters_set(struct parameters *parameters, const char *name,
                   const char *value);

/* The value, or fallback when there is no such parameter. */
const char *parameters_text(const struct parameters *parameters,
                            const char *name, const char *fallback);
int parameters_bool(const struct parameters *parameters, const char *name,
                    int fallback);
int64_t parameters_number(const struct parameters *parameters, const char *name,
                          int64_t fallback);
/* Seconds; unit is the one that a bare number has: 's', 'm', 'h', 'd', 'w'. */
int64_t parameters_time_s(const struct parameters *parameters, const char *name,
                          char unit, int64_t fallback);
/* transport + suffix, else the default_ or plain name given. */
int64_t parameters_transport_number(const struct parameters *parameters,
                                    const char *transport, const char *suffix,
                                    const char *default_name, int64_t fallback);

/* Postfix version as major * 100 + minor (3.7.11: 307), from mail_version's
 * built-in value, `postconf -dh mail_version`. */
unsigned parameters_version(const struct parameters *parameters);

#endif
